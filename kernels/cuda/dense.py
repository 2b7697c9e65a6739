"""Dense layers: (images, neurons), a row for each image.

Each of the three products has two kernels. With few images (`_..._few`) a warp, or a thread, reads
its weights once and multiplies each by IMAGES_PER_WEIGHT images. A product that fills the device
(`_product`) uses tiles in shared memory, where each thread has THREAD_EDGE x THREAD_EDGE sums in
registers.
"""

import math

import numpy as np
from numba import cuda

from .. import scalar
from .activation import SINGLE, activation_forward
from .launch import KERNEL, LANES, SPLITS, THREADS, blocks, launch
from .memory import resident

IMAGES_PER_WEIGHT = 8  # that a weight meets at a time
GROUPS = (
    LANES // IMAGES_PER_WEIGHT
)  # of lanes: each adds up one image's sums of IMAGES_PER_WEIGHT lanes
THREAD_EDGE, BLOCK_EDGE = (
    4,
    math.isqrt(THREADS),
)  # sums in a row of a thread's, threads in a row of a block's
TILE_EDGE = THREAD_EDGE * BLOCK_EDGE  # sums in a row of a block's
PITCH = TILE_EDGE + 1  # so that rows of a tile begin in other banks of shared memory
DEPTH = (
    BLOCK_EDGE  # terms that wait in shared memory: THREAD_EDGE of each matrix for a thread to bring
)
FULL_BLOCKS = 48  # blocks with a tile each, from which on tiles are the faster way
FORWARD, PRODUCT, DESCEND = range(3)  # what becomes of a product
NO_RATES = np.zeros(2)


# Kernels: few images


@cuda.jit(**KERNEL)
def _forward_few(a, x, w, b, images, n_out, n_in, activation):
    """A warp for each neuron, whose lanes share its inputs.

    Each weight meets IMAGES_PER_WEIGHT images.
    """
    lane, split = cuda.threadIdx.x, cuda.threadIdx.y
    shared = cuda.shared.array((SPLITS, IMAGES_PER_WEIGHT, LANES), a.dtype)
    groups = cuda.shared.array((SPLITS, IMAGES_PER_WEIGHT, GROUPS), a.dtype)
    sums = cuda.local.array(IMAGES_PER_WEIGHT, a.dtype)
    j, n0 = cuda.blockIdx.x * SPLITS + split, cuda.blockIdx.y * IMAGES_PER_WEIGHT
    row = min(j, n_out - 1) * n_in
    for m in range(IMAGES_PER_WEIGHT):
        sums[m] = 0
    for k in range(lane, n_in, LANES):
        weight = w[row + k]
        for m in range(IMAGES_PER_WEIGHT):
            sums[m] += weight * x[min(n0 + m, images - 1) * n_in + k]
    for m in range(IMAGES_PER_WEIGHT):
        shared[split, m, lane] = sums[m]
    cuda.syncthreads()
    m, group = lane % IMAGES_PER_WEIGHT, lane // IMAGES_PER_WEIGHT
    part = shared[split, m, group * IMAGES_PER_WEIGHT]
    for other in range(1, IMAGES_PER_WEIGHT):
        part += shared[split, m, group * IMAGES_PER_WEIGHT + other]
    groups[split, m, group] = part
    cuda.syncthreads()
    if group == 0 and j < n_out and n0 + m < images:
        z = b[j]
        for other in range(GROUPS):
            z += groups[split, m, other]
        a[(n0 + m) * n_out + j] = scalar.activated(z, activation, a.itemsize == SINGLE)


@cuda.jit(**KERNEL)
def _backward_input_few(da, dz, w, images, n_out, n_in):
    """Lanes have inputs side by side, the splits share the neurons.

    Each weight meets IMAGES_PER_WEIGHT images.
    """
    lane, split = cuda.threadIdx.x, cuda.threadIdx.y
    shared = cuda.shared.array((IMAGES_PER_WEIGHT, SPLITS, LANES), da.dtype)
    sums = cuda.local.array(IMAGES_PER_WEIGHT, da.dtype)
    k, n0 = cuda.blockIdx.x * LANES + lane, cuda.blockIdx.y * IMAGES_PER_WEIGHT
    column = min(k, n_in - 1)
    for m in range(IMAGES_PER_WEIGHT):
        sums[m] = 0
    for j in range(split, n_out, SPLITS):
        weight = w[j * n_in + column]
        for m in range(IMAGES_PER_WEIGHT):
            sums[m] += weight * dz[min(n0 + m, images - 1) * n_out + j]
    for m in range(IMAGES_PER_WEIGHT):
        shared[m, split, lane] = sums[m]
    cuda.syncthreads()
    if k < n_in and n0 + split < images:  # there are as many splits as images
        total = shared[split, 0, lane]
        for other in range(1, SPLITS):
            total += shared[split, other, lane]
        da[(n0 + split) * n_in + k] = total


@cuda.jit(**KERNEL)
def _weights_few(w, b, dz, a, rates, images, n_out, n_in, first, after, use):
    """A thread for each weight from input `first` to `after`.

    The bias is the weight of an input n_in that is 1.
    """
    k, j = (
        first + cuda.blockIdx.x * LANES + cuda.threadIdx.x,
        cuda.blockIdx.y * SPLITS + cuda.threadIdx.y,
    )
    if j < n_out and k < after:
        total = w.dtype.type(0)
        for n in range(images):
            delta = dz[n * n_out + j]
            total += delta if k == n_in else delta * a[n * n_in + k]
        eta, decay = w.dtype.type(rates[0]), w.dtype.type(1 - rates[0] * rates[1])
        if k == n_in:
            b[j] = b[j] - eta * total if use == DESCEND else total
        else:
            i = j * n_in + k
            w[i] = decay * w[i] - eta * total if use == DESCEND else total


# Kernels: a tile of the product for each block


@cuda.jit(**KERNEL)
def _product(c, a, b, bias, rates, sizes, a_steps, b_steps, use):
    """sum_k a[i, k] b[k, j] for i, j of a tile.

    a[i, k] is a[i a_steps[0] + k a_steps[1]]; b[k, j] likewise; c has whole rows.
    """
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    rows, columns, depth = sizes
    a_tile = cuda.shared.array((DEPTH, PITCH), c.dtype)
    b_tile = cuda.shared.array((DEPTH, PITCH), c.dtype)
    sums = cuda.local.array((THREAD_EDGE, THREAD_EDGE), c.dtype)
    i0, j0 = cuda.blockIdx.x * TILE_EDGE, cuda.blockIdx.y * TILE_EDGE
    zero = c.dtype.type(0)
    for r in range(THREAD_EDGE):
        for s in range(THREAD_EDGE):
            sums[r, s] = zero
    for k0 in range(0, depth, DEPTH):
        for part in range(THREAD_EDGE):
            # Threads that are neighbours read neighbours, whichever way a matrix lies.
            number = part * THREADS + y * BLOCK_EDGE + x
            by_row, by_column = number // DEPTH, number // TILE_EDGE
            i = by_row if a_steps[1] == 1 else number % TILE_EDGE
            k = number % DEPTH if a_steps[1] == 1 else by_column
            inside = i0 + i < rows and k0 + k < depth
            a_tile[k, i] = a[(i0 + i) * a_steps[0] + (k0 + k) * a_steps[1]] if inside else zero
            j = by_row if b_steps[0] == 1 else number % TILE_EDGE
            k = number % DEPTH if b_steps[0] == 1 else by_column
            inside = j0 + j < columns and k0 + k < depth
            b_tile[k, j] = b[(k0 + k) * b_steps[0] + (j0 + j) * b_steps[1]] if inside else zero
        cuda.syncthreads()
        for k in range(DEPTH):
            for r in range(THREAD_EDGE):
                left = a_tile[k, r * BLOCK_EDGE + y]
                for s in range(THREAD_EDGE):
                    sums[r, s] += left * b_tile[k, s * BLOCK_EDGE + x]
        cuda.syncthreads()
    eta, decay = c.dtype.type(rates[0]), c.dtype.type(1 - rates[0] * rates[1])
    for r in range(THREAD_EDGE):
        for s in range(THREAD_EDGE):
            i, j = i0 + r * BLOCK_EDGE + y, j0 + s * BLOCK_EDGE + x
            if i < rows and j < columns:
                place = i * columns + j
                if use == FORWARD:
                    c[place] = sums[r, s] + bias[j]
                elif use == PRODUCT:
                    c[place] = sums[r, s]
                else:
                    c[place] = decay * c[place] - eta * sums[r, s]


def _is_full(rows, columns):
    return blocks(rows, TILE_EDGE) * blocks(columns, TILE_EDGE) >= FULL_BLOCKS


def _tiles(c, a, b, bias, rates, sizes, a_steps, b_steps, use):
    grid = blocks(sizes[0], TILE_EDGE), blocks(sizes[1], TILE_EDGE)
    launch(
        _product, grid, (BLOCK_EDGE, BLOCK_EDGE), c, a, b, bias, rates, sizes, a_steps, b_steps, use
    )


# What layers call


def dense_forward(a, x, w, b, activation):
    """a[n, j] = sigma(z[n, j]), z[n, j] = b[j] + sum_k w[j, k] x[n, k], equation (25).

    sigma of `activation`, see `activated`. a: (images, neurons out), overwritten. x: (images,
    neurons in). w: (neurons out, neurons in). b: (neurons out,). Thread mapping: a warp for each
    neuron and IMAGES_PER_WEIGHT images, or tiles.
    """
    images, n_out = a.shape
    n_in = x.shape[1]
    flat = a.reshape(-1), x.reshape(-1), w.reshape(-1), b
    if _is_full(images, n_out):
        _tiles(*flat, resident(NO_RATES), (images, n_out, n_in), (n_in, 1), (1, n_in), FORWARD)
        if activation[0] != scalar.LINEAR:
            activation_forward(flat[0], activation)
    else:
        _by_images(
            _forward_few, blocks(n_out, SPLITS), images, *flat, images, n_out, n_in, activation
        )


def dense_backward_input(da, dz, w):
    """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z).

    da: like a, overwritten. Thread mapping: a lane for each input and IMAGES_PER_WEIGHT images, the
    splits share the neurons; or tiles.
    """
    images, n_in = da.shape
    n_out = dz.shape[1]
    flat = da.reshape(-1), dz.reshape(-1), w.reshape(-1)
    if _is_full(images, n_in):
        _tiles(
            *flat,
            flat[0],
            resident(NO_RATES),
            (images, n_in, n_out),
            (n_out, 1),
            (n_in, 1),
            PRODUCT,
        )
    else:
        _by_images(_backward_input_few, blocks(n_in, LANES), images, *flat, images, n_out, n_in)


def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). dw: like w, overwritten.

    Thread mapping: one for each weight, or tiles.
    """
    _weights(dw, dw.reshape(-1), dz, a, resident(NO_RATES), PRODUCT, 0)


def dense_backward_biases(db, dz):
    """dC/db[j] = sum_n dz[n, j], equation (BP3). db: (neurons out,), overwritten.

    Thread mapping: one for each bias.
    """
    images, n_out = dz.shape
    _few(db, db, dz.reshape(-1), db, resident(NO_RATES), images, n_out, 0, 0, 1, PRODUCT)


def dense_descend(w, b, dz, a, rates):
    """w = (1 - eta decay) w - eta sum_n dz[n, j] a[n, k]; b likewise without decay.

    `dense_backward_weights`, `dense_backward_biases` and `sgd` in one: no gradient is stored. w, b:
    updated; rates: (eta, decay), float64; decay is lmbda / n. dz is left as it is. Thread mapping:
    one for each weight and bias, or tiles.
    """
    _weights(w, b, dz, a, rates, DESCEND, 1)


def _weights(w, b, dz, a, rates, use, biases):
    """The product of (BP4) into w and, if asked for, that of (BP3) into b."""
    (images, n_out), n_in = dz.shape, a.shape[1]
    flat, deltas, inputs = w.reshape(-1), dz.reshape(-1), a.reshape(-1)
    first = 0
    if _is_full(n_out, n_in):
        _tiles(flat, deltas, inputs, b, rates, (n_out, n_in, images), (1, n_out), (n_in, 1), use)
        first = n_in
    _few(flat, b, deltas, inputs, rates, images, n_out, n_in, first, n_in + biases, use)


def _few(w, b, dz, a, rates, images, n_out, n_in, first, after, use):
    grid = blocks(after - first, LANES), blocks(n_out, SPLITS)
    launch(
        _weights_few,
        grid,
        (LANES, SPLITS),
        w,
        b,
        dz,
        a,
        rates,
        images,
        n_out,
        n_in,
        first,
        after,
        use,
    )


def _by_images(kernel, columns, images, *arguments):
    launch(kernel, (columns, blocks(images, IMAGES_PER_WEIGHT)), (LANES, SPLITS), *arguments)
