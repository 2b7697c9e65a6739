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

from ..compilation import INLINE, SUMS
from .simd import ROWS
from .tile import ZERO, add_lines, blocks


@njit(**INLINE)
def _table(pooled_rows, pooled_columns, window, y_step, x_step):
    """Where output (y, x) stands if it won window `cell` by `place`: cells[cell] + places[place], in those steps."""
    size_y, size_x, stride_y, stride_x = window
    cells = np.empty(pooled_rows * pooled_columns, np.uint64)
    for cell in range(cells.size):
        y, x = cell // pooled_columns * stride_y, cell % pooled_columns * stride_x
        cells[cell] = uint64(y * y_step + x * x_step)
    places = np.empty(size_y * size_x, np.uint64)
    for place in range(places.size):
        places[place] = uint64(place // size_x * y_step + place % size_x * x_step)
    return cells, places


@njit(**SUMS)
def conv2d_winners_backward(dw, dx, da, winner, x, w, buffers, window, stride, padding, wanted):
    """`conv2d_backward_weights` and `conv2d_backward_input` of dz, which is da at the winners and 0 elsewhere.

    dC/dw[f, c, i, j] = sum over (Y, X, n) of da[f, Y, X, n] x[c, y s + i, x s + j, n]
    dC/dx[c, r, q, n] = sum over (f, Y, X) of da[f, Y, X, n] w[f, c, r - y s, q - x s], (y, x) the window's winner.

    dw, w: (filters, channels, kernel rows, kernel columns); dw overwritten. da, winner: (filters, pooled rows, pooled
    columns, images), as in `max_pool2d_forward`. x: the convolution's input, (channels, rows, columns, images). dx:
    like x, overwritten if wanted. window: the pooling's (size_y, size_x, stride_y, stride_x). stride, padding: the
    convolution's, (y, x). buffers, overwritten: x_last and dx_last, x and dx with their padding and channels last,
    (images, padded rows, padded columns, channels), the border of x_last zero; w_last, w as (kernel rows, filters, line)
    with w[f, c, i, j] at j * channels + c of a line that may be longer; sums, the gradient of groups of images,
    (groups, filters, kernel rows, line), whose number fixes the order of adding.
    """
    x_last, dx_last, w_last, sums = buffers
    filters, channels, kernel_rows, kernel_columns = w.shape
    images, rows, columns, _ = x_last.shape
    _, x_rows, x_columns, _ = x.shape
    groups = sums.shape[0]
    x_flat, x_last_flat, da_flat, winner_flat = x.reshape(-1), x_last.reshape(-1), da.reshape(-1), winner.reshape(-1)
    dx_flat, dx_last_flat, w_last_flat, sums_flat = dx.reshape(-1), dx_last.reshape(-1), w_last.reshape(-1), sums.reshape(-1)
    plane = uint64(x_rows * x_columns * images)
    picture = uint64(rows * columns * channels)
    run, line, step = uint64(kernel_columns * channels), uint64(columns * channels), uint64(w_last.shape[2])
    outputs_y, outputs_x = (rows - kernel_rows) // stride[0] + 1, (columns - kernel_columns) // stride[1] + 1
    cells, places = _table(da.shape[1], da.shape[2], window, outputs_x, 1)
    positions = np.empty(outputs_y * outputs_x, np.uint64)
    for output in range(positions.size):
        y, q = output // outputs_x * stride[0], output % outputs_x * stride[1]
        positions[output] = uint64((y * columns + q) * channels)
    # So many deltas can one output get: one from each filter and window that it is in.
    most = uint64(filters * -(-window[0] // window[2]) * -(-window[1] // window[3]))

    for i in prange(kernel_rows):
        for f in range(filters):
            for j in range(kernel_columns):
                for c in range(channels):
                    w_last[i, f, j * channels + c] = w[f, c, i, j]

    for group in prange(groups):
        first_image, after_image = group * images // groups, (group + 1) * images // groups
        sums[group] = 0
        deltas, taps = np.empty(cells.size, da.dtype), np.empty(cells.size, np.uint64)
        counts = np.empty(positions.size, np.uint64)
        output_deltas = np.empty(counts.size * most, w.dtype)
        filter_taps = np.empty(counts.size * most, np.uint64)
        for y in range(x_rows):
            for q in range(x_columns):
                for n in range(uint64(first_image), uint64(after_image)):
                    here = uint64((y + padding[0]) * columns + q + padding[1]) * uint64(channels) + n * picture
                    there = uint64((y * x_columns + q) * images) + n
                    for c in range(uint64(channels)):
                        x_last_flat[here + c] = x_flat[there + c * plane]
        for n in range(uint64(first_image), uint64(after_image)):
            image = n * picture
            counts[:] = 0
            here = n
            for f in range(uint64(filters)):
                count = ZERO
                for cell in range(uint64(cells.size)):
                    delta = da_flat[here]
                    output = cells[cell] + places[uint64(winner_flat[here])]
                    deltas[count], taps[count] = delta, positions[output]
                    last = output * most + counts[output]
                    output_deltas[last], filter_taps[last] = delta, f * step
                    count += uint64(delta != 0)
                    counts[output] += uint64(delta != 0)
                    here += uint64(images)
                for i in range(uint64(kernel_rows)):
                    total = ((uint64(group) * uint64(filters) + f) * uint64(kernel_rows) + i) * step
                    add_lines(sums_flat, total, deltas, x_last_flat, image + i * line, taps, ZERO, count, run)
            if not wanted:
                continue
            dx_last[n] = 0
            for i in range(uint64(kernel_rows)):
                w_i = i * uint64(filters) * step
                for output in range(uint64(counts.size)):
                    if counts[output] > ZERO:
                        first, after = output * most, output * most + counts[output]
                        here = image + positions[output] + i * line
                        add_lines(dx_last_flat, here, output_deltas, w_last_flat, w_i, filter_taps, first, after, run)

    for f in prange(filters):
        total = sums[0, f]
        for group in range(1, groups):
            total += sums[group, f]
        for i in range(kernel_rows):
            for j in range(kernel_columns):
                for c in range(channels):
                    dw[f, c, i, j] = total[i, j * channels + c]

    for y in prange(x_rows if wanted else 0):
        for q in range(x_columns):
            here = uint64((y * x_columns + q) * images)
            there = uint64((y + padding[0]) * columns + q + padding[1]) * uint64(channels)
            for c in range(uint64(channels)):
                for n in range(uint64(images)):
                    dx_flat[here + c * plane + n] = dx_last_flat[there + n * picture + c]
