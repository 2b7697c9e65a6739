"""A Dataset: images and labels, checked once, read as values in [0, 1]."""

import hashlib
import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..geometry import Shape, show

Array = NDArray[Any]
SLICE = 4096  # images read at a time where not all are wanted at once


class Store(Protocol):
    """What images are kept in: an array, or a file read in slices (n, channels, rows, columns)."""

    @property
    def shape(self) -> Shape: ...  # noqa: D102 -- said above
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102 -- said above

    def __getitem__(self, key: Any) -> Array: ...


def select(store: Store, part: Any) -> Store:
    """Some of a store's images; those in a file are still not read."""
    chosen: Store = getattr(store, "select", store.__getitem__)(part)
    return chosen


def four_axes(shape: Shape) -> Shape:
    """(n, channels, rows, columns) of (n, rows, columns) or (n, pixels) images."""
    if len(shape) == 4:
        return shape
    if len(shape) == 3:
        return shape[0], 1, *shape[1:]
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    raise DataError(
        f"images have the shape {show(shape) or 'of a single number'}: expected (n, channels, rows, columns), "
        "(n, rows, columns) or (n, pixels)"
    )


def image_store(images: ArrayLike) -> Array:
    """Images as the kernels read them: (n, channels, rows, columns), C order, native uint8, float32 or float64.

    Integers are pixel levels 0 to 255; booleans and real numbers are values. Arrays that are so already are
    not copied; none is changed. Raises DataError.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise DataError(f"images are no array of numbers ({error}): expected rows of equal length") from error
    kind = array.dtype.kind
    if kind not in "buif":
        raise DataError(f"images have the dtype {array.dtype}: expected uint8 levels 0 to 255 or real values in [0, 1]")
    shape = four_axes(array.shape)
    if array.size == 0:
        raise DataError(
            f"images have the shape {show(array.shape)}: expected at least one image with at least one pixel"
        )
    if kind in "iu" and array.dtype != np.uint8:
        low, high = array.min(), array.max()
        if low < 0 or high > 255:
            raise DataError(
                f"integer images go from {low} to {high}: expected levels 0 to 255, or real values in [0, 1]"
            )
    dtype = np.uint8 if kind in "iu" else np.float64 if array.dtype.itemsize >= 8 else np.float32
    return np.ascontiguousarray(array, dtype).reshape(shape)


def check_pixels(store: Store, only_unit_range: bool) -> None:
    """Raise DataError for pixels that are NaN, infinite or, if asked, outside [0, 1]."""
    if store.dtype == np.uint8:
        return
    for first in range(0, store.shape[0], SLICE):
        part = store[first : first + SLICE]
        low, high = float(part.min()), float(part.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = first + int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(axis=1)))
            raise DataError(f"image {bad} has pixels that are NaN or infinite: expected values in [0, 1]")
        if only_unit_range and (low < 0 or high > 1):
            raise DataError(f"image values go from {low:g} to {high:g}: expected [0, 1], or uint8 levels 0 to 255")


def check_labels(labels: ArrayLike, images: int) -> NDArray[np.int64]:
    """Labels as int64; raises DataError unless they are one whole number of 0 or more for each image."""
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise DataError(
            f"labels are no array of numbers ({error}): expected one whole number for each image"
        ) from error
    if array.ndim != 1:
        raise DataError(f"labels have the shape {show(array.shape) or '()'}: expected one whole number for each image")
    if len(array) != images:
        raise DataError(f"{len(array)} labels were given for {images} images: expected one for each")
    if array.dtype.kind not in "iu":
        raise DataError(f"labels have the dtype {array.dtype}: expected whole numbers, 0 for the first class")
    if array.size and array.min() < 0:
        raise DataError(f"label {int(np.argmin(array))} is {array.min()}: expected 0 or more")
    if array.size and array.max() > 2**31 - 1:
        raise DataError(f"label {int(np.argmax(array))} is {array.max()}: expected at most {2**31 - 1}")
    return array.astype(np.int64)


class Images:
    """Images read as float32 values in [0, 1] (float64 where they are stored so), however they are stored.

    Indexing gives an array; `numpy.asarray` gives all of them.
    """

    def __init__(self, store: Store):
        self.store = store
        self.shape: Shape = tuple(store.shape)
        self.ndim = 4
        self.size = math.prod(self.shape)
        self.dtype = np.dtype(np.float32 if store.dtype == np.uint8 else store.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        part = np.asarray(self.store[key])
        return part * np.float32(1 / 255) if part.dtype == np.uint8 else part.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"Images({show(self.shape)}, stored as {self.store.dtype})"


class Dataset:
    """Images with their labels.

    images: (n, channels, rows, columns), (n, rows, columns) or (n, pixels); uint8 levels 0 to 255, or real values
    in [0, 1]. labels: n whole numbers, 0 for the first class. Any strides and byte order; nothing given is
    changed, and what the kernels can read as it is is not copied. Raises DataError.
    """

    def __init__(self, images: ArrayLike | Images, labels: ArrayLike):
        store = images.store if isinstance(images, Images) else image_store(images)
        self._take(store, labels)

    @classmethod
    def from_store(cls, store: Store, labels: ArrayLike) -> "Dataset":
        """A dataset over a store that reads its images when they are wanted."""
        dataset = cls.__new__(cls)
        dataset._take(store, labels)
        return dataset

    def _take(self, store: Store, labels: ArrayLike) -> None:
        check_pixels(store, only_unit_range=True)
        self.labels = check_labels(labels, store.shape[0])
        self.store = store
        self.images = Images(store)
        self.classes = int(self.labels.max()) + 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Dataset":
        """The images of a slice, as a dataset."""
        if not isinstance(part, slice):
            raise DataError(f"a dataset was indexed with {part!r}: expected a slice; single images are in .images")
        return Dataset.from_store(select(self.store, part), self.labels[part])

    def __repr__(self) -> str:
        return f"Dataset({len(self)} images of {show(self.shape)}, {self.classes} classes)"

    @property
    def shape(self) -> Shape:
        """(channels, rows, columns) of an image."""
        return tuple(self.store.shape[1:])

    def batch(self, order: NDArray[np.int64], moves: int) -> tuple[Array, Array, NDArray[np.int64]]:
        """(images, labels, order) for the gather kernel; of a file, only the images that the order asks for."""
        if isinstance(self.store, np.ndarray):
            return self.store, self.labels, order
        wanted, places = np.unique(order // moves, return_inverse=True)
        return self.store[wanted], self.labels[wanted], places * moves + order % moves

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over shape, labels and (those kept in memory) images."""
        digest = hashlib.sha256(f"{self.shape} {self.store.dtype}".encode())
        digest.update(self.labels.tobytes())
        if isinstance(self.store, np.ndarray):
            digest.update(self.store.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:16]
