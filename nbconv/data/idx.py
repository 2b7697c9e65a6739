"""Folders of IDX files, also torchvision's: MNIST and sets with its names, EMNIST and QMNIST."""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import show
from ..errors import DataError
from .dataset import has_channels_last
from .formats import open_unpacked, read_idx, reading
from .found import Found, Part
from .labels import ClassNames

Array = NDArray[Any]
_DIGITS = tuple(string.digits)
_UPPER = tuple(string.ascii_uppercase)
_MERGED = (*_DIGITS, *_UPPER, *"abdefghnqrt")  # the other small letters look like their capitals


@dataclass(frozen=True)
class Kind:
    """A data set in four IDX files.

    title: of the set whose names they have. files: training images and labels, test images and
    labels. is_upright: else rows and columns change places. first: the label of the first class.
    """

    title: str
    files: tuple[str, str, str, str]
    class_names: ClassNames | None = None
    is_upright: bool = True
    first: int = 0

    @property
    def parts(self) -> Iterator[tuple[str, str, str, str]]:
        """(set, its name for errors, images, labels)."""
        yield "train", "training", *self.files[:2]
        yield "test", "test", *self.files[2:]


def _emnist(split: str, class_names: ClassNames, first: int = 0) -> Kind:
    train, test = (
        (f"emnist-{split}-{part}-images-idx3-ubyte", f"emnist-{split}-{part}-labels-idx1-ubyte")
        for part in ("train", "test")
    )
    return Kind("EMNIST", (*train, *test), class_names, is_upright=False, first=first)


KINDS = {
    "mnist": Kind(
        "MNIST",
        (
            "train-images-idx3-ubyte",
            "train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte",
        ),
    ),
    "qmnist": Kind(
        "QMNIST",
        (
            "qmnist-train-images-idx3-ubyte",
            "qmnist-train-labels-idx2-int",
            "qmnist-test-images-idx3-ubyte",
            "qmnist-test-labels-idx2-int",
        ),
    ),
    "emnist-balanced": _emnist("balanced", _MERGED),
    "emnist-byclass": _emnist("byclass", (*_DIGITS, *_UPPER, *string.ascii_lowercase)),
    "emnist-bymerge": _emnist("bymerge", _MERGED),
    "emnist-digits": _emnist("digits", _DIGITS),
    "emnist-letters": _emnist("letters", _UPPER, first=1),
    "emnist-mnist": _emnist("mnist", _DIGITS),
}
# Of sets whose files have MNIST's names.
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
# Folders within torchvision's root, and the names of the classes of those with MNIST's names.
TORCHVISION = {
    "MNIST": None,
    "FashionMNIST": FASHION,
    "KMNIST": KUZUSHIJI,
    "EMNIST": None,
    "QMNIST": None,
}


def file_of(folder: Path, name: str) -> Path | None:
    """The path of one of a set's files, also if named train-images.idx3-ubyte or gzipped."""
    stems = (name, name.replace("-idx", ".idx"))
    paths = (folder / (stem + ending) for stem in stems for ending in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def has_all(folder: Path, name: str) -> bool:
    """Whether a folder has all files of one of KINDS."""
    return all(file_of(folder, file) for file in KINDS[name].files)


def find(folder: Path) -> Found | None:
    """The sets in a folder of IDX files, or in such a folder of torchvision's within it.

    None if there are none. Raises DataError.
    """
    with reading(folder, "a folder of IDX files"):
        if kinds := _kinds(folder):
            return _only(folder, kinds)
        raws = {name: folder / name / "raw" for name in TORCHVISION}
        inside = {name: raw for name, raw in raws.items() if raw.is_dir() and _kinds(raw)}
        if len(inside) > 1:
            raise DataError(
                f"{folder} holds {', '.join(inside)}: expected one data set; give "
                f"{folder / next(iter(inside)) / 'raw'}, ..."
            )
        if inside:
            ((name, raw),) = inside.items()
            return _only(raw, _kinds(raw), TORCHVISION[name])
    return None


def _kinds(folder: Path) -> list[str]:
    """Those of KINDS of which a folder has files."""
    return [
        name for name, kind in KINDS.items() if any(file_of(folder, file) for file in kind.files)
    ]


def _only(folder: Path, kinds: list[str], class_names: ClassNames | None = None) -> Found:
    if len(kinds) > 1:
        raise DataError(
            f"{folder} holds files of {', '.join(kinds)}: expected one data set; load one by its "
            f"name, such as {kinds[-1]}, or give a folder with the files of one"
        )
    return read(folder, kinds[0], class_names)


def read(folder: Path, name: str, class_names: ClassNames | None = None) -> Found:
    """The sets of one of KINDS in a folder. class_names: if the kind has none. Raises DataError."""
    kind = KINDS[name]
    files = {file: file_of(folder, file) for file in kind.files}
    missing = [file for file, path in files.items() if path is None]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)} (or .gz): expected four IDX files named like "
            f"{kind.title}'s"
        )
    parts = {}
    for which, said, images_name, labels_name in kind.parts:
        images_path, labels_path = files[images_name], files[labels_name]
        assert images_path is not None
        assert labels_path is not None
        images = read_images(images_path)
        parts[which] = Part(
            images if kind.is_upright else images.swapaxes(-1, -2),
            _labels(labels_path, kind, "idx2" in labels_name),
            f"{folder}: {said} images and labels",
        )
    return Found(parts, kind.class_names or class_names)


def _labels(path: Path, kind: Kind, has_rows: bool) -> Array:
    """The labels in an IDX file, 0 for the first class. has_rows: they are QMNIST's rows."""
    labels = read_idx(path, 2 if has_rows else 1)
    if has_rows:
        if labels.shape[1] != 8:
            raise DataError(
                f"{path} has {labels.shape[1]} numbers for each image: expected 8, as QMNIST has"
            )
        labels = labels[:, 0]
    if kind.first and labels.size:
        low, high = int(labels.min()), int(labels.max())
        last = kind.first + len(kind.class_names or ()) - 1
        if low < kind.first or high > last:
            raise DataError(
                f"{path} has labels from {low} to {high}: expected {kind.first} to {last}"
            )
        labels = labels - np.asarray(kind.first, labels.dtype)
    return labels


def is_idx(path: Path) -> bool:
    """Whether a file, unpacked if it is gzipped, begins like an IDX file of images."""
    return _axes(path) in (3, 4)


def _axes(path: Path) -> int:
    """The number of axes in an IDX file; 0 if it is none."""
    with reading(path, "an IDX file of images"), open_unpacked(path) as file:
        magic = file.read(4)
    return magic[3] if len(magic) == 4 and magic[:2] == b"\0\0" and 8 <= magic[2] <= 14 else 0


def read_images(path: Path) -> Array:
    """The images in an IDX file of any name: (n, rows, columns) or (n, channels, rows, columns).

    Raises DataError.
    """
    if _axes(path) != 4:
        return read_idx(path, 3)
    images = read_idx(path, 4)
    if has_channels_last(images.shape):
        return np.moveaxis(images, 3, 1)
    if images.shape[1] not in (1, 3, 4):
        raise DataError(
            f"{path} has the shape {show(images.shape)}: expected (n, rows, columns, channels) or "
            "(n, channels, rows, columns) with 1, 3 or 4 channels"
        )
    return images
