"""Activation functions and dropout, number by number, on flat arrays."""

import numpy as np
from numba import prange

from .. import scalar
from ..compilation import PARALLEL, PLAIN, njit


@njit(**PLAIN)
def activation_forward(a, activation):
    """a[i] = sigma(z[i]) for `activation`, see `activated`.

    a: flat, holds z, overwritten with a.
    """
    for i in range(a.size):
        a[i] = scalar.activated(a[i], activation)


@njit(**PLAIN)
def activation_backward(dz, a, activation):
    """dz[i] = da[i] sigma'(z[i]), the factor of (BP1) and (BP2), from a alone: see `derivative`.

    dz: flat, holds da, overwritten. a: flat, what `activation_forward` left.
    """
    for i in range(a.size):
        dz[i] *= scalar.derivative(np.float64(a[i]), activation)


@njit(**PARALLEL)
def dropout(out, a, rate, scale, randomness, layer):
    """out[i] = scale a[i] where element i is kept, which it is with probability 1 - rate, else 0.

    The same call on da is the backward pass: the mask is a function of (seed, step, layer, i)
    alone. out: flat, overwritten; may be a itself. randomness: (seed, step).
    """
    key = scalar.random_key(randomness[scalar.SEED], randomness[scalar.STEP], layer)
    factor, zero = a.dtype.type(scale), a.dtype.type(0)
    for i in prange(a.size):
        out[i] = factor * a[i] if scalar.uniform(key, i) >= rate else zero
