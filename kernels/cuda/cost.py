"""Cost functions: from the last layer's z and the labels, the cost and its delta = dC/dz, scaled.

Each adds to `sums` (float64): the images' summed cost and the number classified rightly. t = (1 -
smoothing) y + smoothing / classes is the target and w = weights[label], float64. One block does it
all: its threads take images in turn, and their sums are added up by halves, in one order.
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
def _log_likelihood(delta, z, first, classes, label, smoothing, factor):
    """The cost of one image, before its weight. factor: w scale."""
    other, own = smoothing / classes, 1.0 - smoothing + smoothing / classes
    highest = np.float64(z[first + _largest(z, first, classes)])
    total, below = 0.0, 0.0
    for j in range(classes):
        total += scalar.exp_negative(z[first + j] - highest)
        if other > 0.0:
            below += highest - z[first + j]
    for j in range(classes):
        t = own if j == label else other
        delta[first + j] = (scalar.exp_negative(z[first + j] - highest) / total - t) * factor
    return math.log(total) + (1.0 - smoothing) * (highest - z[first + label]) + other * below


@inner
def _cross_entropy(delta, z, first, classes, label, smoothing, factor):
    """The cost of one image, before its weight. factor: w scale."""
    other, own = smoothing / classes, 1.0 - smoothing + smoothing / classes
    cost = 0.0
    for j in range(classes):
        t = own if j == label else other
        v = np.float64(z[first + j])
        cost += (v if v > 0.0 else 0.0) - t * v + math.log1p(scalar.exp_negative(-abs(v)))
        delta[first + j] = (scalar.sigmoid(v) - t) * factor
    return cost


@inner
def _quadratic(delta, z, first, classes, label, smoothing, factor, activation):
    """The cost of one image, before its weight. factor: w scale."""
    other, own = smoothing / classes, 1.0 - smoothing + smoothing / classes
    cost = 0.0
    for j in range(classes):
        t = own if j == label else other
        a = scalar.activated(np.float64(z[first + j]), activation)
        cost += 0.5 * (a - t) * (a - t)
        delta[first + j] = (a - t) * scalar.derivative(a, activation) * factor
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
def _cost(delta, sums, z, labels, weights, classes, smoothing, scale, cost, activation):
    thread = cuda.threadIdx.x
    costs = cuda.shared.array(THREADS, np.float64)
    rights = cuda.shared.array(THREADS, np.float64)
    costs[thread] = 0
    rights[thread] = 0
    for n in range(thread, labels.size, THREADS):
        first, label = n * classes, labels[n]
        w = weights[label]
        if _largest(z, first, classes) == label:
            rights[thread] += 1
        if cost == LOG_LIKELIHOOD:
            of_image = _log_likelihood(delta, z, first, classes, label, smoothing, w * scale)
        elif cost == CROSS_ENTROPY:
            of_image = _cross_entropy(delta, z, first, classes, label, smoothing, w * scale)
        else:
            of_image = _quadratic(delta, z, first, classes, label, smoothing, w * scale, activation)
        costs[thread] += w * of_image
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


def log_likelihood(delta, sums, z, labels, weights, smoothing, scale):
    """C = -w sum_j t_j ln a_j with a = softmax(z), equation (80); delta = w (a - t) scale, (81).

    delta: like z, overwritten; sums: added to. Thread mapping: see the module.
    """
    linear = scalar.LINEAR, 0.0
    _run(delta, sums, z, labels, weights, smoothing, scale, LOG_LIKELIHOOD, linear)


def cross_entropy(delta, sums, z, labels, weights, smoothing, scale):
    """C = -w sum_j [t_j ln a_j + (1 - t_j) ln(1 - a_j)] with a = sigma(z), equation (63).

    delta = w (a - t) scale, (66).
    delta: like z, overwritten; sums: added to. Thread mapping: see the module.
    """
    sigmoid = scalar.SIGMOID, 0.0
    _run(delta, sums, z, labels, weights, smoothing, scale, CROSS_ENTROPY, sigmoid)


def quadratic(delta, sums, z, labels, weights, smoothing, scale, activation):
    """C = w |a - t|^2 / 2 with a = sigma(z) of `activation`, equation (6).

    delta = w (a - t) sigma'(z) scale, (BP1).
    delta: like z, overwritten; sums: added to. Thread mapping: see the module.
    """
    _run(delta, sums, z, labels, weights, smoothing, scale, QUADRATIC, activation)


def _run(delta, sums, z, labels, weights, smoothing, scale, cost, activation):
    arrays = delta.reshape(-1), sums, z.reshape(-1), labels, weights
    numbers = z.shape[1], float(smoothing), float(scale)
    launch(_cost, (1, 1), (THREADS, 1), *arrays, *numbers, cost, activation)
