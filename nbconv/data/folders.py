"""Folders of pictures, one folder for each class; pictures that are decoded once and kept."""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..checks import show
from ..errors import DataError, printable
from ..files import created
from . import pictures
from .dataset import Store
from .found import ALL, Found, Part, set_named
from .labels import natural_order
from .levels import say

Array = NDArray[Any]
Progress = Callable[[int, int], None]
Bad = tuple[str, str]  # the name of a picture that cannot be read, and why
JUNK = ("thumbs.db", "desktop.ini", "__macosx")
VERSION = 1  # of what decoding gives; a new one makes the caches anew
IN_MEMORY_BYTES = 2**24  # of decoded pictures that need no cache
CACHE_DAYS = 60  # after which a cache that nobody has used is removed
THREADS = min(8, os.cpu_count() or 1)
NAMED_FILES = 20  # of those that cannot be read, in an error


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's own: hidden, or an operating system's."""
    return name.startswith((".", "._")) or name.casefold() in JUNK


def find(folder: Path) -> Found | None:
    """The pictures in a folder of class folders, with train, valid and test above them or without.

    None if there are no pictures in folders. Raises DataError.
    """
    folders = _folders(folder)
    sets = {which: each for each in folders if (which := set_named(each.name))}
    if "train" in sets and all(set_named(each.name) for each in folders):
        named = {which: _classes(each) for which, each in sets.items()}
        if any(not classes for classes in named.values()):
            empty = next(sets[which] for which, classes in named.items() if not classes)
            if all(not classes for classes in named.values()):
                return None
            raise DataError(f"{empty} holds no pictures: expected a folder for each class in it")
    else:
        named = {ALL: _classes(folder)}
        if len(named[ALL]) < 2:
            return None
    names = sorted({name for classes in named.values() for name in classes}, key=natural_order)
    missing = set(names) - set(named.get("train", named.get(ALL, {})))
    if missing:
        raise DataError(
            f"{folder}: there are pictures of {', '.join(sorted(missing))[:100]}, and none to train "
            "on: expected every class in the training set"
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
    if any(found.values()):
        for name, files in found.items():
            if not files:
                raise DataError(
                    f"{folder / name} holds no pictures: expected some of the class {name}; remove "
                    "the folder if it is none"
                )
        loose = [each.name for each in folder.iterdir() if pictures.is_picture(each.name)
                 and not is_hidden(each.name)]  # fmt: skip
        if loose:
            say(
                f"{folder}: {len(loose)} pictures beside the class folders are passed over, such as {loose[0]}"
            )
        return found
    return {}


def pictures_in(folder: Path) -> list[Path]:
    """All pictures in a folder and the folders in it, in natural order; others are named."""
    found: list[Path] = []
    others: list[Path] = []
    for root, folders, files in _walk(folder):
        folders[:] = sorted((n for n in folders if not is_hidden(n)), key=natural_order)
        for name in sorted(files, key=natural_order):
            if not is_hidden(name):
                (found if pictures.is_picture(name) else others).append(Path(root, name))
    if found and others:
        say(
            f"{folder}: {len(others)} files are passed over, for their names are not those of "
            f"pictures: {', '.join(path.name for path in others[:3])}{', ...' if len(others) > 3 else ''}"
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


class Pictures:
    """Pictures that are not decoded yet. sources: paths, or files' contents; names: for people."""

    def __init__(self, sources: Sequence[Path | bytes], names: Sequence[str]):
        self.sources, self.names = list(sources), list(names)

    def __len__(self) -> int:
        return len(self.sources)

    def looked_at(self) -> tuple[Counter[tuple[int, int]], bool]:
        """How many pictures there are of each size (rows, columns), upright; whether any has colours.

        Raises DataError, naming every picture that cannot be opened.
        """
        bad: list[Bad] = []
        with ThreadPoolExecutor(THREADS) as pool:
            results = list(pool.map(lambda k: self._one(_look, bad, k), range(len(self))))
            if bad:  # all of them, those that are found bad when they are decoded, too
                bad.clear()
                check = partial(self._one, lambda picture, k: pictures.decoded(picture), bad)
                list(pool.map(check, range(len(self))))
        self._refuse(bad)
        return Counter(size for size, _ in results), any(colour for _, colour in results)

    def _one(self, work: Callable[[Any, int], Any], bad: list[Bad], k: int) -> Any:
        """work(opened picture, k), or a line about it in `bad`."""
        source = self.sources[k]
        try:
            with pictures.opened(source) as picture:
                return work(picture, k)
        except MemoryError:
            raise
        except Exception as error:  # a damaged file can make Pillow raise anything
            reason = str(error) if isinstance(error, DataError) else f"is damaged: {error!s:.100}"
            if isinstance(source, Path):
                reason = reason.removeprefix(str(source)).removeprefix(": ").strip()
            bad.append((self.names[k], reason))
            return None

    def _refuse(self, bad: list[Bad]) -> None:
        if not bad:
            return
        bad.sort(key=lambda each: natural_order(each[0]))
        lines = [printable(f"{name} {reason}") for name, reason in bad]
        if len(bad) == 1:
            raise DataError(lines[0])
        for line in lines:
            say(line)
        names = ", ".join(name for name, _ in bad[:NAMED_FILES])
        more = f" and {len(bad) - NAMED_FILES} more, named above" if len(bad) > NAMED_FILES else ""
        raise DataError(
            printable(f"{len(bad)} pictures cannot be read: {names}{more}; remove or replace them")
        )

    def decoded(
        self, channels: int, size: tuple[int, int], progress: Progress | None = None
    ) -> Store:
        """All pictures, (n, channels, rows, columns), uint8, from the cache if they are in it.

        Many pictures stay in a file and are read from it as they are needed. Raises DataError.
        """
        shape = (len(self), channels, *size)
        if int(np.prod(shape)) <= IN_MEMORY_BYTES:
            images = np.empty(shape, np.uint8)
            self._decode(images, progress)
            return images
        cache = _cache_folder() / f"{self._key(channels, size)}.npy"
        try:
            stored: Array = np.load(cache, mmap_mode="r")
            if stored.shape == shape and stored.dtype == np.uint8:
                os.utime(cache)
                return stored
        except (OSError, ValueError):
            pass
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            _remove_old(cache.parent)
            with created(cache) as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "|u1", "fortran_order": False, "shape": shape}
                )
                offset = file.tell()
                _allocate(file, offset + int(np.prod(shape)))
                images = np.memmap(file, np.uint8, "r+", offset, shape)
                self._decode(images, progress)
                images.flush()
            stored = np.load(cache, mmap_mode="r")
            return stored
        except OSError as error:
            say(
                f"{cache} cannot be written ({error.strerror}): the pictures are decoded into memory"
            )
            images = np.empty(shape, np.uint8)
            self._decode(images, progress)
            return images

    def _decode(self, images: Array, progress: Progress | None) -> None:
        bad: list[Bad] = []
        notes: Counter[str] = Counter()
        rows, columns = images.shape[2:]

        def work(picture: Any, k: int) -> None:
            said: list[str] = []
            if picture.format in ("JPEG", "MPO"):  # decodes at a half, a quarter or an eighth
                picture.draft(None, (2 * columns, 2 * rows))
            images[k] = pictures.fitted(
                pictures.decoded(picture, said), images.shape[1], rows, columns
            )
            notes.update(note for note in said if note != "turned upright")

        with ThreadPoolExecutor(THREADS) as pool:
            step = 1000
            for first in range(0, len(self), step):
                part = range(first, min(first + step, len(self)))
                list(pool.map(lambda k: self._one(work, bad, k), part))
                if progress:
                    progress(part.stop, len(self))
        self._refuse(bad)
        for note, count in notes.most_common(3):
            say(f"{count} pictures: {note}")

    def _key(self, channels: int, size: tuple[int, int]) -> str:
        """Which pictures, and what of them is kept."""
        digest = hashlib.sha256(json.dumps([VERSION, channels, size]).encode())
        for source in self.sources:
            if isinstance(source, bytes):
                digest.update(hashlib.sha256(source).digest())
            else:
                file = os.stat(source)
                digest.update(f"{source.absolute()} {file.st_size} {file.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:32]


def _allocate(file: BinaryIO, size: int) -> None:
    """Give a file its size, and its place on the disk: writing to a mapped hole of a full one crashes."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    file.truncate(size)


def _look(picture: Any, k: int) -> tuple[tuple[int, int], bool]:
    size = picture.height, picture.width
    if picture.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # lies on its side
        size = size[::-1]
    return size, pictures.is_colour(picture)


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


def _cache_folder() -> Path:
    import pooch

    return Path(pooch.os_cache("nbconv")) / "pictures"


def _remove_old(folder: Path) -> None:
    """Remove caches that have not been used for long."""
    for file in folder.glob("*.npy"):
        try:
            if time.time() - file.stat().st_mtime > CACHE_DAYS * 86400:
                file.unlink()
        except OSError:
            pass
