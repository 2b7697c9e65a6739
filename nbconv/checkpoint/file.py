"""A checkpoint's file, format version 2: an index of our own in front of an HDF5 file.

The first line holds the format's version and the SHA-256 of every byte behind it. The second line,
the index, is JSON: the attributes, and each array's dtype, shape and offset in the file. Then comes
HDF5, in which the arrays lie in one piece each, with the same attributes: h5py, h5dump and HDFView
read it, for both lines stand in what HDF5 calls the user block. nbconv itself reads the index and
the arrays, and never asks HDF5, which hangs and crashes on files that were made to do so.

Written beside its place, flushed to the disk, read back, then renamed: a process killed at any
moment leaves the old file or the new one.
"""

import hashlib
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import __version__
from ..errors import CheckpointError
from ..files import check_is_file, one_line, reason, replace
from . import version1
from .contents import FORMAT, LIMIT, OBJECTS, VERSION, Contents

MAGIC = b"\x89HDF\r\n\x1a\n"
FIRST_LINE = (
    "nbconv checkpoint, format {}, HDF5 behind the index, SHA-256 of all that follows: {}\n"
)
PATTERN = re.compile(FIRST_LINE.format(r"(\d{1,9})", r"([0-9a-f]{64})").encode())
LINE_BYTES = len(FIRST_LINE.format(VERSION, "0" * 64))
INDEX_LIMIT = 2**24  # bytes; that of 1,666 layers takes a million
DTYPES = ("<f4", "<f8")
NAME_LETTERS, DEPTH, AXES = 200, 8, 8  # at most, in what save writes: a third of these


# Writing


def save(path: Path, contents: Contents) -> None:
    """Write the contents to path, whole or not at all.

    Raises CheckpointError; the old file is then as it was.
    """
    root = contents.attributes[""]
    root |= {"format": FORMAT, "version": VERSION, "nbconv_version": __version__}
    root["digest"] = contents.digest()
    check_is_file(path)
    try:
        replace(Path(os.path.realpath(path)), image_of(contents))
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        what = "the old file is as it was" if os.path.exists(path) else "no file was left"
        raise CheckpointError(
            f"{path} could not be saved: {reason(error)}; {what}. Free some space, or choose "
            "another place"
        ) from error


def image_of(contents: Contents) -> bytes:
    """The file's bytes. Raises ValueError if they could not be read again."""
    if len(contents.arrays) > OBJECTS:
        raise ValueError(f"it would have {len(contents.arrays)} arrays, expected at most {OBJECTS}")
    # HDF5 begins at 512 or a larger power of two; no offset has more digits than the limit.
    room = LINE_BYTES + len(_index(contents, dict.fromkeys(contents.arrays, LIMIT)))
    block = 512
    while block < room:
        block *= 2
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=("v110", "v110"), userblock_size=block) as file:
        for group, attributes in contents.attributes.items():
            target = file.require_group(group) if group else file
            for name, value in attributes.items():
                target.attrs[name] = value
        offsets = {
            path: file.create_dataset(path, data=array).id.get_offset() or 0
            for path, array in contents.arrays.items()
        }
    with memory.getbuffer() as image:
        if len(image) > LIMIT:
            raise ValueError(f"it would have {len(image)} bytes, expected at most {LIMIT}")
        index = _index(contents, offsets)
        image[LINE_BYTES:block] = index.ljust(block - LINE_BYTES, b"\n")
        with image[LINE_BYTES:] as rest:
            image[:LINE_BYTES] = first_line(rest)
    content = memory.getvalue()  # not a copy
    try:
        _read(content)  # a file that cannot be loaded must not replace one that can
    except ValueError as error:
        raise ValueError(f"it could not be loaded again ({one_line(error)})") from error
    return content


def _index(contents: Contents, offsets: dict[str, int]) -> bytes:
    arrays = {
        path: [array.dtype.str, array.shape, offsets[path]]
        for path, array in contents.arrays.items()
    }
    index = {"attributes": contents.attributes, "arrays": arrays}
    return json.dumps(index, separators=(",", ":")).encode() + b"\n"


def first_line(rest: bytes | memoryview) -> bytes:
    """The first line of the file whose other bytes these are."""
    return FIRST_LINE.format(VERSION, hashlib.sha256(rest).hexdigest()).encode()


# Reading


def load(path: Path) -> Contents:
    """The contents of a checkpoint, of this version or of version 1.

    Raises CheckpointError unless every bit is as it was saved. The arrays are read-only.
    """
    image = _bytes(path)
    if image.startswith(version1.SEAL):
        image = version1.converted(path, image)
    try:
        return _read(image)
    except Exception as error:  # whatever comes of an index that somebody else wrote
        raise CheckpointError(
            f"{path} is no checkpoint as nbconv writes it ({one_line(error)}): expected the file "
            "that was saved; use another copy of it"
        ) from error


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins as a checkpoint of any version; False if it cannot be read."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(LINE_BYTES)
    except OSError:
        return False
    return bool(PATTERN.match(head)) or head.startswith(version1.SEAL)


def _bytes(path: Path) -> bytes:
    """A file's bytes, if they fit their first line."""
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder: expected a checkpoint, such as run.h5")
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(f"{path} is no ordinary file: expected a checkpoint, such as run.h5")
    try:
        with open(path, "rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(LINE_BYTES)
            line = PATTERN.match(head)
            is_version_1 = head.startswith(version1.SEAL)
            if not line and not is_version_1:
                what = "an HDF5 file, but no" if head.startswith(MAGIC) else "no"
                raise CheckpointError(
                    f"{path} is {what} checkpoint: expected what nbconv train --out or "
                    "Network.save wrote"
                )
            if line and int(line[1]) != VERSION:
                raise CheckpointError(
                    f"{path} has the format version {int(line[1])}: this is nbconv {__version__}, "
                    f"which reads versions 1 and {VERSION}; use the nbconv that wrote it, or a "
                    "newer one"
                )
            if size > LIMIT:
                raise CheckpointError(
                    f"{path} has {size} bytes: expected a checkpoint of at most {LIMIT}"
                )
            image = head + file.read()
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} does not exist: expected a checkpoint that nbconv train --out or Network.save "
            "wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {reason(error)}; expected a checkpoint"
        ) from error
    rest = memoryview(image)[LINE_BYTES:]
    if not (version1.is_whole(image) if is_version_1 else head == first_line(rest)):
        raise CheckpointError(
            f"{path} is damaged, or another program changed it: expected the bytes whose SHA-256 "
            "stands in its first line; use another copy of it"
        )
    return image


def _read(image: bytes | memoryview) -> Contents:
    """What a whole file's bytes hold; raises nearly anything if save did not write them.

    Nothing grows beyond the file's own size: the arrays are views of its bytes.
    """
    head = bytes(image[LINE_BYTES : LINE_BYTES + INDEX_LIMIT])
    index = json.loads(head[: head.index(b"\n")])
    contents = Contents()
    for group in _table(index, "attributes"):
        contents.attributes[group] = {
            name: _value(f"{group}@{name}", value)
            for name, value in _table(index["attributes"], group).items()
        }
    root = contents.attributes[""]
    if (root.get("format"), root.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"its index is not that of format {FORMAT} {VERSION}")
    arrays = _table(index, "arrays")
    if max(len(arrays), len(contents.attributes)) > OBJECTS:
        raise ValueError(f"it has more than {OBJECTS} arrays or groups")
    for name in (*arrays, *contents.attributes):
        if len(name) > NAME_LETTERS or name.count("/") > DEPTH:
            raise ValueError(f"it has the name {name[:40]!r}..., which is too long or too deep")
    held = 0
    for path, (dtype, shape, offset) in arrays.items():
        contents.arrays[path] = _array(image, path, dtype, shape, offset)
        held += contents.arrays[path].nbytes
    if held > len(image):
        raise ValueError("its arrays overlap")  # and would take long to hash
    if contents.digest() != root.get("digest"):
        raise ValueError("its content does not fit its digest")
    return contents


def _table(index: Any, name: str) -> dict[str, Any]:
    table = index[name]
    if not isinstance(table, dict):
        raise ValueError(f"{name!r} in its index is no table")
    return table


def _value(name: str, value: Any) -> str | int | float:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f"the attribute {name!r} is neither a text nor a number")
    return value


def _array(image: bytes | memoryview, path: str, dtype: Any, shape: Any, offset: Any) -> Any:
    if len(shape) > AXES:
        raise ValueError(f"{path!r} has {len(shape)} axes")
    sizes = [*shape, offset]
    if dtype not in DTYPES or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"{path!r} is {dtype} {shape} at {offset}")
    count = math.prod(shape)
    if offset + count * np.dtype(dtype).itemsize > len(image):
        raise ValueError(f"{path!r} would make it larger than it is")
    return np.frombuffer(image, dtype, count, offset).reshape(shape)
