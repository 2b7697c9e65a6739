"""How sets are divided: by class, always in the same way, and MNIST as in the book."""

import numpy as np
import pytest

import nbconv
from nbconv import load_data
from nbconv.data import splits

from .conftest import npz_bytes, refusal, write_h5

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
@pytest.mark.parametrize("has_test", [False, True])
def test_sorted_data_have_every_class_in_every_set(tmp_path, suffix, has_test):
    """As a walk through class folders gives them: the last sixth would be of two classes."""
    labels = np.repeat(np.arange(10), 30)
    images = RANDOM.integers(0, 256, (300, 4, 4)).astype(np.uint8)
    images[:, 0, 0] = labels
    named = {"images": images, "labels": labels}
    if has_test:
        named = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    path = tmp_path / f"data{suffix}"
    path.write_bytes(npz_bytes(**named)) if suffix == ".npz" else write_h5(path, **named)
    parts = load_data(path)
    assert [len(part) for part in parts] == ([250, 50, 300] if has_test else [210, 45, 45])
    for part in parts:
        counts = np.bincount(part.labels, minlength=10)
        assert counts.max() - counts.min() <= 1
        np.testing.assert_array_equal(part.store[:][:, 0, 0, 0], part.labels)
    again = load_data(path)
    assert [part.fingerprint for part in again] == [part.fingerprint for part in parts]
    pairs = {image.tobytes() for part in parts[:2] for image in part.store[:]}
    assert len(pairs) == (300 if has_test else 255)  # no image is in two sets


def test_shares():
    labels = np.array([0] * 50 + [1] * 8 + [2] * 2)
    kept, aside = splits.set_aside(labels, 0.15)
    assert sorted([*kept, *aside]) == list(range(60))
    assert np.bincount(labels[aside]).tolist() in ([8, 1], [7, 1, 1])
    singles = np.array([0] * 20 + list(range(1, 6)))
    kept, aside = splits.set_aside(singles, 1 / 6)
    assert set(singles[kept]) == set(range(6))
    assert len(aside) == 4
    for few in ([0], [0, 1, 2], [0] * 1):
        assert "are too few to set 1 aside" in refusal(splits.set_aside, np.array(few), 0.15)


def test_mnist_keeps_the_books_border(mnist, tmp_path):
    """Whatever the file: keras has its 60,000 images in an .npz file."""
    train, valid, test = mnist
    images = np.concatenate([train.store[:, 0], valid.store[:, 0]])
    labels = np.concatenate([train.labels, valid.labels]).astype(np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": test.store, "y_test": test.labels}
    np.savez(tmp_path / "mnist.npz", **arrays)
    parts = load_data(tmp_path / "mnist.npz")
    assert [part.fingerprint for part in parts] == [part.fingerprint for part in mnist]
    np.savez(tmp_path / "other.npz", **{**arrays, "y_train": labels[::-1]})
    other = load_data(tmp_path / "other.npz")
    assert [len(part) for part in other] == [50_000, 10_000, 10_000]
    assert other[1].fingerprint != valid.fingerprint


def test_images_named_all_sorts_of_ways(tmp_path):
    images, labels = RANDOM.integers(0, 256, (40, 16)).astype(np.uint8), np.arange(40) % 4
    halves = [(images[:30], labels[:30]), (images[30:], labels[30:])]
    for names in (
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_x", "train_y", "test_x", "test_y"),
        ("train_set_x", "train_set_y", "test_set_x", "test_set_y"),
        ("train/data", "train/target", "test/data", "test/target"),
        ("trainImages", "trainLabels", "testImages", "testLabels"),
        ("arr_0", "arr_1", "arr_2", "arr_3"),
    ):
        arrays = dict(zip(names, [a for half in halves for a in half], strict=True))
        if "/" in names[0]:
            path = write_h5(tmp_path / "usps.h5", **arrays)
        else:
            path = tmp_path / "data.npz"
            path.write_bytes(npz_bytes(**arrays))
        parts = load_data(path)
        assert [len(part) for part in parts] == [25, 5, 10]
        assert parts[0].shape == (1, 4, 4)
    path.write_bytes(npz_bytes(a=images, b=labels, c=images[:9]))
    role = {"images": "a", "labels": "b"}
    assert sum(map(len, load_data(path, arrays=role))) == 40
    assert sum(map(len, load_data(path, arrays="images=a, labels=b"))) == 40
    assert "it has no array 'd': it holds 'a', 'b', 'c'" in refusal(
        lambda: load_data(path, arrays={"images": "d", "labels": "b"})
    )
    assert "arrays names 'pictures': expected images, labels" in refusal(
        lambda: load_data(path, arrays={"pictures": "a"})
    )
    with pytest.raises(nbconv.SettingError, match="expected names by role"):
        load_data(path, arrays="a")
    table = tmp_path / "tables" / "train.csv"
    table.parent.mkdir()
    table.write_text("label,a,b,c,d\n" + "1,0,255,0,0\n2,255,0,0,0\n" * 20)
    for source in ("digits", table, table.parent):
        load_data(source, arrays={})
        line = f"{source} has no arrays with names, and arrays is images=a,labels=b: expected a "
        assert refusal(lambda source=source: load_data(source, arrays=role)).startswith(line)
    flat = RANDOM.integers(0, 256, (40, 48)).astype(np.uint8)
    path.write_bytes(npz_bytes(images=flat, labels=labels))
    assert load_data(path)[0].shape == (3, 4, 4)
