"""Convolution, max pooling and activation in one: the book's convolutional-pooling layer.

With 2x2 windows, the convolution's output z is four times as large as what pooling leaves of it.
Here each thread computes the rows of z that one row of windows covers, and pools them while they
are in its cache. The tests compare with conv.py, pool.py and activation.py, one after the other.
"""

import numpy as np
from numba import prange, uint64

from ..compilation import SUMS, njit
from .activation import activate
from .pool import max_of_row, window_offsets
from .simd import MR, lanes
from .single_image import products_of_two_rows
from .tile import ONE, blocks, products


@njit(**SUMS)
def conv2d_max_pool_forward(a, argmax, x, w, b, taps, row_step, columns, window, activation):
    """a = sigma(max over the window of z), z the convolution of x, equation (125).

    Threads share the pooled rows of MR filters. Rows of z in overlapping windows are computed more
    than once.
    """
    filters, pooled_rows, pooled_columns, images = a.shape
    size_y, size_x, stride_y, stride_x = window
    a_flat, argmax_flat = a.reshape(-1), argmax.reshape(-1)
    x_flat, w_flat = x.reshape(-1), w.reshape(-1)
    count = uint64(taps.size)
    scale = uint64(images)
    length = uint64(columns * images)
    pooled_length = uint64(pooled_columns * images)
    plane = uint64(size_y) * length
    stride = uint64(stride_x * images)
    offsets = window_offsets(size_y, size_x, columns * images, images)
    for p in prange(blocks(filters) * pooled_rows):
        f = uint64(p // pooled_rows) * uint64(MR)
        y = p % pooled_rows
        height = min(uint64(MR), uint64(filters) - f)
        z = np.empty(height * plane, a.dtype)
        pairs = size_y // 2 if 2 * length <= lanes(z) else 0
        for i in range(pairs):
            x0 = uint64((y * stride_y + 2 * i) * row_step) * scale
            products_of_two_rows(
                z, uint64(2 * i) * length, plane, length, height,
                b, f, w_flat, f * count, count,
                x_flat, x0, uint64(row_step) * scale, taps, count, scale, length,
            )  # fmt: skip
        for i in range(2 * pairs, size_y):
            x0 = uint64((y * stride_y + i) * row_step) * scale
            products(
                z, uint64(i) * length, plane, height,
                b, f, ONE, w_flat, f * count, count, ONE,
                x_flat, x0, taps, count, scale, length,
            )  # fmt: skip
        for r in range(height):
            a0 = ((f + r) * uint64(pooled_rows) + uint64(y)) * pooled_length
            max_of_row(
                a_flat, argmax_flat, a0, uint64(pooled_columns), scale,
                z, r * plane, offsets, stride,
            )  # fmt: skip
            activate(a_flat, a0, a0 + pooled_length, activation)
