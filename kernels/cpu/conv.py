"""Convolution, equation (125): a weight w[f, c, i, j] is shared by all positions of feature map f.

Arguments: kernels/interface.py. A feature map's last axis is the image of the mini-batch. A
convolution reads its input `a` as `conv2d_pad` lays it out, (channels, rows, phases, columns,
images), or as it is where that is the same. The columns that one tap (c, i, j) meets are neighbours
there, whatever the stride, so an output row of all images is one run of numbers: x and n together
are the index t of `products`, and the taps (c, i, j) its index k.
"""

from numba import prange, uint64

from ..compilation import INLINE, INNER, PARALLEL, SUMS, njit
from .simd import MR, NR
from .tile import ONE, ZERO, add_products, blocks, dot_products, products, strided_taps


@njit(**INNER)
def _copy_row(to, to0, to_stride, a, a0, a_stride, columns, images):
    """to[x, n] = a[x, n] for a row of columns; a[x, n] is a[a0 + x a_stride + n], to likewise."""
    if to_stride == images and a_stride == images:
        for t in range(columns * images):
            to[to0 + t] = a[a0 + t]
    else:
        for x in range(columns):
            for n in range(images):
                to[to0 + x * to_stride + n] = a[a0 + x * a_stride + n]


@njit(**INLINE)
def _phase(padded, c, y, columns, padding_x, phase):
    """(first column of a picture of `columns` at that phase, their number, position in padded)."""
    _, rows, phases, padded_columns, images = padded.shape
    x = (phase - padding_x) % phases
    count = max(0, columns - x + phases - 1) // phases
    line = (c * rows + y) * phases + phase
    position = (line * padded_columns + (x + padding_x) // phases) * images
    return x, uint64(count), uint64(position)


@njit(**PARALLEL)
def conv2d_pad(padded, a, padding_y, padding_x):
    """padded[c, y + padding_y, p, q, n] = a[c, y, x, n] with x + padding_x = q phases + p.

    Threads share the rows (c, y).
    """
    channels, rows, columns, images = a.shape
    phases, size = padded.shape[2], uint64(images)
    padded_flat, a_flat = padded.reshape(-1), a.reshape(-1)
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        for phase in range(phases):
            x, count, position = _phase(padded, c, y + padding_y, columns, padding_x, phase)
            a0 = uint64((p * columns + x) * images)
            _copy_row(padded_flat, position, size, a_flat, a0, uint64(phases) * size, count, size)


@njit(**PARALLEL)
def conv2d_unpad(da, padded, padding_y, padding_x):
    """The inverse of `conv2d_pad`. Threads share the rows (c, y)."""
    channels, rows, columns, images = da.shape
    phases, size = padded.shape[2], uint64(images)
    padded_flat, da_flat = padded.reshape(-1), da.reshape(-1)
    for p in prange(channels * rows):
        c, y = p // rows, p % rows
        for phase in range(phases):
            x, count, position = _phase(padded, c, y + padding_y, columns, padding_x, phase)
            da0 = uint64((p * columns + x) * images)
            _copy_row(da_flat, da0, uint64(phases) * size, padded_flat, position, size, count, size)


@njit(**SUMS)
def conv2d_forward(z, a, w, b, taps, row_step):
    """z[f, y, x, n] = b[f] + sum_(c, i, j) w[f, c, i, j] a[c, y s + i, x s + j, n], equation (125).

    Threads share the output rows of MR filters.
    """
    filters, rows, columns, images = z.shape
    z_flat, a_flat, w_flat = z.reshape(-1), a.reshape(-1), w.reshape(-1)
    count = uint64(taps.size)
    scale = uint64(images)
    length = uint64(columns * images)
    plane = uint64(rows) * length
    for p in prange(blocks(filters) * rows):
        f = uint64(p // rows) * uint64(MR)
        y = uint64(p % rows)
        height = min(uint64(MR), uint64(filters) - f)
        a0 = y * uint64(row_step) * scale
        products(
            z_flat, f * plane + y * length, plane, height,
            b, f, ONE, w_flat, f * count, count, ONE,
            a_flat, a0, taps, count, scale, length,
        )  # fmt: skip


@njit(**SUMS)
def conv2d_backward_weights(dw, dz, a, taps, row_step):
    """dC/dw[f, c, i, j] = sum_(y, x, n) dz[f, y, x, n] a[c, y s + i, x s + j, n], from (BP4).

    Threads share the tiles of MR filters and NR taps.
    """
    filters, rows, columns, images = dz.shape
    dw_flat, dz_flat, a_flat = dw.reshape(-1), dz.reshape(-1), a.reshape(-1)
    count = uint64(taps.size)
    scale = uint64(images)
    length = uint64(columns * images)
    plane = uint64(rows) * length
    tap_blocks = (taps.size + NR - 1) // NR
    for p in prange(blocks(filters) * tap_blocks):
        f = uint64(p // tap_blocks) * uint64(MR)
        k = uint64(p % tap_blocks) * uint64(NR)
        dot_products(
            dw_flat, f * count + k, count, ONE, min(uint64(MR), uint64(filters) - f),
            dz_flat, f * plane, plane, length,
            a_flat, ZERO, uint64(row_step) * scale, taps, k, min(uint64(NR), count - k), scale,
            uint64(rows), length,
        )  # fmt: skip


@njit(**{**SUMS, "parallel": False})
def conv2d_backward_biases(db, dz):
    """dC/db[f] = sum_(y, x, n) dz[f, y, x, n], from (BP3). On one thread."""
    dz_flat = dz.reshape(-1)
    plane = uint64(dz_flat.size // db.size)
    for f in range(db.size):
        total = dz.dtype.type(0)
        for t in range(uint64(f) * plane, uint64(f + 1) * plane):
            total += dz_flat[t]
        db[f] = total


@njit(**SUMS)
def conv2d_backward_input(da, dz, w, taps, stride_y):
    """dC/da[c, r, q, n] = sum of w[f, c, i, j] dz[f, y, x, n] over y s + i = r, x s + j = q.

    From (BP2). Threads share the rows r of MR channels, and each gathers what its row needs:
    nothing is multiplied with padding.
    """
    channels, padded_rows, phases, padded_columns, images = da.shape
    filters, rows, columns, _ = dz.shape
    kernel_rows, kernel_columns = w.shape[2:]
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    count = uint64(taps.size)
    area = uint64(kernel_rows * kernel_columns)
    length = uint64(columns * images)
    line = uint64(phases * padded_columns * images)
    plane = uint64(padded_rows) * line
    filter_taps = strided_taps(filters, rows * columns)
    for p in prange(blocks(channels) * padded_rows):
        c = uint64(p // padded_rows) * uint64(MR)
        r = p % padded_rows
        height = min(uint64(MR), uint64(channels) - c)
        da0 = c * plane + uint64(r) * line
        for q in range(height):
            for t in range(line):
                da_flat[da0 + q * plane + t] = 0
        for i in range(kernel_rows):
            y = (r - i) // stride_y
            if r < i or (r - i) % stride_y != 0 or y >= rows:
                continue
            for j in range(kernel_columns):
                add_products(
                    da_flat, da0 + taps[uint64(j)] * uint64(images), plane, height,
                    w_flat, c * area + uint64(i * kernel_columns + j), area, count,
                    dz_flat, uint64(y) * length, filter_taps, uint64(filters), uint64(images),
                    length,
                )  # fmt: skip
