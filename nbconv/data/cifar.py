"""CIFAR-10 and CIFAR-100, in binary files or in pickles, of which nothing is executed."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import show
from ..errors import DataError
from .formats import MAX_BYTES, read_up_to, reading
from .found import Found, Part, shown
from .labels import ClassNames
from .pickles import read_dict

Array = NDArray[Any]
_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_NAMES_BYTES = 2**16  # of the file with the names of the classes


@dataclass(frozen=True)
class Kind:
    """One of CIFAR's archives: its folder, files and classes.

    label: the index of the label among a binary image's, or its key in a pickle. names: the file
    with the names of the classes, which may be missing, and its key in a pickle.
    """

    title: str
    folder: str
    train: tuple[str, ...]
    test: str
    names: tuple[str, str]
    label: int | str
    classes: int


_BATCHES = tuple(f"data_batch_{k}" for k in range(1, 6))
KINDS = (
    Kind("CIFAR-10", "cifar-10-batches-py", _BATCHES, "test_batch",
         ("batches.meta", "label_names"), "labels", 10),
    Kind("CIFAR-100", "cifar-100-python", ("train",), "test",
         ("meta", "fine_label_names"), "fine_labels", 100),
    Kind("CIFAR-10", "cifar-10-batches-bin", tuple(f"{name}.bin" for name in _BATCHES),
         "test_batch.bin", ("batches.meta.txt", ""), 0, 10),
    Kind("CIFAR-100", "cifar-100-binary", ("train.bin",), "test.bin",
         ("fine_label_names.txt", ""), 1, 100),
)  # fmt: skip


def find(folder: Path) -> Found | None:
    """CIFAR's sets in a folder, or in a folder within it that is named as in CIFAR's archives.

    None if there are none. Raises DataError.
    """
    with reading(folder, "a folder with CIFAR's files"):
        places = [(folder, kind) for kind in KINDS if _is_there(folder, kind)] or [
            (folder / kind.folder, kind) for kind in KINDS if _is_there(folder / kind.folder, kind)
        ]
        if not places:
            return None
        if len(places) > 1:
            found = ", ".join(
                kind.folder if place != folder else f"{kind.test} of {kind.title}"
                for place, kind in places
            )
            raise DataError(
                f"{folder} holds {found}: expected the files of one; give a folder that has only "
                "these"
            )
        return read(*places[0])


def complete(folder: Path, title: str) -> Kind | None:
    """The kind of that title of which a folder has all images."""
    for kind in KINDS:
        names = (*kind.train, kind.test)
        if kind.title == title and all((folder / name).is_file() for name in names):
            return kind
    return None


def _is_there(folder: Path, kind: Kind) -> bool:
    """Whether a folder has a kind's files, or two of them: train alone can be anything."""
    names = (*kind.train, kind.test, kind.names[0])
    return sum((folder / name).is_file() for name in names) >= 2


def read(folder: Path, kind: Kind) -> Found:
    """The sets in a folder with a kind's files. Raises DataError."""
    missing = [name for name in (*kind.train, kind.test) if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)}: expected {kind.title}'s files, "
            f"{', '.join((*kind.train, kind.test))}"
        )
    batch = _binary if isinstance(kind.label, int) else _pickled
    return Found(
        {
            "train": _part([folder / name for name in kind.train], kind, batch),
            "test": _part([folder / kind.test], kind, batch),
        },
        _class_names(folder / kind.names[0], kind),
    )


_Batch = tuple[Array, Array, list[str] | None]  # images (n, 3072), labels, names of files


def _part(paths: list[Path], kind: Kind, batch: Callable[[Path, Kind], _Batch]) -> Part:
    batches = [batch(path, kind) for path in paths]
    for path, (_, labels, _) in zip(paths, batches, strict=True):
        if labels.size and (labels.min() < 0 or labels.max() >= kind.classes):
            raise DataError(
                f"{path} has labels from {labels.min()} to {labels.max()}: expected 0 to "
                f"{kind.classes - 1}, as {kind.title} has"
            )
    images = (
        batches[0][0] if len(batches) == 1 else np.concatenate([each for each, _, _ in batches])
    )
    lists = [names for _, _, names in batches if names is not None]
    return Part(
        images.reshape(-1, *_SHAPE),
        np.concatenate([labels for _, labels, _ in batches]),
        f"{paths[0]}" + (f" to {paths[-1].name}" if len(paths) > 1 else ""),
        list(chain.from_iterable(lists)) if len(lists) == len(batches) else None,
    )


def _binary(path: Path, kind: Kind) -> _Batch:
    what = f"a file of {kind.title}'s binary version"
    with reading(path, what), open(path, "rb") as file:
        content = read_up_to(file, MAX_BYTES + 1)
        size = _PIXELS + int(kind.label) + 1
        if not content or len(content) > MAX_BYTES or len(content) % size:
            raise DataError(
                f"{path} has {len(content)} bytes: expected a multiple of {size} (an image's "
                "labels and 3 x 32 x 32 levels); download it again"
            )
        rows = np.frombuffer(content, np.uint8).reshape(-1, size)
        return np.ascontiguousarray(rows[:, -_PIXELS:]), rows[:, int(kind.label)].copy(), None


def _pickled(path: Path, kind: Kind) -> _Batch:
    what = f"a pickle of {kind.title}: a dict with data and {kind.label}"
    with reading(path, what):
        batch = read_dict(path, what)
        if not {"data", kind.label} <= batch.keys():
            raise DataError(f"it holds a dict with the keys {shown(batch)}: expected {what}")
        images, labels, names = batch["data"], batch[str(kind.label)], batch.get("filenames")
        if (
            not isinstance(images, np.ndarray)
            or images.dtype != np.uint8
            or images.ndim != 2
            or images.shape[1] != _PIXELS
        ):
            found = (
                f"an array {show(images.shape)} of {images.dtype}"
                if isinstance(images, np.ndarray)
                else f"a {type(images).__name__}"
            )
            raise DataError(f"its data are {found}: expected n x {_PIXELS} of uint8")
        if isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu":
            labels = labels.tolist()
        if not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise DataError(
                f"its {kind.label} are a {type(labels).__name__}: expected whole numbers"
            )
        if len(labels) != len(images):
            raise DataError(
                f"it has {len(images)} images and {len(labels)} labels: expected one for each"
            )
        return images, np.array(labels, np.int64), _texts(names, len(images))


def _texts(names: Any, count: int) -> list[str] | None:
    """A list of so many names, if it is one."""
    if not isinstance(names, list) or len(names) != count:
        return None
    texts = [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]
    return texts if all(isinstance(text, str) for text in texts) else None


def _class_names(path: Path, kind: Kind) -> ClassNames | None:
    """The names of the classes in a file. None if it does not exist. Raises DataError."""
    if not path.is_file():
        return None
    what = f"the names of {kind.title}'s classes"
    with reading(path, what):
        key = kind.names[1]
        if not key:
            with open(path, "rb") as file:
                content = read_up_to(file, _NAMES_BYTES)
            lines = (line.strip() for line in content.decode("utf-8", "replace").splitlines())
            names: list[str] | None = [line for line in lines if line]
        else:
            names = _texts(read_dict(path, what).get(key), kind.classes)
        if names is None or len(names) != kind.classes:
            raise DataError(f"{path} does not hold {kind.classes} names: expected {what}")
        return tuple(names)
