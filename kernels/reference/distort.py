"""From stored images to a mini-batch of randomly distorted ones: see kernels/distortion.py."""

import numpy as np
from numba import prange

from ..compilation import PARALLEL, PLAIN, njit
from ..distortion import (
    AFFINE_NUMBERS,
    DISTORTION_KEY,
    LINE_LENGTH,
    NUMBERS_PER_IMAGE,
    POINTS,
    along,
    between,
    line_of,
    place,
    sampled,
)
from ..scalar import MINI_BATCH, SEED, STEP, random_key


@njit(**PARALLEL)
def draw_distortions(lines, points, amounts, columns, counters, first):
    """Draw the distortions of images first, first + 1, ...: a line for each of their rows.

    lines: (images, rows, LINE_LENGTH), overwritten: of a row sy, down, sx, across (see `line_of`),
    then its elastic displacement down and across at each column of the grid. points: (images, 2,
    POINTS, POINTS), overwritten: the displacements of the grid. amounts: see `line_of`. columns: of
    the pictures. counters: see `advance`.
    """
    images, rows, _ = lines.shape
    key = random_key(counters[SEED], counters[STEP], DISTORTION_KEY)
    for n in prange(images):
        begin = (first + n) * NUMBERS_PER_IMAGE
        grid = points[n].reshape(-1)
        for k in range(grid.size):
            grid[k] = amounts[3] * between(key, begin + AFFINE_NUMBERS + k)
        for y in range(rows):
            line = lines[n, y]
            line[0], line[1], line[2], line[3] = line_of(key, begin, amounts, y, rows, columns)
            for k in range(2 * POINTS):
                line[4 + k] = along(grid, k, y, rows)


@njit(**PLAIN)
def gather_distorted(a, y, images, labels, order, counters, first, lines, framed, scale, standard):
    """Image n of a is (x - m) / s, x: scale times image order[mini_batch, first + n], distorted.

    a, images, labels, order, counters, standard: as in `gather`. y: (n,), overwritten with the
    labels. lines: of `draw_distortions`. framed: (n, channels, rows + 2, columns + 2), its frame 0,
    overwritten within.
    """
    _, channels, rows, columns = images.shape
    factor, lines_flat, framed_flat = np.float32(scale), lines.reshape(-1), framed.reshape(-1)
    for n in range(y.size):
        image = order[counters[MINI_BATCH], first + n]
        y[n] = labels[image]
        for c in range(channels):
            for r in range(rows):
                for s in range(columns):
                    framed[n, c, r + 1, s + 1] = factor * np.float32(images[image, c, r, s])
            mean, deviation = standard[0, c % standard.shape[1]], standard[1, c % standard.shape[1]]
            picture = np.uint64((n * channels + c) * (rows + 2) * (columns + 2))  # where it begins
            for r in range(rows):
                for s in range(columns):
                    line = np.uint64((n * rows + r) * LINE_LENGTH)
                    sy, sx = place(lines_flat, line, s, columns)
                    pixel = a.dtype.type(sampled(framed_flat, picture, sy, sx, rows, columns))
                    pixel = (pixel - mean) / deviation
                    p = (c * rows + r) * columns + s
                    if a.shape[2] == 1:
                        a[n, p, 0] = pixel
                    else:
                        a[0, p, n] = pixel
