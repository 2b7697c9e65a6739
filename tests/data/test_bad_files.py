"""Damaged and hostile IDX, .npz, .npy and HDF5 files are refused in one line, without harm."""

import gzip
import struct
import zipfile

import h5py
import numpy as np
import pytest

import nbconv
from nbconv import load_data
from nbconv.data.sources import load_images

from .conftest import (
    ARRAYS,
    HUGE,
    IMAGES,
    LABELS,
    NAMES,
    Code,
    assert_refused_or,
    header,
    idx_bytes,
    idx_folder,
    npy_bytes,
    npz_bytes,
    pickled_sets,
    refusal,
    write_h5,
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins with nothing: expected the magic number of an IDX file of images"),
        (b"\0\0", "begins with 00 00: expected the magic"),
        (b"hello world", "begins with 68 65 6c 6c: expected"),
        (b"\0\0\7\3" + bytes(40), "begins with 00 00 07 03"),
        (idx_bytes(np.zeros(12, np.uint8)), "has 1 axes: expected 3, as an IDX file of images has"),
        (b"\0\0\x08\0", "has 0 axes: expected 3"),
        (b"\0\0\x08\3" + bytes(11), "ends within its header"),
        (idx_bytes(ARRAYS[NAMES[0]])[:-1],
         "declares 300 bytes of data and holds 299: the file is damaged"),
        (idx_bytes(ARRAYS[NAMES[0]]) + b"x", "declares 300 bytes of data and holds more"),
        (b"\0\0\x08\3" + b"\xff" * 12, "expected at most 2147483648"),
        (b"\0\0\x0e\3" + struct.pack(">III", 2**28, 1, 1),
         "declares 2147483648 bytes of data and holds 0"),
        (b"\0\0\x08\3" + struct.pack(">III", 0, 28, 28),
         "images have the shape 0x28x28: expected at least one"),
        (idx_bytes(ARRAYS[NAMES[0]][:11]), "12 labels were given for 11 images"),
        (idx_bytes(np.full((12, 1, 1), np.nan, ">f4"), 0x0D), "image 0 has pixels that are NaN"),
        (b"\x1f\x8b", "is damaged or is not an IDX file of images"),
    ],
)  # fmt: skip
def test_bad_idx_files(tmp_path, content, said):
    folder = idx_folder(tmp_path / "idx")
    (folder / NAMES[0]).write_bytes(content)
    message = refusal(load_data, folder)
    assert said in message
    assert message.startswith(str(folder))


def test_bad_idx_folders(tmp_path):
    folder = idx_folder(tmp_path / "idx")
    (folder / NAMES[3]).write_bytes(idx_bytes(ARRAYS[NAMES[3]][:3]))
    assert f"{folder}: test images and labels: 3 labels were given for 4 images" in refusal(
        load_data, folder
    )
    (folder / NAMES[3]).write_bytes(idx_bytes(ARRAYS[NAMES[3]].astype(">f4"), 0x0D))
    assert [len(part) for part in load_data(folder)] == [10, 2, 4]  # 3.0 is 3
    (folder / NAMES[3]).write_bytes(idx_bytes((ARRAYS[NAMES[3]] / 2).astype(">f4"), 0x0D))
    assert "label 1 is 0.5: expected a whole number" in refusal(load_data, folder)
    (folder / NAMES[3]).unlink()
    assert f"{folder} lacks t10k-labels-idx1-ubyte (or .gz): expected four" in refusal(
        load_data, folder
    )
    (folder / NAMES[3]).mkdir()
    assert f"{folder} lacks t10k-labels" in refusal(load_data, folder)
    folder = idx_folder(tmp_path / "idx2")
    (folder / NAMES[0]).write_bytes(idx_bytes(ARRAYS[NAMES[0]][:1]))
    (folder / NAMES[1]).write_bytes(idx_bytes(ARRAYS[NAMES[1]][:1]))
    assert f"{folder}: 1 images of 1 classes are too few" in refusal(load_data, folder)


@pytest.mark.parametrize("kind", ["idx", "pkl.gz"])
def test_truncated_and_corrupt_gzip(tmp_path, kind):
    if kind == "idx":
        source = idx_folder(tmp_path / "idx", ".gz")
        path = source / f"{NAMES[2]}.gz"
    else:
        source = path = tmp_path / "mnist.pkl.gz"
        path.write_bytes(gzip.compress(pickled_sets()))
    good = path.read_bytes()
    expected = [part.fingerprint for part in load_data(source)]
    for size in range(0, len(good), 3):
        path.write_bytes(good[:size])
        assert refusal(load_data, source).startswith(str(path))
    for position in range(0, len(good), 2):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x20]) + good[position + 1 :])
        assert_refused_or(expected, source)


BAD_NPY = [
    (b"", "is damaged or is not an .npy file of numbers"),
    (b"hello there, this is text", "magic string is not correct"),
    (npy_bytes()[:-1], "declares 320 bytes of data and holds 319"),
    (npy_bytes() + b"x", "declares 320 bytes of data and holds more"),
    (npy_bytes()[:40], "is damaged or is not"),
    (
        npy_bytes(version=b"\3\0", header=header("(20, 4, 4)")),
        "is of .npy version 3.0: expected 1.0 or 2.0",
    ),
    (
        npy_bytes(header=header(f"({HUGE}, 4, 4)")),
        f"declares {HUGE * 16} bytes in the shape ({HUGE}, 4, 4): expected",
    ),
    (
        npy_bytes(header=header("(3, 2000000000)")),
        "declares 6000000000 bytes in the shape (3, 2000000000)",
    ),
    (npy_bytes(header=header("(-1, 4, 4)")), "in the shape (-1, 4, 4): expected at most"),
    (npy_bytes(header=header("(-4, -4)")), "in the shape (-4, -4): expected at most"),
    (npy_bytes(header=header("(1,)*999")), "is damaged or is not"),
    (npy_bytes(header=header("__import__('os').system('touch marker')")), "is damaged or is not"),
    (npy_bytes(header="(" * 5000), "is damaged or is not"),
    (npy_bytes(header="{" + "'a':1," * 3000 + "}"), "is damaged or is not"),
    (
        npy_bytes(header=header("(20, 4, 4)"), version=b"\2\0", length=2**32 - 1),
        "is damaged or is not",
    ),
    (npy_bytes(header=header("(20,)", "'|V0'")), "holds |V0: expected numbers"),
    (npy_bytes(header=header("(20,)", "'nonsense'")), "is damaged or is not"),
    (npy_bytes(header=header("(20,)", "'<U4'")), "holds texts: expected numbers"),
    (npy_bytes(header=header("(20,)", "'<c8'")), "holds complex64: expected numbers"),
    (
        npy_bytes(header=header("(20,)", str([(f"a{i}", "<f4") for i in range(500)]))),
        "holds [('a0', '<f4'), ('a1', ",
    ),
    (npy_bytes(header=header("(20,)", "[('a', '<f4')]")), "holds [('a', '<f4')]: expected numbers"),
]


@pytest.mark.parametrize(("content", "said"), BAD_NPY)
def test_bad_npy_files(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.npy").write_bytes(content)
    message = refusal(load_images, tmp_path / "bad.npy", (1, 4, 4))
    assert said in message
    assert message.startswith(str(tmp_path / "bad.npy"))
    with zipfile.ZipFile(tmp_path / "bad.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content)
        archive.writestr("labels.npy", npy_bytes(LABELS))
    assert said.replace("an .npy", "an .npz") in refusal(load_data, tmp_path / "bad.npz")
    assert not (tmp_path / "marker").exists()


def test_npz_with_python_objects(tmp_path):
    objects = np.array([Code(tmp_path / "marker")] * 20, object)
    np.savez(tmp_path / "bad.npz", images=objects, labels=LABELS)
    assert "images.npy holds object: expected numbers (Python objects are never" in refusal(
        load_data, tmp_path / "bad.npz"
    )
    np.save(tmp_path / "bad.npy", objects)
    assert "bad.npy holds object" in refusal(load_images, tmp_path / "bad.npy", (1, 4, 4))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"a\n\x1b[31m": IMAGES},
            r"it holds 'a\n\x1b[31m': expected images and labels, or train_images",
        ),
        ({"a" * 90: IMAGES, **{str(i): LABELS for i in range(50)}}, ": expected images and labels"),
        ({}, "it holds nothing: expected images and labels"),
        ({"images": IMAGES}, "it holds 'images' and no labels among 'images'"),
        ({"test_images": IMAGES, "test_labels": LABELS}, "it holds 'test_"),
        (
            {"x_train": IMAGES, "y_train": LABELS, "x_extra": IMAGES, "y_extra": LABELS},
            "'x_extra' and 'y_extra', a set of an unknown name: expected images and labels",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "x": IMAGES},
            "'images' and 'x' could both be the images of the all set",
        ),
        (
            {"images": IMAGES, "labels": LABELS, "x_dev": IMAGES, "y_dev": LABELS},
            "a set without a name among others",
        ),
        ({"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES}, "test_images'"),
        (
            {"images": IMAGES, "labels": LABELS[:9]},
            "images and labels: 9 labels were given for 20 images",
        ),
        (
            {"images": IMAGES, "labels": LABELS / 2},
            "images and labels: label 1 is 0.5: expected a whole number",
        ),
        (
            {"images": IMAGES, "labels": np.eye(20) * 2},
            "labels have the shape 20x20, and their rows are not one-hot",
        ),
        ({"images": IMAGES, "labels": np.int64(3)}, "labels have the shape of a single number"),
        (
            {"images": IMAGES, "labels": -LABELS.astype(int)},
            "images and labels: label 2 is -2: expected 0 or more",
        ),
        (
            {"images": IMAGES[0, 0], "labels": LABELS},
            "images have the shape 4: expected (n, channels",
        ),
        ({"images": np.uint8(1), "labels": LABELS}, "images have the shape of a single number"),
        ({"images": IMAGES.astype(int) * 2, "labels": LABELS}, ": expected levels 0 to 255"),
        (
            {"images": IMAGES * 1.5, "labels": LABELS},
            "images and labels: image values range from 0 to 382.5: expected [0, 1]; divide them",
        ),
        (
            {"images": np.full((20, 4), np.nan), "labels": LABELS},
            "images and labels: image 0 has pixels that are NaN",
        ),
        (
            {"images": IMAGES[:3], "labels": LABELS[:3]},
            "3 images of 3 classes are too few to set 1 aside for validation or test",
        ),
        ({"images": np.full(20, b"abc"), "labels": LABELS}, "expected numbers"),
        ({"images": IMAGES * 1j, "labels": LABELS}, "expected numbers"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "expected at least one image"),
    ],
)
def test_bad_arrays_in_files(tmp_path, suffix, arrays, said):
    path = tmp_path / f"bad{suffix}"
    if suffix == ".h5":
        write_h5(path, **arrays)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, array in arrays.items():
                archive.writestr(f"{name}.npy", npy_bytes(array))
    message = refusal(load_data, path)
    assert message.startswith(str(path))
    assert said in message


def test_truncated_and_corrupt_npz(tmp_path):
    path = tmp_path / "data.npz"
    good = npz_bytes(images=IMAGES, labels=LABELS)
    path.write_bytes(good)
    expected = [part.fingerprint for part in load_data(path)]
    for size in range(0, len(good), 3):
        path.write_bytes(good[:size])
        assert refusal(load_data, path).startswith(str(path))
    for position in range(0, len(good), 2):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
        assert_refused_or(expected, path)


def test_zips_that_numpy_does_not_write(tmp_path):
    path = tmp_path / "data.npz"
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("images.npy", npy_bytes())
            archive.writestr("labels.npy", npy_bytes(LABELS))
        assert "images.npy has a compression method that numpy.savez does not use" in refusal(
            load_data, path
        )
    content = bytearray(npz_bytes(images=IMAGES, labels=LABELS))
    content[content.index(b"PK\1\2") + 8] |= 1  # encrypted
    path.write_bytes(content)
    assert "is encrypted" in refusal(load_data, path)


def test_h5_of_other_files(tmp_path):
    """Links, external storage and virtual datasets would read other files of this machine."""
    path, other = tmp_path / "bad.h5", write_h5(tmp_path / "other.h5", images=IMAGES, labels=LABELS)
    (tmp_path / "raw").write_bytes(IMAGES.tobytes())
    layout = h5py.VirtualLayout(IMAGES.shape, np.uint8)
    layout[...] = h5py.VirtualSource(other, "images", IMAGES.shape)
    makers = {
        "images is a link to elsewhere": [
            lambda file: file.__setitem__("images", h5py.ExternalLink(str(other), "images")),
            lambda file: file.__setitem__("images", h5py.SoftLink("/kept")),
            lambda file: file.__setitem__("images", h5py.SoftLink("/nothing")),
        ],
        "images is stored in other files": [
            lambda file: file.create_dataset(
                "images", IMAGES.shape, np.uint8, external=[(str(tmp_path / "raw"), 0, 320)]
            ),
            lambda file: file.create_virtual_dataset("images", layout),
        ],
        "it holds 'labels' and no images": [lambda file: file.create_group("images")],
        "images is not a dataset": [lambda file: file.__setitem__("images", np.dtype("f4"))],
        "images has the dtype": [
            lambda file: file.__setitem__("images", ["a"] * 20),
            lambda file: file.__setitem__("images", np.zeros(20, "u1,f4")),
            lambda file: file.create_dataset("images", (20,), h5py.ref_dtype),
            lambda file: file.create_dataset("images", (20,), h5py.vlen_dtype(np.uint8)),
        ],
        "images is empty": [
            lambda file: file.__setitem__("images", h5py.Empty("u1")),
            lambda file: file.__setitem__("images", IMAGES[:0]),
        ],
    }
    for said, ways in makers.items():
        for make in ways:
            write_h5(path, labels=LABELS, kept=IMAGES)
            with h5py.File(path, "a") as file:
                make(file)
            with pytest.raises(nbconv.DataError) as caught:
                load_data(path)
            assert str(caught.value).startswith(
                f"{path}: {said}"
            )  # and it is closed, or HDF5 would not write it anew


def test_damaged_h5(tmp_path):
    path = write_h5(tmp_path / "data.h5", images=IMAGES, labels=LABELS)
    good = path.read_bytes()
    for size in (*range(0, 100, 9), *range(100, len(good) - 1, 301)):
        path.write_bytes(good[:size])
        assert refusal(load_data, path).startswith(
            f"{path} is damaged or is not an HDF5 file with images and labels"
        )


def half_damaged_h5(path, images=IMAGES):
    """Only the first images of it can be unpacked."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "train_images", data=images, chunks=(2, *images.shape[1:]), compression="gzip"
        )
        for first in range(4, 20, 2):
            dataset.id.write_direct_chunk((first, *[0] * (images.ndim - 1)), b"not what zlib wrote")
        file["train_labels"] = LABELS
        file["test_images"], file["test_labels"] = images, LABELS
    return path


def test_h5_is_read_when_it_is_wanted(tmp_path):
    path = half_damaged_h5(tmp_path / "data.h5")
    train, valid, _ = load_data(path)
    assert (len(train[2:9]), len(valid)) == (7, 3)
    assert train.labels[:4].tolist() == LABELS[:4].tolist()
    np.testing.assert_array_equal(np.rint(train.images[:4, 0] * 255), IMAGES[:4])
    net = nbconv.Network([nbconv.Softmax(3)], input_shape=16)
    net.fit(train[:4], epochs=1, mini_batch_size=2, eta=0.1)
    for wanted in (lambda: train.images[4], lambda: train.images[[0, 9]],
                   lambda: net.evaluate(valid),
                   lambda: net.fit(train, epochs=1, mini_batch_size=2, eta=0.1)):  # fmt: skip
        assert refusal(wanted).startswith(f"{path} is damaged or is not an HDF5 file")
    assert "data.h5 is damaged" in refusal(
        load_data, half_damaged_h5(tmp_path / "more.data.h5", IMAGES / 255)
    )


def test_unknown_compression_is_said_at_once(tmp_path):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((2, 4, 4))
    plist.set_filter(40_000, h5py.h5z.FLAG_OPTIONAL)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        space = h5py.h5s.create_simple(IMAGES.shape)
        dataset = h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, space, plist)
        for first in range(0, 20, 2):
            dataset.write_direct_chunk((first, 0, 0), IMAGES[first : first + 2].tobytes())
        file["labels"] = LABELS
    assert "data.h5 is damaged or is not" in refusal(load_data, tmp_path / "data.h5")
