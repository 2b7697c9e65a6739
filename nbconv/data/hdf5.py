"""Images and labels in HDF5 files, which are not trusted. Images are read when they are indexed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .dataset import four_axes, pieces
from .formats import MAX_BYTES, reading

Array = NDArray[Any]
WHAT = "an HDF5 file with images and labels"


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


def _numbers(file: Any, name: str) -> Any:
    """The HDF5 dataset of this name. Raises DataError unless it has numbers stored in this file."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{name} is a link to elsewhere: expected a dataset of this file")
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{name} is not a dataset: expected numbers")
    if item.external or item.is_virtual:
        raise DataError(f"{name} is stored in other files: expected a dataset of this file")
    if item.dtype.kind not in "buif":
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
    labels = _numbers(file, name)
    if labels.size * 8 > MAX_BYTES:
        raise DataError(
            f"{name} has the shape {labels.shape}: expected at most {MAX_BYTES // 8} labels"
        )
    array: Array = labels[()]
    return array


def open_images(file: Any, name: str) -> "H5Images":
    """The images in the HDF5 dataset of this name, which are not read yet. Raises DataError.

    Whole numbers other than uint8 are read once, piece by piece, to check them.
    """
    dataset = _numbers(file, name)
    images = H5Images(dataset)
    if dataset.dtype.kind in "iu" and dataset.dtype != np.uint8:
        for piece in pieces(dataset):
            levels = dataset[piece]
            low, high = levels.min(), levels.max()
            if low < 0 or high > 255:
                raise DataError(f"{name} ranges from {low} to {high}: expected levels 0 to 255")
    images[0]  # fails if the file is damaged or its compression unknown
    return images


class H5Images:
    """Images in an HDF5 dataset, which are read when they are indexed.

    indices: of the images that belong to it; None for all.
    """

    def __init__(self, dataset: Any, indices: NDArray[np.int64] | None = None):
        shape = four_axes(dataset.shape)
        self._dataset = dataset
        self._indices = np.arange(shape[0]) if indices is None else indices
        self.shape = (len(self._indices), *shape[1:])
        kind = dataset.dtype.kind
        self.dtype = np.dtype(
            np.uint8 if kind in "iu" else np.float64 if dataset.dtype.itemsize >= 8 else np.float32
        )

    def select(self, part: Any) -> "H5Images":
        """The images of a slice or with these indices, which are not read yet."""
        return H5Images(self._dataset, self._indices[part])

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
        with np.errstate(over="ignore"):  # checked when the file was opened
            return np.ascontiguousarray(images, self.dtype).reshape(*indices.shape, *self.shape[1:])
