"""What a file or folder holds, before it becomes data sets."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from .labels import ClassNames

SETS = ("train", "valid", "test")
ALL = "all"  # a single set of images
_SET_OF = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}
_KIND_OF = {
    **dict.fromkeys(("images", "image", "x", "data", "features", "pixels", "inputs"), "images"),
    **dict.fromkeys(("labels", "label", "y", "target", "targets"), "labels"),
}
_FILLERS = {"set", "orig", "arr", "array"}  # as in train_set_x_orig
EXPECTED = (
    "expected images and labels, or train_images, train_labels, test_images and test_labels (and "
    "validation_images, validation_labels); others are named with "
    "--arrays images=NAME,labels=NAME or arrays={...}"
)


@dataclass
class Part:
    """One set of images.

    images: an array, a Store or Pictures. labels: as `labels.numbers_of` takes them; None if there
    are none. what: names of arrays or files, for errors. files: a name for each image.
    """

    images: Any
    labels: Any
    what: str
    files: list[str] | None = None


@dataclass
class Found:
    """The sets of a file or folder by name: "train", "valid" and "test", or "all"."""

    parts: dict[str, Part]
    class_names: ClassNames | None = None


def set_named(name: str) -> str | None:
    """The set that a folder's name stands for: "valid" for "val", "test" for "test_images"."""
    which, kind, strange = _meaning(name)
    return None if which == ALL or strange or kind == "labels" else which


def words(name: str) -> list[str]:
    """The words of a name, in small letters: "train", "images" of "trainImages"."""
    return [word.casefold() for word in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name) if word]


def pairs(
    names: Iterable[str], arrays: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """{set: {"images": name, "labels": name}} of a file's arrays, by the names that people use.

    arrays: what to take for "train_images", "labels", ..., where the names say it differently.
    Raises DataError.
    """
    names = list(names)
    found: dict[str, dict[str, str]] = {}
    unknown: dict[str, dict[str, str]] = {}
    if arrays:
        for role, name in arrays.items():
            which, kind, strange = _meaning(role)
            if kind is None or strange:
                raise DataError(
                    f"arrays names {role!r}: expected images, labels, train_images, train_labels, "
                    "validation_images, ..."
                )
            if name not in names:
                raise DataError(f"it has no array {name!r}: it holds {shown(names)}")
            found.setdefault(which, {})[kind] = name
    else:
        for name in names:
            which, kind, strange = _meaning(name)
            if kind is not None:
                pair = (unknown if strange else found).setdefault(strange or which, {})
                if kind in pair:
                    raise DataError(
                        f"{pair[kind]!r} and {name!r} could both be the {kind} of the "
                        f"{strange or which} set: {EXPECTED}"
                    )
                pair[kind] = name
    for pair in unknown.values():
        if len(pair) == 2:
            raise DataError(
                f"it holds {pair['images']!r} and {pair['labels']!r}, a set of an unknown name: "
                f"{EXPECTED}"
            )
    return found


def check_complete(found: Mapping[str, Mapping[str, str]], names: Iterable[str]) -> None:
    """Raise DataError unless each set has images and labels, and one is for training or alone."""
    for which, pair in found.items():
        if len(pair) == 1:
            ((kind, name),) = pair.items()
            other = "labels" if kind == "images" else "images"
            of_set = "" if which == ALL else f" of the {which} set"
            raise DataError(
                f"it holds {name!r} and no {other}{of_set} among {shown(names)}: {EXPECTED}"
            )
    if ALL in found and len(found) > 1:
        raise DataError(f"it holds {shown(names)}, a set without a name among others: {EXPECTED}")
    if ALL not in found and "train" not in found:
        raise DataError(f"it holds {shown(names)}: {EXPECTED}")


def shown(names: Iterable[str]) -> str:
    """The first names, for an error."""
    listed = [repr(name[:40]) for name in names]
    return ", ".join(listed[:10]) + (", ..." if len(listed) > 10 else "") or "nothing"


def _meaning(name: str) -> tuple[str, str | None, str]:
    """(set, "images" or "labels" or None, what else the name has) of an array's name."""
    tokens = words(name)
    kinds = [_KIND_OF[token] for token in tokens if token in _KIND_OF]
    sets = [_SET_OF[token] for token in tokens if token in _SET_OF]
    known = _KIND_OF.keys() | _SET_OF.keys() | _FILLERS
    strange = "_".join(token for token in tokens if token not in known)
    kind = "labels" if "labels" in kinds else "images" if kinds else None  # train/data, data/labels
    return (sets[0] if sets else ALL), kind, strange
