"""Activation functions and dropout, number by number, in place on flat arrays."""

from numba import cuda

from .. import scalar
from .launch import KERNEL, each

SINGLE = 4  # bytes of a float32


# Kernels


@cuda.jit(**KERNEL)
def _forward(a, activation):
    i = cuda.grid(1)
    if i < a.size:
        a[i] = scalar.activated(a[i], activation, a.itemsize == SINGLE)


@cuda.jit(**KERNEL)
def _backward(dz, a, activation):
    i = cuda.grid(1)
    if i < a.size:
        if activation[0] == scalar.RELU:
            if not a[i] > 0:
                dz[i] = 0
        else:
            dz[i] *= scalar.derivative(a[i], activation)


@cuda.jit(**KERNEL)
def _dropout(out, a, rate, scale, randomness, layer):
    i = cuda.grid(1)
    if i < a.size:
        key = scalar.random_key(randomness[scalar.SEED], randomness[scalar.STEP], layer)
        kept = scalar.uniform(key, i) >= rate
        out[i] = a[i] * scale if kept else a[i] * 0


# What layers call


def activation_forward(a, activation):
    """a = sigma(a). a: flat, holds z, overwritten with a. Thread mapping: one for each number."""
    each(_forward, a.size, a, activation)


def activation_backward(dz, a, activation):
    """dz = da * sigma'(z), from a alone: sigma'(z) is a (1 - a), 1 - a^2, a > 0, or 1.

    sigma'(z) is the factor in (BP1) and (BP2). dz: flat, holds da, overwritten. a: flat, what
    `activation_forward` left. Thread mapping: one for each number.
    """
    each(_backward, a.size, dz, a, activation)


def dropout(out, a, rate, scale, randomness, layer):
    """out[i] = scale a[i] where element i is kept, which it is with probability 1 - rate, else 0.

    out: flat, overwritten; may be a itself. randomness: (seed, step). Thread mapping: one for each
    number.
    """
    each(_dropout, a.size, out, a, rate, a.dtype.type(scale), randomness, layer)
