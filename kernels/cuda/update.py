"""Stochastic gradient descent and Adam: one step, and on to the next mini-batch."""

import math

from numba import cuda

from ..scalar import (
    BETA2,
    BIAS1,
    BIAS2,
    DECAY,
    DECAY_L1,
    DECOUPLED,
    EPSILON,
    ETA,
    FINITE,
    LIMIT,
    MINI_BATCH,
    MOMENTUM,
    NESTEROV,
    STEP,
)
from .launch import KERNEL, each, inner, launch

# Kernels


@cuda.jit(**KERNEL)
def _sgd(w, b, v_w, v_b, dw, db, rates):
    i = cuda.grid(1)
    dtype = w.dtype.type
    eta, momentum = dtype(rates[ETA]), dtype(rates[MOMENTUM])
    if i < w.size:
        sign = dtype(1) if w[i] > 0 else (dtype(-1) if w[i] < 0 else dtype(0))
        step = eta * (dw[i] + dtype(rates[DECAY]) * w[i] + dtype(rates[DECAY_L1]) * sign)
        if momentum == 0:
            w[i] -= step
        else:
            v_w[i] = momentum * v_w[i] - step
            w[i] += momentum * v_w[i] - step if rates[NESTEROV] != 0 else v_w[i]
    elif i < w.size + b.size:
        j = i - w.size
        step = eta * db[j]
        if momentum == 0:
            b[j] -= step
        else:
            v_b[j] = momentum * v_b[j] - step
            b[j] += momentum * v_b[j] - step if rates[NESTEROV] != 0 else v_b[j]


@inner
def _adapt(p, m, s, i, g, rates, dtype):
    """Adam's step of one parameter, p[i], whose gradient is g."""
    beta1, beta2 = dtype(rates[MOMENTUM]), dtype(rates[BETA2])
    m[i] = beta1 * m[i] + (dtype(1) - beta1) * g
    s[i] = beta2 * s[i] + (dtype(1) - beta2) * g * g
    root = dtype(1.0 / math.sqrt(rates[BIAS2]))
    p[i] -= dtype(rates[ETA] / rates[BIAS1]) * m[i] / (root * math.sqrt(s[i]) + dtype(EPSILON))


@cuda.jit(**KERNEL)
def _adam(w, b, m_w, m_b, s_w, s_b, dw, db, rates):
    i = cuda.grid(1)
    dtype = w.dtype.type
    if i < w.size:
        sign = dtype(1) if w[i] > 0 else (dtype(-1) if w[i] < 0 else dtype(0))
        g = dw[i] + dtype(rates[DECAY_L1]) * sign
        if rates[DECOUPLED] != 0:
            w[i] -= dtype(rates[ETA] * rates[DECAY]) * w[i]
        else:
            g += dtype(rates[DECAY]) * w[i]
        _adapt(w, m_w, s_w, i, g, rates, dtype)
    elif i < w.size + b.size:
        _adapt(b, m_b, s_b, i - w.size, db[i - w.size], rates, dtype)


@cuda.jit(**KERNEL)
def _squares(g, sums):
    p = cuda.grid(1)
    if p < sums.size:
        total = 0.0
        for t in range(p, g.size, sums.size):
            total += float(g[t]) * float(g[t])
        sums[p] = total


@cuda.jit(**KERNEL)
def _norm(sums):
    total = 0.0
    for p in range(sums.size):
        total += sums[p]
    sums[0] = math.sqrt(total)


@cuda.jit(**KERNEL)
def _shorten(g, sums, rates):
    i = cuda.grid(1)
    if i < g.size and sums[0] > rates[LIMIT]:
        g[i] *= g.dtype.type(rates[LIMIT] / sums[0])


@cuda.jit(**KERNEL)
def _add(total, part):
    i = cuda.grid(1)
    if i < total.size:
        total[i] += part[i]


@cuda.jit(**KERNEL)
def _advance(counters, rates, sums, rows, bound):
    if counters[FINITE] == counters[MINI_BATCH] and sums[0] < bound:
        counters[FINITE] += 1
    counters[STEP] += 1
    counters[MINI_BATCH] += 1
    for r in range(rates.size):
        rates[r] = rows[counters[MINI_BATCH], r]


# What layers call


def sgd(w, b, v_w, v_b, dw, db, rates):
    """g = dC/dw + decay w + decay_l1 sgn(w); v = momentum v - eta g.

    w = w + v, equations (107), (108); b likewise.
    With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013). Biases are not regularised
    (chapter 3, equations (90), (91)). All flat; w, b and, unless momentum is 0, v_w and v_b:
    updated. Thread mapping: one for each parameter.
    """
    each(_sgd, w.size + b.size, w, b, v_w, v_b, dw, db, rates)


def adam(w, b, m_w, m_b, s_w, s_b, dw, db, rates):
    """w = w - eta m' / (sqrt(s') + eps), m and s the moving means of g and g^2.

    See reference.update.adam. All flat; w, b, m and s: updated. Thread mapping: one for each
    parameter.
    """
    each(_adam, w.size + b.size, w, b, m_w, m_b, s_w, s_b, dw, db, rates)


def clip(g, sums, rates):
    """g = g min(1, limit / |g|), |g| the norm of all gradients together (Pascanu et al. 2013).

    g: flat, updated. sums: (parts,), float64, overwritten. Thread mapping: one for each part's sum
    of squares, one for their sum, one for each number.
    """
    each(_squares, sums.size, g, sums)
    launch(_norm, (1, 1), (1, 1), sums)
    each(_shorten, g.size, g, sums, rates)


def add(total, part):
    """total += part: the gradients of a mini-batch's slices. Both flat.

    Thread mapping: one for each number.
    """
    each(_add, total.size, total, part)


def advance(counters, rates, sums, rows, bound):
    """On to the next mini-batch, with its rates. Thread mapping: one thread."""
    launch(_advance, (1, 1), (1, 1), counters, rates, sums, rows, bound)
