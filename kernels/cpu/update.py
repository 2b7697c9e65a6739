"""Stochastic gradient descent and Adam, one step.

Chunks of a fixed size keep the bits equal for any number of threads.
"""

import math

from numba import prange, uint64

from ..compilation import INLINE, PARALLEL, njit
from ..scalar import (
    BETA2,
    BIAS1,
    BIAS2,
    DECAY,
    DECAY_L1,
    DECOUPLED,
    EPSILON,
    ETA,
    LIMIT,
    MOMENTUM,
    NESTEROV,
)

CHUNK = 16384
ZERO = uint64(0)


@njit(**INLINE)
def _descend(w, v, g, first, stop, eta, l2, l1, momentum, nesterov):
    """`sgd` from `first` to `stop`."""
    dtype = w.dtype.type
    eta, l2, l1, momentum = dtype(eta), dtype(l2), dtype(l1), dtype(momentum)
    zero, one = dtype(0), dtype(1)
    for t in range(first, stop):
        sign = one if w[t] > zero else (-one if w[t] < zero else zero)
        step = eta * (g[t] + l2 * w[t] + l1 * sign)
        if momentum == zero:
            w[t] -= step
        else:
            v[t] = momentum * v[t] - step
            w[t] += momentum * v[t] - step if nesterov else v[t]


@njit(**PARALLEL)
def sgd(w, b, v_w, v_b, dw, db, rates):
    """As reference.update.sgd, w in chunks that threads share."""
    eta, decay, decay_l1 = rates[ETA], rates[DECAY], rates[DECAY_L1]
    momentum, nesterov = rates[MOMENTUM], rates[NESTEROV] != 0
    for p in prange((w.size + CHUNK - 1) // CHUNK):
        first, stop = uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, w.size))
        _descend(w, v_w, dw, first, stop, eta, decay, decay_l1, momentum, nesterov)
    _descend(b, v_b, db, ZERO, uint64(b.size), eta, 0.0, 0.0, momentum, nesterov)


@njit(**INLINE)
def _adapt(w, m, s, g, first, stop, rates, l2, l1):
    """`adam` from `first` to `stop`."""
    dtype = w.dtype.type
    shrink = dtype(rates[ETA] * l2) if rates[DECOUPLED] != 0 else dtype(0)
    l2, l1 = dtype(0) if rates[DECOUPLED] != 0 else dtype(l2), dtype(l1)
    beta1, beta2, epsilon = dtype(rates[MOMENTUM]), dtype(rates[BETA2]), dtype(EPSILON)
    step, root = dtype(rates[ETA] / rates[BIAS1]), dtype(1 / math.sqrt(rates[BIAS2]))
    zero, one = dtype(0), dtype(1)
    for t in range(first, stop):
        sign = one if w[t] > zero else (-one if w[t] < zero else zero)
        d = g[t] + l2 * w[t] + l1 * sign
        m[t] = beta1 * m[t] + (one - beta1) * d
        s[t] = beta2 * s[t] + (one - beta2) * d * d
        w[t] -= shrink * w[t] + step * m[t] / (root * math.sqrt(s[t]) + epsilon)


@njit(**PARALLEL)
def adam(w, b, m_w, m_b, s_w, s_b, dw, db, rates):
    """As reference.update.adam, w in chunks that threads share."""
    for p in prange((w.size + CHUNK - 1) // CHUNK):
        first, stop = uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, w.size))
        _adapt(w, m_w, s_w, dw, first, stop, rates, rates[DECAY], rates[DECAY_L1])
    _adapt(b, m_b, s_b, db, ZERO, uint64(b.size), rates, 0.0, 0.0)


@njit(**INLINE)
def _squares(g, first, stop):
    """The sum of squares from `first` to `stop`, as four sums: no addition waits for the last."""
    s0 = s1 = s2 = s3 = 0.0
    quarter = (stop - first) // uint64(4)
    for t in range(first, first + quarter):
        s0 += float(g[t]) ** 2
        s1 += float(g[t + quarter]) ** 2
        s2 += float(g[t + 2 * quarter]) ** 2
        s3 += float(g[t + 3 * quarter]) ** 2
    for t in range(first + 4 * quarter, stop):
        s0 += float(g[t]) ** 2
    return s0 + s1 + s2 + s3


@njit(**PARALLEL)
def clip(g, sums, rates):
    """As reference.update.clip, the parts shared by threads."""
    part = (g.size + sums.size - 1) // sums.size
    for p in prange(sums.size):
        sums[p] = _squares(g, uint64(min(p * part, g.size)), uint64(min((p + 1) * part, g.size)))
    total = 0.0
    for p in range(sums.size):
        total += sums[p]
    if total > rates[LIMIT] ** 2:
        factor = g.dtype.type(rates[LIMIT] / math.sqrt(total))
        for t in prange(g.size):
            g[t] *= factor
