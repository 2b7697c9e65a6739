"""Data sets in zip and tar archives, which are unpacked once into the user's cache."""

import hashlib
import os
import posixpath
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..errors import DataError, say
from ..files import cache_folder, identity
from .formats import reading
from .found import Found

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 2_000_000
MAX_UNPACKED = 2**35
MAX_LINKS = 8  # from one to the next
MAX_NAME = 4096
_CHUNK = 2**20


def unpacked(path: Path) -> Path:
    """The folder with what an archive holds, unpacked now or before. Raises DataError.

    Files, folders and links to these files are unpacked, and none outside of that folder.
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
    left, links = MAX_UNPACKED, {}
    for count, (stored, file, leads_to) in enumerate(_members(path)):
        if count >= MAX_FILES:
            raise _too_much(path)
        name = stored.replace("\\", "/")
        if not _is_inside(name):
            raise DataError(
                f"{path} holds {name[:80]!r}, which is outside of it: expected names within"
            )
        if file is None:
            links[posixpath.normpath(name)] = posixpath.normpath(leads_to.replace("\\", "/"))
            continue
        target = folder.joinpath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            while chunk := file.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _too_much(path)
                out.write(chunk)
    broken = [name for name in links if not _follow(folder, name, links)]
    if broken:
        say(
            f"{path}: {len(broken)} links, such as {broken[0]}, do not lead to a file in it and "
            "are left out"
        )


def _is_inside(name: str) -> bool:
    """Whether a name in an archive stays inside the folder into which it is unpacked."""
    parts = PurePosixPath(name).parts
    return not (".." in parts or name.startswith("/") or any(":" in part for part in parts))


def _follow(folder: Path, name: str, links: Mapping[str, str]) -> bool:
    """Put the file that a link leads to in its place, if it leads to one in the archive."""
    source = links[name]
    for _ in range(MAX_LINKS):
        source = links.get(source, source)
    if not _is_inside(source) or source in links or not (folder / source).is_file():
        return False
    target = folder.joinpath(name)
    if target.exists():
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(folder / source, target)
    except OSError:  # not every file system has links
        shutil.copyfile(folder / source, target)
    return True


def _too_much(path: Path) -> DataError:
    return DataError(
        f"{path} unpacks to more than {MAX_UNPACKED} bytes or {MAX_FILES} files: unpack it "
        "yourself and name the folder"
    )


def _members(path: Path) -> Iterator[tuple[str, BinaryIO | Any, str]]:
    """(name, open file, "") of each file in an archive, (name, None, what to) of each link."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename
                if stat.S_ISLNK(member.external_attr >> 16):
                    with archive.open(member) as file:
                        to = file.read(MAX_NAME).decode("utf-8", "replace")
                    yield name, None, posixpath.join(posixpath.dirname(name), to)
                elif not member.is_dir():
                    with archive.open(member) as file:
                        yield name, file, ""
    else:
        with tarfile.open(path) as archive:
            for entry in archive:
                if entry.isfile():
                    yield entry.name, archive.extractfile(entry), ""
                elif entry.islnk():  # to a name from the archive's root
                    yield entry.name, None, entry.linkname
                elif entry.issym():
                    folder = posixpath.dirname(entry.name)
                    yield entry.name, None, posixpath.join(folder, entry.linkname)


def read(path: Path, read_folder: Callable[[Path], Found]) -> Found:
    """The sets in an archive. Raises DataError, naming the archive and not where it is unpacked."""
    folder = unpacked(path)
    try:
        return read_folder(folder)
    except DataError as error:
        raise DataError(str(error).replace(str(folder), str(path))) from error
