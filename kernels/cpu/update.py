"""Stochastic gradient descent, one step.

Chunks of a fixed size keep the bits equal for any number of threads.
"""

from numba import prange, uint64

from ..compilation import INLINE, PARALLEL, njit

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
    eta, decay, decay_l1, momentum, nesterov = rates[0], rates[1], rates[2], rates[3], rates[4] != 0
    for p in prange((w.size + CHUNK - 1) // CHUNK):
        first, stop = uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, w.size))
        _descend(w, v_w, dw, first, stop, eta, decay, decay_l1, momentum, nesterov)
    _descend(b, v_b, db, ZERO, uint64(b.size), eta, 0.0, 0.0, momentum, nesterov)
