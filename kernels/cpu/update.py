"""One step of stochastic gradient descent."""

from numba import njit, prange, uint64

from ..compilation import INLINE, PARALLEL

CHUNK = 16384
ZERO = uint64(0)


@njit(**INLINE)
def descend(w, w0, v, g, g0, count, rates):
    """`sgd` for w and v from w0 on and g from g0 on, `count` numbers; rates: (eta, decay, decay_l1, momentum, nesterov)."""
    dtype = w.dtype.type
    eta, l2, l1, momentum = dtype(rates[0]), dtype(rates[1]), dtype(rates[2]), dtype(rates[3])
    zero, one = dtype(0), dtype(1)
    for t in range(count):
        weight = w[w0 + t]
        sign = one if weight > zero else (-one if weight < zero else zero)
        step = eta * (g[g0 + t] + l2 * weight + l1 * sign)
        if momentum == zero:
            w[w0 + t] = weight - step
        else:
            v[w0 + t] = momentum * v[w0 + t] - step
            w[w0 + t] = weight + (momentum * v[w0 + t] - step if rates[4] else v[w0 + t])


@njit(**PARALLEL)
def sgd(w, b, v_w, v_b, dw, db, rates):
    """g = dC/dw + decay w + decay_l1 sgn(w); v = momentum v - eta g; w = w + v, equations (107), (108); b likewise.

    With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013). Biases are not regularised (chapter 3,
    equations (90), (91)). rates: (eta, decay, decay_l1, momentum, nesterov); decay is lmbda / n, decay_l1 its like for
    L1. All flat; w, b and, unless momentum is 0, their velocities v_w and v_b: updated.
    """
    for p in prange((w.size + CHUNK - 1) // CHUNK):
        descend(w, uint64(p * CHUNK), v_w, dw, uint64(p * CHUNK), uint64(min(CHUNK, w.size - p * CHUNK)), rates)
    eta, _, _, momentum, nesterov = rates
    descend(b, ZERO, v_b, db, ZERO, uint64(b.size), (eta, 0.0, 0.0, momentum, nesterov))
