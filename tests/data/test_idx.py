"""Folders of IDX files: MNIST's names, EMNIST's, QMNIST's, torchvision's folders, single files."""

import gzip

import numpy as np
import pytest

from nbconv.data import idx

from .conftest import ARRAYS, NAMES, idx_bytes, idx_folder, refusal

IMAGES = ARRAYS[NAMES[0]]
RANDOM = np.random.default_rng(5)


def write(path, array, code=8):
    content = idx_bytes(array, code)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def emnist(folder, split, labels, end="", between="-idx"):
    for part in ("train", "test"):
        write(folder / f"emnist-{split}-{part}-images{between}3-ubyte{end}", IMAGES[: len(labels)])
        write(
            folder / f"emnist-{split}-{part}-labels{between}1-ubyte{end}",
            np.array(labels, np.uint8),
        )
    return folder


def qmnist(folder, labels, end=""):
    for part in ("train", "test"):
        write(folder / f"qmnist-{part}-images-idx3-ubyte{end}", IMAGES[: len(labels)])
        write(folder / f"qmnist-{part}-labels-idx2-int{end}", labels.astype(">i4"), 0x0C)
    return folder


@pytest.mark.parametrize(
    ("end", "replace"),
    [("", ("", "")), (".gz", ("", "")), ("", ("-idx", ".idx")), (".gz", ("-idx", ".idx"))],
)
def test_mnist_names(tmp_path, end, replace):
    found = idx.find(idx_folder(tmp_path / "idx", end, replace))
    assert list(found.parts) == ["train", "test"]
    assert found.class_names is None
    np.testing.assert_array_equal(found.parts["train"].images, IMAGES)
    np.testing.assert_array_equal(found.parts["test"].labels, ARRAYS[NAMES[3]])
    assert found.parts["test"].what == f"{tmp_path / 'idx'}: test images and labels"


def test_a_folder_of_something_else(tmp_path):
    assert idx.find(tmp_path) is None
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    assert idx.find(tmp_path) is None


@pytest.mark.parametrize(
    ("split", "classes", "some"),
    [
        ("balanced", 47, {9: "9", 10: "A", 35: "Z", 36: "a", 37: "b", 38: "d", 46: "t"}),
        ("bymerge", 47, {40: "f", 43: "n", 44: "q"}),
        ("byclass", 62, {35: "Z", 36: "a", 61: "z"}),
        ("digits", 10, {0: "0", 9: "9"}),
        ("mnist", 10, {4: "4"}),
        ("letters", 26, {0: "A", 25: "Z"}),
    ],
)
@pytest.mark.parametrize("form", [("", "-idx"), (".gz", "-idx"), ("", ".idx")])
def test_emnist(tmp_path, split, classes, some, form):
    """Pictures turned upright, labels from 0, names of the classes."""
    first = 1 if split == "letters" else 0
    found = idx.find(emnist(tmp_path, split, [first, classes - 1 + first, first + 1], *form))
    np.testing.assert_array_equal(found.parts["train"].images, IMAGES[:3].transpose(0, 2, 1))
    assert found.parts["test"].labels.tolist() == [0, classes - 1, 1]
    assert len(found.class_names) == len(set(found.class_names)) == classes
    for number, name in some.items():
        assert found.class_names[number] == name


@pytest.mark.parametrize("labels", [[0, 1], [1, 27]])
def test_letters_with_other_labels(tmp_path, labels):
    message = refusal(idx.find, emnist(tmp_path, "letters", labels))
    assert message.startswith(str(tmp_path / "emnist-letters-train-labels-idx1-ubyte"))
    assert f"has labels from {min(labels)} to {max(labels)}: expected 1 to 26" in message


def test_several_emnist_sets(tmp_path):
    emnist(emnist(tmp_path, "balanced", [1]), "letters", [1])
    message = refusal(idx.find, tmp_path)
    assert message.startswith(f"{tmp_path} holds files of emnist-balanced, emnist-letters: ")
    assert "load one by its name, such as emnist-letters, or give a folder with" in message


@pytest.mark.parametrize("end", ["", ".gz"])
def test_qmnist(tmp_path, end):
    labels = RANDOM.integers(0, 10, (6, 8))
    found = idx.find(qmnist(tmp_path, labels, end))
    np.testing.assert_array_equal(found.parts["test"].images, IMAGES[:6])
    np.testing.assert_array_equal(found.parts["train"].labels, labels[:, 0])


def test_qmnist_with_other_labels(tmp_path):
    message = refusal(idx.find, qmnist(tmp_path, np.zeros((3, 2), int)))
    assert "qmnist-train-labels-idx2-int has 2 numbers for each image: expected 8" in message
    write(tmp_path / "qmnist-train-labels-idx2-int", np.zeros(3, np.uint8))
    assert "has 1 axes: expected 2, as an IDX file of labels has" in refusal(idx.find, tmp_path)


def test_missing_files(tmp_path):
    folder = qmnist(tmp_path / "q", np.zeros((3, 8), int))
    (folder / "qmnist-test-labels-idx2-int").unlink()
    (folder / "qmnist-train-images-idx3-ubyte").unlink()
    assert refusal(idx.find, folder) == (
        f"{folder} lacks qmnist-train-images-idx3-ubyte, qmnist-test-labels-idx2-int (or .gz): "
        "expected four IDX files named like QMNIST's"
    )
    folder = idx_folder(tmp_path / "m")
    for name in NAMES[:3]:
        (folder / name).unlink()
    assert f"{folder} lacks {', '.join(NAMES[:3])} (or .gz): expected four IDX" in refusal(
        idx.find, folder
    )


def test_torchvision_folders(tmp_path):
    (tmp_path / "FashionMNIST").mkdir()
    idx_folder(tmp_path / "FashionMNIST" / "raw")
    found = idx.find(tmp_path)
    np.testing.assert_array_equal(found.parts["train"].images, IMAGES)
    assert found.class_names[-1] == "Ankle boot"
    qmnist(tmp_path / "QMNIST" / "raw", np.zeros((3, 8), int))
    message = refusal(idx.find, tmp_path)
    assert message.startswith(f"{tmp_path} holds FashionMNIST, QMNIST: expected one data set")
    assert str(tmp_path / "FashionMNIST" / "raw") in message
    emnist(emnist(tmp_path / "b" / "EMNIST" / "raw", "digits", [1]), "mnist", [1])
    assert "holds files of emnist-digits, emnist-mnist" in refusal(idx.find, tmp_path / "b")
    idx_folder(tmp_path / "c")
    (tmp_path / "c" / "KMNIST").mkdir()
    idx_folder(tmp_path / "c" / "KMNIST" / "raw")
    assert idx.find(tmp_path / "c").class_names is None  # the folder's own files come first


# Single files


@pytest.mark.parametrize("name", ["anything", "images.gz", "photos.bin"])
def test_images_of_any_name(tmp_path, name):
    write(tmp_path / name, IMAGES)
    assert idx.is_idx(tmp_path / name)
    np.testing.assert_array_equal(idx.read_images(tmp_path / name), IMAGES)


def test_images_with_colours(tmp_path):
    path = tmp_path / "colours"
    for channels in (1, 3, 4):
        images = RANDOM.integers(0, 256, (2, 6, 5, channels), np.uint8)
        write(path, images)
        np.testing.assert_array_equal(idx.read_images(path), images.transpose(0, 3, 1, 2))
        write(path, np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        np.testing.assert_array_equal(idx.read_images(path), images.transpose(0, 3, 1, 2))
    write(path, np.zeros((2, 5, 6, 7), np.uint8))
    assert "has the shape 2x5x6x7: expected (n, rows, columns, channels)" in refusal(
        idx.read_images, path
    )
    folder = idx_folder(tmp_path / "idx")
    write(folder / NAMES[0], RANDOM.integers(0, 256, (12, 6, 5, 3), np.uint8))
    assert idx.find(folder).parts["train"].images.shape == (12, 3, 6, 5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins with nothing: expected the magic number"),
        (b"\x89PNG", "begins with 89 50 4e 47: expected the magic number"),
        (idx_bytes(np.zeros(3, np.uint8)), "has 1 axes: expected 3"),
        (b"\0\0\x08\5" + bytes(20), "has 5 axes: expected 3"),
        (idx_bytes(IMAGES[:, None])[:-1], "declares 300 bytes of data and holds 299"),
        (b"\0\0\x08\4" + b"\xff" * 16, "expected at most 2147483648"),
        (b"\0\0\x08\4" + bytes(15), "ends within its header"),
        (gzip.compress(idx_bytes(IMAGES))[:-9], "is damaged or is not an IDX file of images"),
    ],
)
def test_bad_files(tmp_path, content, said):
    (tmp_path / "bad").write_bytes(content)
    message = refusal(idx.read_images, tmp_path / "bad")
    assert message.startswith(str(tmp_path / "bad"))
    assert said in message


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html>\n<title>404</title>", b"\n<html>", b"<!doctype x"]
)
def test_a_web_page_in_place_of_a_file(tmp_path, page):
    folder = idx_folder(tmp_path / "idx", ".gz")
    path = folder / f"{NAMES[1]}.gz"
    path.write_bytes(page)
    message = refusal(idx.find, folder)
    assert message.startswith(f"{path} begins with <")
    assert "it is a web page, not an IDX file of labels; download it again" in message
