"""Convolution kernels against the oracle, over many geometries, and the adjoint identity."""

import numpy as np
import oracle
import pytest
from conftest import close, unless_simulated

from nbconv.layers.geometry import ConvGeometry

# channels, (rows, columns), filters, kernel, stride, padding, images
GEOMETRIES = [
    (1, (8, 8), 4, (3, 3), (1, 1), (0, 0), 10),
    (1, (6, 6), 1, (1, 1), (1, 1), (0, 0), 1),
    (3, (7, 9), 17, (3, 2), (1, 1), (0, 0), 7),
    (2, (5, 6), 5, (5, 6), (1, 1), (0, 0), 3),
    (5, (9, 7), 6, (3, 3), (2, 2), (0, 0), 4),
    (4, (6, 5), 8, (3, 3), (1, 1), (1, 1), 16),
    (6, (7, 8), 3, (4, 3), (2, 3), (2, 1), 5),
    (2, (3, 3), 2, (5, 5), (1, 1), (1, 1), 2),
    (4, (5, 5), 4, (2, 2), (3, 3), (0, 0), 33),
    (1, (1, 12), 3, (1, 5), (1, 2), (0, 2), 6),
]
SMALL = [
    (1, (4, 4), 17, (2, 2), (1, 1), (0, 0), 1),
    (5, (4, 5), 2, (3, 2), (2, 2), (1, 0), 7),
    (2, (3, 5), 3, (2, 3), (1, 3), (1, 2), 2),
    (15, (3, 3), 2, (3, 3), (1, 1), (0, 0), 1),  # more taps than a chunk of shared memory
]


def case(geometry, dtype, seed=0):
    channels, size, filters, kernel, _, _, images = geometry
    random = np.random.default_rng(seed)
    a = random.standard_normal((images, channels, *size)).astype(dtype)
    w = random.standard_normal((filters, channels, *kernel)).astype(dtype)
    b = random.standard_normal(filters).astype(dtype)
    return a, w, b


def padded_input(kernels, sizes, a, dtype):
    padded = np.zeros((*sizes.padded, len(a)), dtype)
    kernels.conv2d_pad(padded, oracle.last(a), *sizes.padding)
    return padded


def run(kernels, geometry, dtype, seed=0):
    """Everything once: (z, dw, db, da) of the kernels and of the oracle."""
    *parts, images = geometry
    sizes = ConvGeometry(*parts)
    a, w, b = case(geometry, dtype, seed)
    x = padded_input(kernels, sizes, a, dtype)
    z = np.full((*sizes.output, images), np.nan, dtype)
    kernels.conv2d_forward(z, x, w, b, sizes.taps, sizes.row_step)
    dz = np.random.default_rng(seed + 1).standard_normal(z.shape).astype(dtype)
    dw, db = np.full(w.shape, np.nan, dtype), np.full(b.shape, np.nan, dtype)
    kernels.conv2d_backward_weights(dw, dz, x, sizes.taps, sizes.row_step)
    kernels.conv2d_backward_biases(db, dz)
    dx = np.full(x.shape, np.nan, dtype)
    kernels.conv2d_backward_input(dx, dz, w, sizes.taps, sizes.stride[0])
    da = np.full((sizes.channels, *sizes.size, images), np.nan, dtype)
    kernels.conv2d_unpad(da, dx, *sizes.padding)
    ours = oracle.first(z), dw, db, oracle.first(da)
    theirs = (
        oracle.conv2d_forward(a, w, b, sizes.stride, sizes.padding),
        *oracle.conv2d_backward(oracle.first(dz), a, w, sizes.stride, sizes.padding),
    )
    return ours, theirs, dz, x, dx


@pytest.mark.parametrize("geometry", unless_simulated(GEOMETRIES, SMALL), ids=str)
def test_agrees_with_the_oracle(kernels, dtype, geometry):
    ours, theirs, *_ = run(kernels, geometry, dtype)
    channels, size, filters, kernel, _, _, images = geometry
    area = kernel[0] * kernel[1]
    terms = channels * area, images * size[0] * size[1], images * size[0] * size[1], filters * area
    for name, mine, right, count in zip(("z", "dw", "db", "da"), ours, theirs, terms, strict=True):
        assert mine.dtype == dtype, name
        close(mine, right, dtype, count)


@pytest.mark.parametrize("geometry", unless_simulated(GEOMETRIES, SMALL[:2]), ids=str)
def test_the_adjoint_of_the_forward_is_the_backward(kernels, geometry):
    """<dz, conv(a)> = <conv_backward_input(dz), a> for zero biases."""
    ours, _, dz, _, _ = run(kernels, geometry, np.dtype("float64"))
    a, _, b = case(geometry, np.float64)
    z, _, _, da = ours
    without_biases = z - b[None, :, None, None]
    assert np.vdot(oracle.first(dz), without_biases) == pytest.approx(np.vdot(da, a), rel=1e-10)


def test_neighbouring_memory_is_left_alone(kernels, dtype):
    """Outputs are slices of larger buffers: the numbers around them stay."""
    geometry = (3, (6, 6), 5, (3, 3), (1, 1), (0, 0), 3)
    sizes = ConvGeometry(*geometry[:-1])
    a, w, b = case(geometry, dtype)
    shape = (*sizes.output, 3)
    room = np.full(np.prod(shape) + 64, 7, dtype)
    z = room[32:-32].reshape(shape)
    x = padded_input(kernels, sizes, a, dtype)
    kernels.conv2d_forward(z, x, w, b, sizes.taps, sizes.row_step)
    dw_room = np.full(w.size + 64, 7, dtype)
    kernels.conv2d_backward_weights(
        dw_room[32:-32].reshape(w.shape), z, x, sizes.taps, sizes.row_step
    )
    dx_room = np.full(a.size + 64, 7, dtype)
    kernels.conv2d_backward_input(dx_room[32:-32].reshape(*sizes.padded, 3), z, w, sizes.taps, 1)
    for memory in (room, dw_room, dx_room):
        assert (memory[:32] == 7).all()
        assert (memory[-32:] == 7).all()


def test_nan_in_the_input_is_not_lost(kernels, dtype):
    geometry = (1, (5, 5), 3, (2, 2), (1, 1), (0, 0), 4)
    sizes = ConvGeometry(*geometry[:-1])
    a, w, b = case(geometry, dtype)
    a[2, 0, 2, 2] = np.nan
    z = np.zeros((*sizes.output, 4), dtype)
    kernels.conv2d_forward(
        z, padded_input(kernels, sizes, a, dtype), w, b, sizes.taps, sizes.row_step
    )
    lost = np.isnan(oracle.first(z))
    assert lost[2, :, 1:3, 1:3].all()
    assert lost.sum() == 3 * 4
