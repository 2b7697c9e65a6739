"""Kernels of batch normalisation against the oracle."""

import numpy as np
import oracle
import pytest
from conftest import close, unless_simulated

EPSILON = 1e-5
# channels, rows, columns, images; () for neurons
SHAPES = [
    (3, (4, 5), 7),
    (20, (12, 12), 10),
    (1, (1, 1), 3),
    (2, (9, 7), 1),
    (5, (3, 2), 33),
    (1, (), 10),
    (17, (), 3),
    (100, (), 64),
    (4, (), 1),
]
FEW = unless_simulated(SHAPES, [(2, (3, 5), 7), (1, (1, 1), 3), (5, (), 3), (2, (), 1)])


def inside(x):
    """As the kernels take it, from images first: (outer, channels, inner)."""
    if x.ndim == 2:
        return x.reshape(*x.shape, 1).copy()
    return oracle.last(x).reshape(1, x.shape[1], -1)


def numbers(channels, size, images, dtype, seed=0):
    """x with a mean that is not 0, da, w of both signs, b."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((images, channels, *size)) * 3 + 2
    da = random.standard_normal(x.shape)
    w, b = random.standard_normal((2, channels))
    return [each.astype(dtype) for each in (x, da, w, b)]


@pytest.mark.parametrize("shape", FEW, ids=str)
def test_statistics(kernels, dtype, shape):
    x, *_ = numbers(*shape, dtype)
    statistics = np.full((2, shape[0]), np.nan, dtype)
    kernels.batch_norm_statistics(statistics, inside(x))
    close(statistics, oracle.batch_norm_statistics(x), dtype)


@pytest.mark.parametrize("shape", FEW, ids=str)
def test_the_mean_may_be_large(kernels, dtype, shape):
    """A variance as mean of x^2 minus squared mean would be rounding alone."""
    x, *_ = numbers(*shape, dtype)
    statistics = np.full((2, shape[0]), np.nan, dtype)
    kernels.batch_norm_statistics(statistics, inside(x + dtype.type(1e4)))
    close(statistics[1], oracle.batch_norm_statistics(x + dtype.type(1e4))[1], dtype)


@pytest.mark.parametrize("shape", FEW, ids=str)
def test_forward(kernels, dtype, shape):
    x, _, w, b = numbers(*shape, dtype)
    statistics = np.array(oracle.batch_norm_statistics(x), dtype)
    a = np.full_like(inside(x), np.nan)
    kernels.batch_norm_forward(a, inside(x), w, b, statistics, EPSILON)
    close(a, inside(oracle.batch_norm_forward(x, w, b, statistics, EPSILON)), dtype, 4)


@pytest.mark.parametrize("has_batch_statistics", [True, False])
@pytest.mark.parametrize("shape", FEW, ids=str)
def test_backward(kernels, dtype, shape, has_batch_statistics):
    x, da, w, _ = numbers(*shape, dtype)
    statistics = np.array(oracle.batch_norm_statistics(x), dtype)
    if not has_batch_statistics:
        statistics += dtype.type(0.5)
    dx, (dw, db) = np.full_like(inside(x), np.nan), np.full((2, shape[0]), np.nan, dtype)
    given = inside(x), w, statistics, EPSILON, has_batch_statistics
    kernels.batch_norm_backward(dx, dw, db, inside(da), *given)
    right = oracle.batch_norm_backward(da, x, w, statistics, EPSILON, has_batch_statistics)
    terms = x.size // shape[0]
    for ours, theirs in zip((dx, dw, db), (inside(right[0]), *right[1:]), strict=True):
        close(ours, theirs, dtype, terms)
    in_place = inside(da)
    kernels.batch_norm_backward(in_place, dw, db, in_place, *given)
    assert np.array_equal(in_place, dx)


@pytest.mark.parametrize("shape", unless_simulated([(3, 25), (40, 500), (1, 1), (17, 1)], [(3, 5)]))
def test_fold(kernels, dtype, shape):
    random = np.random.default_rng(0)
    w, (b, gamma, beta) = random.standard_normal(shape), random.standard_normal((3, shape[0]))
    w, b, gamma, beta = (each.astype(dtype) for each in (w, b, gamma, beta))
    statistics = random.random((2, shape[0])).astype(dtype)
    given = w, b, gamma, beta, statistics, EPSILON
    folded = np.full_like(w, np.nan), np.full_like(b, np.nan)
    kernels.batch_norm_fold(*folded, *given)
    for ours, right in zip(folded, oracle.batch_norm_fold(*given), strict=True):
        close(ours, right, dtype)


def test_the_running_statistics(kernels, dtype):
    random = np.random.default_rng(0)
    running, statistics = (random.random((2, 70)).astype(dtype) for _ in range(2))
    right = oracle.batch_norm_track(running, statistics, 0.1, 5)
    kernels.batch_norm_track(running, statistics, 0.1, 5)
    close(running, right, dtype)
