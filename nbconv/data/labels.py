"""Labels as people have them, as numbers of classes: whole numbers, names, one-hot rows."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import show
from ..errors import DataError

Array = NDArray[Any]
ClassNames = tuple[str, ...]
MAX_LABEL = 2**31 - 1
_EXPECTED = "expected a whole number (0 for the first class) or a name for each image"


def natural_order(name: str) -> tuple[Any, ...]:
    """The key by which names are sorted as people do: 1, 2, 10."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts), name


def check_class_names(names: Iterable[Any] | None) -> ClassNames | None:
    """Names of the classes, of class 0 first. Raises DataError unless they are different texts."""
    if names is None:
        return None
    given = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) and name for name in given):
        raise DataError(f"class_names are {given!r:.80}: expected texts that are not empty")
    if isinstance(names, str) or len(set(given)) < len(given) or not given:
        raise DataError(f"class_names are {names!r:.80}: expected a different name for each class")
    return tuple(map(str, given))


def confusion_matrix(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """(classes, classes): how many images of class j were taken for class k."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def numbers_of(
    labels: Sequence[ArrayLike], counts: Sequence[int], class_names: ClassNames | None
) -> tuple[list[NDArray[np.int64]], ClassNames | None]:
    """The labels of several sets of images as class numbers, and the names of the classes, if any.

    labels: for each set whole numbers (n,) or (n, 1), also as floats or texts, bools, one-hot rows
    (n, classes), or names. counts: how many images each set has. class_names: what the numbers
    stand for; left out, names are sorted as people do. Raises DataError.
    """
    flat = [_flat(each, count) for each, count in zip(labels, counts, strict=True)]
    if any(each.dtype.kind == "U" for each in flat):
        flat, class_names = _named([each.astype(str) for each in flat], class_names)
    numbers = [_whole(each) for each in flat]
    largest = max(int(each.max(initial=0)) for each in numbers)
    if class_names is not None and largest >= len(class_names):
        raise DataError(
            f"the largest label is {largest} and there are {len(class_names)} class names: "
            "expected one for each class"
        )
    return numbers, class_names


def _named(
    texts: list[Array], class_names: ClassNames | None
) -> tuple[list[Array], ClassNames | None]:
    """Texts as numbers: those that they write or, if they are names, the classes' numbers."""
    seen = {str(name) for each in texts for name in np.unique(each)}
    if any(not name.strip() for name in seen):
        raise DataError(
            "a label is an empty text: expected each image's class; name that of the others, such "
            "as 'none', or leave these images out"
        )
    if class_names is None and all(re.fullmatch("[0-9]{1,9}", name) for name in seen):
        return [each.astype(np.int64) for each in texts], None
    names = class_names or tuple(sorted(seen, key=natural_order))
    if unknown := sorted(seen - set(names), key=natural_order):
        raise DataError(f"the class {unknown[0]!r} is none of {', '.join(names)[:200]}")
    number = {name: k for k, name in enumerate(names)}
    return [np.array([number[str(name)] for name in each], np.int64) for each in texts], names


def check_unmasked(values: Any, name: str) -> None:
    """Raise DataError for an array of which some values are masked, as they would be used."""
    if isinstance(values, np.ma.MaskedArray) and (count := int(np.ma.getmaskarray(values).sum())):
        raise DataError(
            f"{name} are a masked array, and {count} of {values.size} values are masked: expected "
            "none; .filled(0) puts 0 in their place"
        )


def _flat(labels: ArrayLike, count: int) -> Array:
    """One value for each image: whole numbers, floats, bools, or texts. Raises DataError."""
    check_unmasked(labels, "labels")
    try:
        array = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"labels are not an array ({reason}): {_EXPECTED}") from error
    if array.dtype.kind in "OS":
        array = _texts(array)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and len(array) == count and array.dtype.kind in "buif":
        array = _from_one_hot(array)
    if array.ndim != 1:
        raise DataError(
            f"labels have the shape {show(array.shape) or 'of a single number'}: {_EXPECTED}"
        )
    if len(array) != count:
        raise DataError(f"{len(array)} labels were given for {count} images: expected one for each")
    if array.dtype.kind not in "buifU":
        raise DataError(f"labels have the dtype {array.dtype}: {_EXPECTED}")
    return array


def _texts(array: Array) -> Array:
    """Objects and bytes as texts, if that is what they are."""

    def text(item: Any) -> Any:
        return item.decode("utf-8", "replace") if isinstance(item, bytes) else item

    items = [text(item) for item in array.reshape(-1).tolist()]
    if not items or not all(isinstance(item, str) for item in items):
        return array
    return np.array(items).reshape(array.shape)


def _from_one_hot(rows: Array) -> Array:
    is_one = rows == 1
    if not (is_one.sum(axis=1) == 1).all() or (rows[~is_one] != 0).any():
        raise DataError(
            f"labels have the shape {show(rows.shape)}, and their rows are not one-hot (a single 1 "
            f"among zeros): {_EXPECTED}"
        )
    numbers: Array = is_one.argmax(axis=1)
    return numbers


def _whole(labels: Array) -> NDArray[np.int64]:
    """Labels (n,) as int64 in [0, 2^31). Raises DataError."""
    if labels.dtype.kind == "f":
        bad = ~(np.isfinite(labels) & (np.floor(labels) == labels))
        if bad.any():
            raise DataError(f"label {int(bad.argmax())} is {labels[bad.argmax()]:g}: {_EXPECTED}")
    if labels.size and labels.min() < 0:
        raise DataError(f"label {int(np.argmin(labels))} is {labels.min()}: expected 0 or more")
    if labels.size and labels.max() > MAX_LABEL:
        raise DataError(
            f"label {int(np.argmax(labels))} is {labels.max()}: expected at most {MAX_LABEL}"
        )
    return labels.astype(np.int64)
