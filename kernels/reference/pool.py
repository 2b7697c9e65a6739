"""Pooling: each output sums up a window of its feature map (chapter 6, "Pooling layers").

Layout: (channels, rows, columns, images). The window of output (y, q) is the places (y s_y + i, q
s_x + j) of the input with i < size_y and j < size_x. Windows may overlap; rows and columns that no
whole window reaches are left out and get no delta.

L2 and average pooling run on the CPU backend, too: in parallel over the channels, and with
`unsigned` sizes.
"""

import numpy as np
from numba import prange, uint64

from ..compilation import INLINE, PARALLEL, PLAIN, njit


@njit(**INLINE)
def unsigned(a, b, c, d):
    """Four sizes as unsigned integers: Numba does not test whether an index of such is negative."""
    return uint64(a), uint64(b), uint64(c), uint64(d)


@njit(**PLAIN)
def max_pool2d_forward(a, argmax, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = max_(i, j) x[c, y s_y + i, q s_x + j, n].

    Of equal values the first is the largest, row by row; NaN is larger than every number.
    a: (channels, rows, columns, images), overwritten. argmax: like a, int32, overwritten: the place
    i size_x + j of the largest in its window. x: (channels, input rows, input columns, images).
    """
    channels, rows, columns, images = a.shape
    for c in range(channels):
        for y in range(rows):
            for q in range(columns):
                for n in range(images):
                    largest, place = x[c, y * stride_y, q * stride_x, n], 0
                    for i in range(size_y):
                        for j in range(size_x):
                            value = x[c, y * stride_y + i, q * stride_x + j, n]
                            if value > largest or (np.isnan(value) and not np.isnan(largest)):
                                largest, place = value, i * size_x + j
                    a[c, y, q, n], argmax[c, y, q, n] = largest, place


@njit(**PLAIN)
def max_pool2d_backward(dx, da, argmax, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] over the windows (y, q) whose maximum is at (r, s).

    dx: like the input, overwritten. da, argmax: as in `max_pool2d_forward`.
    """
    channels, rows, columns, images = da.shape
    dx[:] = 0
    for c in range(channels):
        for y in range(rows):
            for q in range(columns):
                for n in range(images):
                    i, j = argmax[c, y, q, n] // size_x, argmax[c, y, q, n] % size_x
                    dx[c, y * stride_y + i, q * stride_x + j, n] += da[c, y, q, n]


@njit(**PARALLEL)
def l2_pool2d_forward(a, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = sqrt(sum_(i, j) x[c, y s_y + i, q s_x + j, n]^2).

    a: (channels, rows, columns, images), overwritten. x: (channels, input rows, input columns,
    images).
    """
    channels, rows, columns, images = unsigned(*a.shape)
    size_y, size_x, stride_y, stride_x = unsigned(size_y, size_x, stride_y, stride_x)
    for c in prange(channels):
        a[c] = 0
        for y in range(rows):
            for i in range(size_y):
                for j in range(size_x):
                    for q in range(columns):
                        for n in range(images):
                            value = x[c, y * stride_y + i, q * stride_x + j, n]
                            a[c, y, q, n] += value * value
            for q in range(columns):
                for n in range(images):
                    a[c, y, q, n] = np.sqrt(a[c, y, q, n])


@njit(**PARALLEL)
def l2_pool2d_backward(dx, da, a, x, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] x[c, r, s, n] / a[c, y, q, n].

    The sum is over the windows (y, q) that (r, s) lies in. Where a window is all zero, sqrt has no
    derivative: its share is 0. dx: like x, overwritten.
    """
    channels, rows, columns, images = unsigned(*da.shape)
    size_y, size_x, stride_y, stride_x = unsigned(size_y, size_x, stride_y, stride_x)
    for c in prange(channels):
        dx[c] = 0
        for y in range(rows):
            for i in range(size_y):
                for j in range(size_x):
                    for q in range(columns):
                        r, s = y * stride_y + i, q * stride_x + j
                        for n in range(images):
                            if a[c, y, q, n] != 0:
                                dx[c, r, s, n] += da[c, y, q, n] * x[c, r, s, n] / a[c, y, q, n]


@njit(**PARALLEL)
def avg_pool2d_forward(a, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = sum_(i, j) x[c, y s_y + i, q s_x + j, n] / (size_y size_x).

    a: (channels, rows, columns, images), overwritten. x: (channels, input rows, input columns,
    images).
    """
    channels, rows, columns, images = unsigned(*a.shape)
    size_y, size_x, stride_y, stride_x = unsigned(size_y, size_x, stride_y, stride_x)
    weight = a.dtype.type(1 / (size_y * size_x))
    for c in prange(channels):
        a[c] = 0
        for y in range(rows):
            for i in range(size_y):
                for j in range(size_x):
                    for q in range(columns):
                        for n in range(images):
                            a[c, y, q, n] += weight * x[c, y * stride_y + i, q * stride_x + j, n]


@njit(**PARALLEL)
def avg_pool2d_backward(dx, da, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] / (size_y size_x).

    The sum is over the windows (y, q) that (r, s) lies in. dx: like the input, overwritten.
    """
    channels, rows, columns, images = unsigned(*da.shape)
    size_y, size_x, stride_y, stride_x = unsigned(size_y, size_x, stride_y, stride_x)
    weight = da.dtype.type(1 / (size_y * size_x))
    for c in prange(channels):
        dx[c] = 0
        for y in range(rows):
            for i in range(size_y):
                for j in range(size_x):
                    for q in range(columns):
                        for n in range(images):
                            dx[c, y * stride_y + i, q * stride_x + j, n] += weight * da[c, y, q, n]
