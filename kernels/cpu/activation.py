"""Activation functions, number by number, in place on flat arrays."""

import numpy as np
from numba import prange, uint64

from .. import scalar
from ..compilation import FORMULA, INNER, PARALLEL, njit

CHUNK = 4096
SINGLE = 4  # bytes of a float32


@njit(**FORMULA)
def activate(a, first, after, activation):
    """a = sigma(a) from `first` to `after`. a: flat."""
    kind, parameter = activation
    is_single = a.itemsize == SINGLE
    if kind == scalar.SIGMOID and is_single:
        for i in range(first, after):
            a[i] = scalar.sigmoid_single(np.float32(a[i]))
    elif kind == scalar.SIGMOID:
        for i in range(first, after):
            a[i] = scalar.sigmoid(a[i])
    elif kind == scalar.TANH and is_single:
        for i in range(first, after):
            a[i] = scalar.tanh_single(np.float32(a[i]))
    elif kind == scalar.TANH:
        for i in range(first, after):
            a[i] = scalar.tanh(a[i])
    elif kind == scalar.RELU:
        for i in range(first, after):
            a[i] = a.dtype.type(0) if a[i] < 0 else a[i]
    elif kind == scalar.LEAKY_RELU:
        slope = a.dtype.type(parameter)
        for i in range(first, after):
            a[i] = slope * a[i] if a[i] < 0 else a[i]


@njit(**PARALLEL)
def activation_forward(a, activation):
    """a = sigma(a), `activate` for all of a. a: flat, holds z, overwritten with a."""
    for p in prange((a.size + CHUNK - 1) // CHUNK):
        activate(a, uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, a.size)), activation)


@njit(**INNER)
def _times_slope(dz, a, first, after, activation):
    """`activation_backward` from `first` to `after`."""
    kind, parameter = activation
    one = a.dtype.type(1)
    if kind == scalar.SIGMOID:
        for i in range(first, after):
            dz[i] *= a[i] * (one - a[i])
    elif kind == scalar.TANH:
        for i in range(first, after):
            dz[i] *= one - a[i] * a[i]
    elif kind == scalar.RELU:
        for i in range(first, after):
            dz[i] = dz[i] if a[i] > 0 else dz.dtype.type(0)
    elif kind == scalar.LEAKY_RELU:
        slope = dz.dtype.type(parameter)
        for i in range(first, after):
            dz[i] = dz[i] if a[i] > 0 else slope * dz[i]


@njit(**PARALLEL)
def activation_backward(dz, a, activation):
    """dz = da * sigma'(z), from a alone: sigma'(z) is a (1 - a), 1 - a^2, a > 0, or 1.

    sigma'(z) is the factor in (BP1) and (BP2). dz: flat, holds da, overwritten. a: flat, what
    `activation_forward` left.
    """
    if a.size <= CHUNK:
        _times_slope(dz, a, uint64(0), uint64(a.size), activation)
    else:
        for p in prange((a.size + CHUNK - 1) // CHUNK):
            _times_slope(dz, a, uint64(p * CHUNK), uint64(min((p + 1) * CHUNK, a.size)), activation)
