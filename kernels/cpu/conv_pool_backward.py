"""The way back through a convolution with max pooling behind it, by the winners alone.

Max pooling gives a delta to one place of each window, and ReLU takes it from some of those: of 2x2 windows, less
than a quarter of dz is not zero. These kernels never form dz. They walk over the winners (f, Y, X, n) whose delta
da[f, Y, X, n] is not zero; the winner's place in its window says which output (y, x) of the convolution it was.

Layout: channels last, one image after the other, (images, rows, columns, channels), because one winner meets
kernel columns * channels neighbouring numbers for each kernel row, whatever the number of images. The dense kernels
of conv.py are the oracle in the tests.
"""

import numpy as np
from numba import njit, prange, uint64

from ..compilation import INNER, SUMS
from .tile import ONE, ZERO, add_lines


@njit(**INNER)
def _copy(to, to0, to_steps, a, a0, a_steps, counts):
    """to[i, j, k] = a[i, j, k], where [i, j, k] of a is a[a0 + i a_steps[0] + j a_steps[1] + k a_steps[2]]; to likewise."""
    for i in range(counts[0]):
        for j in range(counts[1]):
            here, there = (
                to0 + i * to_steps[0] + j * to_steps[1],
                a0 + i * a_steps[0] + j * a_steps[1],
            )
            for k in range(counts[2]):
                to[here + k * to_steps[2]] = a[there + k * a_steps[2]]


@njit(**INNER)
def _kernel_strides(w, last):
    """Strides of (row, column, channel) in one filter of w, and where these lie in lines of `last`'s length, rows so far apart."""
    channels, rows, columns = uint64(w.shape[1]), uint64(w.shape[2]), uint64(w.shape[3])
    return (columns, ONE, rows * columns), (last, channels, ONE), (rows, columns, channels)


@njit(**INNER)
def _weights_last(f, w_last, w):
    """w_last[i, f, j channels + c] = w[f, c, i, j]."""
    filters, step = uint64(w.shape[0]), uint64(w_last.shape[2])
    plain, last, size = _kernel_strides(w, filters * step)
    _copy(
        w_last.reshape(-1),
        f * step,
        last,
        w.reshape(-1),
        f * size[0] * size[1] * size[2],
        plain,
        size,
    )


@njit(**INNER)
def _gradient_of(f, dw, sums):
    """dw[f, c, i, j] = the groups' sums at [f, i, j channels + c], added up in their order."""
    groups, filters, step = uint64(sums.shape[0]), uint64(sums.shape[1]), uint64(sums.shape[3])
    plain, last, size = _kernel_strides(dw, step)
    sums_flat, kernel_size = sums.reshape(-1), size[0] * step
    here = f * kernel_size
    for group in range(ONE, groups):
        for t in range(here, here + kernel_size):
            sums_flat[t] += sums_flat[group * filters * kernel_size + t]
    _copy(dw.reshape(-1), f * size[0] * size[1] * size[2], plain, sums_flat, here, last, size)


@njit(**INNER)
def _corner(x_last, padding):
    """Where the picture begins in one image of x_last, within its padding."""
    return (uint64(padding[0]) * uint64(x_last.shape[2]) + uint64(padding[1])) * uint64(
        x_last.shape[3]
    )


@njit(**INNER)
def _images_last(y, dx, dx_last, padding):
    """dx[c, y, q, n] = dx_last[n, y + padding, q + padding, c]."""
    channels, columns, images = uint64(dx.shape[0]), uint64(dx.shape[2]), uint64(dx.shape[3])
    line = uint64(dx_last.shape[2]) * channels
    here, there = y * columns * images, _corner(dx_last, padding) + y * line
    to_steps = (images, uint64(dx.shape[1]) * columns * images, ONE)
    from_steps = (channels, ONE, uint64(dx_last.shape[1]) * line)
    _copy(
        dx.reshape(-1),
        here,
        to_steps,
        dx_last.reshape(-1),
        there,
        from_steps,
        (columns, channels, images),
    )


@njit(**INNER)
def _channels_last(first, after, x_last, x, padding):
    """x_last[n, y + padding, q + padding, c] = x[c, y, q, n] for the images first <= n < after."""
    channels, rows, columns, images = (
        uint64(x.shape[0]),
        uint64(x.shape[1]),
        uint64(x.shape[2]),
        uint64(x.shape[3]),
    )
    x_flat, x_last_flat = x.reshape(-1), x_last.reshape(-1)
    line = uint64(x_last.shape[2]) * channels
    image_size = uint64(x_last.shape[1]) * line
    for y in range(rows):
        here, there = (
            first * image_size + _corner(x_last, padding) + y * line,
            y * columns * images + first,
        )
        to_steps, from_steps = (channels, image_size, ONE), (images, ONE, rows * columns * images)
        _copy(
            x_last_flat,
            here,
            to_steps,
            x_flat,
            there,
            from_steps,
            (columns, after - first, channels),
        )


@njit(**INNER)
def _walk(group, da, argmax, x, run, buffers, tables, padding, needs_dx):
    """A group's images: their part of dC/dw into the group's sums and, if wanted, their dC/dx channels last."""
    x_last, dx_last, w_last, sums = buffers
    cells, places, positions, most = tables[:4]
    images, line = uint64(x_last.shape[0]), uint64(x_last.shape[2]) * uint64(x_last.shape[3])
    filters, kernel_rows, step = uint64(sums.shape[1]), uint64(sums.shape[2]), uint64(sums.shape[3])
    da_flat, argmax_flat, x_last_flat = da.reshape(-1), argmax.reshape(-1), x_last.reshape(-1)
    dx_last_flat, w_last_flat, sums_flat = dx_last.reshape(-1), w_last.reshape(-1), sums.reshape(-1)
    image_size, outputs = uint64(x_last.shape[1]) * line, uint64(positions.size)
    first_image = group * images // uint64(sums.shape[0])
    after_image = (group + ONE) * images // uint64(sums.shape[0])
    sums0 = group * filters * kernel_rows * step
    for t in range(sums0, sums0 + filters * kernel_rows * step):
        sums_flat[t] = 0
    deltas, taps = np.empty(cells.size, da.dtype), np.empty(cells.size, np.uint64)
    counts = np.empty(outputs, np.uint64)
    output_deltas, filter_taps = (
        np.empty(outputs * most, da.dtype),
        np.empty(outputs * most, np.uint64),
    )
    _channels_last(first_image, after_image, x_last, x, padding)
    for n in range(first_image, after_image):
        image = n * image_size
        for k in range(outputs):
            counts[k] = 0
        here = n
        for f in range(filters):
            count = ZERO
            for cell in range(uint64(cells.size)):
                delta = da_flat[here]
                output = cells[cell] + places[uint64(argmax_flat[here])]
                deltas[count], taps[count] = delta, positions[output]
                last = output * most + counts[output]
                output_deltas[last], filter_taps[last] = delta, f * step
                count += uint64(delta != 0)
                counts[output] += uint64(delta != 0)
                here += images
            total = sums0 + f * kernel_rows * step
            add_lines(
                sums_flat,
                total,
                step,
                deltas,
                x_last_flat,
                image,
                line,
                taps,
                ZERO,
                count,
                kernel_rows,
                run,
            )
        if needs_dx:
            for t in range(image, image + image_size):
                dx_last_flat[t] = 0
            for k in range(outputs):
                first, after = k * most, k * most + counts[k]
                if first < after:
                    add_lines(
                        dx_last_flat, image + positions[k], line, output_deltas, w_last_flat, ZERO,
                        filters * step, filter_taps, first, after, kernel_rows, run,
                    )  # fmt: skip


@njit(**SUMS)
def conv2d_max_pool_backward(dw, dx, da, argmax, x, w, buffers, tables, padding, needs_dx):
    """`conv2d_backward_weights` and `conv2d_backward_input` of dz, which is da at the winners and 0 elsewhere.

    dC/dw[f, c, i, j] = sum over (Y, X, n) of da[f, Y, X, n] x[c, y s + i, x s + j, n]
    dC/dx[c, r, q, n] = sum over (f, Y, X) of da[f, Y, X, n] w[f, c, r - y s, q - x s], (y, x) the window's winner.

    dw, w: (filters, channels, kernel rows, kernel columns); dw overwritten. da, argmax: (filters, pooled rows, pooled
    columns, images), as in `max_pool2d_forward`. x: the convolution's input, (channels, rows, columns, images). dx: like x,
    overwritten if wanted. padding: the convolution's, (y, x). tables: see nbconv/layers/geometry.py, `ConvPoolTables`. buffers,
    overwritten: x_last and dx_last, x and dx with their padding and channels last, (images, padded rows, padded columns,
    channels), the border of x_last zero; w_last, w as (kernel rows, filters, line) with w[f, c, i, j] at j * channels + c of
    a line that may be longer; sums, the gradient of groups of images, (groups, filters, kernel rows, line), whose number
    fixes the order of adding.
    """
    _, dx_last, w_last, sums = buffers
    run = uint64(w.shape[3] * w.shape[1])
    for f in prange(w.shape[0]):
        _weights_last(uint64(f), w_last, w)
    for group in prange(sums.shape[0]):
        _walk(uint64(group), da, argmax, x, run, buffers, tables, padding, needs_dx)
    for f in prange(w.shape[0]):
        _gradient_of(uint64(f), dw, sums)
    for y in prange(x.shape[1] if needs_dx else 0):
        _images_last(uint64(y), dx, dx_last, padding)
