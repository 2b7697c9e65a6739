"""Pooling: each output sums up a window of its feature map (chapter 6, "Pooling layers").

Layout: (channels, rows, columns, images). The window of output (y, x) starts at input row y stride_y, column
x stride_x. Windows may overlap; rows and columns that no whole window reaches are left out and get no delta.
Each thread has feature maps of its own, so overlapping windows add up in one order.
"""

import numpy as np
from numba import njit, prange, uint64

from ..compilation import PARALLEL


@njit(**PARALLEL)
def max_pool2d_forward(a, winner, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = max over the window of x[c, ., ., n]; of equal values the first wins, row by row; NaN wins over all.

    a: (channels, rows, columns, images), overwritten. winner: like a, int32, overwritten: the winner's place
    i * size_x + j in its window. x: (channels, input rows, input columns, images).
    """
    channels, rows, columns, images = a.shape
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        for q in range(columns):
            for n in range(uint64(images)):
                a[c, y, q, n] = x[c, y * stride_y, q * stride_x, n]
                winner[c, y, q, n] = 0
            for i in range(size_y):
                for j in range(size_x):
                    place = np.int32(i * size_x + j)
                    r, s = y * stride_y + i, q * stride_x + j
                    for n in range(uint64(images)):
                        value, best = x[c, r, s, n], a[c, y, q, n]
                        higher = value > best or (value != value and best == best)
                        a[c, y, q, n] = value if higher else best
                        winner[c, y, q, n] = place if higher else winner[c, y, q, n]


@njit(**PARALLEL)
def max_pool2d_backward(dx, da, winner, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] over the windows (y, q) that (r, s) won.

    dx: like the input, overwritten. da, winner: as in `max_pool2d_forward`.
    """
    channels, rows, columns, images = da.shape
    for c in prange(channels):
        dx[c] = 0
        for y in range(rows):
            for q in range(columns):
                for i in range(size_y):
                    for j in range(size_x):
                        place = np.int32(i * size_x + j)
                        r, s = y * stride_y + i, q * stride_x + j
                        for n in range(uint64(images)):
                            won = winner[c, y, q, n] == place
                            dx[c, r, s, n] += da[c, y, q, n] if won else da.dtype.type(0)


@njit(**PARALLEL)
def l2_pool2d_forward(a, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = sqrt(sum of x[c, r, s, n]^2 over the window).

    a: (channels, rows, columns, images), overwritten. x: (channels, input rows, input columns, images).
    """
    channels, rows, columns, images = a.shape
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        for q in range(columns):
            a[c, y, q] = 0
            for i in range(size_y):
                for j in range(size_x):
                    r, s = y * stride_y + i, q * stride_x + j
                    for n in range(uint64(images)):
                        a[c, y, q, n] += x[c, r, s, n] * x[c, r, s, n]
            for n in range(uint64(images)):
                a[c, y, q, n] = np.sqrt(a[c, y, q, n])


@njit(**PARALLEL)
def l2_pool2d_backward(dx, da, a, x, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum over the windows (y, q) of (r, s) of da[c, y, q, n] x[c, r, s, n] / a[c, y, q, n].

    Where a window is all zero, sqrt has no derivative: its share is 0. dx: like x, overwritten.
    """
    channels, rows, columns, images = da.shape
    for c in prange(channels):
        dx[c] = 0
        for y in range(rows):
            for q in range(columns):
                for i in range(size_y):
                    for j in range(size_x):
                        r, s = y * stride_y + i, q * stride_x + j
                        for n in range(uint64(images)):
                            norm = a[c, y, q, n]
                            share = da[c, y, q, n] * x[c, r, s, n] / norm
                            dx[c, r, s, n] += share if norm != 0 else norm


@njit(**PARALLEL)
def avg_pool2d_forward(a, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = mean of x[c, r, s, n] over the window.

    a: (channels, rows, columns, images), overwritten. x: (channels, input rows, input columns, images).
    """
    channels, rows, columns, images = a.shape
    share = a.dtype.type(1.0 / (size_y * size_x))
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        for q in range(columns):
            a[c, y, q] = 0
            for i in range(size_y):
                for j in range(size_x):
                    r, s = y * stride_y + i, q * stride_x + j
                    for n in range(uint64(images)):
                        a[c, y, q, n] += share * x[c, r, s, n]


@njit(**PARALLEL)
def avg_pool2d_backward(dx, da, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] / (size_y size_x) over the windows (y, q) of (r, s).

    dx: like the input, overwritten.
    """
    channels, rows, columns, images = da.shape
    share = da.dtype.type(1.0 / (size_y * size_x))
    for c in prange(channels):
        dx[c] = 0
        for y in range(rows):
            for q in range(columns):
                for i in range(size_y):
                    for j in range(size_x):
                        r, s = y * stride_y + i, q * stride_x + j
                        for n in range(uint64(images)):
                            dx[c, r, s, n] += share * da[c, y, q, n]
