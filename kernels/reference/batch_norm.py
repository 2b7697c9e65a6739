"""Batch normalisation (Ioffe, Szegedy 2015): each channel with mean 0 and variance 1.

Layout: x[o, c, i] is the number (o, i) of channel c, o outside it and i inside. Feature maps are
(1, channels, rows columns images), neurons (images, neurons, 1): a channel is a feature map in all
images, or a neuron in all images. m is how many numbers it has. Statistics are (2, channels): each
channel's mean and variance.

These kernels run on the CPU backend, too: in parallel over the channels, so that no sum is divided
among threads, and with unsigned sizes, as in pool.py. Sums are in float64.
"""

import math

import numpy as np
from numba import prange, uint64

from ..compilation import PARALLEL, SUMS, njit


@njit(**SUMS)
def batch_norm_statistics(statistics, x):
    """mean[c] = sum_(o, i) x[o, c, i] / m; variance[c] = sum_(o, i) (x[o, c, i] - mean[c])^2 / m.

    statistics: (2, channels), overwritten. x: (outer, channels, inner).
    """
    outer, inner = uint64(x.shape[0]), uint64(x.shape[2])
    m = x.shape[0] * x.shape[2]
    for c in prange(x.shape[1]):
        total = squares = np.float64(0)
        for o in range(outer):
            for i in range(inner):
                total += x[o, c, i]
        mean = total / m
        for o in range(outer):
            for i in range(inner):
                difference = x[o, c, i] - mean
                squares += difference * difference
        statistics[0, c], statistics[1, c] = mean, squares / m


@njit(**PARALLEL)
def batch_norm_forward(a, x, w, b, statistics, epsilon):
    """a[o, c, i] = w[c] y[o, c, i] + b[c], y = (x - mean[c]) / sqrt(variance[c] + epsilon).

    a: like x, (outer, channels, inner), overwritten. w, b: (channels,), the paper's gamma and beta.
    statistics: (2, channels).
    """
    outer, inner, dtype = uint64(x.shape[0]), uint64(x.shape[2]), a.dtype.type
    for c in prange(x.shape[1]):
        mean, bias = statistics[0, c], b[c]
        factor = dtype(w[c] / math.sqrt(statistics[1, c] + epsilon))
        for o in range(outer):
            for i in range(inner):
                a[o, c, i] = factor * (x[o, c, i] - mean) + bias


@njit(**SUMS)
def batch_norm_backward(dx, dw, db, da, x, w, statistics, epsilon, has_batch_statistics):
    """dC/dw[c] = sum_(o, i) da y; dC/db[c] = sum_(o, i) da, with y as in `batch_norm_forward`.

    dC/dx = w[c] (da - (dC/db[c] + y dC/dw[c]) / m) / sqrt(variance[c] + epsilon) if the statistics
    are those of x, which depend on it; if they are constants, the terms in brackets are left out.
    dx: like x, overwritten; may be da. dw, db: like w, overwritten. da, x: (outer, channels,
    inner).
    """
    outer, inner, dtype = uint64(x.shape[0]), uint64(x.shape[2]), dx.dtype.type
    m = x.shape[0] * x.shape[2]
    for c in prange(x.shape[1]):
        mean, scale = statistics[0, c], 1 / math.sqrt(statistics[1, c] + epsilon)
        total = product = np.float64(0)
        for o in range(outer):
            for i in range(inner):
                total += da[o, c, i]
                product += np.float64(da[o, c, i]) * (x[o, c, i] - mean)
        db[c], dw[c] = total, product * scale
        part = 1 / m if has_batch_statistics else 0.0
        shift, slope = dtype(part * total), dtype(part * product * scale * scale)
        factor = dtype(w[c] * scale)
        for o in range(outer):
            for i in range(inner):
                dx[o, c, i] = factor * (da[o, c, i] - shift - slope * (x[o, c, i] - mean))


@njit(**PARALLEL)
def batch_norm_fold(w_folded, b_folded, w, b, gamma, beta, statistics, epsilon):
    """w_folded[c, k] = r w[c, k]; b_folded[c] = r (b[c] - mean[c]) + beta[c].

    r = gamma[c] / sqrt(variance[c] + epsilon): so sum_k w_folded[c, k] x[k] + b_folded[c] is
    z[c] = sum_k w[c, k] x[k] + b[c], normalised. w: (channels, inputs) of the layer before. b,
    gamma, beta: (channels,). w_folded, b_folded: like w and b, overwritten.
    """
    inputs, dtype = uint64(w.shape[1]), w_folded.dtype.type
    for c in prange(w.shape[0]):
        r = dtype(gamma[c] / math.sqrt(statistics[1, c] + epsilon))
        for k in range(inputs):
            w_folded[c, k] = r * w[c, k]
        b_folded[c] = r * (b[c] - statistics[0, c]) + beta[c]


@njit(**PARALLEL)
def batch_norm_track(running, statistics, momentum, m):
    """running[k, c] = (1 - momentum) running[k, c] + momentum statistics[k, c].

    Of variances (k = 1) m / (m - 1) times the statistics, without the bias of a sample of m
    numbers. running: (2, channels), updated. statistics: likewise.
    """
    for c in prange(running.shape[1]):
        mean, variance = statistics[0, c], statistics[1, c] * (m / (m - 1))
        running[0, c] = (1 - momentum) * running[0, c] + momentum * mean
        running[1, c] = (1 - momentum) * running[1, c] + momentum * variance
