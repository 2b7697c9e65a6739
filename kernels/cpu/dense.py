"""Dense layers. A mini-batch is a matrix with a row for each image: (images, neurons).

That is the transpose of the book's matrix of columns, so that rows of w and rows of a are both contiguous
and all three products run over long rows, however few images there are.
"""

from numba import njit, prange, uint64

from ..compilation import SUMS
from .simd import ROWS, WIDTH
from .tile import ONE, ZERO, blocks, dot_products, products, steps

CHUNK = 512  # columns of w that one thread works on at a time: four rows of them stay in the first-level cache


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


@njit(**SUMS)
def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). dw: like w, overwritten."""
    n_out, n_in = dw.shape
    images = a.shape[0]
    dw_flat, dz_flat, a_flat = dw.reshape(-1), dz.reshape(-1), a.reshape(-1)
    width = uint64(n_in)
    every_image = steps(images, n_in)
    chunks = (n_in + CHUNK - 1) // CHUNK
    for p in prange(blocks(n_out) * chunks):
        j = uint64(p // chunks) * uint64(ROWS)
        k = uint64(p % chunks) * uint64(CHUNK)
        rows = min(uint64(ROWS), uint64(n_out) - j)
        run = min(uint64(CHUNK), width - k)
        for r in range(rows):
            for t in range(run):
                dw_flat[(j + r) * width + k + t] = 0
        products(
            dw_flat, j * width + k, width, rows,
            dz_flat, ZERO, ZERO, dz_flat, j, ONE, uint64(n_out),
            a_flat, k, every_image, ONE, run,
        )  # fmt: skip


@njit(**SUMS)
def dense_backward_biases(db, dz):
    """dC/db[j] = sum_n dz[n, j], equation (BP3). db: (neurons out,), overwritten."""
    images, n_out = dz.shape
    for p in prange((n_out + CHUNK - 1) // CHUNK):
        lo, hi = p * CHUNK, min((p + 1) * CHUNK, n_out)
        db[lo:hi] = 0
        for n in range(images):
            for j in range(uint64(lo), uint64(hi)):
                db[j] += dz[n, j]


@njit(**SUMS)
def dense_backward_input(da, dz, w):
    """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z). da: like a, overwritten."""
    images, n_in = da.shape
    n_out = dz.shape[1]
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    width = uint64(n_in)
    every_row = steps(n_out, n_in)
    image_blocks = blocks(images)
    chunks = (n_in + CHUNK - 1) // CHUNK
    for p in prange(chunks * image_blocks):
        k = uint64(p // image_blocks) * uint64(CHUNK)
        n = uint64(p % image_blocks) * uint64(ROWS)
        rows = min(uint64(ROWS), uint64(images) - n)
        run = min(uint64(CHUNK), width - k)
        for r in range(rows):
            for t in range(run):
                da_flat[(n + r) * width + k + t] = 0
        products(
            da_flat, n * width + k, width, rows,
            dz_flat, ZERO, ZERO, dz_flat, n * uint64(n_out), uint64(n_out), ONE,
            w_flat, k, every_row, ONE, run,
        )  # fmt: skip
