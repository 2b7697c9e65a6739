"""Data sets by name other than MNIST: how they are found, downloaded and told from others."""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from nbconv.data import idx, named

from .conftest import ARRAYS, NAMES, idx_bytes, idx_folder, refusal, served
from .test_cifar import WORDS, assert_same, binary, pickled
from .test_idx import IMAGES, emnist, qmnist

CLOSED = "http://127.0.0.1:9/"


def md5(content):
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """$NBCONV_DATA and the cache, both empty, and no mirror that answers."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setenv("NBCONV_DATA", str(data))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(named, "cache_folder", lambda: cache)
    for name, source in named.SOURCES.items():
        monkeypatch.setitem(named.SOURCES, name, replace(source, mirrors=(CLOSED,)))
    return data, cache


@pytest.fixture
def mirror(tmp_path, places, monkeypatch):
    """A server on this machine: its folder, and what it was asked for."""

    folder = tmp_path / "mirror"
    folder.mkdir()
    with served(folder) as (_, address, asked):
        for name, source in named.SOURCES.items():
            monkeypatch.setitem(named.SOURCES, name, replace(source, mirrors=(CLOSED, address)))
        yield folder, asked


def offer(monkeypatch, folder, name, files, **changes):
    """Put files on the mirror and their digests in the source."""
    for file, content in files.items():
        (folder / file).write_bytes(content)
    digests = {file: md5(content) for file, content in files.items()}
    source = replace(named.SOURCES[name], files=digests, **changes)
    monkeypatch.setitem(named.SOURCES, name, source)


def assert_small(found):
    np.testing.assert_array_equal(found.parts["train"].images, ARRAYS[NAMES[0]])
    np.testing.assert_array_equal(found.parts["test"].labels, ARRAYS[NAMES[3]])


def test_names():
    assert named.NAMES == (
        "mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced", "emnist-byclass",
        "emnist-bymerge", "emnist-digits", "emnist-letters", "emnist-mnist", "cifar10", "cifar100",
    )  # fmt: skip
    for source in named.SOURCES.values():
        assert all(mirror.endswith("/") for mirror in source.mirrors)
        digests = [*source.files.values(), *source.members.values()]
        assert all(len(digest) == 32 and int(digest, 16) for digest in digests)


# Found


@pytest.mark.parametrize(
    ("name", "names"), [("fashion-mnist", idx.FASHION), ("kmnist", idx.KUZUSHIJI)]
)
@pytest.mark.parametrize("where", ["name", "torchvision", "cache"])
def test_sets_with_mnist_names(places, name, names, where):
    data, cache = places
    torchvision = {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}[name]
    folder = {
        "name": data / name,
        "torchvision": data / torchvision / "raw",
        "cache": cache / name,
    }[where]
    folder.parent.mkdir(exist_ok=True)
    idx_folder(folder, ".gz")
    found = named.load(name)
    assert_small(found)
    assert found.class_names == names


def test_mnist_itself_is_not_taken_for_another(places):
    data, _ = places
    idx_folder(data)
    assert "Fashion-MNIST is not in" in refusal(named.load, "fashion-mnist")


@pytest.mark.parametrize("where", ["qmnist", "QMNIST/raw", ""])
def test_qmnist(places, where):
    data, _ = places
    qmnist(data / where, np.full((6, 8), 3))
    assert named.load("qmnist").parts["test"].labels.tolist() == [3] * 6


@pytest.mark.parametrize("where", ["emnist-letters", "emnist", "EMNIST/raw", ""])
def test_emnist(places, where):
    """The set that is asked for, also beside others."""
    data, _ = places
    emnist(data / where, "digits", [5], ".gz")
    emnist(data / where, "letters", [3, 26])
    found = named.load("emnist-letters")
    assert found.parts["train"].labels.tolist() == [2, 25]
    np.testing.assert_array_equal(found.parts["test"].images, IMAGES[:2].transpose(0, 2, 1))
    assert found.class_names[25] == "Z"


@pytest.mark.parametrize(
    ("name", "where", "make"),
    [
        ("cifar10", "cifar10", binary),
        ("cifar10", "cifar10", pickled),
        ("cifar10", "cifar10/cifar-10-batches-py", pickled),
        ("cifar10", "cifar-10-batches-bin", binary),
        ("cifar100", "cifar-100-python", pickled),
        ("cifar100", "cifar100", binary),
    ],
)
def test_cifar(places, name, where, make):
    data, _ = places
    (data / "cifar-10-batches-py").mkdir()
    classes = int(name.removeprefix("cifar"))
    _, batches = make(data / where, classes)
    assert_same(named.load(name), batches, classes)


@pytest.mark.parametrize("name", named.NAMES[1:])
def test_nowhere(places, name):
    data, cache = places
    message = refusal(named.load, name)
    title = named.SOURCES[name].title
    assert message.startswith(f"{title} is not in {data / name} or {cache}")
    assert f"and could not be downloaded ({CLOSED}: ConnectionError): connect to the" in message
    assert f"put its files into a folder {name} and set NBCONV_DATA to the folder that" in message


def test_without_nbconv_data(places, monkeypatch):
    _, cache = places
    monkeypatch.delenv("NBCONV_DATA")
    assert refusal(named.load, "kmnist").startswith(
        f"KMNIST is not in {cache / 'kmnist'} and could"
    )
    monkeypatch.setenv("NBCONV_DATA", "~nobody-of-that-name/data")
    assert "NBCONV_DATA is '~nobody-of-that-name/data' (" in refusal(named.load, "kmnist")
    monkeypatch.setenv("NBCONV_DATA", "a" * 300)
    assert "cannot be read (" in refusal(named.load, "kmnist")


# Downloaded


def test_files_are_downloaded_once(places, mirror, monkeypatch):
    _, cache = places
    folder, asked = mirror
    files = {f"{name}.gz": gzip.compress(idx_bytes(array)) for name, array in ARRAYS.items()}
    offer(monkeypatch, folder, "kmnist", files)
    assert_small(named.load("kmnist"))
    assert sorted(path.name for path in (cache / "kmnist").iterdir()) == sorted(files)
    assert_small(named.load("kmnist"))
    assert len(asked) == 4
    path = cache / "kmnist" / f"{NAMES[0]}.gz"
    path.write_bytes(path.read_bytes()[:50])
    message = refusal(named.load, "kmnist")
    assert message.startswith(f"{path} is damaged or is not an IDX file of images")
    assert message.endswith("; remove it, and it is downloaded again")
    path.unlink()
    assert_small(named.load("kmnist"))


def test_other_files_are_not_kept(places, mirror, monkeypatch):
    _, cache = places
    folder, _ = mirror
    files = {f"{name}.gz": gzip.compress(idx_bytes(array)) for name, array in ARRAYS.items()}
    offer(monkeypatch, folder, "fashion-mnist", files)
    name = f"{NAMES[2]}.gz"
    for content, said in (
        (b"<!DOCTYPE html>", f"{name} is not Fashion-MNIST's"),
        (files[name][:-1], f"{name} is not Fashion-MNIST's"),
        (bytes(2**26 + 1), "more than 67108864 bytes came"),
        (None, "HTTPError"),
    ):
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        message = refusal(named.load, "fashion-mnist")
        assert said in message
        assert not (cache / "fashion-mnist" / name).exists()
        (folder / name).touch()
    (folder / name).write_bytes(files[name])
    assert_small(named.load("fashion-mnist"))


def zipped(*splits):
    """An archive like EMNIST's."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for split, labels in splits:
            for name in idx.KINDS[f"emnist-{split}"].files:
                array = IMAGES[: len(labels)] if "images" in name else np.array(labels, np.uint8)
                archive.writestr(f"gzip/{name}.gz", gzip.compress(idx_bytes(array)))
        archive.writestr("../outside", "text")
    return file.getvalue()


def test_emnist_is_downloaded_once_for_all_its_sets(places, mirror, monkeypatch):
    _, cache = places
    folder, asked = mirror
    content = zipped(("letters", [1, 2]), ("digits", [7]))
    for name in ("emnist-letters", "emnist-digits", "emnist-mnist"):
        offer(monkeypatch, folder, name, {"gzip.zip": content})
    assert named.load("emnist-letters").parts["train"].labels.tolist() == [0, 1]
    there = {path.name for path in (cache / "emnist").iterdir()}
    assert there == {"gzip.zip", *(f"{file}.gz" for file in idx.KINDS["emnist-letters"].files)}
    assert named.load("emnist-digits").parts["test"].labels.tolist() == [7]
    assert named.load("emnist-letters").parts["test"].labels.tolist() == [0, 1]
    assert asked == ["/gzip.zip"]
    assert "emnist-mnist-train-images-idx3-ubyte.gz" in refusal(named.load, "emnist-mnist")


def test_an_archive_that_is_there(places, monkeypatch):
    """Put where the set is looked for, it is unpacked; another of its name is refused."""
    data, cache = places
    content = zipped(("digits", [4]))
    source = replace(named.SOURCES["emnist-digits"], files={"gzip.zip": md5(content)})
    monkeypatch.setitem(named.SOURCES, "emnist-digits", source)
    (data / "gzip.zip").write_bytes(content)
    assert named.load("emnist-digits").parts["train"].labels.tolist() == [4]
    assert not (cache / "emnist" / "gzip.zip").exists()
    for path in (cache / "emnist").iterdir():
        path.unlink()
    (data / "gzip.zip").write_bytes(content[:-1])
    message = refusal(named.load, "emnist-digits")
    assert (
        f"{data / 'gzip.zip'} is not EMNIST's: its MD5 is {md5(content[:-1])}, expected" in message
    )


def tarred(members):
    """An archive like CIFAR's, with more than is to be unpacked."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:

        def add(name, content, **fields):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(content))

        add("../outside", b"text")
        add("/tmp/nbconv-outside", b"text")
        add("cifar-10-batches-py", b"", type=tarfile.DIRTYPE)
        add("cifar-10-batches-py/readme.html", b"text")
        for name, content in members.items():
            if content is None:
                add(name, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
            else:
                add(name, content)
    return file.getvalue()


@pytest.fixture
def cifar10(tmp_path, mirror, monkeypatch):
    """The members of an archive on the mirror, which other members replace when it is called."""
    folder, _ = mirror
    made, batches = pickled(tmp_path / "made", 10)
    members = {f"cifar-10-batches-py/{path.name}": path.read_bytes() for path in made.iterdir()}

    def put(members=members):
        digests = named.SOURCES["cifar10"].members
        offer(
            monkeypatch, folder, "cifar10", {"cifar-10-python.tar.gz": tarred(members)},
            members=digests,
        )  # fmt: skip

    source = replace(
        named.SOURCES["cifar10"],
        members={name: md5(content) for name, content in members.items()},
    )
    monkeypatch.setitem(named.SOURCES, "cifar10", source)
    put()
    return members, batches, put


def test_cifar_is_downloaded_and_unpacked(places, mirror, cifar10, tmp_path):
    _, cache = places
    members, batches, _ = cifar10
    found = named.load("cifar10")
    assert_same(found, batches, 10)
    assert {path.name for path in (cache / "cifar10").iterdir()} == {
        name.rpartition("/")[2] for name in members
    }
    assert not list(tmp_path.rglob("*outside*"))
    named.load("cifar10")
    assert mirror[1] == ["/cifar-10-python.tar.gz"]


def test_cifar_archives_with_other_members(places, cifar10):
    _, cache = places
    members, batches, put = cifar10
    name = "cifar-10-batches-py/data_batch_3"
    put({key: content for key, content in members.items() if key != name})
    assert f"it lacks {name}" in refusal(named.load, "cifar10")
    put({**members, name: None})
    assert f"it lacks {name}" in refusal(named.load, "cifar10")
    put({**members, name: pickle.dumps({"data": WORDS})})
    assert f"its {name} is not CIFAR-10's" in refusal(named.load, "cifar10")
    assert not (cache / "cifar10" / "data_batch_3").exists()
    put()
    assert_same(named.load("cifar10"), batches, 10)


def test_members_have_a_largest_size(places, cifar10, monkeypatch):
    monkeypatch.setattr(named, "MEMBER_BYTES", 1000)
    message = refusal(named.load, "cifar10")
    assert "its cifar-10-batches-py/" in message
    assert "has more than 1000 bytes" in message


def test_archives_that_are_none(places, mirror, monkeypatch):
    folder, _ = mirror
    offer(monkeypatch, folder, "cifar100", {"cifar-100-python.tar.gz": b"hello"})
    assert "cifar-100-python.tar.gz is damaged or is not CIFAR's archive" in refusal(
        named.load, "cifar100"
    )
    offer(monkeypatch, folder, "emnist-mnist", {"gzip.zip": b"hello"})
    assert "gzip.zip is damaged or is not EMNIST's archive" in refusal(named.load, "emnist-mnist")


def test_a_cache_that_cannot_be_written(places, mirror):
    _, cache = places
    cache.write_text("a file where the folder would be")
    assert "QMNIST is not in" in refusal(named.load, "qmnist")
