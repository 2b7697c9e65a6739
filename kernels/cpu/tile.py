"""The two inner products that all convolution and dense kernels are made of, a tile of sums at a time.

Both keep ROWS x WIDTH vectors of sums in registers (see simd.py), so each number that is loaded is used ROWS or
WIDTH times. Arrays are flat; positions are uint64, for signed ones would make Numba test each for being negative.
Nor is an array sliced inside a loop, or given to a function that is not inlined: Numba counts each view, and at a function's
end the registers would have to wait for that.
"""

from typing import Any

import numpy as np
from numba import njit, uint64

from ..compilation import INLINE, INNER
from . import simd
from .simd import ROWS, WIDTH, lanes, pointer

ZERO = uint64(0)
ONE = uint64(1)


@njit(**INLINE)
def blocks(count):
    """How many blocks of ROWS hold `count` things."""
    return (count + ROWS - 1) // ROWS


def _strip(width: int) -> Any:
    """`products` for ROWS rows of `width` vectors."""

    @njit(**INNER)
    def strip(
        z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale, left
    ):
        none = simd.zeros(z, ROWS, width)
        tile = (
            simd.load(none, z, z0, z_row, rows, left)
            if b_row == ZERO
            else simd.spread(none, b, b0, b_row, rows)
        )
        for k in range(count):
            tile = simd.add_outer(
                tile, w, w0 + k * w_tap, w_row, rows, a, a0 + taps[k] * scale, left
            )
        simd.store(tile, z, z0, z_row, rows, left)

    return strip


_strip1, _strip2, _strip3, _strip4, _strip5 = (_strip(min(width, WIDTH)) for width in range(1, 6))


@njit(**INLINE)
def products(z, z0, z_row, rows, b, b0, b_row, w, w0, w_row, w_tap, a, a0, taps, count, scale, run):
    """z[r, t] = b[r] + sum_k w[r, k] a[tap_k + t] for up to ROWS rows r, k < count and t < run.

    z[r, t] is z[z0 + r z_row + t], b[r] is b[b0 + r b_row], w[r, k] is w[w0 + r w_row + k w_tap], a[tap_k + t] is
    a[a0 + taps[k] scale + t]. With b_row 0, z is added to instead.
    """
    many = lanes(z)
    z, b, w, a, taps = pointer(z), pointer(b), pointer(w), pointer(a), pointer(taps)
    vectors = (run + many - ONE) // many
    strips = (vectors + uint64(WIDTH - 1)) // uint64(WIDTH)
    for s in range(strips):
        first, after = s * vectors // strips, (s + ONE) * vectors // strips
        t = first * many
        width = after - first
        if width == 1:
            _strip1(
                z,
                z0 + t,
                z_row,
                rows,
                b,
                b0,
                b_row,
                w,
                w0,
                w_row,
                w_tap,
                a,
                a0 + t,
                taps,
                count,
                scale,
                run - t,
            )
        elif width == 2:
            _strip2(
                z,
                z0 + t,
                z_row,
                rows,
                b,
                b0,
                b_row,
                w,
                w0,
                w_row,
                w_tap,
                a,
                a0 + t,
                taps,
                count,
                scale,
                run - t,
            )
        elif width == 3:
            _strip3(
                z,
                z0 + t,
                z_row,
                rows,
                b,
                b0,
                b_row,
                w,
                w0,
                w_row,
                w_tap,
                a,
                a0 + t,
                taps,
                count,
                scale,
                run - t,
            )
        elif width == 4:
            _strip4(
                z,
                z0 + t,
                z_row,
                rows,
                b,
                b0,
                b_row,
                w,
                w0,
                w_row,
                w_tap,
                a,
                a0 + t,
                taps,
                count,
                scale,
                run - t,
            )
        else:
            _strip5(
                z,
                z0 + t,
                z_row,
                rows,
                b,
                b0,
                b_row,
                w,
                w0,
                w_row,
                w_tap,
                a,
                a0 + t,
                taps,
                count,
                scale,
                run - t,
            )


@njit(**INNER)
def _two_rows(
    z, z0, z_row, z_next, rows, b, b0, w, w0, w_row, a, a0, a_next, taps, count, scale, run
):
    """`products_of_two_rows` behind pointers."""
    tile = simd.spread(simd.zeros(z, ROWS, 1), b, b0, ONE, rows)
    for k in range(count):
        tile = simd.add_outer_folded(
            tile, w, w0 + k, w_row, rows, a, a0 + taps[k] * scale, a_next, run
        )
    simd.store_folded(tile, z, z0, z_row, rows, z_next, run)


@njit(**INLINE)
def products_of_two_rows(
    z, z0, z_row, z_next, rows, b, b0, w, w0, w_row, a, a0, a_next, taps, count, scale, run
):
    """`products` twice, the second time z_next and a_next further on, for runs of up to half a vector: both share vectors."""
    z, b, w, a, taps = pointer(z), pointer(b), pointer(w), pointer(a), pointer(taps)
    _two_rows(
        z, z0, z_row, z_next, rows, b, b0, w, w0, w_row, a, a0, a_next, taps, count, scale, run
    )


def _lines(height: int, width: int) -> Any:
    """`add_lines` for `height` rows of `width` vectors."""

    @njit(**INLINE)
    def lines(z, z0, z_row, w, a, a0, a_row, taps, first, after, rows, left):
        tile = simd.zeros(z, height, width)
        for k in range(first, after):
            tile = simd.add_rows(tile, w, k, a, a0 + taps[k], a_row, rows, left)
        simd.add_to(tile, z, z0, z_row, rows, left)

    return lines


TALL = 5 if WIDTH == 5 else 3  # rows of four vectors of sums
_line2, _line4, _low2, _low4, _tall2, _tall4 = (
    _lines(height, width) for height in (1, 3, TALL) for width in (2, 4)
)


@njit(**INNER)
def _add_lines(z, z0, z_row, w, a, a0, a_row, taps, first, after, rows, run):
    """`add_lines` behind pointers."""
    many, r = lanes(z), ZERO
    while r < rows:
        height = min(rows - r, uint64(TALL))
        z_r, a_r = z0 + r * z_row, a0 + r * a_row
        for t in range(ZERO, run, 4 * many):
            left = run - t
            if height > 3 and left > 2 * many:
                _tall4(z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, after, height, left)
            elif height > 3:
                _tall2(z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, after, height, left)
            elif height > 1 and left > 2 * many:
                _low4(z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, after, height, left)
            elif height > 1:
                _low2(z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, after, height, left)
            elif left > 2 * many:
                _line4(z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, after, height, left)
            else:
                _line2(z, z_r + t, z_row, w, a, a_r + t, a_row, taps, first, after, height, left)
        r += height


@njit(**INLINE)
def add_lines(z, z0, z_row, w, a, a0, a_row, taps, first, after, rows, run):
    """z[r, t] += sum of w[k] a[r, taps[k] + t] over first <= k < after, for r < rows and t < run.

    z[r, t] is z[z0 + r z_row + t], a[r, t] is a[a0 + r a_row + t].
    """
    z, w, a, taps = pointer(z), pointer(w), pointer(a), pointer(taps)
    _add_lines(z, z0, z_row, w, a, a0, a_row, taps, first, after, rows, run)


def _dots(height: int) -> Any:
    """`dot_products` for up to `height` rows."""

    @njit(**INNER)
    def dots(
        s,
        s0,
        s_row,
        s_tap,
        rows,
        d,
        d0,
        d_row,
        d_line,
        a,
        a0,
        a_line,
        taps,
        k,
        columns,
        scale,
        lines,
        run,
    ):
        tile = simd.zeros(s, height, WIDTH)
        whole = run // lanes(s) * lanes(s)
        for y in range(lines):
            d_y, a_y = d0 + y * d_line, a0 + y * a_line
            for t in range(ZERO, whole, lanes(s)):
                tile = simd.add_pairs(
                    tile, d, d_y + t, d_row, rows, a, a_y + t, taps, k, columns, scale, lanes(s)
                )
            if whole < run:
                d_t, a_t, left = d_y + whole, a_y + whole, run - whole
                tile = simd.add_pairs(
                    tile, d, d_t, d_row, rows, a, a_t, taps, k, columns, scale, left
                )
        simd.store_totals(tile, s, s0, s_row, rows, s_tap, columns)

    return dots


_dots1, _dots5 = _dots(1), _dots(ROWS)


@njit(**INLINE)
def dot_products(
    s,
    s0,
    s_row,
    s_tap,
    rows,
    d,
    d0,
    d_row,
    d_line,
    a,
    a0,
    a_line,
    taps,
    k,
    columns,
    scale,
    lines,
    run,
):
    """s[r, c] = sum_(y, t) d[r, y, t] a[tap_(k + c), y, t] for up to ROWS rows r and WIDTH taps c, y < lines, t < run.

    s[r, c] is s[s0 + r s_row + c s_tap], d[r, y, t] is d[d0 + r d_row + y d_line + t], a[tap, y, t] is
    a[a0 + tap scale + y a_line + t].
    """
    s, d, a, taps = pointer(s), pointer(d), pointer(a), pointer(taps)
    if rows == 1:
        _dots1(
            s,
            s0,
            s_row,
            s_tap,
            rows,
            d,
            d0,
            d_row,
            d_line,
            a,
            a0,
            a_line,
            taps,
            k,
            columns,
            scale,
            lines,
            run,
        )
    else:
        _dots5(
            s,
            s0,
            s_row,
            s_tap,
            rows,
            d,
            d0,
            d_row,
            d_line,
            a,
            a0,
            a_line,
            taps,
            k,
            columns,
            scale,
            lines,
            run,
        )


@njit(**INLINE)
def steps(count, step):
    """The positions 0, step, 2 step, ... of `count` taps."""
    taps = np.empty(count, np.uint64)
    for k in range(count):
        taps[k] = uint64(k * step)
    return taps
