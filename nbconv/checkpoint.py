"""A file that is whole or not there: attributes and arrays in HDF5, with a digest of all of it.

Written beside its place, flushed to the disk, read back, then renamed; so a process killed at any moment
leaves the old file or the new one. Read as bytes that nobody has vouched for: links, filters, external and
virtual storage and sizes beyond the file's own are refused before any array is read, and the digest must fit.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from . import __version__
from .errors import CheckpointError

FORMAT, VERSION = "nbconv", 1
LIMIT = 2**32  # bytes; the largest network of the book takes 20 million
OBJECTS = 10_000

Array = NDArray[Any]
Attributes = dict[str, str | int | float]


class Contents:
    """What a checkpoint holds: arrays by path ("layers/0-conv2d/weights"), attributes by group ("" is the root)."""

    def __init__(self) -> None:
        self.attributes: dict[str, Attributes] = {"": {}}
        self.arrays: dict[str, Array] = {}

    def digest(self) -> str:
        """SHA-256 over every name, type, shape, number and attribute, except the digest's own."""
        digest = hashlib.sha256()
        parents = {str(parent) for path in self.arrays for parent in PurePosixPath(path).parents} - {"."}
        for group in sorted(parents | set(self.attributes)):
            digest.update(f"{group}\n".encode())
            for name, value in sorted(self.attributes.get(group, {}).items()):
                if (group, name) != ("", "digest"):
                    digest.update(f"@{name}={type(value).__name__}:{value!r}\n".encode())
        for path, array in sorted(self.arrays.items()):
            digest.update(f"{path} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data if array.size else b"")
        return digest.hexdigest()


# Writing


def save(path: Path, contents: Contents) -> None:
    """Write the contents to path, whole or not at all. Raises CheckpointError; the old file is then as it was."""
    root = contents.attributes[""]
    root |= {"format": FORMAT, "version": VERSION, "nbconv_version": __version__}
    root["digest"] = contents.digest()
    path = Path(os.path.realpath(path))
    if path.is_dir():
        check_place(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        _replace(path, partial, _image(contents))
    except OSError as error:
        partial.unlink(missing_ok=True) if os.access(path.parent, os.W_OK) else None
        what = "the old file is as it was" if path.exists() else "no file was left"
        raise CheckpointError(
            f"{path} could not be saved: {error.strerror or error}; {what}. Free some space, or choose another place"
        ) from error


def check_place(path: Path) -> None:
    """Raise CheckpointError unless a file can be written there, before hours of training find out."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: expected the name of a file, such as {path / 'run.h5'}")
    try:
        with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
            pass
    except OSError as error:
        raise CheckpointError(f"{path} could not be saved: {error.strerror}; choose another place") from error


def _image(contents: Contents) -> bytes:
    """The file's bytes, made in memory: the newer format, whose own structure has checksums."""
    with h5py.File("image", "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
        for group, attributes in contents.attributes.items():
            target = file.require_group(group) if group else file
            for name, value in attributes.items():
                target.attrs[name] = value
        for path, array in contents.arrays.items():
            file.create_dataset(path, data=array)
        file.flush()
        return bytes(file.id.get_file_image())


def _replace(path: Path, partial: Path, image: bytes) -> None:
    with open(partial, "wb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())
    if partial.read_bytes() != image:
        raise OSError("what was read back is not what was written")
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# Reading


def load(path: Path) -> Contents:
    """The contents of a checkpoint. Raises CheckpointError unless every bit is as it was saved."""
    image = _bytes(path)
    try:
        with h5py.File(h5py.h5f.open_file_image(image)) as file:
            return _checked(file, path, len(image))
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, MemoryError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is damaged and cannot be used ({type(error).__name__}: {_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder: expected a checkpoint, such as run.h5")
        if not path.is_file():
            raise CheckpointError(
                f"{path} does not exist: expected a checkpoint that nbconv train --out or Network.save wrote"
            )
        if path.stat().st_size > LIMIT:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes: expected a checkpoint of at most {LIMIT}")
        image = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if not image.startswith(b"\x89HDF\r\n\x1a\n"):
        raise CheckpointError(f"{path} is not a checkpoint: expected an HDF5 file that nbconv wrote")
    return image


def _checked(file: h5py.File, path: Path, size: int) -> Contents:
    contents = Contents()
    contents.attributes[""] = _attributes(file, path)
    root = contents.attributes[""]
    if root.get("format") != FORMAT:
        raise CheckpointError(f"{path} is an HDF5 file but no checkpoint: its attribute 'format' is not {FORMAT!r}")
    if root.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has the format version {root.get('version')!r}, written by nbconv {root.get('nbconv_version')}: "
            f"this is nbconv {__version__}, which reads version {VERSION}; use a newer nbconv"
        )
    datasets = {}
    for name, item in _walk(file, path):
        if isinstance(item, h5py.Group):
            contents.attributes[name] = _attributes(item, path)
        else:
            datasets[name] = item
    declared = sum(item.size * item.dtype.itemsize for item in datasets.values())
    if declared > size:
        raise CheckpointError(f"{path} declares {declared} bytes of arrays and has {size}: it is damaged")
    contents.arrays = {name: item[()] for name, item in datasets.items()}
    if contents.digest() != root.get("digest"):
        raise CheckpointError(f"{path} is damaged: its content does not fit its digest; use another copy of it")
    return contents


def _walk(group: h5py.Group, path: Path, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every group and dataset below, by path; raises CheckpointError for whatever save never writes."""
    if depth > 3 or len(group) > OBJECTS:
        raise CheckpointError(f"{path} is no checkpoint of this version: {prefix or '/'} holds too many groups")
    for name in group:
        where = prefix + name
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise CheckpointError(f"{path}: {where} is a link, which a checkpoint never has")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            plain = item.id.get_create_plist().get_nfilters() == 0 and item.chunks is None
            if item.is_virtual or item.external or not plain or item.dtype.kind not in "iuf":
                raise CheckpointError(f"{path}: {where} is not stored as plain numbers in the file itself")
        elif not isinstance(item, h5py.Group):
            raise CheckpointError(f"{path}: {where} is neither a group nor an array")
        yield where, item
        if isinstance(item, h5py.Group):
            yield from _walk(item, path, where + "/", depth + 1)


def _attributes(item: Any, path: Path) -> Attributes:
    attributes: Attributes = {}
    for name, value in item.attrs.items():
        plain = value.item() if isinstance(value, (np.integer, np.floating)) else value
        if not isinstance(plain, (str, int, float)):
            raise CheckpointError(f"{path}: the attribute {name!r} is neither a text nor a number")
        attributes[name] = plain
    return attributes
