"""What level of a picture stands for 1: whole numbers are levels, real numbers are in [0, 1].

Nothing is divided by 255 that does not evidently go to 255.
"""

from collections.abc import Iterable

from ..errors import DataError, say

BYTE = 255
# The largest levels that pictures have: of 1 to 8 bits, counts of 2x2, 4x4 and 8x8 bits, per cent.
SMALL = (1, 3, 7, 15, 16, 31, 63, 64, 100, 127)
LARGE = (1023, 4095, 16383, 65535)  # of 10, 12, 14 and 16 bits
NEAR = 0.8  # of the largest level there is


def of_whole(low: int, high: int, name: str) -> int:
    """The level that stands for 1 in whole numbers from low to high. Raises DataError.

    name: of the images, for the line that says so where it is not 255.
    """
    if low < 0:
        raise DataError(
            f"integer images range from {low} to {high}: expected levels of 0 or more; add "
            f"{-low} if that is black"
        )
    found = BYTE if high == 0 else evident(high)
    if found is None:
        at_most = "0 to 255" if high > BYTE else f"0 to 255, and {high} is dark for white"
        raise DataError(
            f"integer images range from {low} to {high}: expected levels {at_most}; make them real "
            f"values in [0, 1]: images / {high} if {high} is white, images / 255 if 255 is"
        )
    if found not in (1, BYTE):
        say(f"{name}: the largest level is {high}, so levels are divided by {found}, not 255")
    return found


def evident(high: int) -> int | None:
    """The level to which whole numbers of at most `high` evidently go; None if that is open."""
    if BYTE // 2 < high <= BYTE:
        return BYTE
    return next(iter([level for level in SMALL if high == level] + _full(high, LARGE)), None)


def _full(high: float, levels: Iterable[int]) -> list[int]:
    """Those levels to which numbers of at most `high` evidently go."""
    return [level for level in levels if NEAR * level <= high <= level]


def remedy(low: float, high: float) -> str:
    """What to do about real values outside [0, 1]."""
    if low >= 0:
        full = _full(high, (*SMALL, BYTE, *LARGE))
        return f"divide them by {full[0] if full else high:g}"
    if low >= -1 and high <= 1:
        return "(images + 1) / 2 if they go from -1 to 1"
    return "undo what was done to them, such as a subtracted mean"
