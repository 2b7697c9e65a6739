"""Checks of single settings: each returns the value or raises SettingError with one line.

NumPy is imported only where it is needed: the command line reads the settings for its help.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from .errors import SettingError
from .names import SYNONYMS

Shape = tuple[int, ...]


def show(shape: Shape) -> str:
    """A shape in the usual notation: 1x28x28."""
    return "x".join(str(size) for size in shape)


def quoted(value: Any) -> str:
    """A value for an error: on one line, of which a long one has its beginning."""
    text = re.sub(r"\n\s*", " ", repr(value))
    return text if len(text) <= 80 else f"{text[:80]} ..."


def count(name: str, value: Any, least: int = 1) -> int:
    """A whole number in [least, 2^31). Raises SettingError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise SettingError(f"{name} is {quoted(value)}: expected a whole number of {least} or more")
    if int(value) > 2**31 - 1:
        raise SettingError(f"{name} is {quoted(value)}: expected at most {2**31 - 1}")
    return int(value)


def power_of_two(name: str, value: Any) -> int:
    """1, 2, 4, 8, ... Raises SettingError."""
    whole = count(name, value)
    if whole.bit_count() != 1:
        raise SettingError(f"{name} is {quoted(value)}: expected a power of two: 1, 2, 4, 8, ...")
    return whole


def pair(name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """A pair (rows, columns), or one whole number for both. Raises SettingError."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise SettingError(
                f"{name} is {quoted(value)}: expected a whole number or a pair (rows, columns)"
            )
        return count(name, value[0], least), count(name, value[1], least)
    side = count(name, value, least)
    return side, side


def number(
    name: str, value: Any, least: float = 0.0, below: float = math.inf, *, positive: bool = False
) -> float:
    """A finite number in [least, below), with `positive` in (least, below). Raises SettingError."""
    is_finite = not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
    if not is_finite or value < least or value >= below or (positive and value <= least):
        limits = f"greater than {least:g}" if positive else f"of {least:g} or more"
        limits += "" if below == math.inf else f" and less than {below:g}"
        raise SettingError(f"{name} is {quoted(value)}: expected a number {limits}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """True or False, Python's or NumPy's; 0 and 1 are refused. Raises SettingError."""
    import numpy as np

    if not isinstance(value, (bool, np.bool)):
        raise SettingError(f"{name} is {quoted(value)}: expected true or false")
    return bool(value)


def text(name: str, value: Any) -> str:
    """A string. Raises SettingError."""
    if not isinstance(value, str):
        raise SettingError(f"{name} is {quoted(value)}: expected a string")
    return value


def path(name: str, value: Any) -> Path:
    """A path, of a text or as it is. Raises SettingError."""
    try:
        return Path(value)
    except TypeError as error:
        raise SettingError(
            f"{name} is {quoted(value)}: expected a path, such as 'run.h5'"
        ) from error


def seed(name: str, value: Any) -> int:
    """A whole number in [0, 2^63). Raises SettingError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise SettingError(f"{name} is {quoted(value)}: expected a whole number from 0 to 2^63 - 1")
    return int(value)


def expected(word: str, names: Iterable[str]) -> str:
    """How an error goes on: "expected", and before it which of the names may have been meant.

    Those that begin with the word or, if none does, with the name that is most like it.
    """
    import difflib

    ours = {name.lower(): name for name in names}
    begin = word.lower() if len(word) > 2 else " "
    if not any(name.startswith(begin) for name in ours):
        begin = next(iter(difflib.get_close_matches(begin, ours, 1, 0.7)), " ")
    meant = [ours[name] for name in ours if name.startswith(begin)][:3]
    return f"did you mean {' or '.join(meant)}? Expected" if meant else "expected"


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of the choices. Raises SettingError."""
    if value not in choices:
        raise SettingError(
            f"{name} is {quoted(value)}: {expected(str(value), choices)} one of "
            f"{', '.join(choices)}"
        )
    return str(value)


def size(name: str, value: Any) -> str:
    """The size of a picture, one number or ROWSxCOLUMNS, as a text. Raises SettingError."""
    text = str(value).strip().casefold()
    parts = text.split("x")
    if not 1 <= len(parts) <= 2 or not all(part.isdecimal() for part in parts):
        raise SettingError(
            f"{name} is {quoted(value)}: expected a number of pixels, or ROWSxCOLUMNS"
        )
    for part in parts:
        count(name, int(part))
    return text


def channels(name: str, value: Any) -> int:
    """1 or 3. Raises SettingError."""
    if isinstance(value, bool) or value not in (1, 3):
        raise SettingError(f"{name} is {quoted(value)}: expected 1 for grey or 3 for colours")
    return int(value)


def class_weights(name: str, value: Any) -> str:
    """balanced, or a number of 0 or more for each class, not all 0, as a text: "1,2.5,1".

    value: such a text, or a sequence of numbers. Raises SettingError.
    """
    import numpy as np

    if isinstance(value, str) and value == "balanced":
        return value
    try:
        numbers = np.array(value.split(",") if isinstance(value, str) else value, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array(math.nan)
    is_valid = numbers.ndim == 1 and np.isfinite(numbers).all() and (numbers >= 0).all()
    if not is_valid or not numbers.any():
        raise SettingError(
            f"{name} is {quoted(value)}: expected balanced, or a number of 0 or more for each "
            "class, not all 0, such as 1,2.5,1"
        )
    return ",".join(repr(number).removesuffix(".0") for number in numbers.tolist())


def names(name: str, value: Any) -> dict[str, str]:
    """A mapping of texts, or its text "a=b,c=d". Raises SettingError."""
    given = value
    if isinstance(value, str):
        parts = [part.partition("=") for part in value.split(",") if part]
        given = {role.strip(): text.strip() for role, _, text in parts}
    if not isinstance(given, Mapping) or not all(
        isinstance(text, str) and text for pair in given.items() for text in pair
    ):
        raise SettingError(
            f"{name} is {quoted(value)}: expected names by role, such as "
            "train_images=train/data,train_labels=train/target"
        )
    return dict(given)


def known(names: Collection[str], settings: Collection[str]) -> None:
    """Raise SettingError for a name that is not a setting, and suggest the most similar one."""
    for name in names:
        if name not in settings:
            import difflib

            near = difflib.get_close_matches(name, settings, n=1)
            if SYNONYMS.get(name) in settings:
                near = [SYNONYMS[name]]
            meant = f"did you mean {near[0]}? Expected" if near else "expected"
            raise SettingError(f"{name} is not a setting: {meant} one of {', '.join(settings)}")


def setting(default: Any, help: str, check: Callable[..., Any], **limits: Any) -> Any:
    """A field of a `Checked` dataclass, with its default, its help (a sentence) and its check.

    check(name, value, **limits) returns a plain Python value or raises SettingError. A setting
    whose default is None may be None.
    """
    return field(default=default, metadata={"help": help, "check": check, "limits": limits})


@dataclass(frozen=True)
class Checked:
    """Settings that are checked on creation and stored as plain Python values.

    Raises SettingError.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None or each.default is not None:
                value = each.metadata["check"](each.name, value, **each.metadata["limits"])
            object.__setattr__(self, each.name, value)
