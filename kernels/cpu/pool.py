"""Max pooling (chapter 6, "Pooling layers"). Arguments: kernels/interface.py.

The loops go through a window place by place, and for each place along a row of outputs, so that the
inner loop runs over neighbouring numbers. One thread has all outputs of a row, or on the way back
all windows of a feature map: overlapping windows add up in one order.
"""

import numpy as np
from numba import prange, uint64

from ..compilation import INLINE, INNER, PARALLEL, njit
from . import simd, single_image
from .simd import lanes, pointer
from .tile import MASKS_ARE_FREE, ONE, ZERO


@njit(**INLINE)
def window_offsets(size_y, size_x, stride_y, stride_x):
    """The offset of each place of a window from its first.

    strides: of rows and columns, in numbers.
    """
    offsets = np.empty(size_y * size_x, np.uint64)
    for place in range(offsets.size):
        offsets[place] = uint64(place // size_x * stride_y + place % size_x * stride_x)
    return offsets


@njit(**INLINE)
def _max_of_windows(a, argmax, out_pos, x, in_pos, offsets, count, left):
    """The windows of up to a vector of images."""
    zero = simd.zeros(x, 1, 1)
    max_, place_of_max = simd.load(zero, x, in_pos, ZERO, ONE, left), zero
    for place in range(ONE, count):
        value = simd.load(zero, x, in_pos + offsets[place], ZERO, ONE, left)
        max_, place_of_max = simd.larger(max_, place_of_max, value, place)
    simd.store(max_, a, out_pos, ZERO, ONE, left)
    simd.store(place_of_max, argmax, out_pos, ZERO, ONE, left)


@njit(**INNER)
def _max_of_row(a, argmax, a0, columns, images, x, x0, offsets, count, stride):
    """`max_of_row` behind pointers: a vector holds one column's images."""
    lane_count = lanes(x)
    for q in range(columns):
        a_q, x_q = a0 + q * images, x0 + q * stride
        if MASKS_ARE_FREE or images < lane_count:
            for n in range(ZERO, images, lane_count):
                _max_of_windows(a, argmax, a_q + n, x, x_q + n, offsets, count, images - n)
        else:
            for first in range(ZERO, images, lane_count):
                n = min(first, images - lane_count)  # the last vector is whole, too
                _max_of_windows(a, argmax, a_q + n, x, x_q + n, offsets, count, None)


@njit(**INLINE)
def max_of_row(a, argmax, a0, columns, images, x, x0, offsets, stride):
    """A row of `max_pool2d_forward`: a[q, n], argmax[q, n] from the window that begins at x[q, n].

    a[q, n] is a[a0 + q images + n], argmax likewise; x[q, n] is x[x0 + q stride + n], and place k
    of its window is offsets[k] further.
    """
    count = uint64(offsets.size)
    a, argmax, x, offsets = pointer(a), pointer(argmax), pointer(x), pointer(offsets)
    if images == ONE and stride == uint64(2):
        single_image.max_of_row(a, argmax, a0, columns, x, x0, offsets, count)
    else:
        _max_of_row(a, argmax, a0, columns, images, x, x0, offsets, count, stride)


@njit(**PARALLEL)
def max_pool2d_forward(a, argmax, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = max over the window of x[c, ., ., n]. Threads share the rows of outputs."""
    channels, rows, columns, images = a.shape
    _, input_rows, input_columns, _ = x.shape
    a_flat, argmax_flat, x_flat = a.reshape(-1), argmax.reshape(-1), x.reshape(-1)
    offsets = window_offsets(size_y, size_x, input_columns * images, images)
    stride = uint64(stride_x * images)
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        a0 = uint64(p * columns * images)
        x0 = uint64((c * input_rows + y * stride_y) * input_columns * images)
        max_of_row(
            a_flat, argmax_flat, a0, uint64(columns), uint64(images), x_flat, x0, offsets, stride
        )


@njit(**PARALLEL)
def max_pool2d_backward(dx, da, argmax, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] over the windows whose maximum is at (r, s).

    Threads share the channels.
    """
    channels, rows, columns, images = da.shape
    _, input_rows, input_columns, _ = dx.shape
    dx_flat, da_flat, argmax_flat = dx.reshape(-1), da.reshape(-1), argmax.reshape(-1)
    length, lane_count = uint64(images), lanes(dx)
    in_vectors = length if MASKS_ARE_FREE else length // lane_count * lane_count
    zero = simd.zeros(dx, 1, 1)
    offsets = window_offsets(size_y, size_x, input_columns * images, images)
    overlap = stride_y < size_y or stride_x < size_x
    plane = uint64(input_rows * input_columns * images)
    for c in prange(channels):
        for t in range(uint64(c) * plane, uint64(c + 1) * plane):
            dx_flat[t] = 0
        for y in range(rows):
            a0 = uint64((c * rows + y) * columns * images)
            x0 = uint64((c * input_rows + y * stride_y) * input_columns * images)
            for q in range(uint64(columns)):
                a_q = a0 + q * length
                x_q = x0 + q * uint64(stride_x) * length
                for n in range(ZERO, in_vectors, lane_count):
                    if MASKS_ARE_FREE:
                        left = length - n
                        # Where windows do not overlap, dx is still 0: none of its lanes is loaded,
                        # and lanes that are not loaded are 0.
                        to_load = left if overlap else ZERO
                    else:
                        left = to_load = None
                    delta = simd.load(zero, da_flat, a_q + n, ZERO, ONE, left)
                    place_of_max = simd.load(zero, argmax_flat, a_q + n, ZERO, ONE, left)
                    for place in range(uint64(offsets.size)):
                        pos = x_q + n + offsets[place]
                        total = simd.load(zero, dx_flat, pos, ZERO, ONE, to_load)
                        total = simd.add_where(total, delta, place_of_max, place)
                        simd.store(total, dx_flat, pos, ZERO, ONE, left)
                for n in range(in_vectors, length):
                    dx_flat[x_q + n + offsets[uint64(argmax_flat[a_q + n])]] += da_flat[a_q + n]
