"""Data files: every format read, and every kind of bad file refused in one line, without harm."""

import bz2
import errno
import gzip
import io
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_data import ARRAYS, idx_bytes, refusal

import nbconv
from nbconv import load_data
from nbconv.data.sources import load_images

IMAGES = np.random.default_rng(3).integers(0, 256, (20, 4, 4), np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 3
NAMES = list(ARRAYS)
HUGE = 2**62


def idx_folder(folder, end="", replace=("", "")):
    folder.mkdir(exist_ok=True)
    for name, array in ARRAYS.items():
        content = idx_bytes(array)
        (folder / (name.replace(*replace) + end)).write_bytes(
            gzip.compress(content) if end == ".gz" else content
        )
    return folder


def npz_bytes(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def write_h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def pickled_sets(protocol=2):
    flat = (IMAGES / 255).astype(np.float32).reshape(20, 16)
    return pickle.dumps(
        tuple((flat[a:b], LABELS[a:b].astype(int)) for a, b in ((0, 10), (10, 15), (15, 20))),
        protocol,
    )


def assert_is_all(parts, images=IMAGES, labels=LABELS):
    """The parts together are these images and labels, in any order."""
    seen = sorted(
        (np.rint(i * 255).tobytes(), int(k))
        for part in parts
        for i, k in zip(part.images, part.labels, strict=True)
    )
    expected = (images / 255).astype(np.float32)
    assert seen == sorted(
        (np.rint(i * 255).tobytes(), int(k)) for i, k in zip(expected, labels, strict=True)
    )


# Files that are right


@pytest.mark.parametrize(
    ("end", "replace"),
    [("", ("", "")), (".gz", ("", "")), ("", ("-idx", ".idx")), (".gz", ("-idx", ".idx"))],
)
def test_idx_folders(tmp_path, monkeypatch, end, replace):
    idx_folder(tmp_path / "idx", end, replace)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tmp_path / "idx", str(tmp_path / "idx"), "idx", Path("idx"), "./idx/", "~/idx"):
        parts = load_data(path)
        assert [len(part) for part in parts] == [10, 2, 4]
        np.testing.assert_array_equal(parts[0].store[:, 0], ARRAYS[NAMES[0]][:10])
        np.testing.assert_array_equal(parts[1].store[:, 0], ARRAYS[NAMES[0]][10:])
        np.testing.assert_array_equal(parts[1].labels, ARRAYS[NAMES[1]][10:])
        np.testing.assert_array_equal(parts[2].store[:, 0], ARRAYS[NAMES[2]])


def test_idx_of_other_numbers(tmp_path):
    folder = idx_folder(tmp_path / "idx")
    values = (ARRAYS[NAMES[0]] / 255).astype(">f4")
    (folder / NAMES[0]).write_bytes(idx_bytes(values, 0x0D))
    (folder / NAMES[1]).write_bytes(idx_bytes(ARRAYS[NAMES[1]].astype(">i4"), 0x0C))
    train, valid, _ = load_data(folder)
    np.testing.assert_array_equal(np.concatenate([train.images, valid.images])[:, 0], values)


NAMED = [
    ("train_images", "train_labels"),
    ("x_train", "y_train"),
    ("training_images", "training_labels"),
]
VALID = [
    ("valid_images", "valid_labels"),
    ("validation_images", "validation_labels"),
    ("x_val", "y_val"),
]
TEST = [("test_images", "test_labels"), ("x_test", "y_test"), ("testing_images", "testing_labels")]


@pytest.mark.parametrize("suffix", [".npz", ".NPZ", ".h5", ".hdf5", ".H5"])
def test_named_sets(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"

    def write(**arrays):
        path.unlink(missing_ok=True)  # an .h5 file stays open as long as its datasets live
        write_h5(path, **arrays) if suffix.lower() != ".npz" else path.write_bytes(
            npz_bytes(**arrays)
        )

    for train, valid, test in zip(NAMED, VALID, TEST, strict=True):
        parts = ((train, slice(10)), (valid, slice(10, 15)), (test, slice(15, None)))
        named = {
            name: array[part]
            for names, part in parts
            for name, array in zip(names, (IMAGES, LABELS), strict=True)
        }
        write(**named)
        for part, (_, where) in zip(load_data(path), parts, strict=True):
            np.testing.assert_array_equal(part.images[:, 0], (IMAGES[where] * np.float32(1 / 255)))
            np.testing.assert_array_equal(part.labels, LABELS[where])
        write(**{name: array for name, array in named.items() if name not in valid})
        parts = load_data(path)
        assert [len(part) for part in parts] == [9, 1, 5]
        assert_is_all(
            parts, np.delete(IMAGES, np.s_[10:15], 0)[:, None], np.delete(LABELS, np.s_[10:15])
        )
    write(images=IMAGES, labels=LABELS)
    parts = load_data(path)
    assert [len(part) for part in parts] == [14, 3, 3]
    assert_is_all(parts, IMAGES[:, None])
    assert [part.labels.tolist() for part in load_data(path)] == [
        part.labels.tolist() for part in parts
    ]
    for images in (IMAGES[:, None], IMAGES.reshape(20, 16), IMAGES / 255, (IMAGES / 255).astype(">f4"),
                   np.asfortranarray(IMAGES), IMAGES.astype(int), (IMAGES > 99)):  # fmt: skip
        write(images=images, labels=LABELS.astype(">i4"))
        assert sum(len(part) for part in load_data(path)) == 20
        whole = images if images.dtype.kind in "bf" else images / 255
        total = sum(np.asarray(part.images, float).sum() for part in load_data(path))
        assert total == pytest.approx(whole.sum(), rel=1e-6)


def test_other_things_in_a_file_do_no_harm(tmp_path):
    note = np.array([{"a": 1}], object)
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS, note=note, author=np.array("me"))
    assert_is_all(load_data(tmp_path / "data.npz"), IMAGES[:, None])
    write_h5(tmp_path / "data.h5", images=IMAGES, labels=LABELS, author="me")
    with h5py.File(tmp_path / "data.h5", "a") as file:
        file["elsewhere"] = h5py.SoftLink("/images")
        file.create_group("more")
    assert_is_all(load_data(tmp_path / "data.h5"), IMAGES[:, None])


@pytest.mark.parametrize("storage", [{}, {"chunks": (3, 4, 4)}, {"chunks": (4, 2, 3), "compression": "gzip"},
                                     {"chunks": (1, 4, 4), "compression": "lzf", "shuffle": True, "fletcher32": True}])  # fmt: skip
def test_h5_reads_like_an_array(tmp_path, storage):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for part, images, labels in (("train", IMAGES, LABELS), ("test", IMAGES[:4], LABELS[:4])):
            file.create_dataset(f"{part}_images", data=images, **storage)
            file[f"{part}_labels"] = labels
    train, valid, test = load_data(tmp_path / "data.h5")
    whole = np.asarray(nbconv.Dataset(IMAGES, LABELS).images)
    np.testing.assert_array_equal(np.asarray(train.images), whole[:17])
    np.testing.assert_array_equal(np.asarray(valid.images), whole[17:])
    images, expected = train[3:15][::-2].images, whole[3:15][::-2]
    assert images.shape == expected.shape
    for key in (0, -1, slice(1, 4), slice(None, None, -2), slice(3, 3), [2, 0, 2], np.arange(6) > 2, (1, 0), (..., 0), (),
                (slice(2), 0, 2, 3), (0, 0, 0, 0), ([0, 1], [0, 0], [1, 0]), None, (np.int64(2), ..., 1)):  # fmt: skip
        np.testing.assert_array_equal(images[key], expected[key])
    with pytest.raises(IndexError):
        images[6]
    kept = [nbconv.Dataset(np.asarray(part.images), part.labels) for part in (train, valid)]
    results = []
    for data, validation in ((train, valid), kept):
        net = nbconv.Network([nbconv.Conv2D(2, 3), nbconv.Softmax(3)], input_shape=(1, 4, 4))
        net.fit(
            data,
            epochs=2,
            mini_batch_size=5,
            eta=0.5,
            validation=validation,
            test=test,
            expand=True,
        )
        results.append(
            (
                net.parameters()[0]["weights"],
                net.history["validation_accuracy"],
                net.predict(test.images),
            )
        )
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("suffix", [".pkl", ".pkl.gz", ".PKL.GZ"])
def test_pickles_like_the_books(tmp_path, protocol, suffix):
    content = pickled_sets(protocol)
    path = tmp_path / f"mnist{suffix}"
    path.write_bytes(content if suffix == ".pkl" else gzip.compress(content))
    parts = load_data(path)
    assert [len(part) for part in parts] == [10, 5, 5]
    assert parts[0].shape == (1, 4, 4)
    assert parts[0].store.dtype == np.float32
    np.testing.assert_array_equal(np.rint(parts[1].images[:, 0] * 255), IMAGES[10:15])
    np.testing.assert_array_equal(parts[2].labels, LABELS[15:])


def test_pickles_of_other_arrays(tmp_path):
    """Lists for tuples, Fortran order, big-endian and strided arrays; images that are no squares stay flat."""
    path = tmp_path / "data.pkl"
    values = (IMAGES / 255).reshape(20, 16)[:, :15]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for images in (
            values,
            np.asfortranarray(values),
            values.astype(">f4"),
            values[::2].astype(">f8"),
            values > 0.5,
        ):
            path.write_bytes(
                pickle.dumps([[images, LABELS[: len(images)].astype(">i2")]] * 3, protocol)
            )
            train, _, test = load_data(path)
            np.testing.assert_array_equal(train.store[:, 0, 0], images)
            assert test.labels.dtype == np.int64


def python2_pickle():
    """As Python 2's cPickle.dump(..., protocol=2) with NumPy 1 wrote it."""

    def array(content, code):
        shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in content.shape) + b"t"
        return (
            b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01bq\x03\x87Rq\x04(K\x01" + shape
            + b"cnumpy\ndtype\nq\x05U\x02" + code + b"q\x06K\x00K\x01\x87Rq\x07(K\x03U\x01<q\x08NNNJ\xff\xff\xff\xff"
            b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", content.nbytes) + content.tobytes() + b"tb"
        )  # fmt: skip

    images = (IMAGES / 255).astype("<f4").reshape(20, 16)
    pairs = [
        array(images[a:b], b"f4") + array(LABELS[a:b].astype("<i8"), b"i8") + b"\x86"
        for a, b in ((0, 9), (9, 20))
    ]
    return b"\x80\x02" + pairs[0] + pairs[1] + pairs[1] + b"\x87q\x09."


def test_python_2_pickles(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        genuine = pickle.loads(python2_pickle(), encoding="latin1")
    (tmp_path / "mnist.pkl.gz").write_bytes(gzip.compress(python2_pickle()))
    parts = load_data(tmp_path / "mnist.pkl.gz")
    assert [len(part) for part in parts] == [9, 11, 11]
    for part, (images, labels) in zip(parts, genuine, strict=True):
        np.testing.assert_array_equal(part.store.reshape(-1, 16), images)
        np.testing.assert_array_equal(part.labels, labels)


def test_python_2_npy(tmp_path):
    content = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L, 3L), }"
    content = content.ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(
        b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content + bytes(18)
    )
    assert load_images(tmp_path / "a.npy", 1).shape == (2, 3, 3)


# Images to predict


def test_images_for_predictions(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "b.NPY").write_bytes(npy_bytes(np.asfortranarray(IMAGES / 255)))
    np.savez(tmp_path / "c.npz", images=IMAGES)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    for name in ("a.npy", "c.npz", "t10k-images-idx3-ubyte.gz"):
        np.testing.assert_array_equal(load_images(tmp_path / name, 1), IMAGES)
        np.testing.assert_array_equal(load_images(str(tmp_path / name), 1), IMAGES)
    np.testing.assert_array_equal(load_images(tmp_path / "b.NPY", 1), IMAGES / 255)
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=LABELS)
    assert len(load_images(tmp_path / "d.npz", 1)) == 3
    assert len(load_images(idx_folder(tmp_path / "idx"), 1)) == 4
    assert len(load_images("digits", 1)) == len(load_images(Path("digits"), 1)) == 300


def test_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="reading pictures needs Pillow")
    grey = image.fromarray(IMAGES[0])
    colours = image.fromarray(IMAGES[:3].transpose(1, 2, 0))
    for suffix in (".png", ".PNG", ".bmp", ".gif"):
        grey.save(tmp_path / f"grey{suffix}")
        np.testing.assert_array_equal(load_images(tmp_path / f"grey{suffix}", 1), IMAGES[None, :1])
        np.testing.assert_array_equal(
            load_images(tmp_path / f"grey{suffix}", 3), IMAGES[[[0, 0, 0]]]
        )
    colours.save(tmp_path / "colours.png")
    np.testing.assert_array_equal(load_images(tmp_path / "colours.png", 3), IMAGES[None, :3])
    assert load_images(tmp_path / "colours.png", 1).shape == (1, 1, 4, 4)
    colours.save(tmp_path / "colours.jpg")
    assert load_images(tmp_path / "colours.jpg", 3).shape == (1, 3, 4, 4)
    image.fromarray(IMAGES[0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(load_images(tmp_path / "deep.png", 1), IMAGES[None, :1])
    grey.convert("1").save(tmp_path / "bits.png")
    assert set(np.unique(load_images(tmp_path / "bits.png", 1))) == {0, 255}
    content = (tmp_path / "colours.png").read_bytes()
    for bad in (
        b"",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        *(content[:size] for size in range(8, 60, 9)),
    ):
        (tmp_path / "bad.png").write_bytes(bad)
        assert refusal(load_images, tmp_path / "bad.png", 1).startswith(
            f"{tmp_path / 'bad.png'} is damaged or is not"
        )
        assert "Ghostscript" not in refusal(load_images, tmp_path / "bad.png", 1)
    assert "does not exist" in refusal(load_images, tmp_path / "none", 1)
    assert "cannot be read (No such file" in refusal(load_images, tmp_path / "none.png", 1)
    bomb = bytearray(content)
    bomb[16:24] = struct.pack(">II", 2**16, 2**16)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    (tmp_path / "bomb.png").write_bytes(bomb)
    assert "bomb.png is damaged" in refusal(load_images, tmp_path / "bomb.png", 1)


# Places that are wrong


@pytest.mark.parametrize("load", [load_data, lambda path: load_images(path, 1)])
def test_places_that_are_wrong(tmp_path, monkeypatch, load):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "dangling.h5").symlink_to(tmp_path / "nothing")
    for source, said in [
        ("nothing.npz", "nothing.npz does not exist: expected digits, mnist, or a path"),
        ("nothing.h5", "nothing.h5 does not exist"),
        ("nothing.pkl.gz", "nothing.pkl.gz does not exist"),
        ("digit", "digit does not exist"),
        ("dangling.h5", "dangling.h5 does not exist"),
        ("notes.txt", "notes.txt has no known ending: expected digits, mnist, or a path"),
        ("notes.txt/more.npz", "does not exist"),
        ("folder.npz", "folder.npz lacks train-images-idx3-ubyte, train-labels-idx1-ubyte"),
        (".", ". lacks train-images"),
        ("", ". lacks train-images"),
        ("a" * 300, "a cannot be read ("),
        ("nul\0", "does not exist"),
        (
            "~nobody-of-that-name/data",
            "'~nobody-of-that-name/data' (Could not determine home directory",
        ),
        (
            5,
            "the data's source is 5 (expected str, bytes or os.PathLike object, not int): expected digits",
        ),
        (None, "the data's source is None"),
        (b"digits", "the data's source is b'digits'"),
    ]:
        assert said in refusal(load, source)
    if load is not load_data:
        assert "or images alone: .npy, .npz, IDX or a picture" in refusal(load, "notes.txt")
        assert "folder.npy cannot be read (Is a directory)" in refusal(load, "folder.npy")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npz")
        assert "pipe.npz is neither file nor folder" in refusal(load, "pipe.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.pkl.gz", "a.npy", "a.png"])
def test_files_that_may_not_be_read(tmp_path, name):
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("root may read every file")
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / name).chmod(0)
    assert f"{name} cannot be read ({os.strerror(errno.EACCES)})" in refusal(
        load_images, tmp_path / name, 1
    )


# IDX files that are bad


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
        (idx_bytes(ARRAYS[NAMES[0]])[:-1], "declares 300 bytes of data and holds 299: the file is damaged"),
        (idx_bytes(ARRAYS[NAMES[0]]) + b"x", "declares 300 bytes of data and holds more"),
        (b"\0\0\x08\3" + b"\xff" * 12, "expected at most 2147483648"),
        (b"\0\0\x0e\3" + struct.pack(">III", 2**28, 1, 1), "declares 2147483648 bytes of data and holds 0"),
        (b"\0\0\x08\3" + struct.pack(">III", 0, 28, 28), "images have the shape 0x28x28: expected at least one"),
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
    assert "labels have the dtype >f4: expected whole numbers" in refusal(load_data, folder)
    (folder / NAMES[3]).unlink()
    assert f"{folder} lacks t10k-labels-idx1-ubyte (or .gz): expected the four" in refusal(
        load_data, folder
    )
    (folder / NAMES[3]).mkdir()
    assert f"{folder} lacks t10k-labels" in refusal(load_data, folder)
    folder = idx_folder(tmp_path / "idx2")
    (folder / NAMES[0]).write_bytes(idx_bytes(ARRAYS[NAMES[0]][:5]))
    (folder / NAMES[1]).write_bytes(idx_bytes(ARRAYS[NAMES[1]][:5]))
    assert "5 training images are too few" in refusal(load_data, folder)


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


def assert_refused_or(expected, source):
    """Either the damage is seen or it has changed nothing, such as a date in a header."""
    try:
        assert [part.fingerprint for part in load_data(source)] == expected
    except nbconv.DataError as error:
        assert str(error).startswith(str(source))  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017


# .npz and .npy files that are bad


def npy_bytes(array=IMAGES, header=None, version=b"\1\0", length=None):
    if header is None:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()
    size = struct.pack(
        "<H" if version == b"\1\0" else "<I", len(header) if length is None else length
    )
    return b"\x93NUMPY" + version + size + header.encode() + bytes(320)


def header(shape, descr="'|u1'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


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
    (npy_bytes(header=header("(20,)", "'<U4'")), "holds <U4: expected numbers"),
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
    message = refusal(load_images, tmp_path / "bad.npy", 1)
    assert said in message
    assert message.startswith(str(tmp_path / "bad.npy"))
    with zipfile.ZipFile(tmp_path / "bad.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", content)
        archive.writestr("labels.npy", npy_bytes(LABELS))
    assert said.replace("an .npy", "an .npz") in refusal(load_data, tmp_path / "bad.npz")
    assert not (tmp_path / "marker").exists()


class Code:
    """Something whose pickle runs a program that leaves a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_npz_with_python_objects(tmp_path):
    objects = np.array([Code(tmp_path / "marker")] * 20, object)
    np.savez(tmp_path / "bad.npz", images=objects, labels=LABELS)
    assert "images.npy holds object: expected numbers (Python objects are never" in refusal(
        load_data, tmp_path / "bad.npz"
    )
    np.save(tmp_path / "bad.npy", objects)
    assert "bad.npy holds object" in refusal(load_images, tmp_path / "bad.npy", 1)
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
        ({"images": IMAGES}, "it holds 'images': expected images and labels"),
        ({"train_images": IMAGES, "train_labels": LABELS}, "it holds 'train_"),
        ({"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES}, "test_images'"),
        (
            {"images": IMAGES, "labels": LABELS[:9]},
            "images and labels: 9 labels were given for 20 images",
        ),
        (
            {"images": IMAGES, "labels": LABELS / 2},
            "images and labels: labels have the dtype float64",
        ),
        (
            {"images": IMAGES, "labels": np.eye(20)},
            "labels have the shape 20x20: expected one whole number",
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
            {"images": IMAGES * 1.0, "labels": LABELS},
            "images and labels: image values go from 0 to 255: expected",
        ),
        (
            {"images": np.full((20, 4), np.nan), "labels": LABELS},
            "images and labels: image 0 has pixels that are NaN",
        ),
        (
            {"images": IMAGES[:6], "labels": LABELS[:6]},
            "6 images are too few to split 70 : 15 : 15: expected 7 or more",
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
        assert "images.npy is packed by another method than numpy.savez's" in refusal(
            load_data, path
        )
    content = bytearray(npz_bytes(images=IMAGES, labels=LABELS))
    content[content.index(b"PK\1\2") + 8] |= 1  # encrypted
    path.write_bytes(content)
    assert "is encrypted" in refusal(load_data, path)


# Pickles that are bad


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_never_runs(tmp_path, protocol):
    path, marker = tmp_path / "bad.pkl", tmp_path / "marker"
    sets = pickle.loads(pickled_sets())
    for bad in (
        Code(marker),
        (*sets[:2], Code(marker)),
        [(Code(marker), LABELS)] * 3,
        (*sets[:2], (sets[0][0], Code(marker))),
    ):
        path.write_bytes(pickle.dumps(bad, protocol))
        message = refusal(load_data, path)
        assert message.startswith(str(path))
        assert "it asks for " in message
        assert "only NumPy arrays are loaded" in message
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"cos\nsystem\n(S'touch marker'\ntR.",
            "it asks for 'os.system', and only NumPy arrays are loaded",
        ),
        (
            b"(S'touch marker'\nios\nsystem\n.",
            "it takes the step INST, and only NumPy arrays are loaded",
        ),
        (b"(cos\nsystem\nS'touch marker'\no.", "it asks for 'os.system'"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "it asks for 'builtins.eval'"),
        (b"cnumpy\nload\n(S'other'\ntR.", "it asks for 'numpy.load'"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "it asks for 'numpy.core.multiarray.fromfile'"),
        (
            b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__base__\x93.",
            "it asks for 'numpy.ndarray.__base__'",
        ),
        (b"cnumpy\nndarray\n(I5\ntR.", "is damaged or is not a pickle of three"),
        (b"\x82\x01.", "it takes the step EXT1"),
        (b"Pname\n.", "it takes the step PERSID"),
        (b"I1\nQ.", "it takes the step BINPERSID"),
        (b"c_codecs\nencode\n(Vabc\nVrot13\ntR.", "it asks for the encoding 'rot13'"),
        (b"cnumpy\ndtype\n(S'O8'\ntR.", "it holds an array of the dtype 'O8': expected numbers"),
        (b"cnumpy\ndtype\n(S'f4,O'\ntR.", "it holds an array of the dtype 'f4,O'"),
        (b"cnumpy\ndtype\n(I4\ntR.", "is damaged or is not"),
        (pickle.dumps("a\n" * 999)[:-1] + b"\x94h\x00\x93.", r"it asks for 'a\na\na"),
        (b"cnumpy\ndtype\n(S'" + b"f" * 999 + b"'\ntR.", "it holds an array of the dtype 'ffff"),
        (b"cnumpy\ndtype\n(S'f" + b"4" * 999 + b"'\ntR.", "is damaged or is not"),
        (pickle.dumps({"images": 1}), "it takes the step EMPTY_DICT"),
        (
            pickle.dumps((1, 2, 3)),
            "holds something else: expected a pickle of three (images, labels) pairs",
        ),
        (pickle.dumps(((1, 2),) * 3), "holds something else than arrays"),
        (pickle.dumps((IMAGES, LABELS)), "holds something else: expected"),
        (
            pickle.dumps(((IMAGES, LABELS.astype(object)),) * 3),
            "it holds an array of the dtype 'O8'",
        ),
        (
            pickle.dumps(((IMAGES, LABELS[:4]),) * 3),
            "training data: 4 labels were given for 20 images",
        ),
        (
            pickle.dumps(((IMAGES, LABELS), (IMAGES[:0], LABELS[:0])) * 2)[:-1],
            "is damaged or is not",
        ),
        (
            pickle.dumps(((IMAGES, LABELS), (IMAGES[:0], LABELS[:0]), (IMAGES, LABELS))),
            "validation data: images have",
        ),
        (
            pickle.dumps(((np.zeros((0, 16)), LABELS[:0]),) * 3),
            "training data: images have the shape 0x1x4x4",
        ),
        (
            pickle.dumps(((IMAGES / 1.0, LABELS),) * 3),
            "training data: image values go from 0 to 255",
        ),
        (pickled_sets() + b"x", "goes on after its pickle: the file is damaged"),
        (b"", "is damaged or is not a pickle"),
        (b".", "is damaged or is not a pickle"),
        (b"hello", "is damaged or is not a pickle"),
        (b"\0" * 99, "is damaged or is not a pickle"),
        (b"N" * 20_000 + b".", "it takes more than 10000 steps: expected a few arrays"),
        (b"c" + b"a" * 100_000, "is damaged or is not a pickle"),
        (b"\x8e" + struct.pack("<Q", HUGE), "the pickle has more than 2147483648 bytes"),
        (b"\x96" + struct.pack("<Q", HUGE), "the pickle has more than 2147483648 bytes"),
        (b"\x8e" + struct.pack("<Q", 2**30) + b"abc", "is damaged or is not a pickle"),
        (b"Nr\xff\xff\xff\xff.", "holds something else"),
    ],
)
def test_bad_pickles(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    for name, packed in (("bad.pkl", content), ("bad.pkl.gz", gzip.compress(content))):
        Path(name).write_bytes(packed)
        message = refusal(load_data, name)
        assert said in message
        assert message.startswith(name)
    assert not Path("marker").exists()


def test_a_forged_array_is_not_believed(tmp_path):
    """Bytes that are to be taken for pointers, and shapes that the bytes do not fill."""
    for old, new in (
        (b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8"),
        (b"K\x14K\x10", b"K\xffK\xff"),
    ):
        content = pickle.dumps((((IMAGES / 255).reshape(20, 16), LABELS),) * 3, 2)
        assert old in content
        (tmp_path / "bad.pkl").write_bytes(content.replace(old, new))
        assert "bad.pkl" in refusal(load_data, tmp_path / "bad.pkl")


def test_truncated_and_corrupt_pickles(tmp_path):
    path = tmp_path / "data.pkl"
    for protocol in (2, 5):
        good = pickled_sets(protocol)
        for size in range(0, len(good), 29):
            path.write_bytes(good[:size])
            assert refusal(load_data, path).startswith(str(path))
        for position in range(0, len(good), 4):
            path.write_bytes(
                good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :]
            )
            try:
                load_data(path)  # a pixel or a label changed: a pickle has no sum
            except nbconv.DataError as error:
                assert str(error).startswith(str(path))  # noqa: PT017


# HDF5 files that are bad


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
        "images is kept in other files": [
            lambda file: file.create_dataset(
                "images", IMAGES.shape, np.uint8, external=[(str(tmp_path / "raw"), 0, 320)]
            ),
            lambda file: file.create_virtual_dataset("images", layout),
        ],
        "images is no dataset": [
            lambda file: file.create_group("images"),
            lambda file: file.__setitem__("images", np.dtype("f4")),
        ],
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
    np.testing.assert_array_equal(np.rint(train.images[:4, 0] * 255), IMAGES[:4])
    net = nbconv.Network([nbconv.Softmax(3)], input_shape=16)
    net.fit(train[:4], epochs=1, mini_batch_size=2, eta=0.1)
    for wanted in (lambda: train.images[4], lambda: train.images[[0, 9]], lambda: net.evaluate(valid),
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


# Files that would fill the memory


LIMITED = """
import resource, sys, time
import h5py, zlib, zipfile, pickletools, nbconv
from nbconv.data.sources import load_images
nbconv.Dataset, nbconv.Network
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + {megabytes} * 2**20,) * 2)
begun = time.perf_counter()
try:
    {code}
except nbconv.DataError as error:
    print(error)
assert time.perf_counter() - begun < {seconds}, time.perf_counter() - begun
"""


def with_little_memory(folder, code, megabytes=100, seconds=10):
    """What the code prints, run in a folder by a process that may take only so much more memory and time."""
    if not sys.platform.startswith("linux"):
        pytest.skip("limits the memory as Linux does")
    script = LIMITED.format(megabytes=megabytes, seconds=seconds, code=code)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def packed(content, zeros):
    """Gzip of content and that many times 16 MiB of zeros: 1,000 times smaller than what it unpacks to."""
    return gzip.compress(content) + gzip.compress(bytes(2**24)) * zeros


def test_gzip_bombs(tmp_path):
    folder = idx_folder(tmp_path / "idx", ".gz")
    path = folder / f"{NAMES[0]}.gz"
    load = "nbconv.load_data('idx')"
    for shape, said in (((12, 5, 5), "declares 300 bytes of data and holds more"),
                        ((300, 4096, 4096), "declares 5033164800 bytes of data in the shape [300, 4096, 4096]"),
                        ((100, 4096, 4096), "declares more data than this machine's memory holds")):  # fmt: skip
        path.write_bytes(packed(b"\0\0\x08\3" + struct.pack(">III", *shape), 320))
        (message,) = with_little_memory(tmp_path, load)
        assert said in message
    for content, said in (
        (b"", "is damaged or is not a pickle"),
        (b"\x8e" + struct.pack("<Q", 5 * 2**30), "the pickle has more than 2147483648 bytes"),
        (b"\x8e" + struct.pack("<Q", 2**30), "declares more data than this machine's memory holds"),
        (b"T\x00\x00\x00\x40", "declares more data than this machine's memory holds"),
        (b"V", "is damaged or is not a pickle"),
        (b"Nr\xff\xff\xff\xff", "is damaged or is not a pickle"),
    ):
        (tmp_path / "bomb.pkl.gz").write_bytes(packed(content, 320))
        (message,) = with_little_memory(tmp_path, "nbconv.load_data('bomb.pkl.gz')")
        assert said in message
    (tmp_path / "bomb.pkl.gz").write_bytes(gzip.compress(b"(" * 2**24) * 320)
    (message,) = with_little_memory(tmp_path, "nbconv.load_data('bomb.pkl.gz')")
    assert "it takes more than 10000 steps" in message


def zip_bomb(path, content, zeros, method=zipfile.ZIP_DEFLATED, claim=None):
    """An .npz whose images.npy unpacks to content and that many times 16 MiB of zeros."""
    if method == zipfile.ZIP_DEFLATED:
        pieces = []
        for part in (content, bytes(2**24)):
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            pieces.append(packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH))
        data = pieces[0] + pieces[1] * zeros + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    else:
        data = bz2.compress(content) + bz2.compress(bytes(2**24)) * zeros
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", data)
        archive.writestr("labels.npy", npy_bytes(LABELS))
    forged = bytearray(path.read_bytes())
    size = struct.pack("<I", len(content) + zeros * 2**24 if claim is None else claim)
    central = forged.index(b"PK\1\2", len(data))
    forged[8:10] = forged[central + 10 : central + 12] = struct.pack("<H", method)
    forged[22:26] = forged[central + 24 : central + 28] = size
    path.write_bytes(forged)


def test_zip_bombs(tmp_path):
    path = tmp_path / "bomb.npz"
    load = "nbconv.load_data('bomb.npz')"
    big = npy_bytes(header=header("(200, 4096, 4096)"))[:-320]
    fits = npy_bytes(header=header("(100, 4096, 4096)"))[:-320]
    long = npy_bytes(header="", version=b"\2\0", length=100 * 2**24)[:-320]
    for content, zeros, options, said in (
        (big, 200, {}, "bomb.npz unpacks to 33554"),
        (fits, 100, {}, "declares more data than this machine's memory holds"),
        (fits, 100, {"claim": 400}, "Bad CRC-32"),
        (npy_bytes(), 100, {}, "declares 320 bytes of data and holds more"),
        (npy_bytes(), 100, {"claim": len(npy_bytes())}, "Bad CRC-32"),
        (npy_bytes(), 100, {"method": zipfile.ZIP_BZIP2}, "is packed by another method"),
        (long, 100, {}, "is damaged or is not an .npz file"),
    ):
        zip_bomb(path, content, zeros, **options)
        (message,) = with_little_memory(tmp_path, load)
        assert message.startswith("bomb.npz")
        assert said in message


def test_h5_of_many_gigabytes(tmp_path):
    count = 2_000_000
    with h5py.File(tmp_path / "big.h5", "w") as file:
        for part in ("train", "test"):
            images = file.create_dataset(
                f"{part}_images", (count, 1, 64, 64), np.uint8, chunks=(100, 1, 64, 64)
            )
            images[:40] = np.arange(40, dtype=np.uint8)[:, None, None, None]
            images[-1:] = 255
            file.create_dataset(f"{part}_labels", (count,), np.uint8, chunks=(10_000,))[:40] = (
                np.arange(40) % 3
            )
    assert (tmp_path / "big.h5").stat().st_size < 10 * 2**20
    code = (
        "train, valid, test = nbconv.load_data('big.h5'); print(len(train), len(valid), len(test))\n"
        "    print(int(train[20:].images[5].max() * 255 + 0.5), valid.images[-1].min())\n"
        "    net = nbconv.Network([nbconv.Dense(3)], input_shape=4096)\n"
        "    print(net.fit(train[:40], 1, 10, 0.1, test=test[-50:], validation=valid[:50])['validation_accuracy'][0] >= 0)"
    )
    assert with_little_memory(tmp_path, code, megabytes=600, seconds=60) == [
        "1666667 333333 2000000",
        "25 1.0",
        "True",
    ]


def test_h5_that_declares_too_much(tmp_path):
    path = tmp_path / "bomb.h5"
    for shape, chunks, said in (
        (
            (10**12, 1, 1),
            (1000, 1, 1),
            "labels has the shape (1000000000000,): expected at most 268435456 labels",
        ),
        (
            (20, 10**6, 10**6),
            (1, 1000, 1000),
            "declares more data than this machine's memory holds",
        ),
        (
            (20, 50_000, 50_000),
            (1, 50_000, 50_000),
            "images has chunks of the shape (1, 50000, 50000): expected at most",
        ),
    ):
        with h5py.File(path, "w") as file:
            file.create_dataset("images", shape, np.uint8, chunks=chunks)
            file.create_dataset("labels", shape[:1], np.uint8, chunks=(20,))
        (message,) = with_little_memory(tmp_path, "nbconv.load_data('bomb.h5')", megabytes=400)
        assert said in message
