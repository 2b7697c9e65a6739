"""Stochastic gradient descent and Adam: one step, and on to the next mini-batch."""

import math

from numba import prange

from ..compilation import FLAGS, PARALLEL, PLAIN, njit
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


@njit(**PLAIN)
def sgd(w, b, v_w, v_b, dw, db, rates):
    """g = dC/dw + decay w + decay_l1 sgn(w); v = momentum v - eta g; w = w + v; b likewise.

    Equations (107) and (108). With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013).
    Biases are not regularised (chapter 3, equations (90), (91)). All flat; w, b and, unless
    momentum is 0, their velocities v_w and v_b: updated.
    """
    dtype = w.dtype.type
    eta, decay, decay_l1 = dtype(rates[ETA]), dtype(rates[DECAY]), dtype(rates[DECAY_L1])
    momentum, nesterov = dtype(rates[MOMENTUM]), rates[NESTEROV] != 0
    zero, one = dtype(0), dtype(1)
    for t in range(w.size):
        sign = one if w[t] > zero else (-one if w[t] < zero else zero)
        step = eta * (dw[t] + decay * w[t] + decay_l1 * sign)
        if momentum == zero:
            w[t] -= step
        else:
            v_w[t] = momentum * v_w[t] - step
            w[t] += momentum * v_w[t] - step if nesterov else v_w[t]
    for t in range(b.size):
        step = eta * db[t]
        if momentum == zero:
            b[t] -= step
        else:
            v_b[t] = momentum * v_b[t] - step
            b[t] += momentum * v_b[t] - step if nesterov else v_b[t]


@njit(**PLAIN)
def adam(w, b, m_w, m_b, s_w, s_b, dw, db, rates):
    """w = w - eta m' / (sqrt(s') + eps), m and s the moving means of g and g^2.

    m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g^2, m' = m / (1 - beta1^t), s' = s / (1
    - beta2^t) in step t (Kingma, Ba 2015, algorithm 1). g = dC/dw + decay w + decay_l1 sgn(w);
    decoupled, as in AdamW (Loshchilov, Hutter 2019), g has no decay w, and w shrinks by eta decay w
    first. Biases have no decay. All flat; w, b, m and s: updated.
    """
    dtype = w.dtype.type
    eta, decay, decay_l1 = dtype(rates[ETA]), dtype(rates[DECAY]), dtype(rates[DECAY_L1])
    beta1, beta2, epsilon = dtype(rates[MOMENTUM]), dtype(rates[BETA2]), dtype(EPSILON)
    step, root = dtype(rates[ETA] / rates[BIAS1]), dtype(1 / math.sqrt(rates[BIAS2]))
    decoupled, zero, one = rates[DECOUPLED] != 0, dtype(0), dtype(1)
    for t in range(w.size):
        sign = one if w[t] > zero else (-one if w[t] < zero else zero)
        g = dw[t] + decay_l1 * sign
        if decoupled:
            w[t] -= eta * decay * w[t]
        else:
            g += decay * w[t]
        m_w[t] = beta1 * m_w[t] + (one - beta1) * g
        s_w[t] = beta2 * s_w[t] + (one - beta2) * g * g
        w[t] -= step * m_w[t] / (root * math.sqrt(s_w[t]) + epsilon)
    for t in range(b.size):
        m_b[t] = beta1 * m_b[t] + (one - beta1) * db[t]
        s_b[t] = beta2 * s_b[t] + (one - beta2) * db[t] * db[t]
        b[t] -= step * m_b[t] / (root * math.sqrt(s_b[t]) + epsilon)


@njit(**PLAIN)
def clip(g, sums, rates):
    """g = g min(1, limit / |g|), |g| the norm of all gradients together (Pascanu et al. 2013).

    g: flat, updated. sums: (parts,), float64, overwritten: of squares, each of a part of g.
    """
    part = (g.size + sums.size - 1) // sums.size
    total = 0.0
    for p in range(sums.size):
        sums[p] = 0.0
        for t in range(p * part, min((p + 1) * part, g.size)):
            sums[p] += float(g[t]) * float(g[t])
        total += sums[p]
    if total > rates[LIMIT] ** 2:
        factor = g.dtype.type(rates[LIMIT] / math.sqrt(total))
        for t in range(g.size):
            g[t] *= factor


@njit(**PARALLEL)
def add(total, part):
    """total += part: the gradients of micro-batches. Both flat."""
    for t in prange(total.size):
        total[t] += part[t]


@njit(**FLAGS)
def advance(counters, rates, sums, rows, bound):
    """On to the next mini-batch, with its rates.

    counters: (seed, step, mini_batch, finite), int64: seed and step key the random numbers,
    mini_batch is the index of the mini-batch in this run, finite the number of mini-batches up to
    the first that did not leave sums[0] below `bound`. sums: of the cost kernels. rows: the rates
    of each mini-batch of the run, and a row more. counters and rates are overwritten.
    """
    if counters[FINITE] == counters[MINI_BATCH] and sums[0] < bound:
        counters[FINITE] += 1
    counters[STEP] += 1
    counters[MINI_BATCH] += 1
    for r in range(rates.size):
        rates[r] = rows[counters[MINI_BATCH], r]
