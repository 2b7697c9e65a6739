"""CIFAR's two sets, binary and pickled, and SVHN's MATLAB files; hostile ones are refused."""

import pickle
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from nbconv.data import cifar, pickles, svhn

from .conftest import Code, refusal, unless_refused

RANDOM = np.random.default_rng(7)
WORDS = [f"class {k}" for k in range(100)]
TRAIN = {10: [f"data_batch_{k}" for k in range(1, 6)], 100: ["train"]}
TEST = {10: "test_batch", 100: "test"}
COUNT = 4  # images in a batch


def batch(classes):
    return (
        RANDOM.integers(0, 256, (COUNT, 3072), np.uint8),
        [0, classes - 1, *RANDOM.integers(0, classes, COUNT - 2).tolist()],
    )


def binary(folder, classes, title=True):
    """A folder of the binary version, and its batches."""
    folder.mkdir(parents=True)
    batches = {}
    for name in (*TRAIN[classes], TEST[classes]):
        images, labels = batches[name] = batch(classes)
        own = np.array(labels, np.uint8)[:, None]
        coarse = [own // 5] if classes == 100 else []
        (folder / f"{name}.bin").write_bytes(np.hstack([*coarse, own, images]).tobytes())
    if title:
        names = folder / ("batches.meta.txt" if classes == 10 else "fine_label_names.txt")
        names.write_text("\n".join(WORDS[:classes]) + "\n\n")
    return folder, batches


def pickled(folder, classes, protocol=2, is_text=False):
    """A folder of the Python version, and its batches. is_text: str for Python 2's bytes."""
    folder.mkdir(parents=True)

    def text(value):
        return value if is_text else value.encode()

    batches = {}
    for name in (*TRAIN[classes], TEST[classes]):
        images, labels = batches[name] = batch(classes)
        key = "labels" if classes == 10 else "fine_labels"
        content = {
            text("batch_label"): text("training batch 1 of 5"),
            text(key): labels,
            text("data"): images,
            text("filenames"): [text(f"{name}_{k}.png") for k in range(COUNT)],
        }
        if classes == 100:
            content[text("coarse_labels")] = [label // 5 for label in labels]
        (folder / name).write_bytes(pickle.dumps(content, protocol))
    key = "label_names" if classes == 10 else "fine_label_names"
    names = {text(key): [text(word) for word in WORDS[:classes]], text("num_vis"): 3072}
    (folder / ("batches.meta" if classes == 10 else "meta")).write_bytes(
        pickle.dumps(names, protocol)
    )
    return folder, batches


def assert_same(found, batches, classes):
    assert list(found.parts) == ["train", "test"]
    for part, names in (("train", TRAIN[classes]), ("test", [TEST[classes]])):
        images = np.concatenate([batches[name][0] for name in names])
        assert found.parts[part].images.dtype == np.uint8
        np.testing.assert_array_equal(
            found.parts[part].images, images.reshape(len(images), 3, 32, 32)
        )
        labels = [label for name in names for label in batches[name][1]]
        np.testing.assert_array_equal(found.parts[part].labels, labels)
    assert found.class_names == tuple(WORDS[:classes])


@pytest.mark.parametrize("classes", [10, 100])
def test_binary(tmp_path, classes):
    folder, batches = binary(tmp_path / "cifar", classes)
    found = cifar.find(folder)
    assert_same(found, batches, classes)
    assert found.parts["train"].what.startswith(str(folder / f"{TRAIN[classes][0]}.bin"))


@pytest.mark.parametrize("is_text", [True, False])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("classes", [10, 100])
def test_pickled(tmp_path, classes, protocol, is_text):
    folder, batches = pickled(tmp_path / "cifar", classes, protocol, is_text)
    found = cifar.find(folder)
    assert_same(found, batches, classes)
    assert found.parts["test"].files == [f"{TEST[classes]}_{k}.png" for k in range(COUNT)]


def python2_pickle(images, labels):
    """A batch as Python 2's cPickle.dump(..., protocol=2) with NumPy 1 wrote it."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    names = b"".join(
        text(b"picture_%d.png" % k) + b"q" + bytes([20 + k]) for k in range(len(images))
    )
    return (
        b"\x80\x02}q\x01("
        + text(b"batch_label") + b"q\x02" + text(b"testing batch 1 of 1") + b"q\x03"
        + text(b"labels") + b"q\x04]q\x05("
        + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
        + text(b"data") + b"q\x06cnumpy.core.multiarray\n_reconstruct\nq\x07"
        b"cnumpy\nndarray\nq\x08K\x00\x85" + text(b"b") + b"\x87Rq\x09(K\x01K"
        + bytes([len(images)]) + b"M\x00\x0c\x86cnumpy\ndtype\nq\x0a" + text(b"u1")
        + b"K\x00K\x01\x87Rq\x0b(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89T" + struct.pack("<i", images.nbytes) + images.tobytes() + b"tb"
        + text(b"filenames") + b"q\x0c]q\x0d(" + names + b"eu."
    )  # fmt: skip


def test_python_2_pickles(tmp_path):
    folder, batches = pickled(tmp_path / "cifar", 10)
    images, labels = batches["test_batch"]
    content = python2_pickle(images, labels)
    genuine = pickle.loads(content, encoding="bytes")
    np.testing.assert_array_equal(genuine[b"data"], images)
    (folder / "test_batch").write_bytes(content)
    found = cifar.find(folder)
    assert_same(found, batches, 10)
    assert found.parts["test"].files[-1] == "picture_3.png"


@pytest.mark.slow
def test_as_many_as_cifar_100_has(tmp_path):
    """Strings that are all memorised, as Python 2 did: over 200,000 opcodes, in seconds."""
    count = 50_000
    content = {
        b"filenames": [b"picture_%d.png" % k for k in range(count)],
        b"fine_labels": [k % 100 for k in range(count)],
        b"coarse_labels": [k % 20 for k in range(count)],
        b"data": np.zeros((count, 4), np.uint8),
    }
    (tmp_path / "train").write_bytes(pickle.dumps(content, 2))
    begun = time.perf_counter()
    values = pickles.read_dict(tmp_path / "train", "a dict")
    assert time.perf_counter() - begun < 10
    assert values["fine_labels"][-1] == 99
    assert values["data"].shape == (count, 4)


def test_folders_within(tmp_path):
    """As the archives are unpacked; two of them are ambiguous."""
    _, batches = pickled(tmp_path / "cifar-100-python", 100)
    assert_same(cifar.find(tmp_path), batches, 100)
    binary(tmp_path / "cifar-10-batches-bin", 10)
    message = refusal(cifar.find, tmp_path)
    assert message.startswith(
        f"{tmp_path} holds cifar-100-python, cifar-10-batches-bin: expected the files of one"
    )
    binary(tmp_path / "both", 10)
    for path in pickled(tmp_path / "c", 10)[0].iterdir():
        path.rename(tmp_path / "both" / path.name)
    assert "holds test_batch of CIFAR-10, test_batch.bin of CIFAR-10" in refusal(
        cifar.find, tmp_path / "both"
    )


def test_folders_of_something_else(tmp_path):
    for name in ("train", "test", "meta", "data_batch_1"):
        (tmp_path / name).mkdir()
    (tmp_path / "train.bin").write_bytes(b"something")
    assert cifar.find(tmp_path) is None
    assert svhn.find(tmp_path) is None


def test_missing_files(tmp_path):
    folder, _ = binary(tmp_path / "b", 10, title=False)
    assert cifar.find(folder).class_names is None
    (folder / "data_batch_3.bin").unlink()
    message = refusal(cifar.find, folder)
    assert message.startswith(f"{folder} lacks data_batch_3.bin: expected CIFAR-10's files, data_")
    folder, _ = pickled(tmp_path / "p", 100)
    (folder / "test").unlink()
    assert f"{folder} lacks test: expected CIFAR-100's files, train, test" in refusal(
        cifar.find, folder
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has 0 bytes: expected a multiple of 3073"),
        (bytes(3072), "has 3072 bytes: expected a multiple of 3073 (an image's labels and"),
        (bytes(3074), "has 3074 bytes: expected"),
        (
            bytes(3073) + b"\x0a" + bytes(3072),
            "has labels from 0 to 10: expected 0 to 9, as CIFAR-10",
        ),
    ],
)
def test_bad_binary(tmp_path, content, said):
    folder, _ = binary(tmp_path / "cifar", 10)
    path = folder / "data_batch_2.bin"
    path.write_bytes(content)
    message = refusal(cifar.find, folder)
    assert message.startswith(str(path))
    assert said in message


def test_bad_names(tmp_path):
    folder, _ = binary(tmp_path / "b", 10)
    (folder / "batches.meta.txt").write_text("one\ntwo\n")
    assert "batches.meta.txt does not hold 10 names: expected the names of CIFAR-10's" in refusal(
        cifar.find, folder
    )
    folder, _ = pickled(tmp_path / "p", 10)
    for names in ({"names": WORDS[:10]}, {"label_names": WORDS[:9]}, {"label_names": [1] * 10}):
        (folder / "batches.meta").write_bytes(pickle.dumps(names))
        assert "batches.meta does not hold 10 names" in refusal(cifar.find, folder)


DATA = np.zeros((4, 3072), np.uint8)
LABELS = [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": 1, b"b": 2},
         "it holds a dict with the keys 'a', 'b': expected a pickle of CIFAR-10:"),
        ({}, "it holds a dict with the keys nothing: expected"),
        ([1, 2],
         "holds no dict but a list of 2: expected a pickle of CIFAR-10: a dict with data and"),
        (DATA, "holds no dict but an array: expected"),
        ("text", "holds no dict but one str: expected"),
        (1.5, "holds no dict but one float: expected"),
        ({"data": DATA[:, 1:], "labels": LABELS},
         "its data are an array 4x3071 of uint8: expected n x 3072"),
        ({"data": DATA.astype(float), "labels": LABELS}, "its data are an array 4x3072 of float64"),
        ({"data": DATA.reshape(4, 3, 32, 32), "labels": LABELS}, "its data are an array 4x3x32x32"),
        ({"data": [1], "labels": LABELS}, "its data are a list: expected n x 3072 of uint8"),
        ({"data": DATA, "labels": LABELS[1:]},
         "it has 4 images and 3 labels: expected one for each"),
        ({"data": DATA, "labels": ["a"] * 4}, "its labels are a list: expected whole numbers"),
        ({"data": DATA, "labels": [True] * 4}, "its labels are a list: expected whole numbers"),
        ({"data": DATA, "labels": 5}, "its labels are a int: expected whole numbers"),
        ({"data": DATA, "labels": [2**70] * 4}, "is damaged or is not a pickle of CIFAR-10"),
        ({"data": DATA, "labels": [0, 1, 2, 10]}, "has labels from 0 to 10: expected 0 to 9"),
        ({"data": DATA, "labels": [0, 1, 2, -1]}, "has labels from -1 to 2: expected 0 to 9"),
        ({1: DATA}, "it holds a dict with a key that is no text"),
        ({(1, 2): DATA}, "it holds a dict with a key that is no text"),
        ({"data": {1, 2}}, "it holds a set, and only NumPy arrays are loaded"),
        ({"data": frozenset({1})}, "it holds a set, and only NumPy arrays are loaded"),
        ({"data": np.array(["a"])}, "it holds an array of the dtype"),
        ({"data": Path("a")}, "it asks for 'pathlib"),
    ],
)  # fmt: skip
def test_bad_pickles(tmp_path, value, said):
    folder, _ = pickled(tmp_path / "cifar", 10)
    path = folder / "data_batch_4"
    path.write_bytes(pickle.dumps(value, 4))
    message = refusal(cifar.find, folder)
    assert message.startswith(str(path))
    assert said in message


def test_labels_as_an_array(tmp_path):
    folder, _ = pickled(tmp_path / "cifar", 10)
    content = {"data": DATA, "labels": np.array(LABELS, np.int16)}
    (folder / "test_batch").write_bytes(pickle.dumps(content))
    part = cifar.find(folder).parts["test"]
    assert part.labels.tolist() == LABELS
    assert part.files is None


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_never_runs(tmp_path, protocol):
    folder, _ = pickled(tmp_path / "cifar", 10)
    marker = tmp_path / "marker"
    for bad in (
        Code(marker),
        {"data": DATA[:1], "labels": LABELS, "more": Code(marker)},
        {"data": DATA[:1], "labels": [1, Code(marker)]},
        {Code(marker): 1},
    ):
        for name in ("data_batch_1", "batches.meta"):
            good = (folder / name).read_bytes()
            (folder / name).write_bytes(pickle.dumps(bad, protocol))
            message = refusal(cifar.find, folder)
            assert message.startswith(str(folder / name))
            assert "it asks for " in message
            (folder / name).write_bytes(good)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"(S'touch marker'\nios\nsystem\n.",
         "it asks for 'os.system', and only NumPy arrays are loaded"),
        (b"(S'touch marker'\ninumpy\nndarray\n.", "it holds Python objects"),
        (b"(dS'a'\ncos\nsystem\ns.", "it asks for 'os.system'"),
        (b"cnumpy\nndarray\n)\x81.", "it holds Python objects, and only NumPy arrays are loaded"),
        (b"\x82\x01.", "it refers to objects outside of it"),
        (b"Pname\n.", "it refers to objects outside of it"),
        pytest.param(
            b"N" * 1_000_001 + b".",
            "it has more than 1,000,000 parts: expected a few arrays",
            marks=pytest.mark.slow,
        ),
        (b"}(N" + b"u.", "it holds a dict with a key that is no text"),
        (b"}(U\x01au.", "is damaged or is not a pickle of CIFAR-10"),
        (b"N}s.", "is damaged or is not"),
        (b"](K\x01u.", "is damaged or is not"),
        (b"cnumpy\ndtype\nU\x02u1R.", "its arrays are not as NumPy writes them"),
        (b"cnumpy.core.multiarray\n_reconstruct\n)RU\x02u1b.",
         "its arrays are not as NumPy writes"),
        (b"<!DOCTYPE html>", "begins with <!DOC: it is a web page, not a pickle of CIFAR-10"),
    ],
)  # fmt: skip
def test_forged_pickles(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    folder, _ = pickled(tmp_path / "cifar", 10)
    (folder / "test_batch").write_bytes(content)
    message = refusal(cifar.find, folder)
    assert message.startswith(str(folder / "test_batch"))
    assert said in message
    assert not Path("marker").exists()


def test_one_text_taken_for_bytes_again_and_again(tmp_path, monkeypatch):
    """A small file is not to fill the memory with arrays that are made of one text."""
    monkeypatch.setattr(pickles, "MAX_BYTES", 2**22)
    text = b"T" + struct.pack("<i", 2**17) + bytes(2**17) + b"q\x00"
    again = b"c_codecs\nencode\nh\x00U\x06latin1\x86R"
    (tmp_path / "bomb").write_bytes(text + again * 60 + b".")
    assert "its arrays take more than 4194304 bytes" in refusal(
        pickles.read_dict, tmp_path / "bomb", "a dict"
    )


@pytest.mark.slow
def test_truncated_and_corrupt_pickles(tmp_path):
    folder, _ = pickled(tmp_path / "cifar", 100)
    path = folder / "test"
    good = path.read_bytes()
    beginning, end = good.index(bytes(1)), len(good)
    for size in [*range(0, 200, 7), *range(beginning, end, 999)]:
        path.write_bytes(good[:size])
        assert refusal(cifar.find, folder).startswith(str(path))
    for position in [*range(0, 300), *range(end - 200, end)]:
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :])
        unless_refused(path, cifar.find, folder)


# SVHN


@pytest.fixture(scope="module")
def savemat():
    reason = "needs SciPy to write and read MATLAB's files"
    return pytest.importorskip("scipy.io", reason=reason).savemat


X = RANDOM.integers(0, 256, (32, 32, 3, 6), np.uint8)
Y = np.array([1, 10, 9, 2, 10, 5], np.uint8)[:, None]


@pytest.mark.parametrize("packed", [True, False])
def test_svhn(tmp_path, savemat, packed):
    savemat(tmp_path / "train_32x32.mat", {"X": X, "y": Y}, do_compression=packed)
    message = refusal(svhn.find, tmp_path)
    assert message.startswith(f"{tmp_path} lacks test_32x32.mat: expected SVHN's train_32x32.mat")
    savemat(tmp_path / "test_32x32.mat", {"X": X[..., :2], "y": Y[:2]}, do_compression=packed)
    found = svhn.find(tmp_path)
    assert list(found.parts) == ["train", "test"]
    np.testing.assert_array_equal(found.parts["train"].images, X.transpose(3, 2, 0, 1))
    assert found.parts["train"].labels.tolist() == [1, 0, 9, 2, 0, 5]
    assert found.parts["test"].images.shape == (2, 3, 32, 32)
    assert found.class_names is None


def test_one_mat_file(tmp_path, savemat):
    path = tmp_path / "mine.mat"
    savemat(path, {"X": X[:, :, 0], "y": Y.T % 10, "other": "text", "cells": {"a": [1, 2]}})
    (part,) = svhn.read(path).parts.values()
    np.testing.assert_array_equal(part.images, X[:, :, 0].transpose(2, 0, 1))
    np.testing.assert_array_equal(part.labels, Y[:, 0] % 10)
    assert part.what == f"{path}: X and y"
    assert list(svhn.read(path).parts) == ["all"]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": X, "y": Y}, "it holds 'images', 'y': expected X and y"),
        ({"X": X, "y": Y[1:]}, "X has 6 images and y 5 labels: expected one for each"),
        ({"X": X[:, :, :2], "y": Y},
         "X has the shape 32x32x2x6: expected (rows, columns, channels, n)"),
        ({"X": X[0, 0], "y": Y}, "X has the shape 3x6: expected"),
        ({"X": "text", "y": Y}, "X is no array of real numbers: expected them"),
        ({"X": {"a": 1}, "y": Y}, "X is no array of real numbers"),
        ({"X": X * 1j, "y": Y}, "X is no array of real numbers"),
        ({"X": X, "y": np.array([[1, "a"]], object)}, "y is no array of real numbers"),
    ],
)  # fmt: skip
def test_other_mat_files(tmp_path, savemat, arrays, said):
    path = tmp_path / "bad.mat"
    savemat(path, arrays)
    message = refusal(svhn.read, path)
    assert message.startswith(str(path))
    assert said in message


def mat_header(version=b"\0\1IM"):
    return b"MATLAB 5.0 MAT-file".ljust(124) + version


def mat_array(number, shape, size, stored=2):
    """X, of the class with that number and with so many bytes."""
    content = (
        struct.pack("<IIII", 6, 8, number, 0)
        + struct.pack("<II", 5, 4 * len(shape)) + struct.pack(f"<{len(shape)}i", *shape)
        + b"\1\0\1\0X\0\0\0" + struct.pack("<II", stored, size) + bytes(size + -size % 8)
    )  # fmt: skip
    return struct.pack("<II", 14, len(content)) + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins unlike a MATLAB file: expected a MATLAB file with images X"),
        (b"hello" * 100, "begins unlike a MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(400),
         "is of MATLAB's version 7.3: expected version 5 to 7; save it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(400), "is of MATLAB's version 7.3"),
        (mat_header(), "it holds nothing: expected X and y"),
        (mat_header() + struct.pack("<II", 15, 2**32 - 1) + b"abc",
         "is damaged or is not a MATLAB file"),
        (mat_header() + struct.pack("<II", 14, 2**32 - 1) + b"abc", "it ends within an array"),
        (mat_header() + bytes(8), "it holds an element of the type 0: expected arrays"),
        (mat_header() + bytes(7), "is damaged or is not a MATLAB file"),
        (mat_header() + mat_array(9, [2**15, 2**15, 3, 1], 0),
         "X has the shape 32768x32768x3x1: expected at most"),
        (mat_header() + mat_array(9, [-4, -4, 3, 1], 0),
         "X has the shape -4x-4x3x1: expected at most"),
        (mat_header() + mat_array(9, [4, 4, 3, 1], 47), "X has 47 numbers for the shape 4x4x3x1"),
        (mat_header() + mat_array(9, [4, 4, 3, 1], 48, 14),
         "X is stored as type 14: expected numbers"),
        (mat_header() + mat_array(1, [4, 4, 3, 1], 48), "X is no array of real numbers"),
        (mat_header() + mat_array(9, [4, 4, 3, 1], 48), "it holds 'X': expected X and y"),
    ],
)  # fmt: skip
def test_bad_mat_files(tmp_path, content, said):
    path = tmp_path / "bad.mat"
    path.write_bytes(content)
    message = refusal(svhn.read, path)
    assert message.startswith(str(path))
    assert said in message


def test_truncated_and_corrupt_mat_files(tmp_path, savemat):
    path = tmp_path / "bad.mat"
    for packed in (True, False):
        savemat(path, {"X": X[:4, :4], "y": Y}, do_compression=packed)
        good = path.read_bytes()
        expected = svhn.read(path).parts["all"]
        for size in range(0, len(good) - 8, 13):
            path.write_bytes(good[:size])
            assert refusal(svhn.read, path).startswith(str(path))
        for position in range(124, len(good), 3):
            path.write_bytes(
                good[:position] + bytes([good[position] ^ 0x15]) + good[position + 1 :]
            )
            if found := unless_refused(path, svhn.read, path):
                assert found.parts["all"].images.size == expected.images.size


@pytest.mark.parametrize("size", [2**31 + 2**24, 2**31 - 2**24])
def test_a_packed_mat_file_that_declares_gigabytes(tmp_path, size):
    """What is declared is no reason to allocate it."""
    content = mat_array(9, [2**10, 2**10, 3, 600], 0)[:-4] + struct.pack("<I", size) + bytes(2**16)
    packed = zlib.compress(content)
    path = tmp_path / "bomb.mat"
    path.write_bytes(mat_header() + struct.pack("<II", 15, len(packed)) + packed)
    tracemalloc.start()
    message = refusal(svhn.read, path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "in an array: expected at most" in message or "it ends within an array" in message
    assert peak < 2**22


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
     ">i2", ">f8"],
)  # fmt: skip
def test_numbers_of_every_kind(tmp_path, savemat, dtype):
    values = X.astype(dtype)
    savemat(tmp_path / "a.mat", {"X": values, "y": Y.astype(dtype)})
    (part,) = svhn.read(tmp_path / "a.mat").parts.values()
    assert part.images.dtype == values.dtype.newbyteorder("=")
    np.testing.assert_array_equal(part.images, X.transpose(3, 2, 0, 1))


def test_big_endian_files(tmp_path):
    """As MATLAB wrote them on other machines; numbers of a double are stored as bytes."""

    def array(name, number, shape, values):
        content = (
            struct.pack(">IIII", 6, 8, number, 0)
            + struct.pack(">II", 5, 4 * len(shape)) + struct.pack(f">{len(shape)}i", *shape)
            + (b"" if len(shape) % 2 == 0 else bytes(4))
            + struct.pack(">HH", 1, 1) + name + bytes(3)
        )  # fmt: skip
        if len(values) <= 4:
            content += struct.pack(">HH", len(values), 2) + values + bytes(4 - len(values))
        else:
            content += struct.pack(">II", 2, len(values)) + values + bytes(-len(values) % 8)
        return struct.pack(">II", 14, len(content)) + content

    images = X[:3, :3, :, :2]
    path = tmp_path / "big.mat"
    path.write_bytes(
        mat_header(b"\1\0MI")
        + array(b"X", 9, images.shape, images.tobytes("F"))
        + array(b"y", 6, (2, 1), bytes([3, 10]))
    )
    (part,) = svhn.read(path).parts.values()
    np.testing.assert_array_equal(part.images, images.transpose(3, 2, 0, 1))
    assert part.labels.tolist() == [3, 0]
    assert part.labels.dtype == np.float64
