"""Every format of data files is read, and images to predict.

Wrong places are refused in one line.
"""

import errno
import gzip
import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import POSIX

import nbconv
from nbconv import load_data
from nbconv.data import splits
from nbconv.data.sources import load_images, split

from .conftest import (
    ARRAYS,
    IMAGES,
    LABELS,
    NAMES,
    idx_bytes,
    idx_folder,
    npy_bytes,
    npz_bytes,
    refusal,
    write_h5,
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


@pytest.mark.parametrize(
    ("end", "replace"),
    [("", ("", "")), (".gz", ("", "")), ("", ("-idx", ".idx")), (".gz", ("-idx", ".idx"))],
)
def test_idx_folders(tmp_path, monkeypatch, end, replace):
    idx_folder(tmp_path / "idx", end, replace)
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for path in (tmp_path / "idx", str(tmp_path / "idx"), "idx", Path("idx"), "./idx/", "~/idx"):
        parts = load_data(path)
        assert [len(part) for part in parts] == [10, 2, 4]
        kept, aside = splits.set_aside(ARRAYS[NAMES[1]].astype(int), 1 / 6)
        for part, chosen in zip(parts, (kept, aside), strict=False):
            np.testing.assert_array_equal(part.store[:, 0], ARRAYS[NAMES[0]][chosen])
            np.testing.assert_array_equal(part.labels, ARRAYS[NAMES[1]][chosen])
        np.testing.assert_array_equal(parts[2].store[:, 0], ARRAYS[NAMES[2]])


def test_idx_of_other_numbers(tmp_path):
    folder = idx_folder(tmp_path / "idx")
    values = (ARRAYS[NAMES[0]] / 255).astype(">f4")
    (folder / NAMES[0]).write_bytes(idx_bytes(values, 0x0D))
    (folder / NAMES[1]).write_bytes(idx_bytes(ARRAYS[NAMES[1]].astype(">i4"), 0x0C))
    train, valid, _ = load_data(folder)
    whole = np.concatenate([train.images, valid.images])[:, 0]
    assert sorted(whole.tolist()) == sorted(values.tolist())


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
        assert [len(part) for part in parts] == [8, 2, 5]
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
    for images in (IMAGES[:, None], IMAGES.reshape(20, 16), IMAGES / 255,
                   (IMAGES / 255).astype(">f4"), np.asfortranarray(IMAGES), IMAGES.astype(int),
                   (IMAGES > 99)):  # fmt: skip
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


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"chunks": (3, 4, 4)},
        {"chunks": (4, 2, 3), "compression": "gzip"},
        {"chunks": (1, 4, 4), "compression": "lzf", "shuffle": True, "fletcher32": True},
    ],
)
def test_h5_reads_like_an_array(tmp_path, storage):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for part, images, labels in (("train", IMAGES, LABELS), ("test", IMAGES[:4], LABELS[:4])):
            file.create_dataset(f"{part}_images", data=images, **storage)
            file[f"{part}_labels"] = labels
    train, valid, test = load_data(tmp_path / "data.h5")
    whole = np.asarray(nbconv.Dataset(IMAGES, LABELS).images)
    kept, aside = splits.set_aside(LABELS.astype(int), 1 / 6)
    np.testing.assert_array_equal(np.asarray(train.images), whole[kept])
    np.testing.assert_array_equal(np.asarray(valid.images), whole[aside])
    images, expected = train[3:15][::-2].images, whole[kept][3:15][::-2]
    assert images.shape == expected.shape
    for key in (0, -1, slice(1, 4), slice(None, None, -2), slice(3, 3), [2, 0, 2], np.arange(6) > 2,
                (1, 0), (..., 0), (), (slice(2), 0, 2, 3), (0, 0, 0, 0), ([0, 1], [0, 0], [1, 0]),
                None, (np.int64(2), ..., 1)):  # fmt: skip
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


def test_python_2_npy(tmp_path):
    content = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3L, 3L), }"
    content = content.ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(
        b"\x93NUMPY\1\0" + struct.pack("<H", len(content)) + content + bytes(18)
    )
    assert load_images(tmp_path / "a.npy", (1, 3, 3)).shape == (2, 1, 3, 3)


def test_images_for_predictions(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "b.NPY").write_bytes(npy_bytes(np.asfortranarray(IMAGES / 255)))
    np.savez(tmp_path / "c.npz", images=IMAGES)
    np.savez(tmp_path / "e.npz", IMAGES)
    write_h5(tmp_path / "c.h5", x_test=IMAGES)
    np.save(tmp_path / "one.npy", IMAGES[0])
    (tmp_path / "digits.idx").write_bytes(gzip.compress(idx_bytes(IMAGES)))
    for name in ("a.npy", "b.NPY", "c.npz", "e.npz", "digits.idx"):
        images = load_images(tmp_path / name, (1, 4, 4))
        np.testing.assert_allclose(images[:, 0], IMAGES / 255, rtol=1e-6)
    assert load_images(tmp_path / "one.npy", (1, 4, 4)).shape == (1, 1, 4, 4)
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=LABELS)
    for name in ("d.npz", "c.h5", "nothing.csv"):
        assert load_images(tmp_path / name, (1, 4, 4)) is None
    assert split(tmp_path / "d.npz", None)[0] == "all"
    np.testing.assert_array_equal(split(tmp_path / "d.npz", None)[1].store[:, 0], IMAGES)
    np.testing.assert_array_equal(split(tmp_path / "d.npz", "all")[1].labels, LABELS)
    assert len(split(tmp_path / "d.npz", "train")[1]) == 14
    idx = idx_folder(tmp_path / "idx")
    assert len(split(idx, None)[1]) == 4
    assert "has several sets: expected one of train" in refusal(split, idx, "all")


# Places that are wrong


@POSIX
def test_places_that_are_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "dangling.h5").symlink_to(tmp_path / "nothing")
    for source, said in [
        ("nothing.npz", "nothing.npz does not exist: expected digits, mnist, fashion-mnist"),
        ("nothing.h5", "nothing.h5 does not exist"),
        ("nothing.pkl.gz", "nothing.pkl.gz does not exist"),
        ("digit", "digit does not exist"),
        ("dangling.h5", "dangling.h5 does not exist"),
        ("notes.txt", "notes.txt has an unknown extension: expected digits, mnist"),
        ("notes.txt/more.npz", "does not exist"),
        ("folder.npz", "folder.npz holds nothing: expected a folder of pictures for each class"),
        (".", ". holds dangling.h5, folder.npz, notes.txt: expected a folder of pictures"),
        ("", ". holds dangling.h5, folder.npz, notes.txt: expected a folder of pictures"),
        ("a" * 300, "a cannot be read ("),
        ("nul\0", "does not exist"),
        (
            "~nobody-of-that-name/data",
            "'~nobody-of-that-name/data' (Could not determine home directory",
        ),
        (5, "the data's source is 5 ("),
        (None, "the data's source is None"),
        (b"digits", "the data's source is b'digits'"),
    ]:
        assert said in refusal(load_data, source)
    os.mkfifo(tmp_path / "pipe.npz")
    assert "pipe.npz is neither a file nor a folder" in refusal(load_data, "pipe.npz")


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.pkl.gz", "a.csv"])
def test_files_that_may_not_be_read(tmp_path, name):
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("root may read every file")
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / name).chmod(0)
    assert f"{name} cannot be read ({os.strerror(errno.EACCES)})" in refusal(
        load_data, tmp_path / name
    )
