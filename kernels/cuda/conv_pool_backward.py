"""Backward pass of a convolution followed by max pooling, over the maxima only.

See cpu/conv_pool_backward.py for the formulas. A first kernel lays out what the others read: the
input and the weights channels last, and a list of the deltas that each output of the convolution
gets, by filter. The second gathers dC/dw from the maxima, the third dC/dx from the lists, each
number by a thread of its own, in one order.
"""

import numpy as np
from numba import cuda

from .launch import KERNEL, THREADS, blocks, each, inner, launch
from .memory import scratch


@inner
def _input_last(i, x_last, x, sizes, padded_columns, corner):
    """Number i of x into its place in x_last."""
    channels, rows, columns, images = sizes
    n, q, line = i % images, i // images % columns, i // images // columns
    y, c = line % rows, line // rows
    image_size = x_last.size // images
    x_last[n * image_size + (corner + y * padded_columns + q) * channels + c] = x[i]


@inner
def _tap(i, sizes):
    """(filter, kernel row, place in a line that has the channels last) of weight i."""
    _, channels, kernel_rows, kernel_columns = sizes
    line = i // kernel_columns
    c = line // kernel_rows % channels
    return line // kernel_rows // channels, line % kernel_rows, i % kernel_columns * channels + c


@inner
def _list(i, counts, deltas, taps, da, argmax, sizes, window, columns, most, step):
    """The nonzero deltas of output i // images in image i % images, and their filters' weights."""
    filters, pooled_rows, pooled_columns, images = sizes
    size_y, size_x, stride_y, stride_x = window
    n, output = i % images, i // images
    y, x = output // columns, output % columns
    here = (n * (counts.size // images) + output) * most
    count = 0
    for r in range(
        max(0, (y - size_y + stride_y) // stride_y), min(y // stride_y + 1, pooled_rows)
    ):
        for q in range(
            max(0, (x - size_x + stride_x) // stride_x), min(x // stride_x + 1, pooled_columns)
        ):
            place = (y - r * stride_y) * size_x + x - q * stride_x
            for f in range(filters):
                cell = ((f * pooled_rows + r) * pooled_columns + q) * images + n
                if argmax[cell] == place and da[cell] != 0:
                    deltas[here + count] = da[cell]
                    taps[here + count] = f * step
                    count += 1
    counts[n * (counts.size // images) + output] = count


# Kernels


@cuda.jit(**KERNEL)
def _lay_out(
    x_last, x, x_sizes, padded_columns, corner, w_last, w, w_sizes, step, lists, da, argmax, sizes,
    window, columns, most
):  # fmt: skip
    """Three jobs, each for threads of its own."""
    counts, deltas, taps = lists
    i = cuda.grid(1)
    if i < x.size:
        _input_last(i, x_last, x, x_sizes, padded_columns, corner)
    elif i < x.size + w.size:
        f, row, place = _tap(i - x.size, w_sizes)
        w_last[(row * w_sizes[0] + f) * step + place] = w[i - x.size]
    elif i < x.size + w.size + counts.size:
        _list(
            i - x.size - w.size,
            counts,
            deltas,
            taps,
            da,
            argmax,
            sizes,
            window,
            columns,
            most,
            step,
        )


@cuda.jit(**KERNEL)
def _gradient(sums, da, argmax, x_last, cells, places, positions, images, line, kernel_rows, step):
    """A block has THREADS numbers of a filter's gradient and a group of images.

    The maxima of these images wait in shared memory.
    """
    thread = cuda.threadIdx.x
    filters, groups = cuda.gridDim.y, cuda.gridDim.z
    deltas = cuda.shared.array(THREADS, da.dtype)
    taps = cuda.shared.array(THREADS, np.int64)
    m, f, group = cuda.blockIdx.x * THREADS + thread, cuda.blockIdx.y, cuda.blockIdx.z
    first, after = group * images // groups, (group + 1) * images // groups
    image_size = x_last.size // images
    mine = min(m // step, kernel_rows - 1) * line + m % step
    maxima, total = (after - first) * cells.size, da.dtype.type(0)
    for start in range(0, maxima, THREADS):
        cuda.syncthreads()
        if start + thread < maxima:
            cell, n = (
                (start + thread) // (after - first),
                first + (start + thread) % (after - first),
            )
            here = (f * cells.size + cell) * images + n
            output = np.int64(cells[cell]) + np.int64(places[argmax[here]])
            deltas[thread] = da[here]
            taps[thread] = n * image_size + np.int64(positions[output])
        cuda.syncthreads()
        for other in range(min(THREADS, maxima - start)):
            if deltas[other] != 0:
                total += deltas[other] * x_last[min(taps[other] + mine, x_last.size - 1)]
    if m < kernel_rows * step:
        sums[(group * filters + f) * kernel_rows * step + m] = total


@cuda.jit(**KERNEL)
def _add_groups(dw, sums, sizes, step, groups):
    i = cuda.grid(1)
    if i < dw.size:
        f, row, place = _tap(i, sizes)
        here = (f * sizes[2] + row) * step + place
        total = sums[here]
        for group in range(1, groups):
            total += sums[group * sizes[0] * sizes[2] * step + here]
        dw[i] = total


@cuda.jit(**KERNEL)
def _input_gradient(
    dx, lists, w_last, sizes, filters, kernel, strides, padding, out_rows, out_columns, most, step
):
    """A block has a row of an image, its threads the channels of each column side by side."""
    counts, deltas, taps = lists
    channels, rows, columns, images = sizes
    n, r = cuda.blockIdx.x, cuda.blockIdx.y
    for t in range(cuda.threadIdx.x, columns * channels, THREADS):
        q, c = t // channels, t % channels
        total = dx.dtype.type(0)
        for i in range(kernel[0]):
            down = r + padding[0] - i
            y = down // strides[0]
            if down >= 0 and down % strides[0] == 0 and y < out_rows:
                for j in range(kernel[1]):
                    right = q + padding[1] - j
                    x = right // strides[1]
                    if right >= 0 and right % strides[1] == 0 and x < out_columns:
                        output = (n * out_rows + y) * out_columns + x
                        weights = i * filters * step + j * channels + c
                        for k in range(output * most, output * most + counts[output]):
                            total += deltas[k] * w_last[weights + taps[k]]
        dx[((c * rows + r) * columns + q) * images + n] = total


# What layers call


def conv2d_max_pool_backward(dw, dx, da, argmax, x, w, buffers, tables, padding, needs_dx):
    """`conv2d_backward_weights` and `conv2d_backward_input` of dz: da at the maxima, else 0.

    dC/dw[f, c, i, j] = sum over (Y, X, n) of da[f, Y, X, n] x[c, y s + i, x s + j, n]
    dC/dx[c, r, q, n] = sum over (f, Y, X) of da[f, Y, X, n] w[f, c, r - y s, q - x s], (y, x) the
    window's maximum.

    Arguments: as in kernels/interface.py; of the buffers, dx_last is left alone. Thread mapping:
    one for each number of dw and a group of images; a block for each row of an image of dx.
    """
    x_last, _, w_last, sums = buffers
    cells, places, positions, most, *window, stride_y, stride_x, out_rows, out_columns = tables
    channels, _, _, images = x.shape
    filters, _, kernel_rows, kernel_columns = w.shape
    step, padded_columns = w_last.shape[2], x_last.shape[2]
    outputs, most = out_rows * out_columns, int(most)
    lists = (
        scratch("counts", images * outputs, np.int32),
        scratch("deltas", images * outputs * most, da.dtype),
        scratch("taps", images * outputs * most, np.int32),
    )
    flat_w_last, flat_x_last, flat_da, flat_argmax = (
        array.reshape(-1) for array in (w_last, x_last, da, argmax)
    )
    corner = padding[0] * padded_columns + padding[1]
    given_input = flat_x_last, x.reshape(-1), tuple(x.shape), padded_columns, corner
    given_weights = flat_w_last, w.reshape(-1), tuple(w.shape), step
    given_lists = lists, flat_da, flat_argmax, tuple(da.shape), tuple(window), out_columns, most
    jobs = x.size + w.size + (images * outputs if needs_dx else 0)
    each(_lay_out, jobs, *given_input, *given_weights, *given_lists)
    groups = sums.shape[0]
    grid = blocks(kernel_rows * step, THREADS), filters, groups
    flat_sums, sizes = sums.reshape(-1), (images, padded_columns * channels, kernel_rows, step)
    launch(
        _gradient,
        grid,
        (THREADS, 1),
        flat_sums,
        flat_da,
        flat_argmax,
        flat_x_last,
        cells,
        places,
        positions,
        *sizes,
    )
    each(_add_groups, dw.size, dw.reshape(-1), flat_sums, tuple(w.shape), step, groups)
    if needs_dx:
        kernel, strides = (kernel_rows, kernel_columns), (stride_y, stride_x)
        geometry = filters, kernel, strides, tuple(padding), out_rows, out_columns, most, step
        rows, arrays = (images, x.shape[1]), (dx.reshape(-1), lists, flat_w_last)
        launch(_input_gradient, rows, (THREADS, 1), *arrays, tuple(x.shape), *geometry)
