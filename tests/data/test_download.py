"""MNIST: where it is looked for, its download, and what is refused in one line."""

import errno
import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import nbconv
from nbconv.data import named, splits

from .conftest import ARRAYS, idx_bytes, refusal, served


def test_mnist(mnist):
    train, valid, test = mnist
    assert [len(part) for part in mnist] == [50_000, 10_000, 10_000]
    assert all(part.shape == (1, 28, 28) and part.classes == 10 for part in mnist)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert valid.labels[:5].tolist() == [3, 8, 6, 9, 6]
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert 0.12 < np.mean(train.images[:1000]) < 0.14
    assert train.images[:100, 0, 0, 0].max() == 0  # black behind white digits
    assert train.images[:100].max(axis=(1, 2, 3)).min() > 0.9


@pytest.mark.parametrize("bad", ["t10k-labels-idx1-ubyte", "t10k-images-idx3-ubyte"])
def test_other_files_are_not_mnist(mnist, tmp_path, monkeypatch, bad):
    given = Path(os.environ["NBCONV_DATA"])
    folder = given / "mnist" if (given / "mnist").is_dir() else given
    for path in folder.iterdir():
        shutil.copy(path, tmp_path)
    path = next(tmp_path.glob(bad + "*"))
    content = bytearray(
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    )
    content[-1] ^= 1
    path.unlink()
    (tmp_path / bad).write_bytes(content)
    monkeypatch.setenv("NBCONV_DATA", str(tmp_path))
    message = refusal(nbconv.load_data, "mnist")
    assert message.startswith(f"{tmp_path / bad} is not MNIST's file: its SHA-256 is ")
    assert hashlib.sha256(content).hexdigest() in message
    assert named.MNIST_FILES[bad] in message


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No MNIST and no way to get it; gives the cache's folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("NBCONV_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(named, "MNIST_MIRRORS", ("http://127.0.0.1:9/a/", "http://127.0.0.1:9/b/"))
    folder = named.mnist_folders()[-1]
    if tmp_path not in folder.parents:
        pytest.skip("this system's cache folder cannot be moved")
    return folder


@pytest.fixture
def mirror(tmp_path, nowhere, monkeypatch):
    """A server on this machine with a small MNIST of its own.

    The second mirror, the first one is closed.
    """

    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, array in ARRAYS.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    hashes = {name: hashlib.sha256(idx_bytes(array)).hexdigest() for name, array in ARRAYS.items()}
    monkeypatch.setattr(named, "MNIST_FILES", hashes)
    with served(folder) as (server, address, asked):
        monkeypatch.setattr(named, "MNIST_MIRRORS", ("http://127.0.0.1:9/", address))
        yield server, folder, asked


def assert_small_mnist(parts):
    assert [len(part) for part in parts] == [10, 2, 4]
    chosen = splits.set_aside(ARRAYS["train-labels-idx1-ubyte"].astype(int), 1 / 6)
    for part, indices in zip(parts, chosen, strict=False):
        np.testing.assert_array_equal(part.store[:, 0], ARRAYS["train-images-idx3-ubyte"][indices])
    np.testing.assert_array_equal(parts[2].labels, ARRAYS["t10k-labels-idx1-ubyte"])


def test_mnist_nowhere(nowhere, tmp_path):
    message = refusal(nbconv.load_data, "mnist")
    for place in (tmp_path / "data" / "mnist", tmp_path / "data", nowhere):
        assert str(place) in message
    assert (
        "http://127.0.0.1:9/a/: ConnectionError; http://127.0.0.1:9/b/: ConnectionError" in message
    )
    assert "put its four IDX files into a folder and set NBCONV_DATA to it" in message
    assert list(nowhere.iterdir()) == []


def test_mnist_is_downloaded_once(mirror, nowhere):
    _, _, asked = mirror
    assert_small_mnist(nbconv.load_data("mnist"))
    assert sorted(path.name for path in nowhere.iterdir()) == sorted(
        f"{name}.gz" for name in ARRAYS
    )
    assert sorted(asked) == sorted(f"/{name}.gz" for name in ARRAYS)
    assert_small_mnist(nbconv.load_data("mnist"))
    assert len(asked) == 4


@pytest.mark.parametrize("damage", ["half", "other content", "not gzip", "404", "wrong length"])
def test_a_bad_download_is_not_kept(mirror, nowhere, damage):
    server, folder, _ = mirror
    name = "t10k-images-idx3-ubyte"
    path = folder / f"{name}.gz"
    good = path.read_bytes()
    if damage == "404":
        path.unlink()
    elif damage == "wrong length":
        send = server.RequestHandlerClass.func.send_header

        def longer(self, key, value):
            send(self, key, str(int(value) + 9) if key == "Content-Length" else value)

        server.RequestHandlerClass.func.send_header = longer
    else:
        other = gzip.compress(idx_bytes(ARRAYS[name] ^ 1))
        path.write_bytes(
            {"half": good[: len(good) // 2], "other content": other, "not gzip": b"<html>"}[damage]
        )
    message = refusal(nbconv.load_data, "mnist")
    assert "could not be downloaded" in message
    assert not [path for path in nowhere.rglob("*") if "t10k-images" in path.name or path.is_dir()]
    if damage == "wrong length":
        server.RequestHandlerClass.func.send_header = send
    path.write_bytes(good)
    assert_small_mnist(nbconv.load_data("mnist"))


def test_a_damaged_cache_says_what_to_do(mirror, nowhere):
    nbconv.load_data("mnist")
    path = nowhere / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(12, np.uint8))))
    assert "remove it, and it is downloaded again" in refusal(nbconv.load_data, "mnist")
    path.unlink()
    assert_small_mnist(nbconv.load_data("mnist"))


def test_a_cache_that_cannot_be_written(nowhere, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert "MNIST is not in" in refusal(nbconv.load_data, "mnist")


@pytest.mark.parametrize("place", ["data", "data/mnist", "home"])
def test_mnist_is_found_where_nbconv_data_says(nowhere, tmp_path, monkeypatch, place):
    hashes = {name: hashlib.sha256(idx_bytes(array)).hexdigest() for name, array in ARRAYS.items()}
    monkeypatch.setattr(named, "MNIST_FILES", hashes)
    (tmp_path / place).mkdir(exist_ok=True)
    for name, array in ARRAYS.items():
        (tmp_path / place / name).write_bytes(idx_bytes(array))
    if place == "home":
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
        monkeypatch.setenv("NBCONV_DATA", "~")
    assert_small_mnist(nbconv.load_data("mnist"))


def test_a_name_too_long_for_a_folder(nowhere, monkeypatch):
    monkeypatch.setenv("NBCONV_DATA", "a" * 300)
    assert f"cannot be read ({os.strerror(errno.ENAMETOOLONG)})" in refusal(
        nbconv.load_data, "mnist"
    )
