"""Convolution, equation (125), in the layouts of nbconv/kernels/reference/conv.py.

Row y of a feature map is a run of columns * images neighbouring numbers, and all rows follow each
other, so a map is a line of rows * columns * images places. Neighbouring threads take neighbouring
places.
"""

import numpy as np
from numba import cuda

from .launch import KERNEL, LANES, SPLITS, THREADS, blocks, each, launch
from .memory import scratch
from .tile import CHUNK_TAPS, FILTERS, PLACES, TILE_SUMS, accumulate, clear, share, stage, total

MIN_PART_PLACES = 4096  # places of a feature map that a block adds up at least
MAX_PARTS = 64  # of a feature map, at most
GROUP_THREADS = THREADS // TILE_SUMS  # threads that add up one sum of a tile


# Kernels


@cuda.jit(**KERNEL)
def _pad(
    padded,
    a,
    count,
    rows,
    columns,
    images,
    padded_rows,
    phases,
    padded_columns,
    padding_y,
    padding_x,
    back,
):
    """A number of the picture into its place in the padded one, or back."""
    i = cuda.grid(1)
    if i < count:
        n, x = i % images, i // images % columns
        line = i // images // columns
        y, c = line % rows, line // rows
        there = x + padding_x
        row = ((c * padded_rows + y + padding_y) * phases + there % phases) * padded_columns
        place = (row + there // phases) * images + n
        if back:
            a[i] = padded[place]
        else:
            padded[place] = a[i]


@cuda.jit(**KERNEL)
def _forward(z, a, w, b, taps, places, run, row_step, images, filters):
    lane, split = cuda.threadIdx.x, cuda.threadIdx.y
    weights = cuda.shared.array((CHUNK_TAPS, FILTERS), z.dtype)
    offsets = cuda.shared.array(CHUNK_TAPS, np.int64)
    shared = cuda.shared.array((TILE_SUMS, SPLITS, LANES), z.dtype)
    sums = cuda.local.array((FILTERS, PLACES), z.dtype)
    at = cuda.local.array(PLACES, np.int64)
    f0, q0 = cuda.blockIdx.y * FILTERS, cuda.blockIdx.x * PLACES * LANES + lane
    for p in range(PLACES):
        q = min(q0 + p * LANES, places - 1)
        at[p] = q // run * row_step + q % run
    clear(sums)
    for k0 in range(0, taps.size, CHUNK_TAPS):
        cuda.syncthreads()
        count = stage(weights, offsets, w, taps, images, f0, filters, k0, split * LANES + lane)
        cuda.syncthreads()
        accumulate(sums, a, at, weights, offsets, split, count)
    share(shared, sums, split, lane)
    cuda.syncthreads()
    for r in range(split, TILE_SUMS, SPLITS):
        f, q = f0 + r // PLACES, q0 + r % PLACES * LANES
        if f < filters and q < places:
            z[f * places + q] = total(shared, r, lane, b[f])


@cuda.jit(**KERNEL)
def _backward_weights(parts, dz, a, taps, places, run, row_step, images, filters, part):
    """Sums over `part` places of FILTERS filters and PLACES taps, shared by a block's threads."""
    thread = cuda.threadIdx.x
    shared = cuda.shared.array((TILE_SUMS, THREADS), dz.dtype)
    groups = cuda.shared.array((TILE_SUMS, GROUP_THREADS), dz.dtype)
    sums = cuda.local.array((FILTERS, PLACES), dz.dtype)
    at = cuda.local.array(PLACES, np.int64)
    k0, f0 = cuda.blockIdx.x * PLACES, cuda.blockIdx.y * FILTERS
    for p in range(PLACES):
        at[p] = np.int64(taps[min(k0 + p, taps.size - 1)]) * images
    clear(sums)
    first = cuda.blockIdx.z * part
    q = first + thread
    y, t = q // run, q % run
    rows_on, columns_on = THREADS // run, THREADS % run
    while q < min(first + part, places):
        here = y * row_step + t
        for f in range(FILTERS):
            delta = dz[min(f0 + f, filters - 1) * places + q]
            for p in range(PLACES):
                sums[f, p] += delta * a[here + at[p]]
        q, y, t = q + THREADS, y + rows_on, t + columns_on
        if t >= run:
            y, t = y + 1, t - run
    for f in range(FILTERS):
        for p in range(PLACES):
            shared[f * PLACES + p, thread] = sums[f, p]
    cuda.syncthreads()
    r, member = thread // GROUP_THREADS, thread % GROUP_THREADS
    sum_of_group = shared[r, member]
    for other in range(member + GROUP_THREADS, THREADS, GROUP_THREADS):
        sum_of_group += shared[r, other]
    groups[r, member] = sum_of_group
    cuda.syncthreads()
    if thread < TILE_SUMS:
        f, k = f0 + thread // PLACES, k0 + thread % PLACES
        if f < filters and k < taps.size:
            sum_of_all = groups[thread, 0]
            for other in range(1, GROUP_THREADS):
                sum_of_all += groups[thread, other]
            parts[(cuda.blockIdx.z * filters + f) * taps.size + k] = sum_of_all


@cuda.jit(**KERNEL)
def _add_parts(dw, parts, number):
    i = cuda.grid(1)
    if i < dw.size:
        total_of_parts = parts[i]
        for part in range(1, number):
            total_of_parts += parts[part * dw.size + i]
        dw[i] = total_of_parts


@cuda.jit(**KERNEL)
def _backward_biases(db, dz, places):
    """A block for each filter: threads add up some of its places each, a tree adds their sums."""
    thread, f = cuda.threadIdx.x, cuda.blockIdx.x
    shared = cuda.shared.array(THREADS, dz.dtype)
    shared[thread] = 0
    for q in range(thread, places, THREADS):
        shared[thread] += dz[f * places + q]
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            shared[thread] += shared[thread + half]
        half //= 2
    if thread == 0:
        db[f] = shared[0]


@cuda.jit(**KERNEL)
def _backward_input(
    da, dz, w, places, padded_rows, padded_columns, channels, sizes, kernel, strides
):
    """FILTERS channels of a place of the input; the splits share the filters."""
    lane, split = cuda.threadIdx.x, cuda.threadIdx.y
    filters, rows, columns, images = sizes
    shared = cuda.shared.array((FILTERS, SPLITS, LANES), da.dtype)
    sums = cuda.local.array(FILTERS, da.dtype)
    q, c0 = cuda.blockIdx.x * LANES + lane, cuda.blockIdx.y * FILTERS
    place = min(q, places - 1)
    n, column = place % images, place // images % padded_columns
    line = place // images // padded_columns
    x, r = column * strides[1] + line % strides[1], line // strides[1]
    for c in range(FILTERS):
        sums[c] = 0
    for i in range(kernel[0]):
        y = (r - i) // strides[0]
        if r >= i and (r - i) % strides[0] == 0 and y < rows:
            for j in range(kernel[1]):
                z_column = (x - j) // strides[1]
                if x >= j and (x - j) % strides[1] == 0 and z_column < columns:
                    for f in range(split, filters, SPLITS):
                        delta = dz[((f * rows + y) * columns + z_column) * images + n]
                        for c in range(FILTERS):
                            channel = f * channels + min(c0 + c, channels - 1)
                            sums[c] += delta * w[(channel * kernel[0] + i) * kernel[1] + j]
    for c in range(FILTERS):
        shared[c, split, lane] = sums[c]
    cuda.syncthreads()
    if split < FILTERS and c0 + split < channels and q < places:
        da[(c0 + split) * places + q] = total(shared, split, lane, da.dtype.type(0))


# What layers call


def conv2d_pad(padded, a, padding_y, padding_x):
    """padded[c, y + padding_y, p, q, n] = a[c, y, x, n] with x + padding_x = q phases + p.

    The border is left as it is. Thread mapping: one for each number of a.
    """
    _pad_or_unpad(padded, a, padding_y, padding_x, back=False)


def conv2d_unpad(da, padded, padding_y, padding_x):
    """da[c, y, x, n] = padded[c, y + padding_y, p, q, n]: the way back of `conv2d_pad`.

    da is overwritten.
    """
    _pad_or_unpad(padded, da, padding_y, padding_x, back=True)


def _pad_or_unpad(padded, a, padding_y, padding_x, back):
    _, rows, columns, images = a.shape
    _, padded_rows, phases, padded_columns, _ = padded.shape
    sizes = rows, columns, images, padded_rows, phases, padded_columns, padding_y, padding_x
    each(_pad, a.size, padded.reshape(-1), a.reshape(-1), a.size, *sizes, back)


def conv2d_forward(z, a, w, b, taps, row_step):
    """z[f, y, x, n] = b[f] + sum_(c, i, j) w[f, c, i, j] a[c, y s + i, x s + j, n], equation (125).

    z: overwritten. Thread mapping: FILTERS filters at PLACES places, LANES apart; the splits share
    the taps.
    """
    filters, rows, columns, images = z.shape
    run = columns * images
    grid = blocks(rows * run, PLACES * LANES), blocks(filters, FILTERS)
    arrays = z.reshape(-1), a.reshape(-1), w.reshape(-1), b, taps
    launch(
        _forward,
        grid,
        (LANES, SPLITS),
        *arrays,
        rows * run,
        run,
        row_step * images,
        images,
        filters,
    )


def conv2d_backward_weights(dw, dz, a, taps, row_step):
    """dC/dw[f, c, i, j] = sum_(y, x, n) dz[f, y, x, n] a[c, y s + i, x s + j, n].

    dw: overwritten. Thread mapping: a block has FILTERS filters and PLACES taps, its threads share
    the places; of large feature maps it has a part, and the parts are added up in their order.
    """
    filters, rows, columns, images = dz.shape
    run = columns * images
    places = rows * run
    number = max(1, min(MAX_PARTS, places // MIN_PART_PLACES))
    parts = dw.reshape(-1) if number == 1 else scratch("parts", number * dw.size, dw.dtype)
    grid = blocks(taps.size, PLACES), blocks(filters, FILTERS), number
    sizes = places, run, row_step * images, images, filters, blocks(places, number)
    launch(
        _backward_weights, grid, (THREADS, 1), parts, dz.reshape(-1), a.reshape(-1), taps, *sizes
    )
    if number > 1:
        each(_add_parts, dw.size, dw.reshape(-1), parts, number)


def conv2d_backward_biases(db, dz):
    """dC/db[f] = sum_(y, x, n) dz[f, y, x, n]. db: overwritten.

    Thread mapping: a block for each filter.
    """
    launch(_backward_biases, (db.size, 1), (THREADS, 1), db, dz.reshape(-1), dz.size // db.size)


def conv2d_backward_input(da, dz, w, taps, stride_y):
    """dC/da[c, r, q, n] = sum of w[f, c, i, j] dz[f, y, x, n] over y s + i = r, x s + j = q.

    The sum is over all f, i, j, y and x for which both hold. da: laid out as a, padding included,
    overwritten. Thread mapping: FILTERS channels of a place; the splits share the filters.
    """
    channels, padded_rows, phases, padded_columns, _ = da.shape
    places = da.size // channels
    grid = blocks(places, LANES), blocks(channels, FILTERS)
    sizes = (
        places,
        padded_rows,
        padded_columns,
        channels,
        tuple(dz.shape),
        tuple(w.shape)[2:],
        (stride_y, phases),
    )
    launch(
        _backward_input,
        grid,
        (LANES, SPLITS),
        da.reshape(-1),
        dz.reshape(-1),
        w.reshape(-1),
        *sizes,
    )
