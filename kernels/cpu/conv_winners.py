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
            here, there = to0 + i * to_steps[0] + j * to_steps[1], a0 + i * a_steps[0] + j * a_steps[1]
            for k in range(counts[2]):
                to[here + k * to_steps[2]] = a[there + k * a_steps[2]]


@njit(**SUMS)
def conv2d_winners_backward(dw, dx, da, winner, x, w, buffers, tables, padding, wanted):
    """`conv2d_backward_weights` and `conv2d_backward_input` of dz, which is da at the winners and 0 elsewhere.

    dC/dw[f, c, i, j] = sum over (Y, X, n) of da[f, Y, X, n] x[c, y s + i, x s + j, n]
    dC/dx[c, r, q, n] = sum over (f, Y, X) of da[f, Y, X, n] w[f, c, r - y s, q - x s], (y, x) the window's winner.

    dw, w: (filters, channels, kernel rows, kernel columns); dw overwritten. da, winner: (filters, pooled rows, pooled
    columns, images), as in `max_pool2d_forward`. x: the convolution's input, (channels, rows, columns, images). dx: like x,
    overwritten if wanted. padding: the convolution's, (y, x). tables: see nbconv/geometry.py, `WinnerTables`. buffers,
    overwritten: x_last and dx_last, x and dx with their padding and channels last, (images, padded rows, padded columns,
    channels), the border of x_last zero; w_last, w as (kernel rows, filters, line) with w[f, c, i, j] at j * channels + c of
    a line that may be longer; sums, the gradient of groups of images, (groups, filters, kernel rows, line), whose number
    fixes the order of adding.
    """
    x_last, dx_last, w_last, sums = buffers
    filters, channels = uint64(w.shape[0]), uint64(w.shape[1])
    kernel_rows, kernel_columns = uint64(w.shape[2]), uint64(w.shape[3])
    images, rows, columns = uint64(x_last.shape[0]), uint64(x_last.shape[1]), uint64(x_last.shape[2])
    x_rows, x_columns = uint64(x.shape[1]), uint64(x.shape[2])
    groups = sums.shape[0]
    dw_flat, dx_flat, da_flat, winner_flat = dw.reshape(-1), dx.reshape(-1), da.reshape(-1), winner.reshape(-1)
    x_flat, w_flat = x.reshape(-1), w.reshape(-1)
    x_last_flat, dx_last_flat = x_last.reshape(-1), dx_last.reshape(-1)
    w_last_flat, sums_flat = w_last.reshape(-1), sums.reshape(-1)
    line, image_size, plane = columns * channels, rows * columns * channels, x_rows * x_columns * images
    corner = (uint64(padding[0]) * columns + uint64(padding[1])) * channels
    run, step = kernel_columns * channels, uint64(w_last.shape[2])
    kernel_area = kernel_rows * kernel_columns
    kernel_size = (kernel_rows, kernel_columns, channels)
    cells, places, positions, most = tables
    outputs = uint64(positions.size)

    for p in prange(filters):
        here, there = uint64(p) * step, uint64(p) * channels * kernel_area
        to_steps, from_steps = (filters * step, channels, ONE), (kernel_columns, ONE, kernel_area)
        _copy(w_last_flat, here, to_steps, w_flat, there, from_steps, kernel_size)

    for group in prange(groups):
        first_image, after_image = (
            uint64(group) * images // uint64(groups),
            uint64(group + 1) * images // uint64(groups),
        )
        sums0 = uint64(group) * filters * kernel_rows * step
        for t in range(sums0, sums0 + filters * kernel_rows * step):
            sums_flat[t] = 0
        deltas, taps = np.empty(cells.size, da.dtype), np.empty(cells.size, np.uint64)
        counts = np.empty(outputs, np.uint64)
        output_deltas, filter_taps = np.empty(outputs * most, da.dtype), np.empty(outputs * most, np.uint64)
        for y in range(x_rows):
            here, there = first_image * image_size + corner + y * line, y * x_columns * images + first_image
            to_steps, from_steps = (channels, image_size, ONE), (images, ONE, plane)
            size = (x_columns, after_image - first_image, channels)
            _copy(x_last_flat, here, to_steps, x_flat, there, from_steps, size)
        for n in range(first_image, after_image):
            image = n * image_size
            for k in range(outputs):
                counts[k] = 0
            here = n
            for f in range(filters):
                count = ZERO
                for cell in range(uint64(cells.size)):
                    delta = da_flat[here]
                    output = cells[cell] + places[uint64(winner_flat[here])]
                    deltas[count], taps[count] = delta, positions[output]
                    last = output * most + counts[output]
                    output_deltas[last], filter_taps[last] = delta, f * step
                    count += uint64(delta != 0)
                    counts[output] += uint64(delta != 0)
                    here += images
                total = sums0 + f * kernel_rows * step
                add_lines(sums_flat, total, step, deltas, x_last_flat, image, line, taps, ZERO, count, kernel_rows, run)
            if wanted:
                for t in range(image, image + image_size):
                    dx_last_flat[t] = 0
                for k in range(outputs):
                    first, after = k * most, k * most + counts[k]
                    if first < after:
                        add_lines(
                            dx_last_flat, image + positions[k], line, output_deltas, w_last_flat, ZERO,
                            filters * step, filter_taps, first, after, kernel_rows, run,
                        )  # fmt: skip

    for p in prange(filters):
        here, there = uint64(p) * channels * kernel_area, uint64(p) * kernel_rows * step
        for group in range(ONE, uint64(groups)):
            for t in range(there, there + kernel_rows * step):
                sums_flat[t] += sums_flat[group * filters * kernel_rows * step + t]
        to_steps, from_steps = (kernel_columns, ONE, kernel_area), (step, channels, ONE)
        _copy(dw_flat, here, to_steps, sums_flat, there, from_steps, kernel_size)

    for p in prange(x.shape[1] if wanted else 0):
        here, there = uint64(p) * x_columns * images, corner + uint64(p) * line
        to_steps, from_steps = (images, plane, ONE), (channels, ONE, image_size)
        _copy(dx_flat, here, to_steps, dx_last_flat, there, from_steps, (x_columns, channels, images))
