"""Readers of IDX, .npz and .npy files and of pictures. All of it untrusted.

Each gives plain arrays or raises DataError with the file's name. Nothing in a file is ever executed, and
nothing is allocated because a header says so before the bytes are there.
"""

import gzip
import io
import math
import os
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Array = NDArray[Any]
LIMIT = 2**31  # bytes that a file may unpack to
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NPY_HEADER = 10_000  # bytes; NumPy's own limit


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever is raised about a file into one line that begins with its name."""
    try:
        yield
    except DataError as error:
        if str(error).startswith(str(path)):
            raise
        raise DataError(f"{path}: {error}") from error
    except MemoryError as error:
        raise DataError(
            f"{path} declares more data than this machine's memory holds: expected {what}"
        ) from error
    except Exception as error:  # a damaged file can make its reader raise anything
        if isinstance(error, OSError) and error.errno:
            raise DataError(
                f"{path} cannot be read ({os.strerror(error.errno)}): expected {what}"
            ) from error
        detail = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise DataError(f"{path} is damaged or is not {what}: {detail}") from error


def open_unpacked(path: Path) -> BinaryIO:
    """The file's content, unpacked if it is gzipped (which its first bytes tell, not its name)."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")  # type: ignore[return-value]  # GzipFile reads like one


def read_up_to(file: Any, size: int) -> bytearray:
    """The next `size` bytes or what is left; memory grows only with what is really there."""
    content = bytearray()
    while len(content) < size:
        part = file.read(min(size - len(content), 2**20))
        if not part:
            break
        content += part
    return content


def _read_last(file: Any, size: int, name: object) -> bytearray:
    """The next `size` bytes, which must be the last."""
    content = read_up_to(file, size + 1)
    if len(content) != size:
        found = "more" if len(content) > size else str(len(content))
        raise DataError(
            f"{name} declares {size} bytes of data and holds {found}: the file is damaged; get it again"
        )
    return content


def read_idx(path: Path, axes: int) -> Array:
    """The images (3 axes) or labels (1 axis) of an IDX file, gzipped or not."""
    what = f"an IDX file of {'images' if axes == 3 else 'labels'}"
    with reading(path, what), open_unpacked(path) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_DTYPES:
            raise DataError(
                f"{path} begins with {head.hex(' ') or 'nothing'}: expected the magic number of {what}"
            )
        if head[3] != axes:
            raise DataError(f"{path} has {head[3]} axes: expected {axes}, as {what} has")
        lengths = file.read(4 * axes)
        if len(lengths) < 4 * axes:
            raise DataError(f"{path} ends within its header: the file is damaged; get it again")
        dtype = np.dtype(_IDX_DTYPES[head[2]])
        shape = np.frombuffer(lengths, ">u4").tolist()
        size = math.prod(shape) * dtype.itemsize
        if size > LIMIT:
            raise DataError(
                f"{path} declares {size} bytes of data in the shape {shape}: expected at most {LIMIT}"
            )
        return np.frombuffer(_read_last(file, size, path), dtype).reshape(shape)


def read_npy(path: Path) -> Array:
    """The array of an .npy file."""
    with reading(path, "an .npy file of numbers"), open(path, "rb") as file:
        return _npy(file, path, path.stat().st_size)


def _npy(file: Any, name: object, size: int) -> Array:
    """The array of an open .npy file of `size` bytes."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{name} is of .npy version {version[0]}.{version[1]}: expected 1.0 or 2.0")
    length = file.read(2 * version[0])
    head = length + file.read(min(int.from_bytes(length, "little"), _NPY_HEADER))
    reader = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's about headers that Python 2 wrote
        shape, fortran, dtype = reader(io.BytesIO(head))
    if dtype.kind not in "buif":
        raise DataError(
            f"{name} holds {str(dtype)[:60]}: expected numbers (Python objects are never loaded)"
        )
    wanted = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or wanted > min(size, LIMIT):
        raise DataError(
            f"{name} declares {wanted} bytes in the shape {shape}: expected at most {min(size, LIMIT)}"
        )
    return np.frombuffer(_read_last(file, wanted, name), dtype).reshape(
        shape, order="F" if fortran else "C"
    )


def npz_names(path: Path) -> list[str]:
    """The names of an .npz file's arrays."""
    with reading(path, "an .npz file of numbers"), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_npz(path: Path, names: Collection[str]) -> dict[str, Array]:
    """These arrays of an .npz file."""
    arrays = {}
    with reading(path, "an .npz file of numbers"), zipfile.ZipFile(path) as archive:
        members = [
            member for member in archive.infolist() if member.filename.removesuffix(".npy") in names
        ]
        unpacked = sum(member.file_size for member in members)
        if unpacked > LIMIT:
            raise DataError(f"{path} unpacks to {unpacked} bytes: expected at most {LIMIT}")
        for member in members:
            # The other methods' readers unpack without end.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(
                    f"{path}: {member.filename} is packed by another method than numpy.savez's"
                )
            with archive.open(member) as file:
                name = member.filename.removesuffix(".npy")
                arrays[name] = _npy(file, f"{path}: {member.filename}", member.file_size)
    return arrays


def read_picture(path: Path, channels: int) -> Array:
    """A picture's pixels as (1, channels, rows, columns), uint8, through Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"{path}: reading pictures needs Pillow; install it with: pip install pillow"
        ) from error
    # Only these formats: Pillow would hand others, whatever the file's name, to programs such as Ghostscript.
    with (
        reading(path, "a picture"),
        Image.open(path, formats=("PNG", "JPEG", "BMP", "GIF")) as opened,
    ):
        deep = opened.mode in ("I", "I;16")  # 16 bits, which convert would clip
        picture = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8)) if deep else opened
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels[None, None] if channels == 1 else pixels.transpose(2, 0, 1)[None]
