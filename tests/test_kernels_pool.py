"""Pooling kernels against the oracle."""

import numpy as np
import oracle
import pytest
from conftest import close, unless_simulated

from nbconv.layers.geometry import PoolGeometry

# channels, input, size, stride, images
GEOMETRIES = [
    (3, (8, 8), (2, 2), (2, 2), 10),
    (1, (5, 7), (2, 3), (2, 3), 1),  # edges that do not divide
    (4, (9, 8), (3, 3), (2, 2), 7),  # overlapping
    (2, (6, 6), (2, 2), (1, 1), 33),
    (2, (7, 6), (2, 1), (3, 2), 4),  # gaps
    (2, (4, 5), (4, 5), (4, 5), 3),  # the whole map
    (1, (3, 3), (1, 1), (1, 1), 2),
    (2, (9, 75), (2, 2), (2, 2), 1),  # a picture alone, in vectors of columns
    (1, (4, 8), (3, 2), (1, 2), 1),
]
SMALL = [
    (1, (5, 7), (2, 3), (2, 3), 1),
    (2, (5, 4), (3, 3), (2, 1), 3),
    (1, (7, 6), (2, 1), (3, 2), 2),
]


def run(kernels, kind, x, size, stride, da=None):
    """(a, dx) of the kernels for x, images first."""
    channels, rows, columns = x.shape[1:]
    sizes = PoolGeometry(channels, (rows, columns), size, stride)
    inside = oracle.last(x)
    a = np.full((*sizes.output, len(x)), np.nan, x.dtype)
    dx = np.full(inside.shape, np.nan, x.dtype)
    delta = oracle.last(da) if da is not None else np.zeros_like(a)
    if kind == "max":
        argmax = np.full(a.shape, -1, np.int32)
        kernels.max_pool2d_forward(a, argmax, inside, *sizes.window)
        kernels.max_pool2d_backward(dx, delta, argmax, *sizes.window)
    elif kind == "l2":
        kernels.l2_pool2d_forward(a, inside, *sizes.window)
        kernels.l2_pool2d_backward(dx, delta, a, inside, *sizes.window)
    else:
        kernels.avg_pool2d_forward(a, inside, *sizes.window)
        kernels.avg_pool2d_backward(dx, delta, *sizes.window)
    return oracle.first(a), oracle.first(dx)


def compare(kernels, kind, geometry, dtype, seed=0):
    channels, size_in, size, stride, images = geometry
    random = np.random.default_rng(seed)
    x = random.standard_normal((images, channels, *size_in)).astype(dtype)
    da = random.standard_normal(oracle.pool_shape(x, size, stride)).astype(dtype)
    a, dx = run(kernels, kind, x, size, stride, da)
    close(a, oracle.pool2d_forward(kind, x, size, stride), dtype, size[0] * size[1])
    close(dx, oracle.pool2d_backward(kind, da, x, size, stride), dtype, size[0] * size[1])


@pytest.mark.parametrize("kind", ["max", "l2", "avg"])
@pytest.mark.parametrize("geometry", unless_simulated(GEOMETRIES, SMALL), ids=str)
def test_agrees_with_the_oracle(kernels, dtype, kind, geometry):
    compare(kernels, kind, geometry, dtype)


def test_a_tie_goes_to_the_first(kernels, dtype):
    x = np.zeros((2, 1, 4, 4), dtype)
    x[1, 0] = [[1, 5, 0, 0], [5, 5, 0, 2], [3, 3, 4, 1], [3, 3, 4, 4]]
    da = np.ones((2, 1, 2, 2), dtype)
    _, dx = run(kernels, "max", x, (2, 2), (2, 2), da)
    assert np.array_equal(dx[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    assert np.array_equal(dx[1, 0], [[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_l2_pooling_of_zeros_has_no_gradient(kernels, dtype):
    a, dx = run(
        kernels, "l2", np.zeros((1, 1, 2, 2), dtype), (2, 2), (2, 2), np.ones((1, 1, 1, 1), dtype)
    )
    assert a.item() == 0
    assert (dx == 0).all()


def test_max_pooling_keeps_nan(kernels, dtype):
    x = np.arange(16, dtype=dtype).reshape(1, 1, 4, 4)
    x[0, 0, 0, 0] = x[0, 0, 3, 3] = np.nan
    a, _ = run(kernels, "max", x, (2, 2), (2, 2))
    assert np.array_equal(np.isnan(a[0, 0]), [[True, False], [False, True]])


def test_minus_infinity_can_win(kernels, dtype):
    a, dx = run(
        kernels,
        "max",
        np.full((1, 1, 2, 2), -np.inf, dtype),
        (2, 2),
        (2, 2),
        np.ones((1, 1, 1, 1), dtype),
    )
    assert a.item() == -np.inf
    assert np.array_equal(dx[0, 0], [[1, 0], [0, 0]])
