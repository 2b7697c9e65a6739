"""A Dataset: images and labels, checked once, read as values in [0, 1]."""

import hashlib
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Shape, show
from ..errors import DataError

Array = NDArray[Any]
AS_THEY_ARE = tuple(map(np.dtype, ("uint8", "float32", "float64")))  # dtypes that kernels read
PIECE_BYTES = 2**24  # read at a time from a store that need not be read whole


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


def as_array(values: ArrayLike, name: str) -> Array:
    """A caller's values as an array. Raises DataError."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{name} are not an array of numbers ({reason}): expected rows of equal length"
        ) from error


def four_axes(shape: Shape) -> Shape:
    """The shape as (n, channels, rows, columns). Raises DataError.

    shape: (n, channels, rows, columns), (n, rows, columns) or (n, pixels).
    """
    if len(shape) == 4:
        return shape
    if len(shape) == 3:
        return shape[0], 1, *shape[1:]
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    raise DataError(
        f"images have the shape {show(shape) or 'of a single number'}: expected "
        "(n, channels, rows, columns), (n, rows, columns) or (n, pixels)"
    )


def image_store(images: ArrayLike) -> Array:
    """Images in the form that the kernels read.

    images: as for `Dataset`. Returns (n, channels, rows, columns), C order, uint8, float32 or
    float64 in native byte order; a copy only if necessary. Raises DataError.
    """
    array = as_array(images, "images")
    if (
        array.dtype in AS_THEY_ARE
        and array.size
        and array.flags.c_contiguous
        and array.flags.aligned
        and array.ndim in (2, 4)
    ):
        return array if array.ndim == 4 else array.reshape(len(array), 1, 1, -1)
    kind = array.dtype.kind
    if kind not in "buif":
        raise DataError(
            f"images have the dtype {array.dtype}: expected uint8 levels 0 to 255 or real values "
            "in [0, 1]"
        )
    shape = four_axes(array.shape)
    if array.size == 0:
        raise DataError(
            f"images have the shape {show(array.shape)}: expected at least one image with at "
            "least one pixel"
        )
    if kind in "iu" and array.dtype != np.uint8:
        low, high = array.min(), array.max()
        if low < 0 or high > 255:
            raise DataError(
                f"integer images range from {low} to {high}: expected levels 0 to 255, or real "
                "values in [0, 1]"
            )
    dtype = np.uint8 if kind in "iu" else np.float64 if array.dtype.itemsize >= 8 else np.float32
    # Values too large for the dtype become infinite, and check_pixels refuses them.
    with np.errstate(over="ignore"):
        return np.require(array, dtype, ["C", "A"]).reshape(shape)


def check_pixels(store: Store, only_unit_range: bool) -> None:
    """Raise DataError if pixels are NaN, infinite or, with `only_unit_range`, outside [0, 1]."""
    if store.dtype == np.uint8:
        return
    for piece in pieces(store):
        images = store[piece]
        flat = images.reshape(-1)  # NaN is both the least and the largest
        low, high = float(np.minimum.reduce(flat)), float(np.maximum.reduce(flat))
        if not (math.isfinite(low) and math.isfinite(high)):
            is_finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
            bad = (piece.start or 0) + int(np.argmin(is_finite))
            raise DataError(
                f"image {bad} has pixels that are NaN or infinite: expected values in [0, 1]"
            )
        if only_unit_range and (low < 0 or high > 1):
            raise DataError(
                f"image values range from {low:.9g} to {high:.9g}: expected [0, 1], or uint8 "
                "levels 0 to 255"
            )


def check_labels(labels: ArrayLike, images: int) -> NDArray[np.int64]:
    """Labels (n,) as int64, one for each of `images` images, in [0, 2^31). Raises DataError."""
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
    """The images of a store, read as values in [0, 1].

    shape: (n, channels, rows, columns). dtype: float32, or float64 if stored as float64. Indexing
    returns an array; `numpy.asarray` returns all images.
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
        images = np.asarray(self.store[key])
        return images * np.float32(1 / 255) if images.dtype == np.uint8 else images.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"Images({show(self.shape)}, stored as {self.store.dtype})"


class Dataset:
    """Images with their labels.

    images: (n, channels, rows, columns), (n, rows, columns) or (n, pixels), with any strides and
    byte order; integers are pixel levels from 0 to 255, booleans and real numbers are values in
    [0, 1]. They are never changed, and copied only if the kernels cannot read them as they are.
    labels: (n,) whole numbers, 0 for the first class. Raises DataError.
    """

    def __init__(self, images: ArrayLike | Images, labels: ArrayLike):
        store = images.store if isinstance(images, Images) else image_store(images)
        check_pixels(store, only_unit_range=True)
        self._set(store, check_labels(labels, store.shape[0]))

    @classmethod
    def from_store(cls, store: Store, labels: ArrayLike) -> "Dataset":
        """A dataset of images whose pixels have been checked. Raises DataError for the labels."""
        dataset = cls.__new__(cls)
        dataset._set(store, check_labels(labels, store.shape[0]))
        return dataset

    def _set(self, store: Store, labels: NDArray[np.int64]) -> None:
        """Set all attributes; pixels and labels have been checked."""
        self.labels = labels
        self.labels.flags.writeable = False  # kernels index with them, so they must stay valid
        self.store = store
        self.images = Images(store)
        self.classes = int(self.labels.max()) + 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are checked again, and their labels cannot be written to either."""
        return Dataset.from_store, (self.store, self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Dataset":
        """A dataset of the images of a slice. Raises DataError."""
        if not isinstance(part, slice):
            raise DataError(
                f"a dataset was indexed with {part!r}: expected a slice; single images are in "
                ".images"
            )
        return self.select(part)

    def __repr__(self) -> str:
        return f"Dataset({len(self)} images of {show(self.shape)}, {self.classes} classes)"

    @property
    def shape(self) -> Shape:
        """(channels, rows, columns) of one image."""
        return tuple(self.store.shape[1:])

    def select(self, part: slice | NDArray[np.int64]) -> "Dataset":
        """A dataset of the images of a slice or with these indices. Raises DataError if empty."""
        labels = self.labels[part]
        if len(labels) == 0:
            raise DataError(f"{part} of {len(self)} images is empty: expected at least one image")
        return Dataset.from_store(select(self.store, part), labels)

    def batch(
        self, order: NDArray[np.int64], shifts: int
    ) -> tuple[Array, Array, NDArray[np.int64]]:
        """(images, labels, order) for the kernel `gather`, restricted to the images in the order.

        order: (rows, mini-batch size); each number is an image's index times shifts, plus a shift
        in [0, shifts). The returned order refers to the returned images.
        """
        images, positions = np.unique(order // shifts, return_inverse=True)
        new_order = positions.reshape(order.shape) * shifts + order % shifts
        return self.store[images], self.labels[images], new_order

    @cached_property
    def fingerprint(self) -> str:
        """A hash of shape, dtype, labels and, unless they are in a file, images: 16 hex digits."""
        digest = hashlib.sha256(f"{self.shape} {self.store.dtype}".encode())
        digest.update(self.labels.tobytes())
        if isinstance(self.store, np.ndarray):
            digest.update(self.store.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:16]
