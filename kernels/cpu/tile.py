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
from .simd import MR, NR, VECTOR_BYTES, lanes, pointer

# With AVX-512 a masked load or store takes as long as any other. With AVX2 it takes much longer,
# and other processors have none. There a whole tile, whose `left` is None, has no masks.
MASKS_ARE_FREE = VECTOR_BYTES == 64
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

    @njit(**INLINE)
    def strip_or_edge(
        z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale, left
    ):
        rest = (z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale)
        if left >= width * lanes(z):
            strip(*rest, None)
        else:
            strip(*rest, left)

    return strip if MASKS_ARE_FREE else strip_or_edge


# A tile's width is part of its type, so each width needs a function. Widths above NR never occur.
_of_width = [_strip(width) for width in range(1, NR + 1)]
_strip1, _strip2, _strip3, _strip4, _strip5 = (_of_width[min(width, NR - 1)] for width in range(5))


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


def _tile_of_rows(height: int, width: int, size: int = VECTOR_BYTES) -> Any:
    """`add_rows` for up to `height` rows of `width` vectors of `size` bytes."""

    @njit(**INLINE)
    def tile_of_rows(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, left):
        tile = simd.zeros(z, height, width, size)
        for k in range(first, stop):
            tile = simd.add_rows(tile, w, k, a, a0 + taps[k], a_row, rows, left)
        simd.add_to(tile, z, z0, z_row, rows, left)

    return tile_of_rows


def _rows(height: int) -> Any:
    """`add_rows` for up to `height` rows."""
    four, two, one = (_tile_of_rows(height, width) for width in (4, 2, 1))
    half = _tile_of_rows(height, 1, VECTOR_BYTES // 2)

    @njit(**INLINE)
    def masked(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, length):
        lane_count = lanes(z)
        for t in range(ZERO, length, 4 * lane_count):
            left = length - t
            rest = (z, z0 + t, z_row, w, a, a0 + t, a_row, taps, first, stop, rows, left)
            if left > 2 * lane_count:
                four(*rest)
            else:
                two(*rest)

    @njit(**INLINE)
    def whole(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, length):
        lane_count = lanes(z)
        t = ZERO
        while t < length:
            left = length - t
            rest = (z, z0 + t, z_row, w, a, a0 + t, a_row, taps, first, stop, rows)
            if left >= 4 * lane_count:
                four(*rest, None)
                t += 4 * lane_count
            elif left >= 2 * lane_count:
                two(*rest, None)
                t += 2 * lane_count
            elif left >= lane_count:
                one(*rest, None)
                t += lane_count
            elif 2 * left >= lane_count:
                half(*rest, None)
                t += lane_count // 2
            else:
                half(*rest, left)
                t = length

    return masked if MASKS_ARE_FREE else whole


# Rows of four vectors of sums that fit into the registers; those that are left take a lower tile.
TALL, MIDDLE = (5, 3) if NR == 5 else (3, 2)
_tall, _middle, _one = _rows(TALL), _rows(MIDDLE), _rows(1)


@njit(**INNER)
def _add_rows(z, z0, z_row, w, a, a0, a_row, taps, first, stop, rows, length):
    """`add_rows` behind pointers."""
    r = ZERO
    while r < rows:
        height = min(rows - r, uint64(TALL))
        rest = (
            z, z0 + r * z_row, z_row, w, a, a0 + r * a_row, a_row, taps, first, stop,
            height, length,
        )  # fmt: skip
        if height > MIDDLE:
            _tall(*rest)
        elif height > 1:
            _middle(*rest)
        else:
            _one(*rest)
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


def _dots(width: int) -> Any:
    """`dot_products` for up to `width` columns, behind pointers."""

    @njit(**INNER)
    def dots(
        s, s0, s_row, s_tap, rows, d, d0, d_row, d_line, a, a0, a_line, taps, k, columns, scale,
        lines, length,
    ):  # fmt: skip
        lane_count = lanes(s)
        whole = length // lane_count * lane_count
        tile = simd.zeros(s, MR, width)
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


_dots1, _dots_nr = _dots(1), _dots(NR)


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
    if columns == 1:
        _dots1(*rest)
    else:
        _dots_nr(*rest)
