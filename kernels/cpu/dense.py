"""Dense layers. A mini-batch is a matrix with a row for each image: (images, neurons).

That is the transpose of the book's matrix of columns, so that rows of w and rows of a are both contiguous
and all three products run over long rows, however few images there are.
"""

import numpy as np
from numba import njit, prange, uint64

from ..compilation import FLAGS, INLINE, SUMS
from .simd import ROWS, WIDTH
from .tile import ONE, ZERO, blocks, dot_products, products, steps
from .update import descend

CHUNK = 256  # at most so many columns of w are one thread's
BLOCK = 4 * ROWS  # rows of w that are read once for all that is done with them: BLOCK x CHUNK is in the first-level cache


@njit(**SUMS)
def dense_forward(z, a, w, b):
    """z[n, j] = b[j] + sum_k w[j, k] a[n, k], equation (25).

    z: (images, neurons out), overwritten. a: (images, neurons in). w: (neurons out, neurons in). b: (neurons out,).
    """
    images, n_out = z.shape
    n_in = uint64(a.shape[1])
    z_flat, a_flat, w_flat = z.reshape(-1), a.reshape(-1), w.reshape(-1)
    out_blocks = (n_out + WIDTH - 1) // WIDTH
    image_blocks = blocks(images)
    width = uint64(n_out)
    every_row = steps(n_out, n_in)
    for p in prange(image_blocks * out_blocks):
        n = uint64(p % image_blocks) * uint64(ROWS)
        j = uint64(p // image_blocks) * uint64(WIDTH)
        rows = min(uint64(ROWS), uint64(images) - n)
        columns = min(uint64(WIDTH), width - j)
        dot_products(
            z_flat, n * width + j, width, ONE, rows,
            a_flat, n * n_in, n_in, ZERO,
            w_flat, ZERO, ZERO, every_row, j, columns, ONE,
            ONE, n_in,
        )  # fmt: skip
        for r in range(rows):
            for k in range(columns):
                z[n + r, j + k] += b[j + k]


@njit(**INLINE)
def _chunk_size(n_in):
    """How many columns of w each thread takes at a time: an even number of chunks, whole vectors."""
    chunks = 2 * ((n_in + 2 * CHUNK - 1) // (2 * CHUNK))
    return (n_in + 16 * chunks - 1) // (16 * chunks) * 16


# Arrays inside the loops are flat and never sliced: each view made there would be counted, in memory that threads share.


@njit(**INLINE)
def _weights_block(dw, dw0, dw_row, dz, a, sizes, every_image, j, k, run):
    """dw[r, t] = sum_n dz[n, j + r] a[n, k + t] for ROWS rows r of w and t < run; dw[r, t] is dw[dw0 + r dw_row + t]."""
    images, n_out, _ = sizes
    rows = min(uint64(ROWS), n_out - j)
    for r in range(rows):
        for t in range(run):
            dw[dw0 + r * dw_row + t] = 0
    products(dw, dw0, dw_row, rows, dz, ZERO, ZERO, dz, j, ONE, n_out, a, k, every_image, images, ONE, run)


@njit(**INLINE)
def _input_block(da, da0, dz, w, sizes, every_row, j, count, k, run, is_first):
    """da[n, k + t] (+)= sum_r w[j + r, k + t] dz[n, j + r] for r < count rows of w and t < run; set if it is the first."""
    images, n_out, n_in = sizes
    for n in range(ZERO, images, uint64(ROWS)):
        rows, here = min(uint64(ROWS), images - n), da0 + n * n_in + k
        if is_first:
            for r in range(rows):
                for t in range(run):
                    da[here + r * n_in + t] = 0
        dz0, w0 = n * n_out + j, j * n_in + k
        products(da, here, n_in, rows, dz, ZERO, ZERO, dz, dz0, n_out, ONE, w, w0, every_row, count, ONE, run)


@njit(**INLINE)
def _sizes(a, w):
    """(images, neurons out, neurons in)."""
    return uint64(a.shape[0]), uint64(w.shape[0]), uint64(w.shape[1])


@njit(**SUMS)
def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). dw: like w, overwritten."""
    n_out, n_in = dw.shape
    sizes, chunk = _sizes(a, dw), _chunk_size(n_in)
    dw_flat, dz_flat, a_flat = dw.reshape(-1), dz.reshape(-1), a.reshape(-1)
    every_image = steps(a.shape[0], n_in)
    for p in prange((n_in + chunk - 1) // chunk):
        k, run = uint64(p * chunk), uint64(min(chunk, n_in - p * chunk))
        for j in range(ZERO, uint64(n_out), uint64(ROWS)):
            here = j * uint64(n_in) + k
            _weights_block(dw_flat, here, uint64(n_in), dz_flat, a_flat, sizes, every_image, j, k, run)


@njit(**INLINE)
def _add_biases(db, dz):
    db[:] = 0
    for n in range(uint64(dz.shape[0])):
        for j in range(uint64(dz.shape[1])):
            db[j] += dz[n, j]


@njit(**FLAGS)
def dense_backward_biases(db, dz):
    """dC/db[j] = sum_n dz[n, j], equation (BP3). db: (neurons out,), overwritten."""
    _add_biases(db, dz)


@njit(**SUMS)
def dense_backward_input(da, dz, w):
    """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z). da: like a, overwritten."""
    n_out, n_in = w.shape
    sizes, chunk = _sizes(da, w), _chunk_size(n_in)
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    every_row = steps(BLOCK, n_in)
    for p in prange((n_in + chunk - 1) // chunk):
        k, run = uint64(p * chunk), uint64(min(chunk, n_in - p * chunk))
        for j in range(ZERO, uint64(n_out), uint64(BLOCK)):
            count = min(uint64(BLOCK), uint64(n_out) - j)
            _input_block(da_flat, ZERO, dz_flat, w_flat, sizes, every_row, j, count, k, run, j == ZERO)


@njit(**SUMS)
def dense_descend(w, b, v_w, v_b, dz, a, rates):
    """`dense_backward_weights`, `dense_backward_biases` and `sgd` in one: the gradient never goes to memory.

    Plain descent is w = (1 - eta decay) w + sum_n (-eta dz[n, j]) a[n, k]: one product, added to w where it lies. With
    momentum or L1, the gradient of a block of w is computed beside it. Each thread has rows of w of its own, for a core
    that writes is slowed down by another that writes nearby. w, b, v_w, v_b: updated. dz: overwritten. rates: as in
    `sgd`.
    """
    n_out, n_in = w.shape
    sizes, width, images = _sizes(a, w), uint64(n_in), uint64(a.shape[0])
    w_flat, v_flat, dz_flat, a_flat = w.reshape(-1), v_w.reshape(-1), dz.reshape(-1), a.reshape(-1)
    every_image = steps(a.shape[0], n_in)
    eta, decay, decay_l1, momentum, nesterov = rates
    db = np.empty(b.size, b.dtype)
    _add_biases(db, dz)
    descend(b, ZERO, v_b, db, ZERO, uint64(b.size), (eta, 0.0, 0.0, momentum, nesterov))
    plain = momentum == 0 and decay_l1 == 0
    shrink = w.dtype.type(1 - eta * decay)
    if plain:
        for i in range(uint64(dz.size)):
            dz_flat[i] *= dz.dtype.type(-eta)
    groups = min(blocks(n_out), 16)
    for group in prange(groups):
        first, after = group * blocks(n_out) // groups * ROWS, min((group + 1) * blocks(n_out) // groups * ROWS, n_out)
        gradient = np.empty(ROWS * CHUNK, w.dtype)
        for k in range(ZERO, width, uint64(CHUNK)):
            run = min(uint64(CHUNK), width - k)
            for j in range(uint64(first), uint64(after), uint64(ROWS)):
                w0, rows = j * width + k, min(uint64(ROWS), uint64(n_out) - j)
                if plain:
                    if shrink != 1:
                        for r in range(rows):
                            for t in range(run):
                                w_flat[w0 + r * width + t] *= shrink
                    products(
                        w_flat, w0, width, rows, dz_flat, ZERO, ZERO,
                        dz_flat, j, ONE, uint64(n_out), a_flat, k, every_image, images, ONE, run,
                    )  # fmt: skip
                else:
                    _weights_block(gradient, ZERO, run, dz_flat, a_flat, sizes, every_image, j, k, run)
                    for r in range(rows):
                        descend(w_flat, w0 + r * width, v_flat, gradient, r * run, run, rates)
