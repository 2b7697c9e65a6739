"""Data sets by name: where they are looked for, their download, and the check of what came.

Addresses and digests of all but MNIST are those that torchvision has.
"""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..files import cache_folder, replace
from . import cifar, formats, idx
from .download import download
from .found import Found, Part
from .labels import ClassNames

Array = NDArray[Any]

# name: SHA-256 of the unpacked file
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_BYTES, UNPACKED_BYTES = 2**24, 2**26  # the largest has 9.9 and 47 million
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

MEMBER_BYTES = 2**30  # of a file in an archive


@dataclass(frozen=True)
class Source:
    """Where a data set other than MNIST comes from.

    title: for people. cache: its folder in the cache. mirrors: addresses to which the files' names
    are added. files: MD5 of each file that is downloaded. most_bytes: that one of them has.
    folders: its places in the folder $NBCONV_DATA, after that of its name. class_names: if its
    files have none. members: MD5 of the files unpacked from an archive, by their names in it.
    """

    title: str
    cache: str
    mirrors: tuple[str, ...]
    files: Mapping[str, str]
    most_bytes: int
    folders: tuple[str, ...] = ()
    class_names: ClassNames | None = None
    members: Mapping[str, str] = field(default_factory=dict)


def _like_mnist(*digests: str) -> dict[str, str]:
    names = (f"{name}.gz" for name in idx.KINDS["mnist"].files)
    return dict(zip(names, digests, strict=True))


_EMNIST = Source(
    "EMNIST",
    "emnist",
    ("https://biometrics.nist.gov/cs_links/EMNIST/",),
    {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"},
    2**30,
    ("emnist", "EMNIST/raw", ""),
)
_CIFAR_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
SOURCES = {
    "fashion-mnist": Source(
        "Fashion-MNIST",
        "fashion-mnist",
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        _like_mnist(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        2**26,
        ("FashionMNIST/raw",),
        idx.FASHION,
    ),
    "kmnist": Source(
        "KMNIST",
        "kmnist",
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        _like_mnist(
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
        2**26,
        ("KMNIST/raw",),
        idx.KUZUSHIJI,
    ),
    "qmnist": Source(
        "QMNIST",
        "qmnist",
        ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
        {
            "qmnist-train-images-idx3-ubyte.gz": "ed72d4157d28c017586c42bc6afe6370",
            "qmnist-train-labels-idx2-int.gz": "0058f8dd561b90ffdd0f734c6a30e5e4",
            "qmnist-test-images-idx3-ubyte.gz": "1394631089c404de565df7b7aeaf9412",
            "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
        },
        2**26,
        ("QMNIST/raw", ""),
    ),
    **{name: _EMNIST for name in idx.KINDS if name.startswith("emnist-")},
    "cifar10": Source(
        "CIFAR-10",
        "cifar10",
        _CIFAR_MIRRORS,
        {"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
        2**28,
        ("cifar10/cifar-10-batches-py", "cifar-10-batches-py", "cifar-10-batches-bin"),
        members={
            "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
            "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
            "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
            "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    ),
    "cifar100": Source(
        "CIFAR-100",
        "cifar100",
        _CIFAR_MIRRORS,
        {"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"},
        2**28,
        ("cifar100/cifar-100-python", "cifar-100-python", "cifar-100-binary"),
        members={
            "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
            "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
        },
    ),
}
NAMES = ("mnist", *SOURCES)


def load(name: str) -> Found:
    """The training and test set of one of NAMES, downloaded if it is not there yet.

    Raises DataError.
    """
    if name == "mnist":
        return _mnist(find_mnist() or _download_mnist())
    folder = _find(name) or _get(name)
    try:
        return _read(folder, name)
    except DataError as error:
        if folder != folders_of(name)[-1]:
            raise
        raise DataError(f"{error}; remove it, and it is downloaded again") from error


def _read(folder: Path, name: str) -> Found:
    source = SOURCES[name]
    if name in idx.KINDS:
        return idx.read(folder, name)
    if kind := cifar.complete(folder, source.title):
        return cifar.read(folder, kind)
    return idx.read(folder, "mnist", source.class_names)


def _data_folder() -> Path | None:
    """The folder in $NBCONV_DATA. Raises DataError."""
    data = os.environ.get("NBCONV_DATA")
    try:
        return Path(data).expanduser() if data else None
    except RuntimeError as error:
        raise DataError(
            f"NBCONV_DATA is {data!r} ({error}): expected the path of a folder"
        ) from error


# MNIST


def mnist_folders() -> list[Path]:
    """The folders that are searched for MNIST, in order; the last one is the cache."""
    data = _data_folder()
    places = [data / "mnist", data, data / "MNIST" / "raw"] if data else []
    return [*places, cache_folder() / "mnist"]


def find_mnist() -> Path | None:
    """The first folder with all four of MNIST's files. Raises DataError if one cannot be read."""
    for folder in mnist_folders():
        with formats.reading(folder, "a folder with MNIST's four files"):
            if idx.has_all(folder, "mnist"):
                return folder
    return None


def _mnist(folder: Path) -> Found:
    """MNIST from its files in a folder, whose content must be MNIST's. Raises DataError."""
    return Found(
        {
            which: Part(
                _checked_idx(folder, images),
                _checked_idx(folder, labels),
                f"{folder}: {said} images and labels",
            )
            for which, said, images, labels in idx.KINDS["mnist"].parts
        }
    )


def _checked_idx(folder: Path, name: str) -> Array:
    """The array in one of MNIST's files. Raises DataError if its SHA-256 is not MNIST's."""
    remedy = "; remove it, and it is downloaded again"
    path = idx.file_of(folder, name) or folder / name
    try:
        array = formats.read_idx(path, 3 if "images" in name else 1)
    except DataError as error:
        raise DataError(f"{error}{remedy}") from error
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    digest = hashlib.sha256(header)
    digest.update(array.reshape(-1).data)
    if digest.hexdigest() != MNIST_FILES[name]:
        raise DataError(
            f"{path} is not MNIST's file: its SHA-256 is {digest.hexdigest()}, expected "
            f"{MNIST_FILES[name]}{remedy}"
        )
    return array


def _download_mnist() -> Path:
    """Download MNIST's files to the user's cache and return the folder. Raises DataError."""
    folders = mnist_folders()
    cache = folders[-1]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for name in MNIST_FILES:
            _download_idx(cache, name)
    except (OSError, DataError) as error:
        raise DataError(
            f"MNIST is not in {', '.join(map(str, folders))} and could not be downloaded "
            f"({error}): connect to the internet, or put its four IDX files into a folder and set "
            "NBCONV_DATA to it"
        ) from error
    return cache


def _download_idx(folder: Path, name: str) -> None:
    """Download one of MNIST's files, unless it exists. Raises DataError, OSError."""
    if idx.file_of(folder, name):
        return
    file = f"{name}.gz"

    def check(content: bytes) -> None:
        try:
            unpacked = formats.read_up_to(
                gzip.GzipFile(fileobj=io.BytesIO(content)), UNPACKED_BYTES
            )
        except (OSError, EOFError, zlib.error):
            unpacked = bytearray()
        if hashlib.sha256(unpacked).hexdigest() != MNIST_FILES[name]:
            raise DataError(f"{file} is not MNIST's")

    replace(folder / file, download(file, MNIST_MIRRORS, MNIST_BYTES, check))


# The others


def folders_of(name: str) -> list[Path]:
    """The folders that are searched for one of SOURCES, in order; the last one is the cache."""
    data = _data_folder()
    source = SOURCES[name]
    places = [data / place for place in (name, *source.folders)] if data else []
    return [*places, cache_folder() / source.cache]


def _find(name: str) -> Path | None:
    """The first folder with all files of one of SOURCES. Raises DataError if one cannot be read."""
    title = SOURCES[name].title
    for folder in folders_of(name):
        with formats.reading(folder, f"a folder with {title}'s files"):
            if name.startswith("cifar"):
                is_there = cifar.complete(folder, title) is not None
            else:
                is_there = idx.has_all(folder, name if name in idx.KINDS else "mnist")
            if is_there:
                return folder
    return None


def _get(name: str) -> Path:
    """Download one of SOURCES to the user's cache and return the folder. Raises DataError."""
    source = SOURCES[name]
    folders = folders_of(name)
    cache = folders[-1]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if source.cache == "emnist":
            for file, content in _zipped(name):
                replace(cache / file, content)
        elif source.members:
            for file, content in _tarred(name):
                replace(cache / file, content)
        else:
            for file, digest in source.files.items():
                if idx.file_of(cache, file.removesuffix(".gz")) is None:
                    replace(cache / file, _downloaded(source, file, digest))
    except (OSError, DataError) as error:
        listed = " or ".join(map(str, dict.fromkeys((folders[0], cache))))
        raise DataError(
            f"{source.title} is not in {listed} and could not be downloaded ({error}): connect to "
            f"the internet, or put its files into a folder {name} and set NBCONV_DATA to the "
            "folder that holds it"
        ) from error
    return cache


def _downloaded(source: Source, file: str, digest: str) -> bytes:
    def check(content: bytes) -> None:
        _check(content, digest, file, source)

    return download(file, source.mirrors, source.most_bytes, check)


def _archive(name: str) -> BinaryIO:
    """The archive of one of SOURCES, opened: from where the set is looked for, or downloaded.

    EMNIST's is kept in the cache: it holds the other sets as well. Raises DataError, OSError.
    """
    source = SOURCES[name]
    ((file, digest),) = source.files.items()
    data = _data_folder()
    for folder in (*folders_of(name), *([data] if data else [])):
        path = folder / file
        if path.is_file():
            archive = open(path, "rb")  # noqa: SIM115 -- it is returned open
            found = hashlib.file_digest(archive, _md5).hexdigest()
            if found != digest:
                archive.close()
                raise DataError(
                    f"{path} is not {source.title}'s: its MD5 is {found}, "
                    f"expected {digest}; remove it"
                )
            archive.seek(0)
            return archive
    content = _downloaded(source, file, digest)
    if source.cache == "emnist":
        replace(folders_of(name)[-1] / file, content)
    return io.BytesIO(content)


def _md5(content: bytes = b"") -> Any:
    return hashlib.md5(content, usedforsecurity=False)


def _check(content: bytes, digest: str, name: str, source: Source) -> None:
    """Raise DataError unless the content has that MD5."""
    if _md5(content).hexdigest() != digest:
        raise DataError(f"{name} is not {source.title}'s")


def _zipped(name: str) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the files of one of EMNIST's sets, from their archive."""
    import zipfile

    where = formats.reading(Path(*SOURCES[name].files), "EMNIST's archive")
    with _archive(name) as file, where, zipfile.ZipFile(file) as archive:
        for each in idx.KINDS[name].files:
            with archive.open(f"gzip/{each}.gz") as member:
                yield f"{each}.gz", _content(member, each)


def _tarred(name: str) -> Iterator[tuple[str, bytes]]:
    """The names and contents of CIFAR's files, from their archive."""
    import tarfile

    source = SOURCES[name]
    missing = dict(source.members)
    with _archive(name) as file, formats.reading(Path(*source.files), "CIFAR's archive"):
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            for entry in archive:
                digest = missing.pop(entry.name, None) if entry.isreg() else None
                if digest is not None:
                    content = _content(archive.extractfile(entry), entry.name)
                    _check(content, digest, f"its {entry.name}", source)
                    yield entry.name.rpartition("/")[2], content
                if not missing:
                    return
        raise DataError(f"it lacks {', '.join(missing)}")


def _content(file: Any, name: str) -> bytes:
    content = formats.read_up_to(file, MEMBER_BYTES + 1)
    if len(content) > MEMBER_BYTES:
        raise DataError(f"its {name} has more than {MEMBER_BYTES} bytes")
    return bytes(content)
