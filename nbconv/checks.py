"""Checks of single settings: each returns the value or raises SettingError with one line."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from .errors import SettingError

Shape = tuple[int, ...]


def show(shape: Shape) -> str:
    """A shape in the usual notation: 1x28x28."""
    return "x".join(str(size) for size in shape)


def count(name: str, value: Any, least: int = 1) -> int:
    """A whole number in [least, 2^31). Raises SettingError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise SettingError(f"{name} is {value!r}: expected a whole number of {least} or more")
    if int(value) > 2**31 - 1:
        raise SettingError(f"{name} is {value!r}: expected at most {2**31 - 1}")
    return int(value)


def pair(name: str, value: Any, least: int = 1) -> tuple[int, int]:
    """A pair (rows, columns), or one whole number for both. Raises SettingError."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise SettingError(
                f"{name} is {value!r}: expected a whole number or a pair (rows, columns)"
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
        raise SettingError(f"{name} is {value!r}: expected a number {limits}")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """True or False; 0 and 1 are refused. Raises SettingError."""
    if not isinstance(value, (bool, np.bool)):
        raise SettingError(f"{name} is {value!r}: expected true or false")
    return bool(value)


def text(name: str, value: Any) -> str:
    """A string. Raises SettingError."""
    if not isinstance(value, str):
        raise SettingError(f"{name} is {value!r}: expected a string")
    return value


def seed(value: Any) -> int:
    """A whole number in [0, 2^63). Raises SettingError."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) < 2**63:
        raise SettingError(f"seed is {value!r}: expected a whole number from 0 to 2^63 - 1")
    return int(value)


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of the choices. Raises SettingError."""
    if value not in choices:
        raise SettingError(f"{name} is {value!r}: expected one of {', '.join(choices)}")
    return str(value)
