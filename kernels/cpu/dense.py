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


@njit(**INLINE)
def _weights_block(dw, dw0, dw_row, dz, a, j, k, run, every_image):
    """dw[r, t] = sum_n dz[n, j + r] a[n, k + t] for ROWS rows r of w and t < run; dw[r, t] is dw[dw0 + r dw_row + t]."""
    n_out, n_in = uint64(dz.shape[1]), uint64(a.shape[1])
    rows = min(uint64(ROWS), n_out - j)
    for r in range(rows):
        for t in range(run):
            dw[dw0 + r * dw_row + t] = 0
    dz_flat, a_flat = dz.reshape(-1), a.reshape(-1)
    products(
        dw, dw0, dw_row, rows,
        dz_flat, ZERO, ZERO, dz_flat, j, ONE, n_out,
        a_flat, k, every_image, ONE, run,
    )  # fmt: skip


@njit(**INLINE)
def _input_block(da, dz, w, j, k, run, every_row):
    """da[n, k + t] (+)= sum_r w[j + r, k + t] dz[n, j + r] for BLOCK rows r of w and t < run; added to unless j is 0."""
    images, n_in = da.shape
    n_out, width = uint64(dz.shape[1]), uint64(n_in)
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    rows = every_row[: min(uint64(BLOCK), n_out - j)]
    for block in range(blocks(images)):
        n = uint64(block * ROWS)
        here = min(uint64(ROWS), uint64(images) - n)
        if j == ZERO:
            for r in range(here):
                for t in range(run):
                    da_flat[(n + r) * width + k + t] = 0
        products(
            da_flat, n * width + k, width, here,
            dz_flat, ZERO, ZERO, dz_flat, n * n_out + j, n_out, ONE,
            w_flat, j * width + k, rows, ONE, run,
        )  # fmt: skip


@njit(**SUMS)
def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). dw: like w, overwritten."""
    n_out, n_in = dw.shape
    dw_flat, size = dw.reshape(-1), _chunk_size(n_in)
    every_image = steps(a.shape[0], n_in)
    for p in prange((n_in + size - 1) // size):
        k = uint64(p * size)
        run = uint64(min(size, n_in - p * size))
        for j in range(ZERO, uint64(n_out), uint64(ROWS)):
            _weights_block(dw_flat, j * uint64(n_in) + k, uint64(n_in), dz, a, j, k, run, every_image)


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
    size = _chunk_size(n_in)
    every_row = steps(BLOCK, n_in)
    for p in prange((n_in + size - 1) // size):
        run = uint64(min(size, n_in - p * size))
        for j in range(ZERO, uint64(n_out), uint64(BLOCK)):
            _input_block(da, dz, w, j, uint64(p * size), run, every_row)


@njit(**SUMS)
def dense_descend(da, w, b, v_w, v_b, dz, a, rates, wanted):
    """`dense_backward_input` if wanted, then `dense_backward_weights`, `dense_backward_biases` and `sgd`, block by block.

    A block of w comes from memory once for all of it, and the gradient never goes there: with a small mini-batch the
    step costs no more than reading and writing w. da: like a, overwritten if wanted. w, b, v_w, v_b: updated; rates:
    as in `sgd`.
    """
    n_out, n_in = w.shape
    w_flat, v_flat, size = w.reshape(-1), v_w.reshape(-1), _chunk_size(n_in)
    every_image, every_row = steps(a.shape[0], n_in), steps(BLOCK, n_in)
    for p in prange((n_in + size - 1) // size):
        k = uint64(p * size)
        run = uint64(min(size, n_in - p * size))
        gradient = np.empty(uint64(ROWS) * run, w.dtype)
        for j in range(ZERO, uint64(n_out), uint64(BLOCK)):
            if wanted:
                _input_block(da, dz, w, j, k, run, every_row)
            for i in range(j, min(j + uint64(BLOCK), uint64(n_out)), uint64(ROWS)):
                _weights_block(gradient, ZERO, run, dz, a, i, k, run, every_image)
                for r in range(min(uint64(ROWS), uint64(n_out) - i)):
                    descend(w_flat, (i + r) * uint64(n_in) + k, v_flat, gradient, r * run, run, rates)
    db = np.empty(b.size, b.dtype)
    _add_biases(db, dz)
    eta, _, _, momentum, nesterov = rates
    descend(b, ZERO, v_b, db, ZERO, uint64(b.size), (eta, 0.0, 0.0, momentum, nesterov))
