"""Pooling: each output sums up a window of its feature map (chapter 6, "Pooling layers").

Layout: (channels, rows, columns, images). The window of output (y, q) starts at input row y stride_y, column
q stride_x. Windows may overlap; rows and columns that no whole window reaches are left out and get no delta.
The loops go through a window place by place, and for each place along a row of outputs, so that the inner one
runs over neighbouring numbers. Each thread has feature maps of its own: overlapping windows add up in one order.
"""

import numpy as np
from numba import njit, prange, uint64

from ..compilation import INLINE, INNER, PARALLEL
from . import simd
from .simd import lanes, pointer
from .tile import ONE, ZERO


@njit(**INLINE)
def window_places(size_y, size_x, line, step):
    """From a window's first place to each of its places, in input rows of `line` numbers and columns of `step`."""
    places = np.empty(size_y * size_x, np.uint64)
    for place in range(places.size):
        places[place] = uint64(place // size_x * line + place % size_x * step)
    return places


@njit(**INNER)
def _best_of_row(a, argmax, a0, columns, images, x, x0, places, count, step):
    """`best_of_row` behind pointers, a vector of one column's images at a time."""
    tile, many = simd.zeros(x, 1, 1), lanes(x)
    for q in range(columns):
        for n in range(ZERO, images, many):
            here, there = a0 + q * images + n, x0 + q * step + n
            best, won = simd.load(tile, x, there, ZERO, ONE, images - n), tile
            for place in range(ONE, count):
                value = simd.load(tile, x, there + places[place], ZERO, ONE, images - n)
                best, won = simd.larger(best, won, value, place)
            simd.store(best, a, here, ZERO, ONE, images - n)
            simd.store(won, argmax, here, ZERO, ONE, images - n)


@njit(**INNER)
def _best_of_image(a, argmax, a0, columns, x, x0, places, count):
    """The same for a single image whose windows are two columns apart, a vector of columns at a time."""
    tile, many = simd.zeros(x, 1, 1), lanes(x)
    for q in range(ZERO, columns, many):
        left = columns - q
        best, won = simd.load_every_second(tile, x, x0 + 2 * q, left), tile
        for place in range(ONE, count):
            value = simd.load_every_second(tile, x, x0 + 2 * q + places[place], left)
            best, won = simd.larger(best, won, value, place)
        simd.store(best, a, a0 + q, ZERO, ONE, left)
        simd.store(won, argmax, a0 + q, ZERO, ONE, left)


@njit(**INLINE)
def best_of_row(a, argmax, a0, columns, images, x, x0, places, step):
    """A row of `max_pool2d_forward`: a[q, n] and its winner from the places of its window, which begins at x[q step + n].

    a[q, n] is a[a0 + q images + n], winner likewise; place k of the first window is x[x0 + places[k]].
    """
    count = uint64(places.size)
    a, argmax, x, places = pointer(a), pointer(argmax), pointer(x), pointer(places)
    if images == ONE and step == uint64(2):
        _best_of_image(a, argmax, a0, columns, x, x0, places, count)
    else:
        _best_of_row(a, argmax, a0, columns, images, x, x0, places, count, step)


@njit(**PARALLEL)
def max_pool2d_forward(a, argmax, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = max over the window of x[c, ., ., n]; of equal values the first wins, row by row; NaN wins over all.

    a: (channels, rows, columns, images), overwritten. argmax: like a, int32, overwritten: the winner's place
    i * size_x + j in its window. x: (channels, input rows, input columns, images).
    """
    channels, rows, columns, images = a.shape
    _, input_rows, input_columns, _ = x.shape
    a_flat, argmax_flat, x_flat = a.reshape(-1), argmax.reshape(-1), x.reshape(-1)
    places, step = (
        window_places(size_y, size_x, input_columns * images, images),
        uint64(stride_x * images),
    )
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        a0, x0 = (
            uint64(p * columns * images),
            uint64((c * input_rows + y * stride_y) * input_columns * images),
        )
        best_of_row(
            a_flat, argmax_flat, a0, uint64(columns), uint64(images), x_flat, x0, places, step
        )


@njit(**PARALLEL)
def max_pool2d_backward(dx, da, argmax, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] over the windows (y, q) that (r, s) won.

    dx: like the input, overwritten. da, argmax: as in `max_pool2d_forward`.
    """
    channels, rows, columns, images = da.shape
    _, input_rows, input_columns, _ = dx.shape
    dx_flat, da_flat, argmax_flat = dx.reshape(-1), da.reshape(-1), argmax.reshape(-1)
    run, many = uint64(images), lanes(dx)
    tile, places = (
        simd.zeros(dx, 1, 1),
        window_places(size_y, size_x, input_columns * images, images),
    )
    apart = stride_y >= size_y and stride_x >= size_x
    plane = uint64(input_rows * input_columns * images)
    for c in prange(channels):
        for t in range(uint64(c) * plane, uint64(c + 1) * plane):
            dx_flat[t] = 0
        for y in range(rows):
            a0 = uint64((c * rows + y) * columns * images)
            x0 = uint64((c * input_rows + y * stride_y) * input_columns * images)
            for q in range(uint64(columns)):
                for n in range(ZERO, run, many):
                    here, there = a0 + q * run + n, x0 + q * uint64(stride_x) * run + n
                    share = simd.load(tile, da_flat, here, ZERO, ONE, run - n)
                    won = simd.load(tile, argmax_flat, here, ZERO, ONE, run - n)
                    for place in range(uint64(places.size)):
                        at = there + places[place]
                        total = simd.load(tile, dx_flat, at, ZERO, ONE, ZERO if apart else run - n)
                        simd.store(
                            simd.add_where(total, share, won, place),
                            dx_flat,
                            at,
                            ZERO,
                            ONE,
                            run - n,
                        )
