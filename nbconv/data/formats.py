"""Readers for IDX, .npz and .npy files and for pictures. The files are not trusted.

Each reader returns plain arrays or raises DataError with the file's name. Nothing in a file is ever
executed, and no memory is allocated for bytes that a header only declares.
"""

import gzip
import io
import math
import os
import warnings
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Array = NDArray[Any]
MAX_BYTES = 2**31  # of an unpacked file
MAX_PIXELS = 2**26  # of a picture; each takes up to four bytes twice while it is read
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NPY_HEADER_BYTES = 10_000  # NumPy's limit


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn every exception about a file into a DataError, one line that begins with its name.

    what: what the file should be, for the message, such as "an .npz file".
    """
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
    except Exception as error:  # a damaged file can make a reader raise anything
        if isinstance(error, OSError) and error.errno:
            raise DataError(
                f"{path} cannot be read ({os.strerror(error.errno)}): expected {what}"
            ) from error
        refuse_page(path, what)
        detail = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise DataError(f"{path} is damaged or is not {what}: {detail}") from error


def refuse_page(path: Path, what: str) -> None:
    """Raise DataError if a file is a web page, which servers send in place of a file."""
    begin = b""
    with suppress(OSError), open(path, "rb") as file:
        begin = file.read(64).lstrip()[:5]
    if begin.lower() in (b"<!doc", b"<html", b"<head"):
        raise DataError(
            f"{path} begins with {begin.decode()}: it is a web page, not {what}; download it again"
        )


def open_unpacked(path: Path) -> BinaryIO:
    """Open a file, unpacking it if its first bytes are those of gzip. Raises OSError."""
    with open(path, "rb") as file:
        is_gzipped = file.read(2) == b"\x1f\x8b"
    if not is_gzipped:
        return open(path, "rb")
    return gzip.open(path, "rb")  # type: ignore[return-value]  # has the methods of a BinaryIO


def read_up_to(file: Any, size: int) -> bytearray:
    """The next `size` bytes, or fewer at the end. Allocates only as much as it reads."""
    content = bytearray()
    while len(content) < size:
        chunk = file.read(min(size - len(content), 2**20))
        if not chunk:
            break
        content += chunk
    return content


def _read_rest(file: Any, size: int, name: object) -> bytearray:
    """The rest of a file, which must have `size` bytes. Raises DataError."""
    content = read_up_to(file, size + 1)
    if len(content) != size:
        raise _other_size(name, size, len(content))
    return content


def _other_size(name: object, declared: int, held: int) -> DataError:
    """The error about a file with more or fewer bytes of data than it declares."""
    found = "more" if held > declared else str(held)
    return DataError(
        f"{name} declares {declared} bytes of data and holds {found}: the file is damaged; "
        "download or copy it again"
    )


def read_idx(path: Path, axes: int) -> Array:
    """The array in an IDX file, gzipped or not. Raises DataError.

    axes: 3 for images (n, rows, columns), 4 with channels, 1 for labels (n,), 2 for rows of them.
    """
    what = f"an IDX file of {'images' if axes >= 3 else 'labels'}"
    with reading(path, what), open_unpacked(path) as file:
        magic = file.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_DTYPES:
            refuse_page(path, what)
            raise DataError(
                f"{path} begins with {magic.hex(' ') or 'nothing'}: expected the magic number of "
                f"{what}"
            )
        if magic[3] != axes:
            raise DataError(f"{path} has {magic[3]} axes: expected {axes}, as {what} has")
        lengths = file.read(4 * axes)
        if len(lengths) < 4 * axes:
            raise DataError(
                f"{path} ends within its header: the file is damaged; download or copy it again"
            )
        dtype = np.dtype(_IDX_DTYPES[magic[2]])
        shape = np.frombuffer(lengths, ">u4").tolist()
        size = math.prod(shape) * dtype.itemsize
        if size > MAX_BYTES:
            raise DataError(
                f"{path} declares {size} bytes of data in the shape {shape}: expected at most "
                f"{MAX_BYTES}"
            )
        return np.frombuffer(_read_rest(file, size, path), dtype).reshape(shape)


def read_npy(path: Path) -> Array:
    """The array in an .npy file. Raises DataError."""
    with reading(path, "an .npy file of numbers"), open(path, "rb") as file:
        return _npy(file, path, path.stat().st_size)


def map_npy(path: Path) -> Array:
    """The array in an .npy file, which stays there: it is read where it is used. Raises DataError.

    The file must not get shorter while it is used: the system then ends the process.
    """
    with reading(path, "an .npy file of numbers"), open(path, "rb") as file:
        bytes_of_file = path.stat().st_size
        shape, is_fortran, dtype = _npy_header(file, path, bytes_of_file)
        size, held = math.prod(shape) * dtype.itemsize, bytes_of_file - file.tell()
        if size != held:
            raise _other_size(path, size, held)
        order: Literal["F", "C"] = "F" if is_fortran else "C"
        return np.memmap(path, dtype, "r", file.tell(), shape, order)


def _npy(file: Any, name: object, file_size: int) -> Array:
    """The array in an open .npy file. name: for errors. Raises DataError."""
    shape, is_fortran, dtype = _npy_header(file, name, min(file_size, MAX_BYTES))
    values = np.frombuffer(_read_rest(file, math.prod(shape) * dtype.itemsize, name), dtype)
    return values.reshape(shape, order="F" if is_fortran else "C")


def _npy_header(
    file: Any, name: object, max_size: int
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether it is in Fortran's order, dtype) of an open .npy file. Raises DataError."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{name} is of .npy version {version[0]}.{version[1]}: expected 1.0 or 2.0")
    length = file.read(2 * version[0])
    header = length + file.read(min(int.from_bytes(length, "little"), _NPY_HEADER_BYTES))
    form = np.lib.format
    read_header = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns about headers written by Python 2
        shape, is_fortran, dtype = read_header(io.BytesIO(header))
    if dtype.kind in "US":
        raise DataError(
            f"{name} holds texts: expected numbers; labels that are names can be in a CSV or HDF5 "
            "file, or go to nbconv.Dataset"
        )
    if dtype.kind not in "buif":
        raise DataError(
            f"{name} holds {str(dtype)[:60]}: expected numbers (Python objects are never loaded)"
        )
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > max_size:
        raise DataError(
            f"{name} declares {size} bytes in the shape {shape}: expected at most {max_size}"
        )
    return shape, is_fortran, dtype


def npz_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz file. Raises DataError."""
    with reading(path, "an .npz file of numbers"), zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def read_npz(path: Path, names: Collection[str]) -> dict[str, Array]:
    """The arrays with these names in an .npz file. Raises DataError."""
    arrays = {}
    with reading(path, "an .npz file of numbers"), zipfile.ZipFile(path) as archive:
        members = [
            member for member in archive.infolist() if member.filename.removesuffix(".npy") in names
        ]
        unpacked = sum(member.file_size for member in members)
        if unpacked > MAX_BYTES:
            raise DataError(f"{path} unpacks to {unpacked} bytes: expected at most {MAX_BYTES}")
        for member in members:
            # Other methods unpack without a limit.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(
                    f"{path}: {member.filename} has a compression method that numpy.savez does "
                    "not use: expected stored or deflated"
                )
            with archive.open(member) as file:
                name = member.filename.removesuffix(".npy")
                arrays[name] = _npy(file, f"{path}: {member.filename}", member.file_size)
    return arrays


def read_picture(path: Path, channels: int) -> Array:
    """The pixels of a picture, (1, channels, rows, columns) uint8, read by Pillow.

    channels: 1 for grey levels, else RGB. Raises DataError.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"{path}: reading pictures needs Pillow; install it with: pip install pillow"
        ) from error
    # Only these formats: Pillow runs programs such as Ghostscript for others.
    formats = ("PNG", "JPEG", "BMP", "GIF")
    with reading(path, "a picture"), Image.open(path, formats=formats) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise DataError(
                f"{path} has {opened.height} x {opened.width} pixels: expected a picture of the "
                f"network's size, and at most {MAX_PIXELS} pixels"
            )
        picture: Image.Image = opened
        if opened.mode in ("I", "I;16"):  # 16 bits, which convert would clip
            picture = Image.fromarray((np.asarray(opened) // 257).astype(np.uint8))
        pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels[None, None] if channels == 1 else pixels.transpose(2, 0, 1)[None]
