"""Folders of pictures, one folder for each class."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..checks import show
from ..errors import DataError, say
from . import pictures
from .decoding import Pictures
from .found import ALL, Found, Part, set_named
from .labels import natural_order

JUNK = ("thumbs.db", "desktop.ini", "__macosx")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's own: hidden, or an operating system's."""
    return name.startswith(".") or name.casefold() in JUNK


def find(folder: Path) -> Found | None:
    """The pictures in a folder of class folders, with train, valid and test above them or without.

    None if there are no pictures in folders. Raises DataError.
    """
    folders = _folders(folder)
    sets = {which: each for each in folders if (which := set_named(each.name))}
    if "train" in sets and all(set_named(each.name) for each in folders):
        named = {which: _classes(each) for which, each in sets.items()}
        if not any(named.values()):
            return None
        if len(sets) < len(folders):
            raise DataError(
                f"{folder} holds {', '.join(each.name for each in folders)[:100]}: expected one "
                "folder for each of train, valid and test"
            )
        for which, classes in named.items():
            if not classes:
                raise DataError(
                    f"{sets[which]} holds no pictures: expected a folder for each class in it"
                )
    else:
        named = {ALL: _classes(folder)}
        if len(named[ALL]) < 2:
            return None
        _check_no_sets(folder, named[ALL])
    names = sorted({name for classes in named.values() for name in classes}, key=natural_order)
    missing = set(names) - set(named.get("train", named.get(ALL, {})))
    if missing:
        raise DataError(
            f"{folder}: there are pictures of {', '.join(sorted(missing))[:100]}, and none to "
            "train on: expected every class in the training set"
        )
    parts = {}
    for which, classes in named.items():
        files = [path for name in names for path in classes.get(name, [])]
        labels = [k for k, name in enumerate(names) for _ in classes.get(name, [])]
        shown = [path.relative_to(folder).as_posix() for path in files]
        parts[which] = Part(Pictures(files, shown), np.array(labels), str(folder), shown)
    return Found(parts, tuple(names))


def _folders(folder: Path) -> list[Path]:
    return sorted(
        (each for each in folder.iterdir() if each.is_dir() and not is_hidden(each.name)),
        key=lambda path: natural_order(path.name),
    )


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each class folder. Raises DataError if one is empty and others are not."""
    found = {each.name: pictures_in(each) for each in _folders(folder)}
    if not any(found.values()):
        return {}
    for name, files in found.items():
        if not files:
            raise DataError(
                f"{folder / name} holds no pictures: expected some of the class {name}; remove "
                "the folder if it is none"
            )
    names = [each.name for each in folder.iterdir() if not is_hidden(each.name)]
    loose = [name for name in names if pictures.is_picture(name)]
    if loose:
        say(
            f"{folder}: {len(loose)} pictures beside the class folders are passed over, such as "
            f"{loose[0]}"
        )
    return found


def _check_no_sets(folder: Path, classes: dict[str, list[Path]]) -> None:
    """Raise DataError if what is taken for classes evidently are sets, with the classes in them."""
    loose = ("",)  # where pictures lie in the folder itself
    inner = {
        name: {path.relative_to(folder / name).parts[:-1][:1] or loose for path in files}
        for name, files in classes.items()
    }
    are_alike = len(set(map(frozenset, inner.values()))) == 1
    for name in sorted(inner, key=lambda name: set_named(name) is None):
        within = inner[name]
        if loose in within or len(within) < 2:
            continue
        others = [other for other in inner if other != name]
        if not are_alike:
            others = [
                other
                for other in others
                if set_named(name) and not set_named(other) and inner[other] <= {*within, loose}
            ]
        if others:
            first, second, *_ = sorted(within)
            raise DataError(
                f"{folder}: {name} holds the folders {first[0]} and {second[0]}, so it and "
                f"{others[0]} look like sets, not classes: expected the names train, valid and "
                f"test for sets; if they are classes, expected pictures in {name} itself"
            )


def pictures_in(folder: Path) -> list[Path]:
    """All pictures in a folder and the folders in it, in natural order; others are named."""
    found: list[Path] = []
    others: list[Path] = []
    special: list[Path] = []
    for root, folders, files in _walk(folder):
        folders[:] = sorted((n for n in folders if not is_hidden(n)), key=natural_order)
        for name in sorted(files, key=natural_order):
            path = Path(root, name)
            if is_hidden(name):
                continue
            if not pictures.is_picture(name):
                others.append(path)
            elif path.is_file() or not path.exists():  # a broken link is named where it is read
                found.append(path)
            else:
                special.append(path)
    if found and others:
        say(
            f"{folder}: {len(others)} files are passed over, for their names are not those of "
            f"pictures: {', '.join(path.name for path in others[:3])}"
            f"{', ...' if len(others) > 3 else ''}"
        )
    if special:
        say(
            f"{folder}: {len(special)} pipes, sockets or devices are passed over, such as "
            f"{special[0].name}"
        )
    return found


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk along symbolic links, each folder once."""
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield root, folders, files


def common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The size that all pictures have. Raises DataError if they differ, and proposes one."""
    if len(sizes) == 1:
        return next(iter(sizes))
    (first, count), (second, _) = sizes.most_common(2)
    middle = float(np.median([min(size) for size in sizes.elements()]))
    proposed = next((side for side in (28, 32, 48, 64, 96) if side >= middle), 64)
    raise DataError(
        f"its pictures have {len(sizes)} sizes, such as {show(first)} ({count} of "
        f"{sizes.total()}) and {show(second)} pixels: expected --size, such as --size {proposed} "
        f"(size={proposed}), to which they are resized"
    )
