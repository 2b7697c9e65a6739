"""Formulas of one number, written once for every backend.

Each is evaluated in float64 and rounded once when the caller stores it, so float32 results do not
depend on the device. `exp` is a polynomial instead of a library call so that a loop over it vectorises.
"""

import numpy as np
from numba.extending import register_jitable

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238  # its last 21 bits are zero: k * LN2_HIGH is exact
LN2_LOW = 1.9082149292705877e-10

SIGMOID, TANH, RELU, LINEAR = range(4)


@register_jitable
def exp_negative(x):
    """e^x for x <= 0, to 2 ulp of float64; 0 below -708, NaN for NaN.

    Range reduction x = k ln 2 + r with |r| <= ln(2)/2, then the Taylor series of e^r to r^13/13!,
    then the exponent k written into the bits of a float64.
    """
    x = np.float64(x)
    clamped = max(x, -708.0)
    k = np.floor(clamped * LOG2_E + 0.5)
    r = (clamped - k * LN2_HIGH) - k * LN2_LOW
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = np.int64((np.int64(k) + 1023) << 52).view(np.float64)
    return p * power if x >= -708.0 else (0.0 if x < -708.0 else x)


@register_jitable
def sigmoid(z):
    """sigma(z) = 1 / (1 + e^-z), chapter 1, equation (3); no overflow at any z."""
    z = np.float64(z)
    e = exp_negative(-abs(z))
    s = 1.0 / (1.0 + e)
    return s if z >= 0.0 else e * s


@register_jitable
def tanh(z):
    """tanh(z) = (1 - e^-2|z|) / (1 + e^-2|z|) with the sign of z, chapter 3, equation (109)."""
    z = np.float64(z)
    e = exp_negative(-2.0 * abs(z))
    t = (1.0 - e) / (1.0 + e)
    return t if z >= 0.0 else -t


@register_jitable
def mix(bits):
    """SplitMix64's finaliser: 64 bits in, 64 well-mixed bits out (Steele, Lea, Flood 2014)."""
    bits = np.uint64(bits)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@register_jitable
def random_key(seed, step, layer):
    """The key of one layer's random numbers in one step of training: 64 bits."""
    return mix(mix(mix(np.uint64(seed)) ^ np.uint64(step)) ^ np.uint64(layer))


@register_jitable
def uniform(key, element):
    """The number in [0, 1) of an element under a key: a function of both, whatever the order or the threads."""
    bits = mix(np.uint64(key) + np.uint64(element) * np.uint64(0x9E3779B97F4A7C15))
    return np.float64(np.int64(bits >> np.uint64(11))) * (1.0 / 9007199254740992.0)
