"""A file that is whole or not there: attributes and arrays in HDF5, behind a first line with a digest of every byte.

Written beside its place, flushed to the disk, read back, then renamed; so a process killed at any
moment leaves the old file or the new one. Read as bytes that nobody has vouched for: damaged ones
make HDF5 hang, so it is given none before the first line fits them; links, filters, external and
virtual storage and sizes beyond the file's own are refused before any array is read, and the digest
of the content must fit, too.
"""

import hashlib
import io
import math
import os
import struct
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import CheckpointError
from ..files import check_is_file, one_line, reason, replace

FORMAT, VERSION = "nbconv", 1
LIMIT = 2**32  # bytes; the largest network of the book takes 20 million
OBJECTS = 10_000  # arrays, and as many groups: 1,666 layers have so many
ATTRIBUTES = 100  # at one place; save writes 14
HEAD = (
    "format",
    "version",
    "nbconv_version",
    "digest",
)  # the root attributes that save itself writes
MAGIC = b"\x89HDF\r\n\x1a\n"
SUPERBLOCK = MAGIC + b"\x03"  # version 3
SUPERBLOCK_BYTES = 44  # of HDF5's superblock, version 3, before its checksum
SEAL, SEAL_BYTES = (
    b"nbconv checkpoint, HDF5 from byte 512 on, of SHA-256 ",
    512,
)  # HDF5's smallest user block

Array = NDArray[Any]
Attributes = dict[str, str | int | float]


class Contents:
    """What a checkpoint holds: arrays by path ("layers/0-conv2d/weights"), attributes by group ("" is the root)."""

    def __init__(self) -> None:
        self.attributes: dict[str, Attributes] = {"": {}}
        self.arrays: dict[str, Array] = {}

    def groups(self) -> list[str]:
        """Every group, those that only hold others included."""
        parents = {
            str(parent) for path in self.arrays for parent in PurePosixPath(path).parents
        } - {"."}
        return sorted(parents | set(self.attributes))

    def names(self) -> set[str]:
        """Every group, array and attribute ("training@epoch"), except those that save itself adds."""
        attributes = {
            f"{group}@{name}" for group, names in self.attributes.items() for name in names
        }
        return {*self.groups(), *self.arrays, *attributes} - {f"@{name}" for name in HEAD}

    def digest(self) -> str:
        """SHA-256 over every name, type, shape, number and attribute, except the digest's own."""
        digest = hashlib.sha256()
        for group in self.groups():
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
    """Write the contents to path, whole or not at all.

    Raises CheckpointError; the old file is then as it was.
    """
    root = contents.attributes[""]
    root |= {"format": FORMAT, "version": VERSION, "nbconv_version": __version__}
    root["digest"] = contents.digest()
    check_is_file(path)
    try:
        replace(Path(os.path.realpath(path)), _image(contents))
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        what = "the old file is as it was" if os.path.exists(path) else "no file was left"
        raise CheckpointError(
            f"{path} could not be saved: {reason(error)}; {what}. Free some space, or choose "
            "another place"
        ) from error


def _image(contents: Contents) -> bytes:
    """The file's bytes, made in memory: the newer format, whose own structure has checksums."""
    if len(contents.arrays) > OBJECTS:
        raise ValueError(f"it would have {len(contents.arrays)} arrays, expected at most {OBJECTS}")
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=("v110", "v110"), userblock_size=SEAL_BYTES) as file:
        for group, attributes in contents.attributes.items():
            target = file.require_group(group) if group else file
            for name, value in attributes.items():
                target.attrs[name] = value
        for path, array in contents.arrays.items():
            file.create_dataset(path, data=array)
    image = sealed(memory.getbuffer()[SEAL_BYTES:])
    if len(image) > LIMIT:
        raise ValueError(f"it would have {len(image)} bytes, expected at most {LIMIT}")
    try:
        _read(Path("it"), image)  # a file that cannot be loaded must not replace one that can
    except Exception as error:  # as in load
        raise ValueError(
            f"the installed HDF5 cannot read what it wrote ({one_line(error)})"
        ) from error
    return image


def sealed(body: bytes | memoryview) -> bytes:
    """An HDF5 image (all but its user block) as a whole file."""
    return _seal(body) + body


def _seal(body: bytes | memoryview) -> bytes:
    return SEAL + hashlib.sha256(body).hexdigest().encode().ljust(SEAL_BYTES - len(SEAL), b"\n")


# Reading


def load(path: Path) -> Contents:
    """The contents of a checkpoint. Raises CheckpointError unless every bit is as it was saved."""
    try:
        return _read(path, _with_superblock_checksum(_bytes(path)))
    except CheckpointError:
        raise
    except Exception as error:  # h5py has no tree of its own, and raises nearly anything for what it does not expect
        raise CheckpointError(
            f"{path} is damaged and cannot be used ({type(error).__name__}: {one_line(error)}): "
            "expected a checkpoint as nbconv wrote it; use another copy of it"
        ) from error


def _read(path: Path, image: bytes) -> Contents:
    """What a file's bytes hold; raises nearly anything if they are not as save wrote them."""
    with h5py.File(h5py.h5f.open_file_image(image)) as file:
        return _Reader(path, len(image)).read(file)


def _bytes(path: Path) -> bytes:
    """A file's bytes, if they are those that save wrote."""
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder: expected a checkpoint, such as run.h5")
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(f"{path} is no ordinary file: expected a checkpoint, such as run.h5")
    try:
        with open(path, "rb") as file:
            size, head = os.fstat(file.fileno()).st_size, file.read(SEAL_BYTES)
            if not head.startswith(SEAL):
                what = (
                    "an HDF5 file, but no checkpoint" if head.startswith(MAGIC) else "no checkpoint"
                )
                raise CheckpointError(
                    f"{path} is {what}: expected what nbconv train --out or Network.save wrote"
                )
            if size > LIMIT:
                raise CheckpointError(
                    f"{path} has {size} bytes: expected a checkpoint of at most {LIMIT}"
                )
            file.seek(0)
            image = file.read()
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} does not exist: expected a checkpoint that nbconv train --out or Network.save "
            "wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {reason(error)}; expected a checkpoint"
        ) from error
    if head != _seal(memoryview(image)[SEAL_BYTES:]):
        _check_version(path, _version(image))
        raise CheckpointError(
            f"{path} is damaged, or another program changed it: expected the bytes whose SHA-256 "
            "stands in its first "
            "line; use another copy of it"
        )
    return image


def _with_superblock_checksum(image: bytes) -> bytes:
    """The image, the checksum of its superblock made right.

    Before HDF5 2.0, images that nbconv 0.1.0 saved kept the checksum of a file that is still open,
    which no HDF5 reads. The seal vouches for every byte, so this hides no damage.
    """
    body = image[SEAL_BYTES : SEAL_BYTES + SUPERBLOCK_BYTES]
    if not body.startswith(SUPERBLOCK):
        return image
    begin, checksum = SEAL_BYTES + SUPERBLOCK_BYTES, struct.pack("<I", _lookup3(body))
    if image.startswith(checksum, begin):
        return image
    return image[:begin] + checksum + image[begin + len(checksum) :]


def _lookup3(data: bytes) -> int:
    """Jenkins' hash lookup3 (2006), HDF5's checksum of metadata."""

    def rotated(word: int, bits: int) -> int:
        return word << bits & 0xFFFFFFFF | word >> 32 - bits

    a = b = c = (0xDEADBEEF + len(data)) % 2**32
    for first in range(0, len(data), 12):
        block = struct.unpack("<3I", data[first : first + 12].ljust(12, b"\0"))
        a, b, c = ((word + x) % 2**32 for word, x in zip((a, b, c), block, strict=True))
        if first + 12 < len(data):
            for bits in (4, 6, 8, 16, 19, 4):
                a, b, c = b, (c + b) % 2**32, (a - c) % 2**32 ^ rotated(c, bits)
    for bits in (14, 11, 25, 16, 4, 14, 24):
        a, b, c = b, ((c ^ b) - rotated(b, bits)) % 2**32, a
    return b


def _version(image: bytes) -> Any:
    """The format version of a file whose seal is not ours, a number, which HDF5 reads from checksummed bytes alone."""
    try:
        with h5py.File(h5py.h5f.open_file_image(image)) as file:
            is_number = file.attrs.get_id("version").dtype.kind == "i"
            return file.attrs["version"].item() if is_number else VERSION
    except Exception:  # as in load
        return VERSION


def _check_version(path: Path, version: Any) -> None:
    if version != VERSION:
        raise CheckpointError(
            f"{path} has the format version {version!r}: this is nbconv {__version__}, which reads "
            f"version {VERSION}; "
            "use the nbconv that wrote it, or a newer one"
        )


class _Reader:
    """Reads what nobody has vouched for.

    Refuses whatever save never writes, and more than the file can hold.
    """

    def __init__(self, path: Path, size: int):
        self.path = path
        self.room = size
        self.contents = Contents()
        self.datasets: dict[str, Any] = {}

    def read(self, file: h5py.File) -> Contents:
        """The contents, if they fit their digest."""
        root = self.contents.attributes[""] = self._attributes(file)
        if root.get("format") != FORMAT:
            raise self._error(f"its attribute 'format' is not {FORMAT!r}")
        _check_version(self.path, root.get("version"))
        self._walk(file)
        self.contents.arrays = {name: item[()] for name, item in self.datasets.items()}
        if self.contents.digest() != root.get("digest"):
            raise self._error("its content does not fit its digest")
        return self.contents

    def _walk(self, group: Any, prefix: str = "", depth: int = 0) -> None:
        """Take in what is in a group and all below: attributes are read, datasets only opened."""
        for name in group:
            where = prefix + name
            if depth > 2 or max(len(self.contents.attributes), len(self.datasets)) > OBJECTS:
                raise self._error(f"{where!r} is one group or array too many")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise self._error(f"{where!r} is a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                self.contents.attributes[where] = self._attributes(item)
                self._walk(item, where + "/", depth + 1)
            elif isinstance(item, h5py.Dataset) and _is_plain(item):
                self._take(math.prod(item.shape) * item.dtype.itemsize, where)
                self.datasets[where] = item
            else:
                raise self._error(f"{where!r} is not stored as plain numbers in the file itself")

    def _attributes(self, item: Any) -> Attributes:
        if len(item.attrs) > ATTRIBUTES:
            raise self._error(f"it has {len(item.attrs)} attributes at one place")
        attributes: Attributes = {}
        for name in item.attrs:
            kept = item.attrs.get_id(name)
            is_plain = kept.shape == () and (
                kept.dtype.kind in "iuf" or h5py.check_string_dtype(kept.dtype)
            )
            value = item.attrs[name] if is_plain else None
            value = value.item() if isinstance(value, np.generic) else value
            if not isinstance(value, (str, int, float)):
                raise self._error(f"the attribute {name!r} is neither a text nor a number")
            self._take(len(value) if isinstance(value, str) else 0, name)
            attributes[name] = value
        return attributes

    def _take(self, size: int, name: str) -> None:
        """Count bytes that are about to be read, so that no file makes more of itself than it has."""
        self.room -= size
        if self.room < 0:
            raise self._error(f"{name!r} would make it larger than it is")

    def _error(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path} is no checkpoint as nbconv writes it: {what}; use another copy of it"
        )


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Whether a dataset is numbers alone, in one piece in this file.

    Asked before any of it is read.
    """
    made = dataset.id.get_create_plist()
    # Neither virtual nor in chunks, and only chunks can go through filters.
    whole = (
        made.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
        and made.get_external_count() == 0
    )
    return (
        whole
        and dataset.shape is not None
        and dataset.dtype.kind in "iuf"
        and not len(dataset.attrs)
    )
