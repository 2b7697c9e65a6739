"""Checkpoints of format version 1, which nbconv 0.1.0 wrote: HDF5 alone, behind a first line.

HDF5 hangs and crashes on files that were made to do so, whatever their first line says. So they are
read by a child process with little memory and time, which gives them back in the present format:
`python -m nbconv.checkpoint.version1 < old > new`.
"""

import hashlib
import logging
import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..child import command
from ..errors import CheckpointError
from ..files import one_line
from .contents import OBJECTS, VERSION, Attributes, Contents

SEAL = b"nbconv checkpoint, HDF5 from byte 512 on, of SHA-256 "
SEAL_BYTES = 512  # HDF5's smallest user block
SUPERBLOCK = b"\x89HDF\r\n\x1a\n\x03"  # version 3
SUPERBLOCK_BYTES = 44  # before its checksum
ATTRIBUTES = 100  # at one place; save wrote 14
SECONDS = 60  # of the child; 10,000 arrays take 3
MEMORY = 2**31  # bytes of the child's address space, and 8 times the file's size


def is_whole(image: bytes) -> bool:
    """Whether a file's bytes fit their first line."""
    return image.startswith(_seal(memoryview(image)[SEAL_BYTES:]))


def sealed(body: bytes | memoryview) -> bytes:
    """An HDF5 image (all but its user block) as a whole file."""
    return _seal(body) + body


def _seal(body: bytes | memoryview) -> bytes:
    return SEAL + hashlib.sha256(body).hexdigest().encode().ljust(SEAL_BYTES - len(SEAL), b"\n")


def converted(path: Path, image: bytes) -> bytes:
    """A file's bytes in the present format. Raises CheckpointError."""
    logging.getLogger("nbconv").warning(
        "%s has format version 1, which takes longer to load; it gets version %d when it is saved",
        path,
        VERSION,
    )
    try:
        done = subprocess.run(
            command("nbconv.checkpoint.version1"),
            input=image,
            # NumPy's threads would take their share of the child's memory, on many cores all.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _error(path, f"HDF5 did not come back within {SECONDS} s") from None
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode != 1 or not lines:
        raise _error(path, f"HDF5 ended its process with exit code {done.returncode}")
    raise _error(path, one_line(ValueError(lines[-1])))


def _error(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is no checkpoint as nbconv writes it: {what}; use another copy of it"
    )


def read(image: bytes) -> Contents:
    """What a whole file's bytes hold, as version 2; raises nearly anything if they are crafted."""
    with h5py.File(h5py.h5f.open_file_image(_with_superblock_checksum(image))) as file:
        contents = _Reader(len(image)).read(file)
    velocity = [name for name in contents.arrays if name.startswith("optimizer/")]
    if not any(contents.arrays[name].view(np.uint8).any() for name in velocity):
        for name in velocity:
            del contents.arrays[name]
            contents.attributes.pop(name.rpartition("/")[0], None)
    contents.attributes[""]["version"] = VERSION
    contents.attributes[""]["digest"] = contents.digest()
    return contents


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


class _Reader:
    """Reads what nobody has vouched for.

    Refuses whatever save never wrote, and more than the file can hold.
    """

    def __init__(self, size: int):
        self.room = size
        self.contents = Contents()
        self.datasets: dict[str, Any] = {}

    def read(self, file: h5py.File) -> Contents:
        """The contents, if they fit their digest."""
        root = self.contents.attributes[""] = self._attributes(file)
        if (root.get("format"), root.get("version")) != ("nbconv", 1):
            raise ValueError("its attributes 'format' and 'version' are not 'nbconv' and 1")
        self._walk(file)
        self.contents.arrays = {name: item[()] for name, item in self.datasets.items()}
        if self.contents.digest() != root.get("digest"):
            raise ValueError("its content does not fit its digest")
        return self.contents

    def _walk(self, group: Any, prefix: str = "", depth: int = 0) -> None:
        """Take in what is in a group and all below: attributes are read, datasets only opened."""
        for name in group:
            where = prefix + name
            if depth > 2 or max(len(self.contents.attributes), len(self.datasets)) > OBJECTS:
                raise ValueError(f"{where!r} is one group or array too many")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{where!r} is a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                self.contents.attributes[where] = self._attributes(item)
                self._walk(item, where + "/", depth + 1)
            elif isinstance(item, h5py.Dataset) and _is_plain(item):
                self._take(math.prod(item.shape) * item.dtype.itemsize, where)
                self.datasets[where] = item
            else:
                raise ValueError(f"{where!r} is not stored as plain numbers in the file itself")

    def _attributes(self, item: Any) -> Attributes:
        if len(item.attrs) > ATTRIBUTES:
            raise ValueError(f"it has {len(item.attrs)} attributes at one place")
        attributes: Attributes = {}
        for name in item.attrs:
            kept = item.attrs.get_id(name)
            is_plain = kept.shape == () and (
                kept.dtype.kind in "iuf" or h5py.check_string_dtype(kept.dtype)
            )
            value = item.attrs[name] if is_plain else None
            value = value.item() if isinstance(value, np.generic) else value
            if not isinstance(value, (str, int, float)):
                raise ValueError(f"the attribute {name!r} is neither a text nor a number")
            self._take(len(value) if isinstance(value, str) else 0, name)
            attributes[name] = value
        return attributes

    def _take(self, size: int, name: str) -> None:
        """Count bytes about to be read, so that no file makes more of itself than it has."""
        self.room -= size
        if self.room < 0:
            raise ValueError(f"{name!r} would make it larger than it is")


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


def _main() -> None:
    from .file import image_of

    image = sys.stdin.buffer.read()
    try:
        import resource
    except ImportError:  # Windows, where the parent's timeout has to do
        pass
    else:
        limit = MEMORY + 8 * len(image)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sys.stdout.buffer.write(image_of(read(image)))
    except Exception as error:  # h5py raises nearly anything for what it does not expect
        sys.exit(one_line(error))


if __name__ == "__main__":
    _main()
