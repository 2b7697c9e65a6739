"""Dense layers. Arguments: kernels/interface.py.

A mini-batch is a matrix with a row for each image, the transpose of the book's matrix of columns:
rows of w and rows of a are both contiguous, and all three products run over long rows, however few
images there are.
"""

import numpy as np
from numba import prange, uint64

from ..compilation import INLINE, INNER, SUMS, njit
from .activation import activate
from .simd import MR, NR
from .tile import ONE, ZERO, add_products, blocks, dot_products, products, strided_taps

# Multiplications that one thread does in the microsecond or two that it takes to share them.
SERIAL_PRODUCTS = 1 << 16
# A block of w that all images meet before the next, KC rows and at most NC columns, stays in the
# first-level cache: BLIS's names.
NC = 256
KC = 4 * MR if NR == 5 else 8 * MR  # narrow tiles do little in a call
SMALL_W = 1 << 16  # numbers of w that stay in half of a second-level cache
MANY_IMAGES = 3  # for each neuron; with fewer w moves between the cores' caches in training
L2_NUMBERS = uint64(1 << 18)  # numbers of x that stay in the second-level cache
# The rows of w are cut into so many shares at most. A share's rows are neighbours and always go to
# one thread, so that they stay in its caches.
MAX_SHARES = 16


@njit(**INLINE)
def _share(rows, block, share, shares):
    """(first, stop): the rows of a share, whole blocks of rows."""
    count = (rows + block - 1) // block
    first = share * count // shares * block
    stop = min((share + 1) * count // shares * block, rows)
    return uint64(first), uint64(stop)


@njit(**INLINE)
def _is_small(w, images):
    """Whether one thread does a product with w sooner than it could be shared."""
    return w.size * images < SERIAL_PRODUCTS


@njit(**INNER)
def _forward(a, x, w, b, activation, first, stop, n_first, n_stop, cached_images):
    """`dense_forward` for the neurons first <= j < stop and the images n_first <= n < n_stop.

    cached_images: of x, that all neurons meet before the next; whole blocks of NR.
    """
    n_out, n_in = uint64(a.shape[1]), uint64(x.shape[1])
    a_flat, x_flat, w_flat = a.reshape(-1), x.reshape(-1), w.reshape(-1)
    image_taps = strided_taps(x.shape[0], x.shape[1])
    for m in range(n_first, n_stop, cached_images):
        for j in range(first, stop, uint64(MR)):
            for n in range(m, min(m + cached_images, n_stop), uint64(NR)):
                dot_products(
                    a_flat, n * n_out + j, ONE, n_out, min(uint64(MR), stop - j),
                    w_flat, j * n_in, n_in, ZERO,
                    x_flat, ZERO, ZERO, image_taps, n, min(uint64(NR), n_stop - n), ONE,
                    ONE, n_in,
                )  # fmt: skip
        for n in range(m, min(m + cached_images, n_stop)):
            for j in range(first, stop):
                a_flat[n * n_out + j] += b[j]
            activate(a_flat, n * n_out + first, n * n_out + stop, activation)


@njit(**SUMS)
def dense_forward(a, x, w, b, activation):
    """a[n, j] = sigma(b[j] + sum_k w[j, k] x[n, k]), equation (25).

    Threads share the neurons j or, if w is small and the images are many, the images n: then each
    image is read by one thread, once. The sums are the same ones.
    """
    images, n_out, n_in = a.shape[0], w.shape[0], w.shape[1]
    every, all_images = uint64(n_out), uint64(images)
    if w.size <= SMALL_W and images > MANY_IMAGES * n_out:
        shares = min(MAX_SHARES, (images + NR - 1) // NR)
        for share in prange(shares):
            first, stop = _share(images, NR, share, shares)
            _forward(a, x, w, b, activation, ZERO, every, first, stop, uint64(KC))
    else:
        cached_images = max(L2_NUMBERS // uint64(n_in) // uint64(NR), ONE) * uint64(NR)
        if _is_small(w, images):
            _forward(a, x, w, b, activation, ZERO, every, ZERO, all_images, cached_images)
        else:
            shares = min(MAX_SHARES, blocks(n_out))
            for share in prange(shares):
                first, stop = _share(n_out, MR, share, shares)
                _forward(a, x, w, b, activation, first, stop, ZERO, all_images, cached_images)


@njit(**INLINE)
def _chunk_size(n_in):
    """Columns of w that a thread takes at a time: whole vectors, and an even number of chunks."""
    chunks = 2 * ((n_in + 2 * NC - 1) // (2 * NC))
    return (n_in + 16 * chunks - 1) // (16 * chunks) * 16


@njit(**SUMS)
def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). Threads share the columns k."""
    n_out, n_in = dw.shape
    width, images, chunk = uint64(n_in), uint64(a.shape[0]), _chunk_size(n_in)
    dw_flat, dz_flat, a_flat = dw.reshape(-1), dz.reshape(-1), a.reshape(-1)
    image_taps = strided_taps(a.shape[0], n_in)
    zeros = np.zeros(MR, dw.dtype)
    for p in prange((n_in + chunk - 1) // chunk):
        k = uint64(p * chunk)
        length = uint64(min(chunk, n_in - p * chunk))
        for j in range(ZERO, uint64(n_out), uint64(MR)):
            products(
                dw_flat, j * width + k, width, min(uint64(MR), uint64(n_out) - j),
                zeros, ZERO, ONE, dz_flat, j, ONE, uint64(n_out),
                a_flat, k, image_taps, images, ONE, length,
            )  # fmt: skip


@njit(**INNER)
def _backward_input(da, dz, w, k, length):
    """`dense_backward_input` for the inputs from k to k + length."""
    n_out, width, images = uint64(w.shape[0]), uint64(w.shape[1]), uint64(da.shape[0])
    da_flat, dz_flat, w_flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    row_taps = strided_taps(KC, w.shape[1])
    for n in range(images):
        for t in range(length):
            da_flat[n * width + k + t] = 0
    for j in range(ZERO, n_out, uint64(KC)):
        for n in range(ZERO, images, uint64(MR)):
            add_products(
                da_flat, n * width + k, width, min(uint64(MR), images - n),
                dz_flat, n * n_out + j, n_out, ONE,
                w_flat, j * width + k, row_taps, min(uint64(KC), n_out - j), ONE, length,
            )  # fmt: skip


@njit(**SUMS)
def dense_backward_input(da, dz, w):
    """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z).

    Threads share the inputs k.
    """
    n_in = w.shape[1]
    chunk = _chunk_size(n_in)
    if _is_small(w, da.shape[0]):
        _backward_input(da, dz, w, ZERO, uint64(n_in))
    else:
        for p in prange((n_in + chunk - 1) // chunk):
            _backward_input(da, dz, w, uint64(p * chunk), uint64(min(chunk, n_in - p * chunk)))


@njit(**INNER)
def _descend(w, dz, a, shrink, first, stop):
    """w[j, k] = shrink w[j, k] + sum_n dz[n, j] a[n, k] for the rows first <= j < stop."""
    n_out, width, images = uint64(w.shape[0]), uint64(w.shape[1]), uint64(a.shape[0])
    w_flat, dz_flat, a_flat = w.reshape(-1), dz.reshape(-1), a.reshape(-1)
    image_taps = strided_taps(a.shape[0], a.shape[1])
    for k in range(ZERO, width, uint64(NC)):
        length = min(uint64(NC), width - k)
        for j in range(first, stop, uint64(MR)):
            w0 = j * width + k
            rows = min(uint64(MR), stop - j)
            if shrink != 1:
                for r in range(rows):
                    for t in range(length):
                        w_flat[w0 + r * width + t] *= shrink
            add_products(
                w_flat, w0, width, rows, dz_flat, j, ONE, n_out,
                a_flat, k, image_taps, images, ONE, length,
            )  # fmt: skip


@njit(**SUMS)
def dense_descend(w, b, dz, a, rates):
    """w[j, k] = (1 - eta decay) w[j, k] - eta sum_n dz[n, j] a[n, k]; b[j] -= eta sum_n dz[n, j].

    dz becomes -eta dz, so that its product with a is added to w in place. Threads share the rows of
    w: a core that writes is slowed down by another that writes nearby.
    """
    n_out = w.shape[0]
    eta, shrink = w.dtype.type(rates[0]), w.dtype.type(1 - rates[0] * rates[1])
    for n in range(uint64(a.shape[0])):
        for j in range(uint64(n_out)):
            step = -eta * dz[n, j]
            dz[n, j] = step
            b[j] += step
    shares = min(MAX_SHARES, blocks(n_out))
    if _is_small(w, a.shape[0]):
        _descend(w, dz, a, shrink, ZERO, uint64(n_out))
    else:
        for share in prange(shares):
            first, stop = _share(n_out, MR, share, shares)
            _descend(w, dz, a, shrink, first, stop)
