"""Batch normalisation (Ioffe, Szegedy 2015). Layout: kernels/reference/batch_norm.py.

A block has the sums of a channel: each thread adds up some of its numbers, a tree adds their sums,
so every run has the same bits.
"""

import math

from numba import cuda, float64

from .launch import KERNEL, THREADS, each, inner, launch


@inner
def _place(t, c, channels, length):
    """Where number t of channel c lies. length: of the inner axis."""
    return (t // length * channels + c) * length + t % length


@inner
def _added(shared, thread):
    """The sum of all threads' numbers in `shared`, for each of them; `shared` is free again."""
    half = THREADS // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            shared[thread] += shared[thread + half]
        half //= 2
    cuda.syncthreads()
    total = shared[0]
    cuda.syncthreads()
    return total


# Kernels


@cuda.jit(**KERNEL)
def _statistics(statistics, x, channels, length, m):
    thread, c = cuda.threadIdx.x, cuda.blockIdx.x
    shared = cuda.shared.array(THREADS, float64)
    shared[thread] = 0.0
    for t in range(thread, m, THREADS):
        shared[thread] += x[_place(t, c, channels, length)]
    mean = _added(shared, thread) / m
    shared[thread] = 0.0
    for t in range(thread, m, THREADS):
        difference = x[_place(t, c, channels, length)] - mean
        shared[thread] += difference * difference
    variance = _added(shared, thread) / m
    if thread == 0:
        statistics[c], statistics[channels + c] = mean, variance


@cuda.jit(**KERNEL)
def _forward(a, x, w, b, statistics, epsilon, channels, length):
    i = cuda.grid(1)
    if i < a.size:
        c = i // length % channels
        root = math.sqrt(statistics[channels + c] + a.dtype.type(epsilon))
        a[i] = w[c] / root * (x[i] - statistics[c]) + b[c]


@cuda.jit(**KERNEL)
def _backward_parameters(dw, db, da, x, statistics, epsilon, channels, length, m):
    thread, c = cuda.threadIdx.x, cuda.blockIdx.x
    shared = cuda.shared.array(THREADS, float64)
    shared[thread] = 0.0
    for t in range(thread, m, THREADS):
        shared[thread] += da[_place(t, c, channels, length)]
    total = _added(shared, thread)
    shared[thread] = 0.0
    for t in range(thread, m, THREADS):
        i = _place(t, c, channels, length)
        shared[thread] += float64(da[i]) * (x[i] - statistics[c])
    product = _added(shared, thread)
    if thread == 0:
        db[c], dw[c] = total, product / math.sqrt(statistics[channels + c] + epsilon)


@cuda.jit(**KERNEL)
def _backward_input(dx, dw, db, da, x, w, statistics, epsilon, channels, length, part):
    """part: 1 / m where the statistics depend on x, else 0."""
    i = cuda.grid(1)
    if i < dx.size:
        c, part = i // length % channels, dx.dtype.type(part)
        root = math.sqrt(statistics[channels + c] + dx.dtype.type(epsilon))
        y = (x[i] - statistics[c]) / root
        dx[i] = w[c] / root * (da[i] - part * (db[c] + y * dw[c]))


@cuda.jit(**KERNEL)
def _fold(w_folded, b_folded, w, b, gamma, beta, statistics, epsilon, channels, inputs):
    i = cuda.grid(1)
    if i < w.size:
        c = i // inputs
        r = gamma[c] / math.sqrt(statistics[channels + c] + w.dtype.type(epsilon))
        w_folded[i] = r * w[i]
        if i % inputs == 0:
            b_folded[c] = r * (b[c] - statistics[c]) + beta[c]


@cuda.jit(**KERNEL)
def _track(running, statistics, momentum, unbiased, channels):
    i = cuda.grid(1)
    if i < running.size:
        value = statistics[i] * unbiased if i >= channels else float64(statistics[i])
        running[i] = (1 - momentum) * running[i] + momentum * value


# What layers call


def batch_norm_statistics(statistics, x):
    """mean[c] = sum_(o, i) x[o, c, i] / m; variance[c] = sum_(o, i) (x[o, c, i] - mean[c])^2 / m.

    statistics: (2, channels), overwritten. Thread mapping: a block for each channel.
    """
    outer, channels, length = x.shape
    flat = statistics.reshape(-1), x.reshape(-1)
    launch(_statistics, (channels, 1), (THREADS, 1), *flat, channels, length, outer * length)


def batch_norm_forward(a, x, w, b, statistics, epsilon):
    """a[o, c, i] = w[c] (x[o, c, i] - mean[c]) / sqrt(variance[c] + epsilon) + b[c].

    a: overwritten. Thread mapping: one for each number.
    """
    _, channels, length = x.shape
    flat = a.reshape(-1), x.reshape(-1), w, b, statistics.reshape(-1)
    each(_forward, a.size, *flat, epsilon, channels, length)


def batch_norm_backward(dx, dw, db, da, x, w, statistics, epsilon, has_batch_statistics):
    """The gradients of `batch_norm_forward`, as in kernels/reference/batch_norm.py.

    dx, dw, db: overwritten; dx may be da. Thread mapping: a block for each channel, then a thread
    for each number.
    """
    outer, channels, length = x.shape
    m, deltas, inputs, flat = outer * length, da.reshape(-1), x.reshape(-1), statistics.reshape(-1)
    sizes = epsilon, channels, length
    launch(
        _backward_parameters, (channels, 1), (THREADS, 1), dw, db, deltas, inputs, flat, *sizes, m
    )
    part = 1 / m if has_batch_statistics else 0.0
    outputs = dx.reshape(-1), dw, db
    each(_backward_input, dx.size, *outputs, deltas, inputs, w, flat, *sizes, part)


def batch_norm_fold(w_folded, b_folded, w, b, gamma, beta, statistics, epsilon):
    """w_folded[c, k] = r w[c, k]; b_folded[c] = r (b[c] - mean[c]) + beta[c].

    r = gamma[c] / sqrt(variance[c] + epsilon). w_folded, b_folded: overwritten. Thread mapping: one
    for each weight.
    """
    flat = w_folded.reshape(-1), b_folded, w.reshape(-1), b, gamma, beta, statistics.reshape(-1)
    each(_fold, w.size, *flat, epsilon, *w.shape)


def batch_norm_track(running, statistics, momentum, m):
    """running = (1 - momentum) running + momentum statistics; of variances m / (m - 1) times.

    running: updated. Thread mapping: one for each statistic.
    """
    flat = running.reshape(-1), statistics.reshape(-1)
    each(_track, running.size, *flat, momentum, m / (m - 1), running.shape[1])
