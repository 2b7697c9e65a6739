"""Convolution, equation (125): a weight w[f, c, i, j] is shared by all positions of feature map f.

Layout: a feature map's last axis is the image of the mini-batch. `a` is the layer's input as `conv2d_pad`
lays it out, (channels, rows, phases, columns, images): zero rows and columns around the picture, and column
x of it at phase x mod stride, column x // stride, so that the columns one tap (c, i, j) meets are neighbours
whatever the stride. `taps[(c, i, j)]` is where tap (c, i, j) of the first output lies in one image of `a`,
and the output's next row is `row_step` further on.
"""

from numba import njit, prange, uint64

from ..compilation import INLINE, INNER, PARALLEL, SUMS
from .simd import ROWS, WIDTH
from .tile import ONE, ZERO, blocks, dot_products, products, steps


@njit(**INNER)
def _copy_row(to, to0, to_step, a, a0, a_step, columns, images):
    """to[x, n] = a[x, n] for a row of columns; a[x, n] is a[a0 + x a_step + n], to[x, n] likewise."""
    if to_step == images and a_step == images:
        for t in range(columns * images):
            to[to0 + t] = a[a0 + t]
    else:
        for x in range(columns):
            for n in range(images):
                to[to0 + x * to_step + n] = a[a0 + x * a_step + n]


@njit(**INLINE)
def _phase(padded, c, y, padding_x, phase):
    """The picture's first column at that phase, and where in the flat array it lies: row y of channel c."""
    _, rows, phases, columns, images = padded.shape
    x = (phase - padding_x) % phases
    place = (((c * rows + y) * phases + phase) * columns + (x + padding_x) // phases) * images
    return x, uint64(place)


@njit(**PARALLEL)
def conv2d_pad(padded, a, padding_y, padding_x):
    """padded[c, y + padding_y, p, q, n] = a[c, y, x, n] with x + padding_x = q phases + p.

    padded: (channels, rows + 2 padding_y or more, phases, columns, images), overwritten where a picture's
    pixel lands; its border is left as it is: whoever makes the
    buffer fills it with zeros, and uses it for no other shape. a: (channels, rows, columns, images).
    """
    channels, rows, columns, images = a.shape
    phases, step = padded.shape[2], uint64(images)
    padded_flat, a_flat = padded.reshape(-1), a.reshape(-1)
    for p in prange(channels * rows):
        for phase in range(phases):
            x, there = _phase(padded, p // rows, p % rows + padding_y, padding_x, phase)
            here, count = (
                uint64((p * columns + x) * images),
                uint64(max(0, columns - x + phases - 1) // phases),
            )
            _copy_row(padded_flat, there, step, a_flat, here, uint64(phases) * step, count, step)


@njit(**PARALLEL)
def conv2d_unpad(da, padded, padding_y, padding_x):
    """da[c, y, x, n] = padded[c, y + padding_y, p, q, n] with x + padding_x = q phases + p.

    The way back of `conv2d_pad`; da is overwritten.
    """
    channels, rows, columns, images = da.shape
    phases, step = padded.shape[2], uint64(images)
    padded_flat, da_flat = padded.reshape(-1), da.reshape(-1)
    for p in prange(channels * rows):
        for phase in range(phases):
            x, there = _phase(padded, p // rows, p % rows + padding_y, padding_x, phase)
            here, count = (
                uint64((p * columns + x) * images),
                uint64(max(0, columns - x + phases - 1) // phases),
            )
            _copy_row(da_flat, here, uint64(phases) * step, padded_flat, there, step, count, step)


@njit(**SUMS)
def conv2d_forward(z, a, w, b, taps, row_step):
    """z[f, y, x, n] = b[f] + sum_(c, i, j) w[f, c, i, j] a[c, y s + i, x s + j, n], equation (125).

    z: (filters, rows, columns, images), overwritten. a: see the module. w: (filters, channels, kernel rows,
    kernel columns). b: (filters,). taps: (channels * kernel rows * kernel columns,).
    """
    filters, rows, columns, images = z.shape
    z_flat, a_flat, w_flat = z.reshape(-1), a.reshape(-1), w.reshape(-1)
    count = uint64(taps.size)
    scale = uint64(images)
    run = uint64(columns * images)
    plane = uint64(rows) * run
    for p in prange(blocks(filters) * rows):
        f = uint64(p // rows) * uint64(ROWS)
        y = uint64(p % rows)
        here = min(uint64(ROWS), uint64(filters) - f)
        a0 = y * uint64(row_step) * scale
        products(
            z_flat, f * plane + y * run, plane, here,
            b, f, ONE, w_flat, f * count, count, ONE,
            a_flat, a0, taps, count, scale, run,
        )  # fmt: skip


@njit(**SUMS)
def conv2d_backward_weights(dw, dz, a, taps, row_step):
    """dC/dw[f, c, i, j] = sum_(y, x, n) dz[f, y, x, n] a[c, y s + i, x s + j, n].

    dw: like w, overwritten. dz: like z. a, taps, row_step: as in `conv2d_forward`.
    """
    filters, rows, columns, images = dz.shape
    dw_flat, dz_flat, a_flat = dw.reshape(-1), dz.reshape(-1), a.reshape(-1)
    count = uint64(taps.size)
    scale = uint64(images)
    run = uint64(columns * images)
    plane = uint64(rows) * run
    tap_blocks = (taps.size + WIDTH - 1) // WIDTH
    for p in prange(blocks(filters) * tap_blocks):
        f = uint64(p // tap_blocks) * uint64(ROWS)
        k = uint64(p % tap_blocks) * uint64(WIDTH)
        dot_products(
            dw_flat, f * count + k, count, ONE, min(uint64(ROWS), uint64(filters) - f),
            dz_flat, f * plane, plane, run,
            a_flat, ZERO, uint64(row_step) * scale, taps, k, min(uint64(WIDTH), count - k), scale,
            uint64(rows), run,
        )  # fmt: skip


@njit(**{**SUMS, "parallel": False})
def conv2d_backward_biases(db, dz):
    """dC/db[f] = sum_(y, x, n) dz[f, y, x, n]. db: (filters,), overwritten."""
    dz_flat = dz.reshape(-1)
    plane = uint64(dz_flat.size // db.size)
    for f in range(db.size):
        total = dz.dtype.type(0)
        for t in range(uint64(f) * plane, uint64(f + 1) * plane):
            total += dz_flat[t]
        db[f] = total


@njit(**SUMS)
def conv2d_backward_input(da, dz, w, taps, stride_y):
    """dC/da[c, r, q, n] = sum of w[f, c, i, j] dz[f, y, x, n] over f, i, j, y, x with y s + i = r and x s + j = q.

    da: laid out as a, padding included, overwritten. dz: like z. w, taps: as in `conv2d_forward`.
    Each row r of ROWS channels gathers what its own thread needs; nothing is multiplied with padding.
    """
    channels, padded_rows, phases, padded_columns, images = da.shape
    filters, rows, columns, _ = dz.shape
    kernel_rows, kernel_columns = w.shape[2:]
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    count = uint64(taps.size)
    area = uint64(kernel_rows * kernel_columns)
    run = uint64(columns * images)
    line = uint64(phases * padded_columns * images)
    picture = uint64(padded_rows) * line
    every_filter = steps(filters, rows * columns)
    for p in prange(blocks(channels) * padded_rows):
        c = uint64(p // padded_rows) * uint64(ROWS)
        r = p % padded_rows
        here = min(uint64(ROWS), uint64(channels) - c)
        da0 = c * picture + uint64(r) * line
        for q in range(here):
            for t in range(line):
                da_flat[da0 + q * picture + t] = 0
        for i in range(kernel_rows):
            y = (r - i) // stride_y
            if r < i or (r - i) % stride_y != 0 or y >= rows:
                continue
            for j in range(kernel_columns):
                products(
                    da_flat, da0 + taps[uint64(j)] * uint64(images), picture, here,
                    w_flat, ZERO, ZERO, w_flat, c * area + uint64(i * kernel_columns + j), area, count,
                    dz_flat, uint64(y) * run, every_filter, uint64(filters), uint64(images), run,
                )  # fmt: skip
