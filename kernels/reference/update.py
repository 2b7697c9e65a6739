"""Stochastic gradient descent: one step, and on to the next mini-batch."""

from numba import prange

from ..compilation import FLAGS, PARALLEL, PLAIN, njit
from ..scalar import FINITE, MINI_BATCH, STEP


@njit(**PLAIN)
def sgd(w, b, v_w, v_b, dw, db, rates):
    """g = dC/dw + decay w + decay_l1 sgn(w); v = momentum v - eta g; w = w + v; b likewise.

    Equations (107) and (108). With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013).
    Biases are not regularised (chapter 3, equations (90), (91)). rates: (eta, decay, decay_l1,
    momentum, nesterov), float64; decay is lmbda / n, decay_l1 its like for L1, nesterov 0 or 1. All
    flat; w, b and, unless momentum is 0, their velocities v_w and v_b: updated.
    """
    dtype = w.dtype.type
    eta, decay, decay_l1 = dtype(rates[0]), dtype(rates[1]), dtype(rates[2])
    momentum, nesterov = dtype(rates[3]), rates[4] != 0
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


@njit(**PARALLEL)
def add(total, part):
    """total += part: the gradients of micro-batches. Both flat."""
    for t in prange(total.size):
        total[t] += part[t]


@njit(**FLAGS)
def advance(counters, rates, sums, etas, bound):
    """On to the next mini-batch, with its eta.

    counters: (seed, step, mini_batch, finite), int64: seed and step key the random numbers,
    mini_batch is the index of the mini-batch in this run, finite the number of mini-batches up to
    the first that did not leave sums[0] below `bound`. rates: see `sgd`. sums: of the cost kernels.
    etas: one for each mini-batch of the run, and one more. counters and rates[0] are overwritten.
    """
    if counters[FINITE] == counters[MINI_BATCH] and sums[0] < bound:
        counters[FINITE] += 1
    counters[STEP] += 1
    counters[MINI_BATCH] += 1
    rates[0] = etas[counters[MINI_BATCH]]
