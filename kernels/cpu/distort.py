"""From stored images to a mini-batch of randomly distorted ones: see kernels/distortion.py."""

import numpy as np
from numba import prange, uint64

from ..compilation import INNER, PARALLEL, njit
from ..distortion import place, sampled
from ..scalar import MINI_BATCH

ONE = uint64(1)


@njit(**INNER)
def _distorted_row(a, a0, a_step, framed, at, lines, first, rows, columns, mean, deviation):
    """a[a0 + x a_step] = (the picture at framed[at], read where the line says, - mean) / deviation.

    The line begins at lines[first].
    """
    for x in range(uint64(columns)):
        sy, sx = place(lines, first, x, columns)
        pixel = a.dtype.type(sampled(framed, at, sy, sx, rows, columns))
        a[a0 + x * a_step] = (pixel - mean) / deviation


@njit(**PARALLEL)
def gather_distorted(a, y, images, labels, order, counters, first, lines, framed, scale, standard):
    """Image n of a is (x - m) / s, x: scale times image order[mini_batch, first + n], distorted.

    a, y, images, labels, order, counters, standard: as in `gather`. lines: of `draw_distortions`.
    framed: (n, channels, rows + 2, columns + 2), its frame 0, overwritten within.
    """
    _, channels, rows, columns = images.shape
    count, height = y.size, channels * rows
    factor = np.float32(scale)
    for n in prange(count):
        image = order[counters[MINI_BATCH], first + np.int64(n)]
        y[n] = labels[image]
        for c in range(channels):
            for r in range(rows):
                for x in range(columns):
                    framed[n, c, r + 1, x + 1] = factor * np.float32(images[image, c, r, x])
    a_flat, framed_flat, lines_flat = a.reshape(-1), framed.reshape(-1), lines.reshape(-1)
    size, width = uint64((rows + 2) * (columns + 2)), uint64(lines.shape[2])
    plane = uint64(channels * rows * columns // standard.shape[1])
    rows_first = a.shape[2] == 1
    # Each thread has images of its own or, where the last axis is the image, rows of pixels, as in
    # `gather`.
    for p in prange(count if rows_first else height):
        for q in range(height if rows_first else count):
            m, row = (uint64(p), uint64(q)) if rows_first else (uint64(q), uint64(p))
            at = (m * uint64(channels) + row // uint64(rows)) * size
            line = (m * uint64(rows) + row % uint64(rows)) * width
            a0 = (
                (m * uint64(height) + row) * uint64(columns)
                if rows_first
                else row * uint64(columns) * uint64(count) + m
            )
            step = ONE if rows_first else uint64(count)
            c = row * uint64(columns) // plane
            _distorted_row(
                a_flat, a0, step, framed_flat, at, lines_flat, line, rows, columns,
                standard[0, c], standard[1, c],
            )  # fmt: skip
