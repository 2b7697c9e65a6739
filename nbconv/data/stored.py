"""Images that stay in their file, HDF5 or .npy, and are read when they are indexed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dataset import four_axes, has_channels_last, square_shape
from .formats import map_npy, reading
from .levels import BYTE
from .stores import chunk_length, indexed

Array = NDArray[Any]


class StoredImages:
    """Images in a file that are read when they are indexed.

    source: an HDF5 dataset or an array mapped from a file. path, what: the file, and what it should
    be, for errors. indices: of the images that belong to it; None for all. level: what number
    stands for 1. A last axis of channels is moved to its place.
    """

    def __init__(
        self,
        source: Any,
        path: Path,
        what: str,
        indices: NDArray[np.int64] | None = None,
        level: float | None = None,
    ):
        shape = four_axes(square_shape(source.shape))
        self.has_channels_last = has_channels_last(shape)
        if self.has_channels_last:
            shape = shape[0], shape[3], *shape[1:3]
        self._source, self._path, self._what, self._level = source, path, what, level
        self._indices = np.arange(shape[0]) if indices is None else indices
        self.shape = (len(self._indices), *shape[1:])
        self.dtype = _read_as(source.dtype, level)
        chunk = getattr(source, "chunks", None)  # of an HDF5 dataset that has any
        self._chunk = chunk[0] if chunk else chunk_length(source.shape, source.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy opens the file again."""
        name = getattr(self._source, "name", None)  # of an HDF5 dataset
        about = self._path.resolve(), name, self._what, self._indices, self._level
        return _opened_again, about

    def with_level(self, level: float) -> "StoredImages":
        """The same images, of which this number stands for 1."""
        return StoredImages(self._source, self._path, self._what, self._indices, level)

    def select(self, part: Any) -> "StoredImages":
        """The images of a slice or with these indices, which are not read yet."""
        indices = self._indices[part]
        return StoredImages(self._source, self._path, self._what, indices, self._level)

    def chunks(self) -> NDArray[np.int64]:
        """The number of the chunk that each image lies in."""
        return self._indices // self._chunk

    def __getitem__(self, key: Any) -> Array:
        return indexed(self._images, self._indices, key)

    def _images(self, indices: NDArray[np.int64]) -> Array:
        increasing, positions = np.unique(indices.reshape(-1), return_inverse=True)
        with reading(self._path, self._what):
            images = self._read(increasing)
        if not np.array_equal(increasing, indices):
            images = images[positions]
        if self.has_channels_last:
            images = np.moveaxis(images, 3, 1)
        with np.errstate(over="ignore"):  # checked when the file was opened
            images = np.ascontiguousarray(images, self.dtype)
        if self.dtype.kind == "f" and self._level not in (None, 1):
            images = images / self.dtype.type(self._level)  # a mapped file cannot be written to
        return images.reshape(*indices.shape, *self.shape[1:])

    def _read(self, rows: NDArray[np.int64]) -> Array:
        """The images of these rows, increasing, as they are stored: each chunk is read once.

        A slice at a time: for a list of indices h5py takes 0.1 ms for each index.
        """
        if not len(rows) or rows[-1] - rows[0] + 1 == len(rows):
            found: Array = self._source[slice(rows[0], rows[-1] + 1) if len(rows) else slice(0)]
            return found
        images = np.empty((len(rows), *self._source.shape[1:]), self._source.dtype)
        new = np.flatnonzero(np.diff(rows // self._chunk)) + 1  # where the next chunk begins
        for first, stop in zip([0, *new], [*new, len(rows)], strict=True):
            some = rows[first:stop]
            images[first:stop] = self._source[some[0] : some[-1] + 1][some - some[0]]
        return images


def _opened_again(
    path: Path, name: str | None, what: str, indices: NDArray[np.int64], level: float | None
) -> StoredImages:
    with reading(path, what):
        if name is None:
            source = map_npy(path)
        else:
            import h5py

            source = h5py.File(path, "r")[name]
    return StoredImages(source, path, what, indices, level)


def _read_as(stored: np.dtype[Any], level: float | None) -> np.dtype[Any]:
    """The dtype to read numbers in: without a level as they are, else as the kernels need them."""
    if stored.kind in "iu" and level is None:
        return stored.newbyteorder("=")
    if stored.kind in "iu":
        return np.dtype(np.uint8 if level == BYTE else np.float32)
    return np.dtype(np.float64 if stored.kind == "f" and stored.itemsize >= 8 else np.float32)
