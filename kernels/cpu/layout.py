"""From stored images to a mini-batch, and between feature maps and neurons.

Arguments: kernels/interface.py.
"""

from numba import prange, uint64

from ..compilation import INNER, PARALLEL, njit
from ..scalar import MINI_BATCH

ONE = uint64(1)
ZERO = uint64(0)
SHARED_NUMBERS = 1 << 15  # that are looked at in the time that it takes to share them
LINE_FLOATS = 16  # float32 numbers of a cache line


@njit(**INNER)
def _copy_row(a, a0, a_stride, images, image0, y, rows, columns, shift, factor, mean, deviation):
    """a[a0 + x a_stride] = (factor * pixel x of row y of a shifted picture - mean) / deviation.

    The unshifted row begins at images[image0]; its picture has `rows` rows.
    """
    down = 1 if shift == 2 else (-1 if shift == 1 else 0)
    right = 1 if shift == 4 else (-1 if shift == 3 else 0)
    if shift:
        # Without a mean not -0, which the flag "nsz" allows.
        background = -mean / deviation if mean != 0 else a.dtype.type(0)
        for x in range(uint64(columns)):
            a[a0 + x * a_stride] = background
    if 0 <= y - down < rows:
        shifted0 = image0 - uint64(down * columns) - uint64(right)
        for x in range(uint64(max(right, 0)), uint64(min(columns, columns + right))):
            pixel = factor * a.dtype.type(images[shifted0 + x])
            a[a0 + x * a_stride] = (pixel - mean) / deviation


@njit(**PARALLEL)
def gather(a, y, images, labels, order, counters, first, shifts, scale, standard):
    """Image n of a is (x - m) / s, x: scale times image e // shifts, shifted by version e % shifts.

    e = order[mini-batch, first + n]. Threads share the images or, where the last axis is the image,
    the rows of pixels: no two write into one cache line.
    """
    _, channels, rows, columns = images.shape
    count, width, height = uint64(y.size), uint64(columns), channels * rows
    pixels = uint64(height) * width
    planes = uint64(standard.shape[1])  # the channels, or 1 for all of them
    plane = pixels // planes
    a_flat, images_flat, order_flat = a.reshape(-1), images.reshape(-1), order.reshape(-1)
    start = uint64(counters[MINI_BATCH] * order.shape[1] + first)
    factor = a.dtype.type(scale)
    for n in range(count):
        y[n] = labels[order_flat[start + n] // shifts]
    rows_first = a.shape[2] == 1
    parts = y.size if rows_first else height
    for p in prange(parts):
        if rows_first:
            version = order_flat[start + uint64(p)]
            a0 = uint64(p) * pixels
            image0 = uint64(version // shifts) * pixels
            if version % shifts == 0:
                for c in range(planes):
                    mean, deviation = standard[0, c], standard[1, c]
                    for i in range(c * plane, (c + ONE) * plane):
                        pixel = factor * a.dtype.type(images_flat[image0 + i])
                        a_flat[a0 + i] = (pixel - mean) / deviation
            else:
                for q in range(height):
                    row0 = uint64(q) * width
                    c = row0 // plane
                    _copy_row(
                        a_flat, a0 + row0, ONE, images_flat, image0 + row0,
                        q % rows, rows, columns, version % shifts, factor,
                        standard[0, c], standard[1, c],
                    )  # fmt: skip
        else:
            row0 = uint64(p) * width
            c = row0 // plane
            for n in range(count):
                version = order_flat[start + n]
                image0 = uint64(version // shifts) * pixels
                _copy_row(
                    a_flat, row0 * count + n, count, images_flat, image0 + row0,
                    p % rows, rows, columns, version % shifts, factor,
                    standard[0, c], standard[1, c],
                )  # fmt: skip


@njit(**INNER)
def _outside_unit(numbers, first, stop):
    found = 0
    for i in range(first, stop):
        if not (0 <= numbers[i] <= 1):
            found += 1
    return found


@njit(**PARALLEL)
def outside_unit(count, a):
    """count[0] = count[0] + how many numbers of a are not in [0, 1], NaN among them.

    Threads share the numbers.
    """
    numbers = a.reshape(-1)
    parts = numbers.size // SHARED_NUMBERS
    if parts <= 1:
        count[0] += _outside_unit(numbers, ZERO, uint64(numbers.size))
    else:
        found = 0
        for p in prange(parts):
            first, stop = p * numbers.size // parts, (p + 1) * numbers.size // parts
            found += _outside_unit(numbers, uint64(first), uint64(stop))
        count[0] += found


@njit(**INNER)
def _copy(out, a):
    """out[i] = a[i], both in the order in which they lie in memory."""
    out_flat, a_flat = out.reshape(-1), a.reshape(-1)
    for i in range(uint64(out_flat.size)):
        out_flat[i] = a_flat[i]


@njit(**PARALLEL)
def images_first(out, a):
    """out[n, i] = a[i, n]. Threads share the neurons, a cache line of an image's at a time."""
    images, neurons = out.shape
    if images == 1:
        _copy(out, a)
        return
    for p in prange((neurons + LINE_FLOATS - 1) // LINE_FLOATS):
        for n in range(uint64(images)):
            for i in range(uint64(p * LINE_FLOATS), uint64(min((p + 1) * LINE_FLOATS, neurons))):
                out[n, i] = a[i, n]


@njit(**PARALLEL)
def images_last(out, a):
    """out[i, n] = a[n, i]. Threads share the neurons, a cache line of an image's at a time."""
    images, neurons = a.shape
    if images == 1:
        _copy(out, a)
        return
    for p in prange((neurons + LINE_FLOATS - 1) // LINE_FLOATS):
        for i in range(uint64(p * LINE_FLOATS), uint64(min((p + 1) * LINE_FLOATS, neurons))):
            for n in range(uint64(images)):
                out[i, n] = a[n, i]
