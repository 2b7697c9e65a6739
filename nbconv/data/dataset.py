"""A Dataset: images and labels, checked once, read as values in [0, 1]."""

import hashlib
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..layers.geometry import Shape, show

Array = NDArray[Any]
PIECE = 2**24  # bytes read at a time where not all are wanted at once


class Store(Protocol):
    """What images are kept in: an array, or a file read in slices (n, channels, rows, columns)."""

    @property
    def shape(self) -> Shape: ...  # noqa: D102 -- said above
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102 -- said above

    def __getitem__(self, key: Any) -> Array: ...


def select(store: Store, part: Any) -> Store:
    """Some of a store's images; those in a file are still not read."""
    if isinstance(store, np.ndarray):
        return np.ascontiguousarray(store[part])
    chosen: Store = getattr(store, "select", store.__getitem__)(part)
    return chosen


def pieces(store: Store) -> Iterator[slice]:
    """Slices that cover a store, each of about PIECE bytes or of one image."""
    step = max(1, PIECE // (math.prod(store.shape[1:]) * store.dtype.itemsize))
    for first in range(0, store.shape[0], step):
        yield slice(first, min(first + step, store.shape[0]))


def as_array(values: ArrayLike, name: str) -> Array:
    """Values from a caller as an array; raises DataError if they are none."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{name} are no array of numbers ({reason}): expected rows of equal length"
        ) from error


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
    array = as_array(images, "images")
    if array.dtype == np.uint8 and array.ndim == 4 and array.size and array.flags.c_contiguous:
        return array
    kind = array.dtype.kind
    if kind not in "buif":
        raise DataError(
            f"images have the dtype {array.dtype}: expected uint8 levels 0 to 255 or real values in [0, 1]"
        )
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
    with np.errstate(
        over="ignore"
    ):  # what is too large for the dtype becomes infinite, which check_pixels refuses
        return np.require(array, dtype, ["C", "A"]).reshape(shape)


def check_pixels(store: Store, only_unit_range: bool) -> None:
    """Raise DataError for pixels that are NaN, infinite or, if asked, outside [0, 1]."""
    if store.dtype == np.uint8:
        return
    for piece in pieces(store):
        part = store[piece]
        low, high = float(part.min()), float(part.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = piece.start + int(np.argmin(np.isfinite(part).reshape(len(part), -1).all(axis=1)))
            raise DataError(
                f"image {bad} has pixels that are NaN or infinite: expected values in [0, 1]"
            )
        if only_unit_range and (low < 0 or high > 1):
            raise DataError(
                f"image values go from {low:.9g} to {high:.9g}: expected [0, 1], or uint8 levels 0 to 255"
            )


def check_labels(labels: ArrayLike, images: int) -> NDArray[np.int64]:
    """Labels as int64; raises DataError unless they are one whole number of 0 or more for each image."""
    array = as_array(labels, "labels")
    if array.ndim != 1:
        shape = show(array.shape) or "of a single number"
        raise DataError(f"labels have the shape {shape}: expected one whole number for each image")
    if len(array) != images:
        raise DataError(
            f"{len(array)} labels were given for {images} images: expected one for each"
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"labels have the dtype {array.dtype}: expected whole numbers, 0 for the first class"
        )
    if array.size and array.min() < 0:
        raise DataError(f"label {int(np.argmin(array))} is {array.min()}: expected 0 or more")
    if array.size and array.max() > 2**31 - 1:
        raise DataError(
            f"label {int(np.argmax(array))} is {array.max()}: expected at most {2**31 - 1}"
        )
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
        check_pixels(store, only_unit_range=True)
        self._take(store, check_labels(labels, store.shape[0]))

    @classmethod
    def from_store(cls, store: Store, labels: ArrayLike) -> "Dataset":
        """A dataset over images whose pixels have been checked."""
        dataset = cls.__new__(cls)
        dataset._take(store, check_labels(labels, store.shape[0]))
        return dataset

    def _take(self, store: Store, labels: NDArray[np.int64]) -> None:
        self.labels = labels
        self.labels.flags.writeable = False  # they are checked here, and kernels index with them
        self.store = store
        self.images = Images(store)
        self.classes = int(self.labels.max()) + 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Dataset":
        """The images of a slice, as a dataset."""
        if not isinstance(part, slice):
            raise DataError(
                f"a dataset was indexed with {part!r}: expected a slice; single images are in .images"
            )
        return self.select(part)

    def __repr__(self) -> str:
        return f"Dataset({len(self)} images of {show(self.shape)}, {self.classes} classes)"

    @property
    def shape(self) -> Shape:
        """(channels, rows, columns) of an image."""
        return tuple(self.store.shape[1:])

    def select(self, part: slice | NDArray[np.int64]) -> "Dataset":
        """The images of a slice or with these numbers, as a dataset."""
        labels = self.labels[part]
        if len(labels) == 0:
            raise DataError(f"{part} of {len(self)} images has none: expected at least one")
        return Dataset.from_store(select(self.store, part), labels)

    def batch(
        self, order: NDArray[np.int64], shifts: int
    ) -> tuple[Array, Array, NDArray[np.int64]]:
        """(images, labels, order) for the gather kernel, with only the images that the order asks for."""
        wanted, places = np.unique(order // shifts, return_inverse=True)
        return (
            self.store[wanted],
            self.labels[wanted],
            places.reshape(order.shape) * shifts + order % shifts,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over shape, labels and (those kept in memory) images."""
        digest = hashlib.sha256(f"{self.shape} {self.store.dtype}".encode())
        digest.update(self.labels.tobytes())
        if isinstance(self.store, np.ndarray):
            digest.update(self.store.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:16]
