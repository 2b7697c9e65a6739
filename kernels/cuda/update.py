"""Stochastic gradient descent: one step, and on to the next mini-batch."""

from numba import cuda

from ..scalar import FINITE, MINI_BATCH, STEP
from .launch import KERNEL, each, launch

# Kernels


@cuda.jit(**KERNEL)
def _sgd(w, b, v_w, v_b, dw, db, rates):
    i = cuda.grid(1)
    dtype = w.dtype.type
    eta, momentum = dtype(rates[0]), dtype(rates[3])
    if i < w.size:
        sign = dtype(1) if w[i] > 0 else (dtype(-1) if w[i] < 0 else dtype(0))
        step = eta * (dw[i] + dtype(rates[1]) * w[i] + dtype(rates[2]) * sign)
        if momentum == 0:
            w[i] -= step
        else:
            v_w[i] = momentum * v_w[i] - step
            w[i] += momentum * v_w[i] - step if rates[4] != 0 else v_w[i]
    elif i < w.size + b.size:
        j = i - w.size
        step = eta * db[j]
        if momentum == 0:
            b[j] -= step
        else:
            v_b[j] = momentum * v_b[j] - step
            b[j] += momentum * v_b[j] - step if rates[4] != 0 else v_b[j]


@cuda.jit(**KERNEL)
def _add(total, part):
    i = cuda.grid(1)
    if i < total.size:
        total[i] += part[i]


@cuda.jit(**KERNEL)
def _advance(counters, rates, sums, etas, bound):
    if counters[FINITE] == counters[MINI_BATCH] and sums[0] < bound:
        counters[FINITE] += 1
    counters[STEP] += 1
    counters[MINI_BATCH] += 1
    rates[0] = etas[counters[MINI_BATCH]]


# What layers call


def sgd(w, b, v_w, v_b, dw, db, rates):
    """g = dC/dw + decay w + decay_l1 sgn(w); v = momentum v - eta g.

    w = w + v, equations (107), (108); b likewise.
    With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013). Biases are not regularised
    (chapter 3, equations (90), (91)). rates: (eta, decay, decay_l1, momentum, nesterov), float64.
    All flat; w, b and, unless momentum is 0, their velocities v_w and v_b: updated. Thread mapping:
    one for each parameter.
    """
    each(_sgd, w.size + b.size, w, b, v_w, v_b, dw, db, rates)


def add(total, part):
    """total += part: the gradients of a mini-batch's slices. Both flat.

    Thread mapping: one for each number.
    """
    each(_add, total.size, total, part)


def advance(counters, rates, sums, etas, bound):
    """On to the next mini-batch, with its eta. Thread mapping: one thread."""
    launch(_advance, (1, 1), (1, 1), counters, rates, sums, etas, bound)
