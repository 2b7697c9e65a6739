"""Where images come from: arrays, or what is read from a file when it is indexed."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape

Array = NDArray[Any]
PIECE_BYTES = 2**24  # read at a time from a store that need not be read whole
CHUNK_BYTES = 2**16  # read at a time where only some images are asked for


class Store(Protocol):
    """A source of images: an array, or a file that is read in slices.

    shape: (n, channels, rows, columns). dtype: uint8, float32 or float64. Indexing returns an
    array.
    """

    @property
    def shape(self) -> Shape: ...  # noqa: D102 -- see the class
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102 -- see the class

    def __getitem__(self, key: Any) -> Array: ...


def select(store: Store, part: Any) -> Store:
    """The images of a slice or with these indices. Images in a file are not read yet."""
    if isinstance(store, np.ndarray):
        return np.ascontiguousarray(store[part])
    selected: Store = getattr(store, "select", store.__getitem__)(part)
    return selected


def pieces(store: Store) -> Iterator[slice]:
    """Slices that cover a store, each of one image or about PIECE_BYTES."""
    if isinstance(store, np.ndarray) and store.nbytes <= PIECE_BYTES:
        yield slice(None)
        return
    step = max(1, PIECE_BYTES // (math.prod(store.shape[1:]) * store.dtype.itemsize))
    for first in range(0, store.shape[0], step):
        yield slice(first, min(first + step, store.shape[0]))


def chunk_length(shape: Shape, dtype: np.dtype[Any]) -> int:
    """How many images a chunk has where the file has none: about CHUNK_BYTES."""
    return max(1, CHUNK_BYTES // (math.prod(shape[1:]) * dtype.itemsize))


def chunks(store: Store) -> NDArray[np.int64]:
    """The number of the chunk that each image lies in, which a file has in one piece."""
    if isinstance(store, np.ndarray):
        return np.arange(len(store)) // chunk_length(store.shape, store.dtype)
    numbers: NDArray[np.int64] = store.chunks()  # type: ignore[attr-defined]  # of no array
    return numbers


def indexed(
    read: Callable[[NDArray[np.int64]], Array], indices: NDArray[np.int64], key: Any
) -> Array:
    """What NumPy's indexing gives for an array of the images with these indices, (n,).

    read: gives the images with such indices, which it reads; of any number of axes. No others are
    read, if the key begins with a number, a slice or an array for the images.
    """
    first, *rest = key if isinstance(key, tuple) and key else (key,)
    is_number = isinstance(first, (int, np.integer)) and not isinstance(first, bool)
    is_array = isinstance(first, (list, np.ndarray))
    are_images = is_array and (np.ndim(first) == 1 or np.asarray(first).dtype != bool)
    if not rest and (is_number or are_images):
        return read(indices[first])
    some, inner = indices, key  # the images to read, and what to take of them
    if isinstance(first, slice):
        some, inner = indices[first], (slice(None), *rest)
    elif is_number:
        some, inner = indices[first][None], (0, *rest)
    elif are_images:
        wanted = np.arange(len(indices))[first]
        read_once, places = np.unique(wanted, return_inverse=True)
        some, inner = indices[read_once], (places.reshape(wanted.shape), *rest)
    images: Array = read(some)[inner]
    return images


class Rows:
    """Some images of a store that need not be read whole; they are read when they are indexed."""

    def __init__(self, store: Store, indices: NDArray[np.int64]):
        self._store, self._indices = store, indices
        self.shape: Shape = (len(indices), *store.shape[1:])
        self.dtype = store.dtype

    def select(self, part: Any) -> "Rows":
        """The images of a slice or with these indices, which are not read yet."""
        return Rows(self._store, self._indices[part])

    def chunks(self) -> NDArray[np.int64]:
        """See `chunks`."""
        return chunks(self._store)[self._indices]

    def __getitem__(self, key: Any) -> Array:
        return indexed(lambda some: np.asarray(self._store[some]), self._indices, key)


class Joined:
    """The images of one store and, after them, another's; they are read when they are indexed."""

    def __init__(self, first: Store, second: Store):
        self._first, self._second = first, second
        self._indices = np.arange(first.shape[0] + second.shape[0])
        self.shape: Shape = (len(self._indices), *first.shape[1:])
        self.dtype = first.dtype

    def select(self, part: Any) -> Rows:
        """The images of a slice or with these indices, which are not read yet."""
        return Rows(self, self._indices[part])

    def chunks(self) -> NDArray[np.int64]:
        """See `chunks`."""
        first = chunks(self._first)
        return np.concatenate([first, first.max() + 1 + chunks(self._second)])

    def __getitem__(self, key: Any) -> Array:
        return indexed(self._read, self._indices, key)

    def _read(self, indices: NDArray[np.int64]) -> Array:
        flat, begin = indices.reshape(-1), self._first.shape[0]
        images = np.empty((len(flat), *self.shape[1:]), self.dtype)
        images[flat < begin] = self._first[flat[flat < begin]]
        images[flat >= begin] = self._second[flat[flat >= begin] - begin]
        return images.reshape(*indices.shape, *self.shape[1:])
