"""Dense layers. A mini-batch is a matrix with a row for each image: (images, neurons).

That is the transpose of the book's matrix of columns, so that rows of w and rows of a are both contiguous
and all three products run over long rows, however few images there are.
"""

import numpy as np
from numba import njit, prange, uint64

from ..compilation import INLINE, INNER, SUMS
from .activation import activate
from .simd import ROWS, WIDTH
from .tile import ONE, ZERO, blocks, dot_products, products, steps

SMALL = (
    1 << 16
)  # products that one thread does in less than the microsecond or two that it takes to share them
CHUNK = 256  # columns of w that are worked on at a time, at most
BLOCK = (
    4 * ROWS
)  # rows of w that all images meet before the next: BLOCK x CHUNK is in the first-level cache
SHARES = 16  # of the rows of w: a thread takes neighbouring ones, so that its part of w stays in its caches
IMAGES = uint64(1 << 18)  # numbers: so many images' rows stay in the second-level cache


@njit(**INLINE)
def _share(rows, block, share, shares):
    """The rows of a share, whole blocks."""
    count = (rows + block - 1) // block
    return uint64(share * count // shares * block), uint64(
        min((share + 1) * count // shares * block, rows)
    )


@njit(**INLINE)
def _is_small(w, images):
    """Whether a product with w is done sooner than other threads are told of it."""
    return w.size * images < SMALL


@njit(**INNER)
def _forward(a, x, w, b, activation, first, after):
    """`dense_forward` for the neurons from `first` to `after`."""
    images, n_out, n_in = uint64(a.shape[0]), uint64(a.shape[1]), uint64(x.shape[1])
    a_flat, x_flat, w_flat = a.reshape(-1), x.reshape(-1), w.reshape(-1)
    every_row = steps(w.shape[0], w.shape[1])
    together = max(IMAGES // n_in // uint64(ROWS), ONE) * uint64(
        ROWS
    )  # images that stay in the second-level cache
    for m in range(ZERO, images, together):
        for j in range(first, after, uint64(WIDTH)):
            for n in range(m, min(m + together, images), uint64(ROWS)):
                rows, columns = min(uint64(ROWS), images - n), min(uint64(WIDTH), after - j)
                dot_products(
                    a_flat, n * n_out + j, n_out, ONE, rows,
                    x_flat, n * n_in, n_in, ZERO,
                    w_flat, ZERO, ZERO, every_row, j, columns, ONE,
                    ONE, n_in,
                )  # fmt: skip
        for n in range(m, min(m + together, images)):
            for j in range(first, after):
                a_flat[n * n_out + j] += b[j]
            activate(a_flat, n * n_out + first, n * n_out + after, activation)


@njit(**SUMS)
def dense_forward(a, x, w, b, activation):
    """a[n, j] = sigma(z[n, j]), z[n, j] = b[j] + sum_k w[j, k] x[n, k], equation (25); sigma of `activation`, see `activate`.

    a: (images, neurons out), overwritten. x: (images, neurons in). w: (neurons out, neurons in). b: (neurons out,).
    """
    n_out = w.shape[0]
    shares = min(SHARES, (n_out + WIDTH - 1) // WIDTH)
    if _is_small(w, a.shape[0]):
        _forward(a, x, w, b, activation, ZERO, uint64(n_out))
    else:
        for share in prange(shares):
            first, after = _share(n_out, WIDTH, share, shares)
            _forward(a, x, w, b, activation, first, after)


@njit(**INLINE)
def _chunk_size(n_in):
    """How many columns of w each thread takes at a time: an even number of chunks, whole vectors."""
    chunks = 2 * ((n_in + 2 * CHUNK - 1) // (2 * CHUNK))
    return (n_in + 16 * chunks - 1) // (16 * chunks) * 16


@njit(**SUMS)
def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). dw: like w, overwritten."""
    n_out, n_in = dw.shape
    width, images, chunk = uint64(n_in), uint64(a.shape[0]), _chunk_size(n_in)
    dw_flat, dz_flat, a_flat = dw.reshape(-1), dz.reshape(-1), a.reshape(-1)
    every_image = steps(a.shape[0], n_in)
    none = np.zeros(ROWS, dw.dtype)
    for p in prange((n_in + chunk - 1) // chunk):
        k, run = uint64(p * chunk), uint64(min(chunk, n_in - p * chunk))
        for j in range(ZERO, uint64(n_out), uint64(ROWS)):
            products(
                dw_flat, j * width + k, width, min(uint64(ROWS), uint64(n_out) - j), none, ZERO, ONE,
                dz_flat, j, ONE, uint64(n_out), a_flat, k, every_image, images, ONE, run,
            )  # fmt: skip


@njit(**INNER)
def _backward_input(da, dz, w, k, run):
    """`dense_backward_input` for the inputs from k to k + run."""
    n_out, width, images = uint64(w.shape[0]), uint64(w.shape[1]), uint64(da.shape[0])
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    every_row = steps(BLOCK, w.shape[1])
    for n in range(images):
        for t in range(run):
            da_flat[n * width + k + t] = 0
    for j in range(ZERO, n_out, uint64(BLOCK)):
        for n in range(ZERO, images, uint64(ROWS)):
            products(
                da_flat, n * width + k, width, min(uint64(ROWS), images - n), dz_flat, ZERO, ZERO,
                dz_flat, n * n_out + j, n_out, ONE,
                w_flat, j * width + k, every_row, min(uint64(BLOCK), n_out - j), ONE, run,
            )  # fmt: skip


@njit(**SUMS)
def dense_backward_input(da, dz, w):
    """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z). da: like a, overwritten."""
    n_in = w.shape[1]
    chunk = _chunk_size(n_in)
    if _is_small(w, da.shape[0]):
        _backward_input(da, dz, w, ZERO, uint64(n_in))
    else:
        for p in prange((n_in + chunk - 1) // chunk):
            _backward_input(da, dz, w, uint64(p * chunk), uint64(min(chunk, n_in - p * chunk)))


@njit(**INNER)
def _descend(w, dz, a, shrink, first, after):
    """w = shrink w + sum_n dz[n, j] a[n, k] for the rows from `first` to `after`."""
    n_out, width, images = uint64(w.shape[0]), uint64(w.shape[1]), uint64(a.shape[0])
    w_flat, dz_flat, a_flat = w.reshape(-1), dz.reshape(-1), a.reshape(-1)
    every_image = steps(a.shape[0], a.shape[1])
    for k in range(ZERO, width, uint64(CHUNK)):
        run = min(uint64(CHUNK), width - k)
        for j in range(first, after, uint64(ROWS)):
            w0, rows = j * width + k, min(uint64(ROWS), after - j)
            if shrink != 1:
                for r in range(rows):
                    for t in range(run):
                        w_flat[w0 + r * width + t] *= shrink
            products(
                w_flat, w0, width, rows, dz_flat, ZERO, ZERO,
                dz_flat, j, ONE, n_out, a_flat, k, every_image, images, ONE, run,
            )  # fmt: skip


@njit(**SUMS)
def dense_descend(w, b, dz, a, rates):
    """Plain gradient descent without a gradient: w = (1 - eta decay) w + sum_n (-eta dz[n, j]) a[n, k]; b likewise.

    `dense_backward_weights`, `dense_backward_biases` and `sgd` in one product that is added to w where it lies. Each
    thread has rows of w of its own, for a core that writes is slowed down by another that writes nearby. w, b: updated;
    rates: (eta, decay), float64; decay is lmbda / n, not for b. dz: overwritten.
    """
    n_out = w.shape[0]
    eta, shrink = w.dtype.type(rates[0]), w.dtype.type(1 - rates[0] * rates[1])
    for n in range(uint64(a.shape[0])):
        for j in range(uint64(n_out)):
            step = -eta * dz[n, j]
            dz[n, j] = step
            b[j] += step
    shares = min(SHARES, blocks(n_out))
    if _is_small(w, a.shape[0]):
        _descend(w, dz, a, shrink, ZERO, uint64(n_out))
    else:
        for share in prange(shares):
            first, after = _share(n_out, ROWS, share, shares)
            _descend(w, dz, a, shrink, first, after)
