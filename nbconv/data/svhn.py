"""MATLAB files with images X and labels y, as SVHN (street view house numbers) has them.

They are read here because SciPy's reader crashes on damaged files. Only arrays of numbers are.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..checks import show
from ..errors import DataError
from .formats import MAX_BYTES, read_up_to, reading
from .found import ALL, Found, Part, shown

Array = NDArray[Any]
FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
WHAT = "a MATLAB file with images X (rows, columns, channels, n) and labels y"
_HEADER_BYTES = 128
_CHUNK = 2**16
_HEAD_BYTES = 2**10  # of an array's flags, shape or name
_MATRIX, _PACKED = 14, 15  # types of elements
_OPAQUE = 17  # a class whose arrays have no shape
_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
_COMPLEX = 0x0800


def find(folder: Path) -> Found | None:
    """SVHN's sets in a folder. None if it has none of the files. Raises DataError."""
    with reading(folder, "a folder with SVHN's files"):
        missing = [name for name in FILES.values() if not (folder / name).is_file()]
        if len(missing) == len(FILES):
            return None
        if missing:
            raise DataError(
                f"{folder} lacks {', '.join(missing)}: "
                f"expected SVHN's {' and '.join(FILES.values())}"
            )
        return Found({which: _part(folder / name) for which, name in FILES.items()})


def read(path: Path) -> Found:
    """The images X and labels y in one .mat file. Raises DataError."""
    return Found({ALL: _part(path)})


def _part(path: Path) -> Part:
    """Images (n, channels, rows, columns) and labels; if labels go to 10, that is the digit 0."""
    with reading(path, WHAT):
        values = _arrays(path, ("X", "y"))
        images, labels = values["X"], values["y"].reshape(-1)
        if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[2] not in (1, 3, 4)):
            raise DataError(
                f"X has the shape {show(images.shape)}: expected (rows, columns, channels, n), "
                "with 1, 3 or 4 channels, or (rows, columns, n)"
            )
        if images.shape[-1] != len(labels):
            raise DataError(
                f"X has {images.shape[-1]} images and y {len(labels)} labels: expected one for each"
            )
        if len(labels) and labels.min() >= 1 and labels.max() == 10:
            labels = np.where(labels == 10, 0, labels)
        axes = (3, 2, 0, 1) if images.ndim == 4 else (2, 0, 1)
        return Part(np.ascontiguousarray(images.transpose(axes)), labels, f"{path}: X and y")


# MATLAB's format, of the versions 5 to 7


class _Unpacked:
    """What a packed element of a file unpacks to, read piece by piece."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._left = file, size
        self._unpacker = zlib.decompressobj()
        self._packed = b""

    def read(self, size: int) -> bytes:
        """At most so many bytes, none at the end. Raises DataError if the file ends before that."""
        while not self._unpacker.eof:
            content = self._unpacker.decompress(self._packed, size)
            self._packed = self._unpacker.unconsumed_tail
            if content:
                return content
            if not self._packed and not self._unpacker.eof:
                self._packed = self._file.read(min(self._left, _CHUNK))
                self._left -= len(self._packed)
                if not self._packed:
                    raise DataError("it ends within an array: download or copy it again")
        return b""


def _arrays(path: Path, wanted: tuple[str, ...]) -> dict[str, Array]:
    """The arrays with these names in a file. Raises DataError."""
    values: dict[str, Array] = {}
    names: list[str] = []
    with open(path, "rb") as file:
        order = _byte_order(file.read(_HEADER_BYTES))
        while tag := file.read(8):
            kind, size = struct.unpack(f"{order}II", tag)
            end = file.tell() + size
            stream: Any = file
            is_packed = kind == _PACKED
            if is_packed:
                stream = _Unpacked(file, size)
                kind, _ = struct.unpack(f"{order}II", _exactly(stream, 8))
            if kind != _MATRIX:
                raise DataError(f"it holds an element of the type {kind}: expected arrays")
            name, form = _head(stream, order)
            names.append(name)
            if name in wanted:
                values[name] = _numbers(stream, order, name, *form)
                if is_packed and stream.read(1):  # at its end zlib checks its checksum
                    raise DataError(f"{name} has more than its numbers: expected an array")
            file.seek(end)
    if values.keys() != set(wanted):
        raise DataError(f"it holds {shown(names)}: expected {' and '.join(wanted)}")
    return values


def _byte_order(header: bytes) -> str:
    """The byte order that a file's header tells, for struct. Raises DataError."""
    if header.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise DataError(
            "it is of MATLAB's version 7.3: expected version 5 to 7; save it in MATLAB with "
            "save(..., '-v7')"
        )
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None:
        raise DataError(f"it begins unlike a MATLAB file: expected {WHAT}")
    return order


def _exactly(stream: Any, size: int) -> bytes:
    content = read_up_to(stream, size)
    if len(content) < size:
        raise DataError("it ends within an array: download or copy it again")
    return bytes(content)


def _element(stream: Any, order: str, most: int) -> tuple[int, bytes]:
    """(type, content) of the next part of an array, of at most so many bytes. Raises DataError."""
    tag = _exactly(stream, 8)
    kind, size = struct.unpack(f"{order}II", tag)
    if kind >> 16:  # up to four bytes stand in the tag
        return kind & 0xFFFF, tag[4 : 4 + (kind >> 16)]
    if size > most:
        raise DataError(f"it declares {size} bytes in an array: expected at most {most}")
    content = _exactly(stream, size)
    read_up_to(stream, -size % 8)
    return kind, content


def _head(stream: Any, order: str) -> tuple[str, tuple[int, tuple[int, ...]]]:
    """The name of an array, and its flags and shape."""
    (flags,) = struct.unpack_from(f"{order}I", _element(stream, order, _HEAD_BYTES)[1])
    if flags & 0xFF == _OPAQUE:
        return "", (flags, ())
    lengths = np.frombuffer(_element(stream, order, _HEAD_BYTES)[1], f"{order}i4").tolist()
    name = _element(stream, order, _HEAD_BYTES)[1].decode("latin1")
    return name, (flags, tuple(lengths))


def _numbers(stream: Any, order: str, name: str, flags: int, shape: tuple[int, ...]) -> Array:
    """The numbers of an array whose head has been read. Raises DataError."""
    if flags & 0xFF not in _CLASSES or flags & _COMPLEX:
        raise DataError(f"{name} is no array of real numbers: expected them")
    dtype = np.dtype(_CLASSES[flags & 0xFF])
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > MAX_BYTES:
        raise DataError(
            f"{name} has the shape {show(shape)}: expected at most {MAX_BYTES} bytes of numbers"
        )
    kind, content = _element(stream, order, MAX_BYTES)
    if kind not in _STORED:
        raise DataError(f"{name} is stored as type {kind}: expected numbers")
    values = np.frombuffer(content, f"{order}{_STORED[kind]}")
    if values.size != math.prod(shape):
        raise DataError(f"{name} has {values.size} numbers for the shape {show(shape)}")
    return values.astype(dtype, copy=False).reshape(shape, order="F")
