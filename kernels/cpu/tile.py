"""The inner products of all convolution and dense kernels, a tile of sums at a time.

They keep MR x NR vectors of sums in registers (see simd.py), so each number that is loaded is used
MR or NR times. Arrays are flat. Positions are uint64: Numba would test signed ones for being
negative. No array is sliced inside a loop or passed to a function that is not inlined: Numba counts
references to each view, and registers would be saved around that.
"""

from typing import Any

import numpy as np
from numba import uint64

from ..compilation import INLINE, INNER, njit
from . import simd
from .simd import MR, NR, lanes, pointer

ZERO = uint64(0)
ONE = uint64(1)


@njit(**INLINE)
def blocks(count):
    """How many blocks of MR rows hold `count` rows."""
    return (count + MR - 1) // MR


@njit(**INLINE)
def strided_taps(count, stride):
    """The positions 0, stride, 2 stride, ... of `count` taps."""
    taps = np.empty(count, np.uint64)
    for k in range(count):
        taps[k] = uint64(k * stride)
    return taps


def _strip(width: int) -> Any:
    """`products` for MR rows of `width` vectors, or `add_products` where b is None."""

    @njit(**INNER)
    def strip(
        z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale, left
    ):
        zero = simd.zeros(z, MR, width)
        tile = (
            simd.load(zero, z, z0, z_row, rows, left)
            if b is None
            else simd.spread(zero, b, b0, b_row, rows)
        )
        for k in range(count):
            tile = simd.add_outer(
                tile, w, w0 + k * w_tap, w_row, rows, a, a0 + taps[k] * scale, left
            )
        simd.store(tile, z, z0, z_row, rows, left)

    return strip


# A tile's width is part of its type, so each width needs a function. Widths above NR never occur.
_strip1, _strip2, _strip3, _strip4, _strip5 = (_strip(min(width, NR)) for width in range(1, 6))


@njit(**INLINE)
def _strips(
    z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale, length
):
    """`products` behind pointers, in strips of up to NR vectors that are about equally wide."""
    lane_count = lanes(z)
    vectors = (length + lane_count - ONE) // lane_count
    strips = (vectors + uint64(NR - 1)) // uint64(NR)
    for s in range(strips):
        first = s * vectors // strips
        width = (s + ONE) * vectors // strips - first
        t = first * lane_count
        rest = (
            z, z0 + t, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap,
            a, a0 + t, taps, count, scale, length - t,
        )  # fmt: skip
        if width == 1:
            _strip1(*rest)
        elif width == 2:
            _strip2(*rest)
        elif width == 3:
            _strip3(*rest)
        elif width == 4:
            _strip4(*rest)
        else:
            _strip5(*rest)


@njit(**INLINE)
def products(
    z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale, length
):
    """z[r, t] = b[r] + sum_k w[r, k] a[tap_k + t] for r < rows <= MR, k < count and t < length.

    z[r, t] is z[z0 + r z_row + t], b[r] is b[b0 + r b_row], w[r, k] is w[w0 + r w_row + k w_tap],
    a[tap_k + t] is a[a0 + taps[k] scale + t].
    """
    _strips(
        pointer(z), z0, z_row, rows, pointer(b), b0, b_row, pointer(w), w0, w_row, w_tap,
        pointer(a), a0, pointer(taps), count, scale, length,
    )  # fmt: skip


@njit(**INLINE)
def add_products(z, z0, z_row, rows, w, w0, w_row, w_tap, a, a0, taps, count, scale, length):
    """z[r, t] += sum_k w[r, k] a[tap_k + t], otherwise as `products`."""
    _strips(
        pointer(z), z0, z_row, rows, None, ZERO, ZERO, pointer(w), w0, w_row, w_tap,
        pointer(a), a0, pointer(taps), count, scale, length,
    )  # fmt: skip


def _rows(height: int, width: int) -> Any:
    """`add_rows` for up to `height` rows of `width` vectors."""

    @njit(**INLINE)
    def rows_of_tile(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, left):
        tile = simd.zeros(z, height, width)
        for k in range(first, stop):
            tile = simd.add_rows(tile, w, k, a, a0 + taps[k], a_row, rows, left)
        simd.add_to(tile, z, z0, z_row, rows, left)

    return rows_of_tile


MAX_HEIGHT = 5 if NR == 5 else 3  # rows of four vectors of sums that fit into the registers
_rows1x2, _rows1x4 = _rows(1, 2), _rows(1, 4)
_rows3x2, _rows3x4 = _rows(3, 2), _rows(3, 4)
_rows5x2, _rows5x4 = _rows(MAX_HEIGHT, 2), _rows(MAX_HEIGHT, 4)  # 3 x 2 and 3 x 4 where that is all


@njit(**INNER)
def _add_rows(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, length):
    """`add_rows` behind pointers."""
    lane_count = lanes(z)
    r = ZERO
    while r < rows:
        height = min(rows - r, uint64(MAX_HEIGHT))
        z_r = z0 + r * z_row
        a_r = a0 + r * a_row
        for t in range(ZERO, length, 4 * lane_count):
            left = length - t
            rest = (z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, stop, height, left)
            if height > 3 and left > 2 * lane_count:
                _rows5x4(*rest)
            elif height > 3:
                _rows5x2(*rest)
            elif height > 1 and left > 2 * lane_count:
                _rows3x4(*rest)
            elif height > 1:
                _rows3x2(*rest)
            elif left > 2 * lane_count:
                _rows1x4(*rest)
            else:
                _rows1x2(*rest)
        r += height


@njit(**INLINE)
def add_rows(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, length):
    """z[r, t] += sum of w[k] a[r, taps[k] + t] over first <= k < stop, for r < rows, t < length.

    z[r, t] is z[z0 + r z_row + t], a[r, t] is a[a0 + r a_row + t].
    """
    _add_rows(
        pointer(z), z0, z_row, pointer(w), pointer(a), a0, a_row, pointer(taps), first, stop,
        rows, length,
    )  # fmt: skip


def _dots(height: int) -> Any:
    """`dot_products` for up to `height` rows, behind pointers."""

    @njit(**INNER)
    def dots(
        s, s0, s_row, s_tap, rows, d, d0, d_row, d_line, a, a0, a_line, taps, k, columns, scale,
        lines, length,
    ):  # fmt: skip
        lane_count = lanes(s)
        whole = length // lane_count * lane_count
        tile = simd.zeros(s, height, NR)
        for y in range(lines):
            d_y = d0 + y * d_line
            a_y = a0 + y * a_line
            for t in range(ZERO, whole, lane_count):
                tile = simd.add_pairs(
                    tile, d, d_y + t, d_row, rows, a, a_y + t, taps, k, columns, scale, lane_count
                )
            if whole < length:
                tile = simd.add_pairs(
                    tile, d, d_y + whole, d_row, rows, a, a_y + whole, taps, k, columns, scale,
                    length - whole,
                )  # fmt: skip
        simd.store_totals(tile, s, s0, s_row, rows, s_tap, columns)

    return dots


_dots1, _dots5 = _dots(1), _dots(MR)


@njit(**INLINE)
def dot_products(
    s, s0, s_row, s_tap, rows, d, d0, d_row, d_line, a, a0, a_line, taps, k, columns, scale,
    lines, length,
):  # fmt: skip
    """s[r, c] = sum_(y, t) d[r, y, t] a[tap_(k + c), y, t] over y < lines and t < length.

    For r < rows <= MR and c < columns <= NR. s[r, c] is s[s0 + r s_row + c s_tap], d[r, y, t] is
    d[d0 + r d_row + y d_line + t], a[tap, y, t] is a[a0 + tap scale + y a_line + t].
    """
    rest = (
        pointer(s), s0, s_row, s_tap, rows, pointer(d), d0, d_row, d_line,
        pointer(a), a0, a_line, pointer(taps), k, columns, scale, lines, length,
    )  # fmt: skip
    if rows == 1:
        _dots1(*rest)
    else:
        _dots5(*rest)
