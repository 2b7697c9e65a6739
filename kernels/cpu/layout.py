"""Ways between layouts: from stored images to a mini-batch, and between feature maps and neurons."""

from numba import njit, prange, uint64

from ..compilation import INNER, PARALLEL
from ..scalar import MINI_BATCH

ONE = uint64(1)
LINE = 16  # numbers of float32 in a cache line


@njit(**INNER)
def _copy_row(a, a0, a_step, images, row0, rows, columns, move, factor):
    """a[a0 + x a_step] = pixel x of the picture's row at images[row0], moved, times factor; y = rows[0] of rows[1] rows."""
    down = 1 if move == 2 else (-1 if move == 1 else 0)
    right = 1 if move == 4 else (-1 if move == 3 else 0)
    y, height = rows
    if move:
        for x in range(uint64(columns)):
            a[a0 + x * a_step] = a.dtype.type(0)
    if 0 <= y - down < height:
        from0 = row0 - uint64(down * columns) - uint64(right)
        for x in range(uint64(max(right, 0)), uint64(min(columns, columns + right))):
            a[a0 + x * a_step] = factor * a.dtype.type(images[from0 + x])


@njit(**PARALLEL)
def gather(a, y, images, labels, order, counters, first, shifts, scale):
    """Image n of a is image order[turn, first + n] // moves of `images`, moved by that % moves, times scale.

    Move 0 leaves the picture; 1, 2, 3 and 4 move it by one pixel up, down, left and right and fill the emptied
    edge with 0 (chapter 6, "Expanding the training data"). a: (channels, rows, columns, n) or, before a dense
    layer, (n, pixels), overwritten. y: (n,), overwritten with the labels. images: (count, channels, rows,
    columns), uint8 or float. labels: (count,). order: (mini-batches, images of each); clock: see `advance`.
    """
    _, channels, rows, columns = images.shape
    count, width, height = uint64(y.size), uint64(columns), channels * rows
    pixels = uint64(height) * width
    a_flat, images_flat, order_flat = a.reshape(-1), images.reshape(-1), order.reshape(-1)
    start = uint64(counters[MINI_BATCH] * order.shape[1] + first)
    factor = a.dtype.type(scale)
    for n in range(count):
        y[n] = labels[order_flat[start + n] // shifts]
    rows_first = a.ndim == 2 or count == 1
    # Each thread has images of its own or, where the last axis is the image, rows of pixels: no two write into one cache line.
    parts = y.size if rows_first else height
    for p in prange(parts):
        if rows_first:
            code = order_flat[start + uint64(p)]
            here, there = uint64(p) * pixels, uint64(code // shifts) * pixels
            if code % shifts == 0:
                for i in range(pixels):
                    a_flat[here + i] = factor * a.dtype.type(images_flat[there + i])
            else:
                for q in range(height):
                    at = uint64(q) * width
                    place = q % rows, rows
                    _copy_row(
                        a_flat,
                        here + at,
                        ONE,
                        images_flat,
                        there + at,
                        place,
                        columns,
                        code % shifts,
                        factor,
                    )
        else:
            at, place = uint64(p) * width, (p % rows, rows)
            for n in range(count):
                code = order_flat[start + n]
                there = uint64(code // shifts) * pixels + at
                _copy_row(
                    a_flat,
                    at * count + n,
                    count,
                    images_flat,
                    there,
                    place,
                    columns,
                    code % shifts,
                    factor,
                )


@njit(**PARALLEL)
def images_first(out, a):
    """out[n, i] = a[i, n]: from feature maps to a dense layer's rows. out: (images, neurons), overwritten."""
    images, neurons = out.shape
    if images == 1:
        out_flat, a_flat = out.reshape(-1), a.reshape(-1)
        for i in range(uint64(neurons)):
            out_flat[i] = a_flat[i]
        return
    for p in prange((neurons + LINE - 1) // LINE):
        # A cache line of each image's neurons at a time.
        for n in range(uint64(images)):
            for i in range(uint64(p * LINE), uint64(min((p + 1) * LINE, neurons))):
                out[n, i] = a[i, n]


@njit(**PARALLEL)
def images_last(out, a):
    """out[i, n] = a[n, i]: the way back of `images_first`. out: (neurons, images), overwritten."""
    images, neurons = a.shape
    if images == 1:
        out_flat, a_flat = out.reshape(-1), a.reshape(-1)
        for i in range(uint64(neurons)):
            out_flat[i] = a_flat[i]
        return
    for p in prange((neurons + LINE - 1) // LINE):
        for i in range(uint64(p * LINE), uint64(min((p + 1) * LINE, neurons))):
            for n in range(uint64(images)):
                out[i, n] = a[n, i]
