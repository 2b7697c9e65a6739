"""Ways between layouts: from stored images to a mini-batch, between feature maps and neurons."""

from numba import cuda

from ..scalar import MINI_BATCH
from .launch import KERNEL, LANES, SPLITS, blocks, each, launch

PITCH = LANES + 1  # so that a column of a tile lies in as many banks of shared memory as a row

# Kernels


@cuda.jit(**KERNEL)
def _gather(
    a, y, images, labels, order, counters, first, width, shifts, factor, standard, plane, sizes,
    rows_first,
):  # fmt: skip
    i = cuda.grid(1)
    channels, rows, columns = sizes
    pixels = channels * rows * columns
    if i < a.size:
        if rows_first:
            n, pixel = i // pixels, i % pixels
        else:
            pixel, n = i // y.size, i % y.size
        code = order[counters[MINI_BATCH] * width + first + n]
        image, move = code // shifts, code % shifts
        if pixel == 0:
            y[n] = labels[image]
        c, value = pixel // plane, a.dtype.type(0)
        r, x = pixel // columns % rows, pixel % columns
        from_r = r + (1 if move == 1 else (-1 if move == 2 else 0))
        from_x = x + (1 if move == 3 else (-1 if move == 4 else 0))
        if 0 <= from_r < rows and 0 <= from_x < columns:
            pixel += (from_r - r) * columns + from_x - x
            value = factor * a.dtype.type(images[image * pixels + pixel])
        a[i] = (value - standard[c]) / standard[standard.size // 2 + c]


@cuda.jit(**KERNEL)
def _outside_unit(a, count):
    i = cuda.grid(1)
    if i < a.size and not (0 <= a[i] <= 1):
        cuda.atomic.add(count, 0, 1)  # of whole numbers, so in any order


@cuda.jit(**KERNEL)
def _transpose(out, a, rows, columns):
    """A tile of LANES x LANES: read row by row, written row by row."""
    tile = cuda.shared.array((LANES, PITCH), a.dtype)
    r0, c0 = cuda.blockIdx.x * LANES, cuda.blockIdx.y * LANES
    lane = cuda.threadIdx.x
    for r in range(cuda.threadIdx.y, LANES, SPLITS):
        if r0 + r < rows and c0 + lane < columns:
            tile[r, lane] = a[(r0 + r) * columns + c0 + lane]
    cuda.syncthreads()
    for c in range(cuda.threadIdx.y, LANES, SPLITS):
        if c0 + c < columns and r0 + lane < rows:
            out[(c0 + c) * rows + r0 + lane] = tile[lane, c]


# What layers call


def gather(a, y, images, labels, order, counters, first, shifts, scale, standard):
    """Image n of a is (x - m) / s, x: scale times image e // shifts, shifted by version e % shifts.

    e = order[mini_batch, first + n]. Arguments: as in reference.layout. Thread mapping: one for
    each pixel of the mini-batch.
    """
    flat = a.reshape(-1), y, images.reshape(-1), labels, order.reshape(-1), counters
    numbers, sizes = (first, order.shape[1], shifts, a.dtype.type(scale)), tuple(images.shape)[1:]
    standards = standard.reshape(-1), a.size // (y.size * standard.shape[1])
    each(_gather, a.size, *flat, *numbers, *standards, sizes, a.shape[2] == 1)


def outside_unit(count, a):
    """count[0] = count[0] + how many numbers of a are not in [0, 1], NaN among them.

    Thread mapping: one for each number.
    """
    each(_outside_unit, a.size, a.reshape(-1), count)


def images_first(out, a):
    """out[n, i] = a[i, n]: from feature maps to a dense layer's rows.

    out: (images, neurons), overwritten. Thread mapping: a block for each tile of LANES x LANES.
    """
    rows, columns = a.shape
    launch(
        _transpose,
        (blocks(rows, LANES), blocks(columns, LANES)),
        (LANES, SPLITS),
        out.reshape(-1),
        a.reshape(-1),
        rows,
        columns,
    )


def images_last(out, a):
    """out[i, n] = a[n, i]: the way back of `images_first`. out: (neurons, images), overwritten."""
    images_first(out, a)
