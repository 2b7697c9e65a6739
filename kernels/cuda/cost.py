"""Cost functions: from the last layer's z and the labels, the cost and its delta = dC/dz, scaled.

Each adds to `sums` (float64): the images' summed cost and the number classified rightly. One block
does it all: its threads take images in turn, and their sums are added up by halves, in one order.
"""

import math

import numpy as np
from numba import cuda

from .. import scalar
from .launch import KERNEL, THREADS, each, inner, launch

LOG_LIKELIHOOD, CROSS_ENTROPY, QUADRATIC = range(3)


@inner
def _largest(z, first, classes):
    """Where the `classes` numbers from `first` on are largest; of equal values the first."""
    best = 0
    for j in range(1, classes):
        if z[first + j] > z[first + best]:
            best = j
    return best


@inner
def _log_likelihood(delta, z, first, classes, label, scale):
    """The cost of one image."""
    highest = np.float64(z[first + _largest(z, first, classes)])
    total = 0.0
    for j in range(classes):
        total += scalar.exp_negative(z[first + j] - highest)
    for j in range(classes):
        y = 1.0 if j == label else 0.0
        delta[first + j] = (scalar.exp_negative(z[first + j] - highest) / total - y) * scale
    return math.log(total) + (highest - z[first + label])


@inner
def _cross_entropy(delta, z, first, classes, label, scale):
    """The cost of one image."""
    cost = 0.0
    for j in range(classes):
        y = 1.0 if j == label else 0.0
        v = np.float64(z[first + j])
        cost += (v if v > 0.0 else 0.0) - y * v + math.log1p(scalar.exp_negative(-abs(v)))
        delta[first + j] = (scalar.sigmoid(v) - y) * scale
    return cost


@inner
def _quadratic(delta, z, first, classes, label, scale, activation):
    """The cost of one image."""
    cost = 0.0
    for j in range(classes):
        y = 1.0 if j == label else 0.0
        a = scalar.activated(np.float64(z[first + j]), activation)
        cost += 0.5 * (a - y) * (a - y)
        delta[first + j] = (a - y) * scalar.derivative(a, activation) * scale
    return cost


# Kernels


@cuda.jit(**KERNEL)
def _softmax(a, z, images, classes):
    n = cuda.grid(1)
    if n < images:
        first = n * classes
        highest = np.float64(z[first + _largest(z, first, classes)])
        total = 0.0
        for j in range(classes):
            total += scalar.exp_negative(z[first + j] - highest)
        for j in range(classes):
            a[first + j] = scalar.exp_negative(z[first + j] - highest) / total


@cuda.jit(**KERNEL)
def _cost(delta, sums, z, labels, classes, scale, cost, activation):
    thread = cuda.threadIdx.x
    costs = cuda.shared.array(THREADS, np.float64)
    rights = cuda.shared.array(THREADS, np.float64)
    costs[thread] = 0
    rights[thread] = 0
    for n in range(thread, labels.size, THREADS):
        first, label = n * classes, labels[n]
        if _largest(z, first, classes) == label:
            rights[thread] += 1
        if cost == LOG_LIKELIHOOD:
            costs[thread] += _log_likelihood(delta, z, first, classes, label, scale)
        elif cost == CROSS_ENTROPY:
            costs[thread] += _cross_entropy(delta, z, first, classes, label, scale)
        else:
            costs[thread] += _quadratic(delta, z, first, classes, label, scale, activation)
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            costs[thread] += costs[thread + half]
            rights[thread] += rights[thread + half]
        half //= 2
    if thread == 0:
        sums[0] += costs[0]
        sums[1] += rights[0]


# What layers call


def softmax(a, z):
    """a[n, j] = e^(z[n, j] - max) / sum_k e^(z[n, k] - max), equation (78).

    a: like z, overwritten; may be z itself.
    Thread mapping: one for each image.
    """
    images, classes = z.shape
    each(_softmax, images, a.reshape(-1), z.reshape(-1), images, classes)


def log_likelihood(delta, sums, z, labels, scale):
    """C = -ln a_y with a = softmax(z), equation (80); delta = (a - y) scale, equation (81).

    delta: like z, overwritten; sums: added to. Thread mapping: see the module.
    """
    _run(delta, sums, z, labels, scale, LOG_LIKELIHOOD, (scalar.LINEAR, 0.0))


def cross_entropy(delta, sums, z, labels, scale):
    """C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)] with a = sigma(z), equation (63).

    delta = (a - y) scale, (66).
    delta: like z, overwritten; sums: added to. Thread mapping: see the module.
    """
    _run(delta, sums, z, labels, scale, CROSS_ENTROPY, (scalar.SIGMOID, 0.0))


def quadratic(delta, sums, z, labels, scale, activation):
    """C = |a - y|^2 / 2 with a = sigma(z) of `activation`, equation (6).

    delta = (a - y) sigma'(z) scale, (BP1).
    delta: like z, overwritten; sums: added to. Thread mapping: see the module.
    """
    _run(delta, sums, z, labels, scale, QUADRATIC, activation)


def _run(delta, sums, z, labels, scale, cost, activation):
    flat = delta.reshape(-1), sums, z.reshape(-1), labels
    launch(_cost, (1, 1), (THREADS, 1), *flat, z.shape[1], float(scale), cost, activation)
