"""Readers of data files: IDX, .npz, .npy, .h5, the book's mnist.pkl.gz and PNG. All of it untrusted.

Each gives plain arrays or raises DataError with the file's name. Nothing in a file is ever executed, and
nothing is allocated because a header says so before the bytes are there.
"""

import gzip
import io
import math
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .dataset import SLICE, four_axes

Array = NDArray[Any]
LIMIT = 2**31  # bytes that a file may unpack to
_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    """Turn what readers raise about a bad file into one line with its name."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist: expected {what}") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder: expected {what}") from error
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: permission denied") from error
    except MemoryError as error:
        raise DataError(f"{path} declares more data than this machine's memory holds") from error
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        if isinstance(error, DataError):
            raise
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} is damaged or is not {what}: {detail}") from error


def _open(path: Path) -> BinaryIO:
    """The file's content, unpacked if it is gzipped (which its first bytes tell, not its name)."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")  # type: ignore[return-value]  # GzipFile reads like one


def _read_exactly(file: BinaryIO, size: int, path: Path) -> bytearray:
    """The next `size` bytes, which must be the last; memory grows only with what is really there."""
    content = bytearray()
    while len(content) <= size:
        part = file.read(min(size + 1 - len(content), 1 << 24))
        if not part:
            break
        content += part
    if len(content) != size:
        found = "more" if len(content) > size else str(len(content))
        raise DataError(f"{path} declares {size} bytes of data and holds {found}: the file is damaged; get it again")
    return content


def read_idx(path: Path, axes: int | None = None) -> Array:
    """An array from an IDX file, gzipped or not, with that number of axes if given."""
    what = "an IDX file" if axes is None else f"an IDX file of {'images' if axes == 3 else 'labels'}"
    with _reading(path, what), _open(path) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_DTYPES or head[3] == 0:
            raise DataError(f"{path} begins with {head.hex(' ') or 'nothing'}: expected the magic number of {what}")
        if axes is not None and head[3] != axes:
            raise DataError(f"{path} has {head[3]} axes: expected {axes}, as {what} has")
        lengths = np.frombuffer(file.read(4 * head[3]), ">u4")
        dtype = np.dtype(_IDX_DTYPES[head[2]])
        shape = tuple(int(length) for length in lengths)
        size = math.prod(shape) * dtype.itemsize
        if len(shape) < head[3] or size > LIMIT:
            raise DataError(f"{path} declares {size} bytes of data in the shape {shape}: expected at most {LIMIT}")
        return np.frombuffer(_read_exactly(file, size, path), dtype).reshape(shape)


def read_npy(path: Path) -> Array:
    """The array of an .npy file."""
    with _reading(path, "an .npy file of numbers"), open(path, "rb") as file:
        return _npy(file, path, path.stat().st_size)


def _npy(file: Any, name: object, size: int) -> Array:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise DataError(f"{name} is of .npy version {version[0]}.{version[1]}: expected 1.0 or 2.0")
    if dtype.hasobject:
        raise DataError(f"{name} holds pickled objects, which are never loaded: expected an array of numbers")
    wanted = math.prod(shape) * dtype.itemsize
    if wanted > min(size, LIMIT):
        raise DataError(f"{name} declares {wanted} bytes in the shape {shape} and holds at most {min(size, LIMIT)}")
    content = file.read(wanted)
    if len(content) != wanted:
        raise DataError(f"{name} declares {wanted} bytes and holds {len(content)}: the file is damaged; get it again")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file."""
    arrays = {}
    with _reading(path, "an .npz file of numbers"), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > LIMIT:
                raise DataError(
                    f"{path}: {member.filename} unpacks to {member.file_size} bytes: expected at most {LIMIT}"
                )
            with archive.open(member) as file:
                name = member.filename.removesuffix(".npy")
                arrays[name] = _npy(file, f"{path}: {member.filename}", member.file_size)
    return arrays


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that knows NumPy's arrays and nothing else: no other name in a pickle is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]  # NumPy's own name
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin1,
        }
        if module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            module = "multiarray"
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only NumPy arrays are loaded")
        return known[module, name]


def _latin1(text: str, encoding: str) -> bytes:
    """What pickles of bytes call; any other encoding than theirs is refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


def read_pickle(path: Path) -> list[tuple[Array, Array]]:
    """The book's mnist.pkl.gz: (images, labels) of training, validation and test data."""
    what = "a pickle of three (images, labels) pairs, as mnist.pkl.gz is"
    with _reading(path, what), _open(path) as file:
        content = file.read(LIMIT + 1)
        if len(content) > LIMIT:
            raise DataError(f"{path} unpacks to more than {LIMIT} bytes: expected {what}")
        try:
            sets = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        except (TypeError, AttributeError, IndexError, ImportError, OverflowError, RecursionError) as error:
            raise DataError(f"{path} is damaged or is not {what}: {error}") from error
    pairs = isinstance(sets, (tuple, list)) and len(sets) == 3
    if not pairs or not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in sets):
        raise DataError(f"{path} holds something else: expected {what}")
    if not all(isinstance(array, np.ndarray) for pair in sets for array in pair):
        raise DataError(f"{path} holds something else than arrays: expected {what}")
    return [(pair[0], pair[1]) for pair in sets]


class H5Images:
    """Images in an HDF5 dataset, read when they are wanted and not before."""

    def __init__(self, dataset: Any, numbers: NDArray[np.int64] | None = None):
        self._dataset = dataset
        self._numbers = np.arange(len(dataset)) if numbers is None else numbers
        self.shape = four_axes((len(self._numbers), *dataset.shape[1:]))
        kind = dataset.dtype.kind
        self.dtype = np.dtype(np.uint8 if kind in "iu" else np.float64 if dataset.dtype.itemsize >= 8 else np.float32)

    def select(self, part: Any) -> "H5Images":
        """Some of the images, still not read."""
        return H5Images(self._dataset, self._numbers[part])

    def __getitem__(self, key: Any) -> Array:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        numbers = self._numbers[rows]
        wanted, places = np.unique(numbers.reshape(-1), return_inverse=True)
        neighbours = len(wanted) > 0 and wanted[-1] - wanted[0] + 1 == len(wanted)
        found = self._dataset[wanted[0] : wanted[-1] + 1] if neighbours else self._dataset[wanted]
        found = found if np.array_equal(wanted, numbers) else found[places]
        images = np.ascontiguousarray(found, self.dtype).reshape(*numbers.shape, *self.shape[1:])
        return images[(slice(None),) * numbers.ndim + rest] if rest else images


def open_h5(path: Path) -> dict[str, Any]:
    """The datasets at the top of an .h5 file, not read yet; the file stays open as long as they are used."""
    import h5py

    with _reading(path, "an HDF5 file with images and labels"):
        if path.is_dir():
            raise IsADirectoryError
        if not path.exists():
            raise FileNotFoundError
        file = h5py.File(path, "r")
        found: dict[str, Any] = {}
        for name in file:
            link = file.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise DataError(f"{path}: {name} is a link to elsewhere: expected a dataset of this file")
            item = file[name]
            if not isinstance(item, h5py.Dataset):
                continue
            if item.external or item.is_virtual:
                raise DataError(f"{path}: {name} is kept in other files: expected a dataset of this file")
            if item.dtype.kind not in "buif":
                raise DataError(f"{path}: {name} has the dtype {item.dtype}: expected numbers")
            found[name] = item
        return found


def h5_pixel_levels(path: Path, dataset: Any) -> None:
    """Raise DataError unless whole numbers in an HDF5 dataset of images are levels 0 to 255."""
    if dataset.dtype.kind not in "iu" or dataset.dtype == np.uint8:
        return
    for first in range(0, len(dataset), SLICE):
        part = dataset[first : first + SLICE]
        if part.min() < 0 or part.max() > 255:
            raise DataError(f"{path}: integer images go from {part.min()} to {part.max()}: expected levels 0 to 255")


def read_png(path: Path, channels: int) -> Array:
    """A picture's pixels as (1, channels, rows, columns), uint8, through Pillow."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise DataError(f"{path}: reading pictures needs Pillow; install it with: pip install pillow") from error
    with _reading(path, "a picture"):
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        except (UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} is not a picture that Pillow reads: {error}") from error
    return pixels[None, None] if channels == 1 else pixels.transpose(2, 0, 1)[None]
