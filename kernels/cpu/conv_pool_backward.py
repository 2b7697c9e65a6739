"""The backward pass of a convolution with max pooling behind it, without the deltas that are 0.

Max pooling passes the delta of each window to one place, its maximum, and ReLU takes some of those
away: with 2x2 windows, less than a quarter of dz is not zero. These kernels never form dz. They go
through the maxima (f, Y, X, n) whose delta da[f, Y, X, n] is not zero; argmax says which output
(y, x) of the convolution it belongs to.

Layout: channels last, one image after the other, (images, rows, columns, channels). One maximum
then meets kernel columns * channels neighbouring numbers for each kernel row, whatever the number
of images. The tests compare with the dense kernels of conv.py.
"""

import numpy as np
from numba import prange, uint64

from ..compilation import INNER, SUMS, njit
from .tile import ONE, ZERO, add_rows


@njit(**INNER)
def _copy(to, to0, to_strides, a, a0, a_strides, counts):
    """to[i, j, k] = a[i, j, k], where a[i, j, k] is a[a0 + (i, j, k) . a_strides]; to likewise."""
    for i in range(counts[0]):
        for j in range(counts[1]):
            to_pos = to0 + i * to_strides[0] + j * to_strides[1]
            a_pos = a0 + i * a_strides[0] + j * a_strides[1]
            for k in range(counts[2]):
                to[to_pos + k * to_strides[2]] = a[a_pos + k * a_strides[2]]


@njit(**INNER)
def _kernel_strides(w, line_stride):
    """(strides in one filter of w, strides in its channels-last copy, extents).

    Each as (row, column, channel); line_stride: of the copy's rows.
    """
    channels, rows, columns = uint64(w.shape[1]), uint64(w.shape[2]), uint64(w.shape[3])
    return (columns, ONE, rows * columns), (line_stride, channels, ONE), (rows, columns, channels)


@njit(**INNER)
def _weights_last(f, w_last, w):
    """w_last[i, f, j channels + c] = w[f, c, i, j]."""
    filters, line = uint64(w.shape[0]), uint64(w_last.shape[2])
    strides, last_strides, extents = _kernel_strides(w, filters * line)
    w0 = f * extents[0] * extents[1] * extents[2]
    _copy(w_last.reshape(-1), f * line, last_strides, w.reshape(-1), w0, strides, extents)


@njit(**INNER)
def _add_groups(f, dw, sums):
    """dw[f, c, i, j] = the groups' sums at [f, i, j channels + c], added up in their order."""
    groups, filters, line = uint64(sums.shape[0]), uint64(sums.shape[1]), uint64(sums.shape[3])
    strides, last_strides, extents = _kernel_strides(dw, line)
    sums_flat, kernel_size = sums.reshape(-1), extents[0] * line
    sums0 = f * kernel_size
    for group in range(ONE, groups):
        for t in range(sums0, sums0 + kernel_size):
            sums_flat[t] += sums_flat[group * filters * kernel_size + t]
    dw0 = f * extents[0] * extents[1] * extents[2]
    _copy(dw.reshape(-1), dw0, strides, sums_flat, sums0, last_strides, extents)


@njit(**INNER)
def _corner(x_last, padding):
    """Offset of the picture's first pixel in one padded image of x_last."""
    columns, channels = uint64(x_last.shape[2]), uint64(x_last.shape[3])
    return (uint64(padding[0]) * columns + uint64(padding[1])) * channels


@njit(**INNER)
def _images_last(y, dx, dx_last, padding):
    """dx[c, y, q, n] = dx_last[n, y + padding, q + padding, c]."""
    channels, columns, images = uint64(dx.shape[0]), uint64(dx.shape[2]), uint64(dx.shape[3])
    line = uint64(dx_last.shape[2]) * channels
    dx0 = y * columns * images
    last0 = _corner(dx_last, padding) + y * line
    dx_strides = (images, uint64(dx.shape[1]) * columns * images, ONE)
    last_strides = (channels, ONE, uint64(dx_last.shape[1]) * line)
    extents = (columns, channels, images)
    _copy(dx.reshape(-1), dx0, dx_strides, dx_last.reshape(-1), last0, last_strides, extents)


@njit(**INNER)
def _channels_last(first, stop, x_last, x, padding):
    """x_last[n, y + padding, q + padding, c] = x[c, y, q, n] for the images first <= n < stop."""
    channels, rows = uint64(x.shape[0]), uint64(x.shape[1])
    columns, images = uint64(x.shape[2]), uint64(x.shape[3])
    x_flat, x_last_flat = x.reshape(-1), x_last.reshape(-1)
    line = uint64(x_last.shape[2]) * channels
    image_size = uint64(x_last.shape[1]) * line
    last_strides = (channels, image_size, ONE)
    x_strides = (images, ONE, rows * columns * images)
    extents = (columns, stop - first, channels)
    for y in range(rows):
        last0 = first * image_size + _corner(x_last, padding) + y * line
        x0 = y * columns * images + first
        _copy(x_last_flat, last0, last_strides, x_flat, x0, x_strides, extents)


@njit(**INNER)
def _backward_group(group, da, argmax, x, length, buffers, tables, padding, needs_dx):
    """A group of images: its sums of dC/dw and, if needs_dx, its dC/dx with the channels last.

    length: numbers of a kernel row with all channels.
    """
    x_last, dx_last, w_last, sums = buffers
    cells, places, positions, max_deltas = tables[:4]
    images, line = uint64(x_last.shape[0]), uint64(x_last.shape[2]) * uint64(x_last.shape[3])
    groups, filters = uint64(sums.shape[0]), uint64(sums.shape[1])
    kernel_rows, sums_line = uint64(sums.shape[2]), uint64(sums.shape[3])
    da_flat, argmax_flat, x_last_flat = da.reshape(-1), argmax.reshape(-1), x_last.reshape(-1)
    dx_last_flat, w_last_flat, sums_flat = dx_last.reshape(-1), w_last.reshape(-1), sums.reshape(-1)
    image_size, outputs = uint64(x_last.shape[1]) * line, uint64(positions.size)
    first_image = group * images // groups
    stop_image = (group + ONE) * images // groups
    sums0 = group * filters * kernel_rows * sums_line
    for t in range(sums0, sums0 + filters * kernel_rows * sums_line):
        sums_flat[t] = 0
    # Of one filter: its deltas other than 0, and where each one's inputs begin.
    deltas = np.empty(cells.size, da.dtype)
    taps = np.empty(cells.size, np.uint64)
    # Of each output of the convolution: how many deltas it gets, which, and their filters' weights.
    counts = np.empty(outputs, np.uint64)
    output_deltas = np.empty(outputs * max_deltas, da.dtype)
    filter_taps = np.empty(outputs * max_deltas, np.uint64)
    _channels_last(first_image, stop_image, x_last, x, padding)
    for n in range(first_image, stop_image):
        image = n * image_size
        for k in range(outputs):
            counts[k] = 0
        da_pos = n
        for f in range(filters):
            count = ZERO
            for cell in range(uint64(cells.size)):
                # A delta of 0 is written, too, but the next one takes its place.
                delta = da_flat[da_pos]
                output = cells[cell] + places[uint64(argmax_flat[da_pos])]
                deltas[count] = delta
                taps[count] = positions[output]
                last = output * max_deltas + counts[output]
                output_deltas[last] = delta
                filter_taps[last] = f * sums_line
                count += uint64(delta != 0)
                counts[output] += uint64(delta != 0)
                da_pos += images
            add_rows(
                sums_flat, sums0 + f * kernel_rows * sums_line, sums_line, deltas,
                x_last_flat, image, line, taps, ZERO, count, kernel_rows, length,
            )  # fmt: skip
        if needs_dx:
            for t in range(image, image + image_size):
                dx_last_flat[t] = 0
            for k in range(outputs):
                first = k * max_deltas
                stop = first + counts[k]
                if first < stop:
                    add_rows(
                        dx_last_flat, image + positions[k], line, output_deltas,
                        w_last_flat, ZERO, filters * sums_line, filter_taps, first, stop,
                        kernel_rows, length,
                    )  # fmt: skip


@njit(**SUMS)
def conv2d_max_pool_backward(dw, dx, da, argmax, x, w, buffers, tables, padding, needs_dx):
    """`conv2d_backward_weights`, `conv2d_backward_input` of dz, which is da at the maxima, else 0.

    dC/dw[f, c, i, j] = sum over (Y, X, n) of da[f, Y, X, n] x[c, y s + i - p, x s + j - p, n]
    dC/dx[c, r, q, n] = sum over (f, Y, X) of da[f, Y, X, n] w[f, c, r + p - y s, q + p - x s]

    Threads share the groups of images; their number fixes the order in which dw adds up.
    """
    _, dx_last, w_last, sums = buffers
    length = uint64(w.shape[3] * w.shape[1])
    for f in prange(w.shape[0]):
        _weights_last(uint64(f), w_last, w)
    for group in prange(sums.shape[0]):
        _backward_group(uint64(group), da, argmax, x, length, buffers, tables, padding, needs_dx)
    for f in prange(w.shape[0]):
        _add_groups(uint64(f), dw, sums)
    for y in prange(x.shape[1] if needs_dx else 0):
        _images_last(uint64(y), dx, dx_last, padding)
