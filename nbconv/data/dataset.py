"""A Dataset: images and labels, checked once, read as values in [0, 1]."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import display
from ..checks import Shape, show
from ..errors import DataError, say
from . import levels
from .labels import ClassNames, check_class_names, check_unmasked, numbers_of
from .stores import Store, pieces, select

if TYPE_CHECKING:
    from .preparation import Preparation

Array = NDArray[Any]
AS_THEY_ARE = tuple(map(np.dtype, ("uint8", "float32", "float64")))  # dtypes that kernels read
DARK = 2 / levels.BYTE  # no pictures are so dark that all values are below it
SHOWN = 20  # images that a notebook shows


def as_array(values: ArrayLike, name: str) -> Array:
    """A caller's values as an array. Raises DataError."""
    check_unmasked(values, name)
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


def check_shape(shape: Shape) -> Shape:
    """The shape as `four_axes` gives it. Raises DataError also for no images or no pixels."""
    four = four_axes(shape)
    if 0 in shape:
        raise DataError(
            f"images have the shape {show(shape)}: expected at least one image with at least one "
            "pixel"
        )
    return four


def square_shape(shape: Shape) -> Shape:
    """Rows of pixels (n, pixels) as square pictures of one or three channels, if they fill them."""
    if len(shape) == 2:
        for channels in (1, 3):
            side = math.isqrt(shape[1] // channels)
            if side and channels * side * side == shape[1]:
                return shape[0], channels, side, side
    return shape


def has_channels_last(shape: Shape) -> bool:
    """Whether a shape is (n, rows, columns, channels): 1, 3 or 4 behind two larger numbers."""
    return len(shape) == 4 and shape[3] in (1, 3, 4) and min(shape[1:3]) > shape[3]


def channels_first(array: Array, name: str = "images") -> Array:
    """Images with their channels in front of rows and columns; says so if they were not."""
    if not has_channels_last(array.shape):
        return array
    moved = np.moveaxis(array, 3, 1)
    say(
        f"{name}: the shape {show(array.shape)} is taken for (n, rows, columns, channels), so one "
        f"image is {show(moved.shape[1:])}"
    )
    return moved


def image_store(images: ArrayLike, level: int = levels.BYTE) -> Array:
    """Images in the form that the kernels read.

    images: (n, channels, rows, columns), (n, rows, columns) or (n, pixels). level: the whole number
    that stands for 1. Returns (n, channels, rows, columns), C order, uint8, float32 or float64 in
    native byte order; a copy only if necessary. Raises DataError.
    """
    array = as_array(images, "images")
    if (
        array.dtype in AS_THEY_ARE
        and array.size
        and array.flags.c_contiguous
        and array.flags.aligned
        and array.ndim in (2, 4)
        and (array.dtype != np.uint8 or level == levels.BYTE)
    ):
        return array if array.ndim == 4 else array.reshape(len(array), 1, 1, -1)
    kind = array.dtype.kind
    if kind not in "buif":
        raise DataError(
            f"images have the dtype {array.dtype}: expected uint8 levels 0 to 255 or real values "
            "in [0, 1]"
        )
    shape = check_shape(array.shape)
    if kind in "iu" and (array.dtype != np.uint8 or level != levels.BYTE):
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > level:
            raise DataError(
                f"integer images range from {low} to {high}: expected levels 0 to {level}, or real "
                "values in [0, 1]"
            )
        if level != levels.BYTE:
            return np.require(array / np.float32(level), np.float32, ["C", "A"]).reshape(shape)
    dtype = np.uint8 if kind in "iu" else np.float64 if array.dtype.itemsize >= 8 else np.float32
    # Values too large for the dtype become infinite, and check_pixels refuses them.
    with np.errstate(over="ignore"):
        return np.require(array, dtype, ["C", "A"]).reshape(shape)


def check_pixels(store: Store, only_unit_range: bool = True) -> float:
    """The largest value; that of levels, and of no images, counts as 1.

    Raises DataError if pixels are NaN, infinite or, with `only_unit_range`, outside [0, 1].
    """
    if store.dtype == np.uint8 or not store.shape[0]:
        return 1.0
    low, high = np.inf, -np.inf
    for piece in pieces(store):
        images = store[piece]
        flat = images.reshape(-1)  # NaN is both the least and the largest
        least, largest = float(np.minimum.reduce(flat)), float(np.maximum.reduce(flat))
        if not (math.isfinite(least) and math.isfinite(largest)):
            is_finite = np.isfinite(images).reshape(len(images), -1).all(axis=1)
            bad = (piece.start or 0) + int(np.argmin(is_finite))
            raise DataError(
                f"image {bad} has pixels that are NaN or infinite: expected values in [0, 1]"
            )
        low, high = min(low, least), max(high, largest)
    if only_unit_range and (low < 0 or high > 1):
        raise DataError(
            f"image values range from {low:.9g} to {high:.9g}: expected [0, 1]; "
            f"{levels.remedy(low, high)}"
        )
    return high


def tell_dark(largest: float) -> None:
    """Say so if images go to so small a value that levels may have been divided by 255 twice."""
    if 0 < largest < DARK:
        say(
            f"image values go to {largest:.3g}, and 1 is white: were they divided by 255 twice? "
            f"Else pass images / {largest:.3g}"
        )


def class_name(names: Sequence[str] | None, label: int) -> str:
    """The name of a class; its number where it has none."""
    return names[label] if names is not None and label < len(names) else str(label)


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
    byte order; a last axis of 1, 3 or 4 behind two larger ones is taken for the channels. Whole
    numbers are levels, 255 the largest, or what the largest evidently is (a line says so); booleans
    and real numbers are values in [0, 1]. They are never changed, and copied only if the kernels
    cannot read them as they are: what is written into the array later changes the images. labels:
    for each image a whole number, 0 for the first class, or the class's name; also as one column,
    as floats, or as one-hot rows. class_names: of class 0 first; left out where labels are names,
    those, sorted. Raises DataError.

    Attributes: images, labels, class_names (or None), classes (the largest label plus 1), level
    (what whole number stood for 1), files (a name for each image, if they came from files).
    """

    files: Sequence[str] | None = None

    def __init__(
        self,
        images: ArrayLike | Images,
        labels: ArrayLike,
        class_names: Iterable[str] | None = None,
    ):
        level = levels.BYTE
        if isinstance(images, Images):
            store = images.store
        else:
            array = channels_first(as_array(images, "images"))
            if array.dtype.kind in "iu" and array.size:
                level = levels.of_whole(int(array.min()), int(array.max()), "images")
            store = image_store(array, level)
        tell_dark(check_pixels(store))
        names = check_class_names(class_names)
        (numbers,), names = numbers_of([labels], [store.shape[0]], names)
        self._set(store, numbers, names, level)

    @classmethod
    def from_store(
        cls,
        store: Store,
        labels: ArrayLike,
        class_names: ClassNames | None = None,
        level: int = levels.BYTE,
        files: Sequence[str] | None = None,
    ) -> "Dataset":
        """A dataset of images whose pixels have been checked. Raises DataError for the labels."""
        dataset = cls.__new__(cls)
        (numbers,), names = numbers_of([labels], [store.shape[0]], class_names)
        dataset._set(store, numbers, names, level)
        dataset.files = files
        return dataset

    def _set(
        self,
        store: Store,
        labels: NDArray[np.int64],
        class_names: ClassNames | None,
        level: int,
    ) -> None:
        """Set all attributes; pixels and labels have been checked."""
        # Kernels index with them, so they must stay valid: nobody can write to an array of bytes.
        self._labels = np.frombuffer(labels.tobytes(), np.int64)
        self.store = store
        self.images = Images(store)
        self.class_names = class_names
        self.level = level
        self.classes = int(self.labels.max()) + 1

    @property
    def labels(self) -> NDArray[np.int64]:
        """The number of each image's class, (n,), read-only."""
        return self._labels

    @labels.setter
    def labels(self, labels: Any) -> None:
        raise DataError(
            "a dataset's labels cannot be replaced: expected a new one, "
            "Dataset(dataset.images, labels)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are checked again, and their labels cannot be written to either."""
        arguments = self.store, self.labels, self.class_names, self.level, self.files
        return Dataset.from_store, arguments

    def name_of(self, label: int) -> str:
        """The name of a class; its number where it has none."""
        return class_name(self.class_names, label)

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

    def _repr_html_(self) -> str:
        """What a notebook shows: some images, from the first to the last, with their classes."""
        some = self.select(np.linspace(0, len(self) - 1, min(SHOWN, len(self))).astype(np.int64))
        names = [self.name_of(label) for label in some.labels]
        return f"<div>{escape(repr(self))}</div>{display.strip(some.images[:], names)}"

    @property
    def shape(self) -> Shape:
        """(channels, rows, columns) of one image."""
        return tuple(self.store.shape[1:])

    def numbered(self, names: Sequence[str]) -> "Dataset":
        """The same images, their classes numbered as in `names`, if all of their names are there.

        Names of classes that have none are their numbers. Else this dataset.
        """
        own = self.class_names or tuple(map(str, range(self.classes)))
        number = {name: k for k, name in enumerate(names)}
        numbers = np.array([number.get(name, -1) for name in own], np.int64)
        is_same = self.class_names is None and np.array_equal(numbers, np.arange(len(own)))
        if is_same or (numbers[self.labels] < 0).any():
            return self
        return Dataset.from_store(
            self.store, numbers[self.labels], tuple(names), self.level, self.files
        )

    def select(self, part: slice | NDArray[np.int64]) -> "Dataset":
        """A dataset of the images of a slice or with these indices. Raises DataError if empty."""
        labels = self.labels[part]
        if len(labels) == 0:
            raise DataError(f"{part} of {len(self)} images is empty: expected at least one image")
        files = None if self.files is None else list(np.array(self.files, object)[part])
        return Dataset.from_store(
            select(self.store, part), labels, self.class_names, self.level, files
        )

    def in_memory(self, indices: NDArray[np.int64]) -> "Dataset":
        """A dataset of the images with these increasing indices, which are read now."""
        images = np.ascontiguousarray(self.store[indices])
        return Dataset.from_store(images, self.labels[indices], self.class_names, self.level)

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
    def preparation(self) -> "Preparation":
        """What the images have in common, so that others can be made like them."""
        from .preparation import Preparation

        return Preparation.of(self)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of shape, dtype, labels and, unless they are in a file, images: 16 hex digits."""
        digest = hashlib.sha256(f"{self.shape} {self.store.dtype}".encode())
        digest.update(self.labels.tobytes())
        if isinstance(self.store, np.ndarray):
            digest.update(self.store.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()[:16]
