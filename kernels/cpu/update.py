"""One step of stochastic gradient descent over all parameters at once."""

from numba import njit, prange, uint64

from ..compilation import PARALLEL

CHUNK = 16384


@njit(**PARALLEL)
def sgd(parameters, velocity, gradient, weights, eta, decay, decay_l1, momentum, nesterov):
    """g = gradient + decay w + decay_l1 sgn(w) (weights only); v = momentum v - eta g; w = w + v, equations (107), (108).

    With nesterov, w = w + momentum v - eta g (Sutskever et al. 2013). parameters, velocity, gradient: flat,
    the first `weights` elements are weights, the rest biases, which are not regularised (chapter 3, equations (90), (91)).
    decay is lmbda / n, decay_l1 its like for L1. parameters and, unless momentum is 0, velocity: updated.
    """
    eta = parameters.dtype.type(eta)
    momentum = parameters.dtype.type(momentum)
    zero = parameters.dtype.type(0)
    one = parameters.dtype.type(1)
    for p in prange((parameters.size + CHUNK - 1) // CHUNK):
        lo, hi = p * CHUNK, min((p + 1) * CHUNK, parameters.size)
        border = min(max(lo, weights), hi)
        for part in range(2):
            first, last = (lo, border) if part == 0 else (border, hi)
            l2 = parameters.dtype.type(decay) if part == 0 else zero
            l1 = parameters.dtype.type(decay_l1) if part == 0 else zero
            if momentum == zero:
                for i in range(uint64(first), uint64(last)):
                    w = parameters[i]
                    sign = one if w > zero else (-one if w < zero else zero)
                    parameters[i] = w - eta * (gradient[i] + l2 * w + l1 * sign)
            else:
                for i in range(uint64(first), uint64(last)):
                    w = parameters[i]
                    sign = one if w > zero else (-one if w < zero else zero)
                    step = eta * (gradient[i] + l2 * w + l1 * sign)
                    v = momentum * velocity[i] - step
                    velocity[i] = v
                    parameters[i] = w + (momentum * v - step if nesterov else v)
