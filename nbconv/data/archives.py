"""Data sets in zip and tar archives, which are unpacked once into the user's cache."""

import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..errors import DataError, say
from ..files import cache_folder, identity
from .formats import reading
from .found import Found

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 2_000_000
MAX_UNPACKED = 2**35
_CHUNK = 2**20


def unpacked(path: Path) -> Path:
    """The folder with what an archive holds, unpacked now or before. Raises DataError.

    Only plain files and folders are unpacked, and none outside of that folder.
    """
    root = cache_folder() / "archives"
    with reading(path, "a zip or tar archive"):
        folder = root / hashlib.sha256(identity(path)).hexdigest()[:32]
        if not folder.is_dir():
            try:
                root.mkdir(parents=True, exist_ok=True)
                partial = Path(tempfile.mkdtemp(".partial", dir=root))
            except OSError as error:
                raise DataError(
                    f"{path} cannot be unpacked into {root} ({error.strerror}): unpack it yourself "
                    "and name the folder"
                ) from error
            try:
                say(f"Unpacking {path} ...")
                _unpack(path, partial)
                os.replace(partial, folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                if not folder.is_dir():  # another process may have been first
                    raise
    inside = [each for each in folder.iterdir() if each.name != "__MACOSX"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _unpack(path: Path, folder: Path) -> None:
    left = MAX_UNPACKED
    for count, (name, file) in enumerate(_members(path)):
        if count >= MAX_FILES:
            raise _too_much(path)
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith("/") or any(":" in part for part in parts):
            raise DataError(
                f"{path} holds {name[:80]!r}, which is outside of it: expected names within"
            )
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            while chunk := file.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _too_much(path)
                out.write(chunk)


def _too_much(path: Path) -> DataError:
    return DataError(
        f"{path} unpacks to more than {MAX_UNPACKED} bytes or {MAX_FILES} files: unpack it "
        "yourself and name the folder"
    )


def _members(path: Path) -> Iterator[tuple[str, BinaryIO | Any]]:
    """(name, open file) of each plain file in an archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    with archive.open(member) as file:
                        yield member.filename, file
    else:
        with tarfile.open(path) as archive:
            for entry in archive:
                if entry.isfile():
                    yield entry.name, archive.extractfile(entry)


def read(path: Path, read_folder: Callable[[Path], Found]) -> Found:
    """The sets in an archive. Raises DataError, naming the archive and not where it is unpacked."""
    folder = unpacked(path)
    try:
        return read_folder(folder)
    except DataError as error:
        raise DataError(str(error).replace(str(folder), str(path))) from error
