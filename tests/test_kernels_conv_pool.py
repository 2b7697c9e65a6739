"""Convolution and max pooling as one, both ways, against the plain kernels.

Other tests hold those to the oracle.
"""

import numpy as np
import oracle
import pytest
from conftest import close, unless_simulated

from nbconv.activations import LINEAR, parse
from nbconv.layers.geometry import ConvGeometry, PoolGeometry, conv_pool_tables

# channels, input, filters, kernel, stride, padding, pooling window, its stride, images
GEOMETRIES = [
    (20, (12, 12), 40, (5, 5), (1, 1), (0, 0), (2, 2), (2, 2), 10),
    (4, (9, 8), 3, (3, 3), (1, 1), (1, 1), (2, 2), (2, 2), 1),
    (7, (11, 13), 5, (3, 2), (2, 3), (2, 1), (2, 1), (2, 1), 6),
    (6, (8, 9), 9, (2, 4), (1, 1), (0, 0), (3, 3), (1, 2), 5),  # overlapping windows
    (3, (12, 6), 2, (7, 1), (1, 1), (0, 2), (1, 2), (2, 3), 17),  # gaps
    (2, (13, 13), 4, (11, 11), (1, 1), (0, 0), (3, 3), (3, 3), 3),
    (1, (6, 6), 1, (1, 1), (1, 1), (0, 0), (2, 2), (2, 2), 4),
    (40, (4, 5), 6, (2, 3), (1, 1), (0, 0), (2, 2), (2, 2), 33),
    (3, (8, 9), 7, (3, 2), (1, 1), (0, 0), (2, 2), (2, 2), 1),  # rows in half a vector
    (2, (9, 5), 6, (2, 2), (1, 1), (1, 0), (3, 2), (2, 1), 2),
    (20, (12, 12), 40, (5, 5), (1, 1), (0, 0), (2, 2), (2, 2), 1),
    (1, (28, 70), 5, (5, 5), (1, 1), (0, 0), (2, 2), (2, 2), 1),  # rows of several vectors
]
SMALL = [
    (3, (5, 6), 5, (2, 2), (1, 1), (0, 0), (2, 2), (2, 2), 3),
    (2, (5, 5), 3, (3, 2), (2, 1), (1, 1), (2, 2), (1, 1), 2),  # overlapping windows
    # A window of more places than a thread's.
    (1, (4, 6), 2, (2, 3), (1, 1), (0, 0), (3, 2), (3, 2), 1),
    # More taps than a chunk of shared memory.
    (15, (4, 4), 2, (3, 3), (1, 1), (0, 0), (2, 2), (2, 2), 1),
    # More maxima than a block has threads.
    (2, (4, 5), 2, (2, 2), (1, 1), (0, 0), (2, 2), (1, 1), 33),
]


def run(kernels, geometry, dtype, zeros=0.5, groups=3, needs_dx=True, seed=0):
    """((dw, dx) at the maxima, (dw, dx) by dz)."""
    *parts, window, pool_stride, images = geometry
    conv = ConvGeometry(*parts)
    pool = PoolGeometry(conv.filters, conv.output[1:], window, pool_stride)
    random = np.random.default_rng(seed)
    x = random.standard_normal((conv.channels, *conv.size, images)).astype(dtype)
    w = random.standard_normal((conv.filters, conv.channels, *conv.kernel)).astype(dtype)
    z = random.standard_normal((*conv.output, images)).astype(dtype)
    a, argmax = np.empty((*pool.output, images), dtype), np.empty((*pool.output, images), np.int32)
    kernels.max_pool2d_forward(a, argmax, z, *pool.window)
    da = random.standard_normal(a.shape).astype(dtype)
    da[random.random(a.shape) < zeros] = 0

    dz = np.empty_like(z)
    kernels.max_pool2d_backward(dz, da, argmax, *pool.window)
    padded, plain_padded = (
        np.zeros((*conv.padded, images), dtype),
        np.empty((*conv.padded, images), dtype),
    )
    kernels.conv2d_pad(padded, x, *conv.padding)
    plain = np.empty_like(w), np.empty_like(x)
    kernels.conv2d_backward_weights(plain[0], dz, padded, conv.taps, conv.row_step)
    kernels.conv2d_backward_input(plain_padded, dz, w, conv.taps, conv.stride[0])
    kernels.conv2d_unpad(plain[1], plain_padded, *conv.padding)

    ours = np.full(w.shape, np.nan, dtype), np.full(x.shape, np.nan, dtype)
    line = conv.kernel[1] * conv.channels + seed % 3
    rows, columns = (
        size + 2 * padding for size, padding in zip(conv.size, conv.padding, strict=True)
    )
    buffers = [np.zeros((images, rows, columns, conv.channels), dtype) for _ in range(2)]
    buffers += [np.full((conv.kernel[0], conv.filters, line), np.nan, dtype)]
    buffers += [np.full((min(groups, images), conv.filters, conv.kernel[0], line), np.nan, dtype)]
    tables = tuple(conv_pool_tables(conv, pool))
    kernels.conv2d_max_pool_backward(
        *ours, da, argmax, x, w, tuple(buffers), tables, conv.padding, needs_dx
    )
    return ours, plain


def compare(kernels, geometry, dtype, **options):
    ours, plain = run(kernels, geometry, dtype, **options)
    terms = geometry[2] * np.prod(geometry[3]) * geometry[-1] * 8
    for at_maxima, by_dz in zip(ours, plain, strict=True):
        close(at_maxima, by_dz, dtype, terms)


@pytest.mark.parametrize("geometry", unless_simulated(GEOMETRIES, SMALL), ids=str)
@pytest.mark.parametrize("zeros", unless_simulated([0, 0.5, 1], [0.5]))
def test_agrees_with_the_plain_kernels(kernels, dtype, geometry, zeros):
    compare(kernels, geometry, dtype, zeros=zeros)


@pytest.mark.parametrize("groups", unless_simulated([1, 2, 10], [2]))
def test_any_number_of_groups(kernels, dtype, groups):
    compare(kernels, unless_simulated(GEOMETRIES, SMALL)[0], dtype, groups=groups)


def test_what_is_not_wanted_is_left_alone(kernels, dtype):
    (dw, dx), plain = run(kernels, unless_simulated(GEOMETRIES, SMALL)[1], dtype, needs_dx=False)
    close(dw, plain[0], dtype, 100)
    assert np.isnan(dx).all()


@pytest.mark.parametrize("name", unless_simulated([*oracle.ACTIVATIONS], ["sigmoid"]))
@pytest.mark.parametrize("geometry", unless_simulated(GEOMETRIES, SMALL), ids=str)
def test_forward_is_three_kernels_in_one(kernels, dtype, geometry, name):
    *parts, window, pool_stride, images = geometry
    conv = ConvGeometry(*parts)
    pool = PoolGeometry(conv.filters, conv.output[1:], window, pool_stride)
    random = np.random.default_rng(1)
    x = random.standard_normal((*conv.padded, images)).astype(dtype)
    w = random.standard_normal((conv.filters, conv.channels, *conv.kernel)).astype(dtype)
    b, z = (
        random.standard_normal(conv.filters).astype(dtype),
        np.empty((*conv.output, images), dtype),
    )
    a, argmax = np.empty((*pool.output, images), dtype), np.empty((*pool.output, images), np.int32)
    inputs = x, w, b, conv.taps, conv.row_step
    kernels.conv2d_forward(z, *inputs)
    kernels.max_pool2d_forward(a, argmax, z, *pool.window)
    kernels.activation_forward(a.reshape(-1), parse("activation", name))
    ours, our_argmax = np.full_like(a, np.nan), np.full_like(argmax, -1)
    kernels.conv2d_max_pool_forward(
        ours, our_argmax, *inputs, conv.output[2], pool.window, parse("activation", name)
    )
    close(ours, a, dtype, w[0].size)
    assert (our_argmax == argmax).all()


def test_a_nan_is_the_largest(kernels, dtype):
    x, w, b = np.zeros((1, 4, 1, 4, 2), dtype), np.ones((1, 1, 1, 1), dtype), np.zeros(1, dtype)
    x[0, 1, 0, 0, 1] = np.nan
    a, argmax = np.empty((1, 2, 2, 2), dtype), np.empty((1, 2, 2, 2), np.int32)
    taps = np.zeros(1, np.uint64)
    kernels.conv2d_max_pool_forward(a, argmax, x, w, b, taps, 4, 4, (2, 2, 2, 2), LINEAR)
    assert np.isnan(a).sum() == 1
    assert np.isnan(a[0, 0, 0, 1])
    assert argmax[0, 0, 0, 1] == 2
