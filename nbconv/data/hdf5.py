"""Images and labels in HDF5 files, which are not trusted. Images are read when they are indexed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .dataset import four_axes, has_channels_last, square_shape
from .formats import MAX_BYTES, reading
from .levels import BYTE

Array = NDArray[Any]
WHAT = "an HDF5 file with images and labels"
MAX_NAMES = 10_000
MAX_DEPTH = 4  # of groups within groups


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file. It stays open for its images and is closed only if the block fails.

    Raises DataError.
    """
    import h5py

    with reading(path, WHAT):
        file = h5py.File(path, "r")
        try:
            yield file
        except BaseException:
            file.close()
            raise


def _numbers(file: Any, name: str, is_text: bool = False) -> Any:
    """The HDF5 dataset of this name. Raises DataError unless it has numbers stored in this file.

    is_text: texts will do, too.
    """
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{name} is a link to elsewhere: expected a dataset of this file")
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{name} is not a dataset: expected numbers")
    if item.external or item.is_virtual:
        raise DataError(f"{name} is stored in other files: expected a dataset of this file")
    if item.dtype.kind not in "buif" and not (is_text and item.dtype.kind in "SO"):
        raise DataError(f"{name} has the dtype {str(item.dtype)[:60]}: expected numbers")
    if item.shape is None or 0 in item.shape:
        raise DataError(f"{name} is empty: expected at least one image")
    if item.chunks and math.prod(item.chunks) * item.dtype.itemsize > MAX_BYTES:
        raise DataError(
            f"{name} has chunks of the shape {item.chunks}: expected at most {MAX_BYTES} bytes"
        )
    return item


def read_labels(file: Any, name: str) -> Array:
    """The labels in the HDF5 dataset of this name. Raises DataError."""
    labels = _numbers(file, name, is_text=True)
    if labels.size * 8 > MAX_BYTES:
        raise DataError(
            f"{name} has the shape {labels.shape}: expected at most {MAX_BYTES // 8} labels"
        )
    array: Array = labels[()]
    return array


def names(file: Any) -> list[str]:
    """The paths of what a file holds, in groups, too, except the groups. Links are not followed."""
    import h5py

    groups = [""]
    found: list[str] = []
    while groups and len(found) < MAX_NAMES:
        path = groups.pop(0)
        for name in file[path or "/"]:
            whole = f"{path}/{name}" if path else name
            is_here = isinstance(file.get(whole, getlink=True), h5py.HardLink)
            if is_here and isinstance(file[whole], h5py.Group):
                groups += [whole] * (whole.count("/") < MAX_DEPTH)
            else:
                found.append(whole)
    return found


def open_images(file: Any, name: str) -> "H5Images":
    """The images in the HDF5 dataset of this name, which are not read yet. Raises DataError."""
    images = H5Images(_numbers(file, name))
    images[0]  # fails if the file is damaged or its compression unknown
    return images


class H5Images:
    """Images in an HDF5 dataset, which are read when they are indexed.

    indices: of the images that belong to it; None for all. level: what number stands for 1. A last
    axis of channels is moved to its place.
    """

    def __init__(
        self, dataset: Any, indices: NDArray[np.int64] | None = None, level: float | None = None
    ):
        shape = four_axes(square_shape(dataset.shape))
        self.has_channels_last = has_channels_last(shape)
        if self.has_channels_last:
            shape = shape[0], shape[3], *shape[1:3]
        self._dataset, self._level = dataset, level
        self._indices = np.arange(shape[0]) if indices is None else indices
        self.shape = (len(self._indices), *shape[1:])
        self.dtype = _read_as(dataset.dtype, level)

    def __len__(self) -> int:
        return self.shape[0]

    def with_level(self, level: float) -> "H5Images":
        """The same images, of which this number stands for 1."""
        return H5Images(self._dataset, self._indices, level)

    def select(self, part: Any) -> "H5Images":
        """The images of a slice or with these indices, which are not read yet."""
        return H5Images(self._dataset, self._indices[part], self._level)

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, tuple):
            if key and isinstance(key[0], slice):
                return self[key[0]][:, *key[1:]]
            if key and isinstance(key[0], (int, np.integer)):
                return self[key[0]][key[1:]]
            return self[:][key]
        indices = self._indices[key]
        # h5py takes increasing indices only, and reads a slice faster than a list of indices.
        increasing, positions = np.unique(indices.reshape(-1), return_inverse=True)
        rows: Any = increasing
        if len(increasing) and increasing[-1] - increasing[0] + 1 == len(increasing):
            rows = slice(increasing[0], increasing[-1] + 1)
        with reading(Path(self._dataset.file.filename), WHAT):
            images = self._dataset[rows]
        if not np.array_equal(increasing, indices):
            images = images[positions]
        if self.has_channels_last:
            images = np.moveaxis(images, 3, 1)
        with np.errstate(over="ignore"):  # checked when the file was opened
            images = np.ascontiguousarray(images, self.dtype)
        if self.dtype.kind == "f" and self._level not in (None, 1):
            images /= self.dtype.type(self._level)
        return images.reshape(*indices.shape, *self.shape[1:])


def _read_as(stored: np.dtype[Any], level: float | None) -> np.dtype[Any]:
    """The dtype to read numbers in: without a level as they are, else as the kernels need them."""
    if stored.kind in "iu" and level is None:
        return stored.newbyteorder("=")
    if stored.kind in "iu":
        return np.dtype(np.uint8 if level == BYTE else np.float32)
    return np.dtype(np.float64 if stored.kind == "f" and stored.itemsize >= 8 else np.float32)
