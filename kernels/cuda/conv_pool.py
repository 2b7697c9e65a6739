"""Convolution, max pooling and activation in one: z is never whole in memory."""

import numpy as np
from numba import cuda

from ..scalar import activated
from .activation import SINGLE
from .launch import KERNEL, LANES, SPLITS, blocks, launch
from .tile import CHUNK_TAPS, FILTERS, PLACES, TILE_SUMS, accumulate, clear, share, stage, total

# Kernel


@cuda.jit(**KERNEL)
def _forward(
    a,
    argmax,
    x,
    w,
    b,
    taps,
    pooled,
    row_step,
    images,
    filters,
    places,
    pooled_columns,
    window,
    activation,
):
    """FILTERS filters at one place of the pooled map, PLACES places of its window at a time.

    A split finishes one filter.
    """
    lane, split = cuda.threadIdx.x, cuda.threadIdx.y
    _, size_x, stride_y, stride_x = window
    weights = cuda.shared.array((CHUNK_TAPS, FILTERS), a.dtype)
    offsets = cuda.shared.array(CHUNK_TAPS, np.int64)
    shared = cuda.shared.array((TILE_SUMS, SPLITS, LANES), a.dtype)
    sums = cuda.local.array((FILTERS, PLACES), a.dtype)
    at = cuda.local.array(PLACES, np.int64)
    f0, q = cuda.blockIdx.y * FILTERS, cuda.blockIdx.x * LANES + lane
    f, cell = min(f0 + split, filters - 1), min(q, pooled - 1)
    n, column, row = (
        cell % images,
        cell // images % pooled_columns,
        cell // images // pooled_columns,
    )
    corner = row * stride_y * row_step + column * stride_x * images + n
    best, won = b[f], 0
    for place0 in range(0, places, PLACES):
        for p in range(PLACES):
            place = min(place0 + p, places - 1)
            at[p] = corner + place // size_x * row_step + place % size_x * images
        clear(sums)
        for k0 in range(0, taps.size, CHUNK_TAPS):
            cuda.syncthreads()
            count = stage(weights, offsets, w, taps, images, f0, filters, k0, split * LANES + lane)
            cuda.syncthreads()
            accumulate(sums, x, at, weights, offsets, split, count)
        share(shared, sums, split, lane)
        cuda.syncthreads()
        if split < FILTERS:
            for p in range(min(PLACES, places - place0)):
                z = total(shared, split * PLACES + p, lane, b[f])
                # NaN is the largest; of equal ones the first wins.
                if place0 + p == 0 or z > best or (z != z and best == best):
                    best, won = z, place0 + p
    if split < FILTERS and f0 + split < filters and q < pooled:
        a[f * pooled + q] = activated(best, activation, a.itemsize == SINGLE)
        argmax[f * pooled + q] = won


# What layers call


def conv2d_max_pool_forward(a, argmax, x, w, b, taps, row_step, columns, window, activation):
    """a = sigma(max over the window of z), z the convolution of x, equation (125).

    sigma of `activation` is monotone. a, argmax: (filters, pooled rows, pooled columns, images),
    overwritten as by `max_pool2d_forward`. x, w, b, taps, row_step: as in `conv2d_forward`.
    columns: of z. window: (rows, columns, row stride, column stride). activation: see `activated`.
    Thread mapping: FILTERS filters at a place of the pooled map; the splits share the taps.
    """
    filters, pooled_rows, pooled_columns, images = a.shape
    pooled = pooled_rows * pooled_columns * images
    arrays = a.reshape(-1), argmax.reshape(-1), x.reshape(-1), w.reshape(-1), b, taps
    sizes = (
        pooled,
        row_step * images,
        images,
        filters,
        window[0] * window[1],
        pooled_columns,
        tuple(window),
    )
    launch(
        _forward,
        (blocks(pooled, LANES), blocks(filters, FILTERS)),
        (LANES, SPLITS),
        *arrays,
        *sizes,
        activation,
    )
