"""Stochastic gradient descent: one step, and on to the next mini-batch."""

from numba import njit, prange, uint64

from ..compilation import FLAGS, INLINE, PARALLEL
from ..scalar import FINITE, MINI_BATCH, STEP

CHUNK = 16384
ZERO = uint64(0)


@njit(**INLINE)
def _descend(w, v, g, first, after, eta, l2, l1, momentum, nesterov):
    """`sgd` from `first` to `after`."""
    dtype = w.dtype.type
    eta, l2, l1, momentum = dtype(eta), dtype(l2), dtype(l1), dtype(momentum)
    zero, one = dtype(0), dtype(1)
    for t in range(first, after):
        sign = one if w[t] > zero else (-one if w[t] < zero else zero)
        step = eta * (g[t] + l2 * w[t] + l1 * sign)
        if momentum == zero:
            w[t] -= step
        else:
            v[t] = momentum * v[t] - step
            w[t] += momentum * v[t] - step if nesterov else v[t]


@njit(**PARALLEL)
def sgd(w, b, v_w, v_b, dw, db, rates):
    """g = dC/dw + decay w + decay_l1 sgn(w); v = momentum v - eta g; w = w + v, equations (107), (108); b likewise.

    With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013). Biases are not regularised (chapter 3,
    equations (90), (91)). rates: (eta, decay, decay_l1, momentum, nesterov), float64; decay is lmbda / n, decay_l1 its
    like for L1, nesterov 0 or 1. All flat; w, b and, unless momentum is 0, their velocities v_w and v_b: updated.
    """
    eta, decay, decay_l1, momentum, nesterov = rates[0], rates[1], rates[2], rates[3], rates[4] != 0
    for p in prange((w.size + CHUNK - 1) // CHUNK):
        first, after = uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, w.size))
        _descend(w, v_w, dw, first, after, eta, decay, decay_l1, momentum, nesterov)
    _descend(b, v_b, db, ZERO, uint64(b.size), eta, 0.0, 0.0, momentum, nesterov)


@njit(**PARALLEL)
def add(total, part):
    """total += part: the gradients of a mini-batch's slices. Both flat."""
    for p in prange((total.size + CHUNK - 1) // CHUNK):
        for t in range(uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, total.size))):
            total[t] += part[t]


@njit(**FLAGS)
def advance(counters, rates, sums, etas, bound):
    """On to the next mini-batch, with its eta.

    counters: (seed, step, turn, sound), int64: seed and step key the random numbers, turn is the mini-batch's number in this run,
    sound how many of the run's mini-batches left the summed cost below `bound`, up to the first that did not. rates: see
    `sgd`. sums: of the cost kernels. etas: of the run's mini-batches, and one more. clock and rates[0] are overwritten.
    """
    if counters[FINITE] == counters[MINI_BATCH] and sums[0] < bound:
        counters[FINITE] += 1
    counters[STEP] += 1
    counters[MINI_BATCH] += 1
    rates[0] = etas[counters[MINI_BATCH]]
