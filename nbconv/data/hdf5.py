"""Images and labels of HDF5 files: the images are read when they are wanted and not before. All of it untrusted."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .dataset import four_axes, pieces
from .formats import LIMIT, reading

Array = NDArray[Any]
WHAT = "an HDF5 file with images and labels"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file; it stays open as long as its images are used, and is closed if anything is wrong with it."""
    import h5py

    with reading(path, WHAT):
        file = h5py.File(path, "r")
        try:
            yield file
        except BaseException:
            file.close()
            raise


def _numbers(file: Any, name: str) -> Any:
    """A dataset of numbers, kept in this file."""
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{name} is a link to elsewhere: expected a dataset of this file")
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{name} is no dataset: expected numbers")
    if item.external or item.is_virtual:
        raise DataError(f"{name} is kept in other files: expected a dataset of this file")
    if item.dtype.kind not in "buif":
        raise DataError(f"{name} has the dtype {str(item.dtype)[:60]}: expected numbers")
    if item.shape is None or 0 in item.shape:
        raise DataError(f"{name} is empty: expected at least one image")
    if item.chunks and math.prod(item.chunks) * item.dtype.itemsize > LIMIT:
        raise DataError(
            f"{name} has chunks of the shape {item.chunks}: expected at most {LIMIT} bytes"
        )
    return item


def read_labels(file: Any, name: str) -> Array:
    """All labels."""
    labels = _numbers(file, name)
    if labels.size * 8 > LIMIT:
        raise DataError(
            f"{name} has the shape {labels.shape}: expected at most {LIMIT // 8} labels"
        )
    array: Array = labels[()]
    return array


def open_images(file: Any, name: str) -> "H5Images":
    """The images, not read yet; but whole numbers that are not uint8 are read once, in pieces, to check them."""
    dataset = _numbers(file, name)
    images = H5Images(dataset)
    if dataset.dtype.kind in "iu" and dataset.dtype != np.uint8:
        for piece in pieces(dataset):
            part = dataset[piece]
            if part.min() < 0 or part.max() > 255:
                raise DataError(
                    f"{name} goes from {part.min()} to {part.max()}: expected levels 0 to 255"
                )
    images[0]  # fails where the file is damaged or its compression unknown
    return images


class H5Images:
    """Images in an HDF5 dataset, some or all of them, read when they are indexed."""

    def __init__(self, dataset: Any, numbers: NDArray[np.int64] | None = None):
        shape = four_axes(dataset.shape)
        self._dataset = dataset
        self._numbers = np.arange(shape[0]) if numbers is None else numbers
        self.shape = (len(self._numbers), *shape[1:])
        kind = dataset.dtype.kind
        self.dtype = np.dtype(
            np.uint8 if kind in "iu" else np.float64 if dataset.dtype.itemsize >= 8 else np.float32
        )

    def select(self, part: Any) -> "H5Images":
        """Some of the images, still not read."""
        return H5Images(self._dataset, self._numbers[part])

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, tuple):
            if key and isinstance(key[0], slice):
                return self[key[0]][:, *key[1:]]
            if key and isinstance(key[0], (int, np.integer)):
                return self[key[0]][key[1:]]
            return self[:][key]
        numbers = self._numbers[key]
        wanted, places = np.unique(numbers.reshape(-1), return_inverse=True)
        neighbours = len(wanted) > 0 and wanted[-1] - wanted[0] + 1 == len(wanted)
        with reading(Path(self._dataset.file.filename), WHAT):
            found = (
                self._dataset[wanted[0] : wanted[-1] + 1] if neighbours else self._dataset[wanted]
            )
        found = found if np.array_equal(wanted, numbers) else found[places]
        with np.errstate(over="ignore"):  # checked when the file was opened
            return np.ascontiguousarray(found, self.dtype).reshape(*numbers.shape, *self.shape[1:])
