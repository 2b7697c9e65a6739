"""From stored images to a mini-batch of randomly distorted ones: see kernels/distortion.py."""

import numpy as np
from numba import cuda

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
from .launch import KERNEL, each

GRID = 2 * POINTS * POINTS

# Kernels


@cuda.jit(**KERNEL)
def _points(points, elastic, counters, first):
    i = cuda.grid(1)
    if i < points.size:
        key = random_key(counters[SEED], counters[STEP], DISTORTION_KEY)
        points[i] = elastic * between(
            key, (first + i // GRID) * NUMBERS_PER_IMAGE + AFFINE_NUMBERS + i % GRID
        )


@cuda.jit(**KERNEL)
def _lines(lines, points, amounts, rows, columns, counters, first):
    i = cuda.grid(1)
    if i < lines.size // LINE_LENGTH:
        n, y = i // rows, i % rows
        key = random_key(counters[SEED], counters[STEP], DISTORTION_KEY)
        line, grid = (
            lines[i * LINE_LENGTH : (i + 1) * LINE_LENGTH],
            points[n * GRID : (n + 1) * GRID],
        )
        line[0], line[1], line[2], line[3] = line_of(
            key, (first + n) * NUMBERS_PER_IMAGE, amounts, y, rows, columns
        )
        for k in range(2 * POINTS):
            line[4 + k] = along(grid, k, y, rows)


@cuda.jit(**KERNEL)
def _frame(framed, y, images, labels, order, counters, first, width, factor, sizes):
    i = cuda.grid(1)
    channels, rows, columns = sizes
    pixels = channels * rows * columns
    if i < y.size * pixels:
        n, pixel = i // pixels, i % pixels
        image = order[counters[MINI_BATCH] * width + first + n]
        if pixel == 0:
            y[n] = labels[image]
        c, r, x = pixel // (rows * columns), pixel // columns % rows, pixel % columns
        at = ((n * channels + c) * (rows + 2) + r + 1) * (columns + 2) + x + 1
        framed[at] = factor * np.float32(images[image * pixels + pixel])


@cuda.jit(**KERNEL)
def _distorted(a, framed, lines, standard, plane, count, sizes, rows_first):
    i = cuda.grid(1)
    channels, rows, columns = sizes
    pixels = channels * rows * columns
    if i < a.size:
        if rows_first:
            n, pixel = i // pixels, i % pixels
        else:
            pixel, n = i // count, i % count
        c, r, x = pixel // (rows * columns), pixel // columns % rows, pixel % columns
        sy, sx = place(lines, np.uint64((n * rows + r) * LINE_LENGTH), x, columns)
        at = np.uint64((n * channels + c) * (rows + 2) * (columns + 2))
        value = a.dtype.type(sampled(framed, at, sy, sx, rows, columns))
        k = pixel // plane
        a[i] = (value - standard[k]) / standard[standard.size // 2 + k]


# What layers call


def draw_distortions(lines, points, amounts, columns, counters, first):
    """Draw the distortions of images first, first + 1, ... of the mini-batch: a line for each row.

    Arguments: as in reference.distort. Thread mapping: one for each point, then one for each line.
    """
    flat = lines.reshape(-1), points.reshape(-1)
    each(_points, points.size, flat[1], amounts[3], counters, first)
    each(
        _lines,
        lines.shape[0] * lines.shape[1],
        *flat,
        amounts,
        lines.shape[1],
        columns,
        counters,
        first,
    )


def gather_distorted(a, y, images, labels, order, counters, first, lines, framed, scale, standard):
    """Image n of a is (x - m) / s, x: scale times image order[mini_batch, first + n], distorted.

    a, y, images, labels, order, counters, standard: as in `gather`. lines: of `draw_distortions`.
    framed: (n, channels, rows + 2, columns + 2), its frame 0, overwritten within. Thread mapping:
    one for each pixel.
    """
    sizes, flat = tuple(images.shape)[1:], framed.reshape(-1)
    factor = np.float32(scale)
    each(
        _frame,
        a.size,
        flat,
        y,
        images.reshape(-1),
        labels,
        order.reshape(-1),
        counters,
        first,
        order.shape[1],
        factor,
        sizes,
    )
    standards = standard.reshape(-1), a.size // (y.size * standard.shape[1])
    arrays, numbers = (a.reshape(-1), flat, lines.reshape(-1)), (y.size, sizes, a.shape[2] == 1)
    each(_distorted, a.size, *arrays, *standards, *numbers)
