"""Convolution, max pooling and activation in one: the book's convolutional-pooling layer.

The convolution's output z is four times as large as what 2x2 windows leave of it. Here each thread computes the rows of z
that one row of windows covers, and pools them while they are in its cache. The kernels of conv.py, pool.py and
activation.py, one after the other, are the oracle in the tests.
"""

import numpy as np
from numba import njit, prange, uint64

from ..compilation import SUMS
from .activation import activate
from .pool import best_of_row, window_places
from .simd import ROWS, lanes
from .tile import ONE, blocks, products, products_of_two_rows


@njit(**SUMS)
def conv2d_max_pool_forward(a, argmax, x, w, b, taps, row_step, columns, window, activation):
    """a = sigma(max over the window of z), z the convolution of x, equation (125); sigma of `activation` is monotone.

    a, argmax: (filters, pooled rows, pooled columns, images), overwritten as by `max_pool2d_forward`. x, w, b, taps,
    row_step: as in `conv2d_forward`. columns: of z. window: (rows, columns, row stride, column stride); windows that
    overlap have rows of z computed more than once. activation: see `activate`.
    """
    filters, pooled_rows, pooled_columns, images = a.shape
    size_y, size_x, stride_y, stride_x = window
    a_flat, argmax_flat, x_flat, w_flat = (
        a.reshape(-1),
        argmax.reshape(-1),
        x.reshape(-1),
        w.reshape(-1),
    )
    count, scale, run = uint64(taps.size), uint64(images), uint64(columns * images)
    pooled_run = uint64(pooled_columns * images)
    rows_together, step = uint64(size_y) * run, uint64(stride_x * images)
    places = window_places(size_y, size_x, columns * images, images)
    for p in prange(blocks(filters) * pooled_rows):
        f, y = uint64(p // pooled_rows) * uint64(ROWS), p % pooled_rows
        here = min(uint64(ROWS), uint64(filters) - f)
        z = np.empty(here * rows_together, a.dtype)
        pairs = size_y // 2 if 2 * run <= lanes(z) else 0
        for i in range(pairs):
            x0 = uint64((y * stride_y + 2 * i) * row_step) * scale
            products_of_two_rows(
                z, uint64(2 * i) * run, rows_together, run, here,
                b, f, w_flat, f * count, count,
                x_flat, x0, uint64(row_step) * scale, taps, count, scale, run,
            )  # fmt: skip
        for i in range(2 * pairs, size_y):
            x0 = uint64((y * stride_y + i) * row_step) * scale
            products(
                z, uint64(i) * run, rows_together, here,
                b, f, ONE, w_flat, f * count, count, ONE,
                x_flat, x0, taps, count, scale, run,
            )  # fmt: skip
        for r in range(here):
            a0 = ((f + r) * uint64(pooled_rows) + uint64(y)) * pooled_run
            best_of_row(
                a_flat,
                argmax_flat,
                a0,
                uint64(pooled_columns),
                scale,
                z,
                r * rows_together,
                places,
                step,
            )
            activate(a_flat, a0, a0 + pooled_run, activation)
