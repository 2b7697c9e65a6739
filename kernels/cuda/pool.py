"""Pooling: each output sums up a window of its feature map (chapter 6, "Pooling layers").

Layout: (channels, rows, columns, images). The window of output (y, q) starts at input row y
stride_y, column q stride_x. On the way back a thread gathers, in one order, what its place of the
input gets from all windows that it lies in.
"""

import math

from numba import cuda

from .launch import KERNEL, each, inner

MAX, L2, AVERAGE = range(3)


@inner
def _place(i, sizes):
    """(channel, row, column, image) of number i of feature maps of (rows, columns, images)."""
    rows, columns, images = sizes
    line = i // images // columns
    return line // rows, line % rows, i // images % columns, i % images


@inner
def _first_window(at, size, stride):
    """The first window that reaches a row or column.

    The last is `at // stride`, if there are so many.
    """
    return max(0, (at - size + stride) // stride)


# Kernels


@cuda.jit(**KERNEL)
def _forward(a, argmax, x, sizes, input_sizes, window, kind):
    i = cuda.grid(1)
    if i < a.size:
        c, y, q, n = _place(i, sizes)
        input_rows, input_columns, images = input_sizes
        size_y, size_x, stride_y, stride_x = window
        first = ((c * input_rows + y * stride_y) * input_columns + q * stride_x) * images + n
        result, won = x[first], 0
        if kind != MAX:
            result *= 0
        for r in range(size_y):
            for s in range(size_x):
                value = x[first + (r * input_columns + s) * images]
                if kind == AVERAGE:
                    result += value
                elif kind == L2:
                    result += value * value
                elif value > result or (value != value and result == result):
                    result, won = value, r * size_x + s
        if kind == MAX:
            argmax[i] = won
        elif kind == L2:
            result = math.sqrt(result)
        else:
            result /= a.dtype.type(size_y * size_x)
        a[i] = result


@cuda.jit(**KERNEL)
def _backward(dx, da, a, x, argmax, sizes, input_sizes, window, kind):
    i = cuda.grid(1)
    if i < dx.size:
        c, r, s, n = _place(i, input_sizes)
        rows, columns, images = sizes
        size_y, size_x, stride_y, stride_x = window
        total = dx.dtype.type(0)
        for y in range(_first_window(r, size_y, stride_y), min(r // stride_y + 1, rows)):
            for q in range(_first_window(s, size_x, stride_x), min(s // stride_x + 1, columns)):
                here = ((c * rows + y) * columns + q) * images + n
                if kind == MAX:
                    if argmax[here] == (r - y * stride_y) * size_x + s - q * stride_x:
                        total += da[here]
                elif kind == AVERAGE:
                    total += da[here] / dx.dtype.type(size_y * size_x)
                elif a[here] != 0:  # where a window is all zero, sqrt has no derivative
                    total += da[here] * x[i] / a[here]
        dx[i] = total


# What layers call. Thread mapping: forward one for each output, backward one for each number of the
# input.


def max_pool2d_forward(a, argmax, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = max over the window of x[c, ., ., n].

    Of equal values the first; NaN is the largest. a: overwritten. argmax: like a, int32,
    overwritten: the maximum's place i * size_x + j in its window.
    """
    _run_forward(a, argmax, x, (size_y, size_x, stride_y, stride_x), MAX)


def max_pool2d_backward(dx, da, argmax, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] over the windows (y, q) that (r, s) won.

    dx: overwritten.
    """
    _run_backward(dx, da, da, dx, argmax, (size_y, size_x, stride_y, stride_x), MAX)


def l2_pool2d_forward(a, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = sqrt(sum of x[c, r, s, n]^2 over the window). a: overwritten."""
    _run_forward(a, a, x, (size_y, size_x, stride_y, stride_x), L2)


def l2_pool2d_backward(dx, da, a, x, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum over (y, q) of da[c, y, q, n] x[c, r, s, n] / a[c, y, q, n].

    (y, q) are the windows of (r, s). Where a window is all zero, sqrt has no derivative: its share
    is 0. dx: overwritten.
    """
    _run_backward(dx, da, a, x, a, (size_y, size_x, stride_y, stride_x), L2)


def avg_pool2d_forward(a, x, size_y, size_x, stride_y, stride_x):
    """a[c, y, q, n] = mean of x[c, r, s, n] over the window. a: overwritten."""
    _run_forward(a, a, x, (size_y, size_x, stride_y, stride_x), AVERAGE)


def avg_pool2d_backward(dx, da, size_y, size_x, stride_y, stride_x):
    """dC/dx[c, r, s, n] = sum of da[c, y, q, n] / (size_y size_x) over the windows of (r, s)."""
    _run_backward(dx, da, da, dx, da, (size_y, size_x, stride_y, stride_x), AVERAGE)


def _run_forward(a, argmax, x, window, kind):
    flat = a.reshape(-1), argmax.reshape(-1), x.reshape(-1)
    each(_forward, a.size, *flat, tuple(a.shape)[1:], tuple(x.shape)[1:], window, kind)


def _run_backward(dx, da, a, x, argmax, window, kind):
    flat = dx.reshape(-1), da.reshape(-1), a.reshape(-1), x.reshape(-1), argmax.reshape(-1)
    each(_backward, dx.size, *flat, tuple(da.shape)[1:], tuple(dx.shape)[1:], window, kind)
