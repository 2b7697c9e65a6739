"""Formulas of one number, written once for every backend.

Costs are evaluated in float64, activations in the precision of their numbers: sigmoid and tanh have
a `_single` twin for float32, which does twice as many at once with half as long a series. `exp` is
a polynomial instead of a library call so that a loop over it vectorises.
"""

import numpy as np
from numba.extending import register_jitable

from .activations import LEAKY_RELU, LINEAR, RELU, SIGMOID, TANH  # noqa: F401 -- for the kernels

LOG2_E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238  # its last 21 bits are zero: k * LN2_HIGH is exact
LN2_LOW = 1.9082149292705877e-10

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, SplitMix64's step

SEED, STEP, MINI_BATCH, FINITE = range(4)  # indices of the counters: see the kernel `advance`
# Indices of the rates, the numbers of one update: see the kernels `sgd`, `adam` and `clip`.
ETA, DECAY, DECAY_L1, MOMENTUM, NESTEROV, BETA2, BIAS1, BIAS2, DECOUPLED, LIMIT = range(10)
EPSILON = 1e-8  # of Adam


@register_jitable
def _reduced(x):
    """(2^k, e^r - 1) with x = k ln 2 + r and |r| <= ln(2)/2, for -708 <= x <= 0.

    e^x is 2^k + 2^k (e^r - 1). e^r - 1 is its Taylor series up to r^13/13!; 2^k is written into the
    bits of a float64.
    """
    k = np.int32(x * LOG2_E - 0.5)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
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
    return np.int64((np.int64(k) + 1023) << 52).view(np.float64), p * r


@register_jitable
def exp_negative(x):
    """e^x for x <= 0, to 2 ulp of float64; 0 below -708, NaN for NaN."""
    x = np.float64(x)
    power, rest = _reduced(max(-708.0, x))
    return power + power * rest if x >= -708.0 else (0.0 if x < -708.0 else x)


@register_jitable
def sigmoid(z):
    """sigma(z) = 1 / (1 + e^-z), chapter 1, equation (3); no overflow at any z."""
    z = np.float64(z)
    e = exp_negative(-abs(z))
    s = 1.0 / (1.0 + e)
    return s if z >= 0.0 else e * s


@register_jitable
def tanh(z):
    """tanh(z) = -u / (2 + u) with u = e^-2|z| - 1, and the sign of z, chapter 3, equation (110).

    Exact near 0, too.
    """
    z = np.float64(z)
    power, rest = _reduced(max(-708.0, -2.0 * abs(z)))
    u = (power - 1.0) + power * rest
    t = -u / (2.0 + u)
    return t if z > 0.0 else (-t if z < 0.0 else z)


ZERO, HALF, ONE, TWO = (np.float32(x) for x in (0, 0.5, 1, 2))
LOG2_E_SINGLE = np.float32(LOG2_E)
LN2_HIGH_SINGLE = np.float32(0.693359375)  # nine bits: k * LN2_HIGH_SINGLE is exact
LN2_LOW_SINGLE = np.float32(-2.12194440e-4)
LEAST_SINGLE = np.float32(-87.0)  # e^x is a normal number from here on
C3, C4, C5, C6, C7 = (np.float32(1 / factorial) for factorial in (6, 24, 120, 720, 5040))


@register_jitable
def _reduced_single(x):
    """`_reduced` for float32: -87 <= x <= 0, the series up to r^7/7!."""
    k = np.int32(x * LOG2_E_SINGLE - HALF)
    whole = np.float32(k)
    r = (x - whole * LN2_HIGH_SINGLE) - whole * LN2_LOW_SINGLE
    p = C7 * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + HALF
    p = p * r + ONE
    return np.int32((k + 127) << 23).view(np.float32), p * r


@register_jitable
def sigmoid_single(z):
    """`sigmoid` of a float32, to 3 ulp; 0 where e^-|z| would be no normal number."""
    x = -abs(z)
    power, rest = _reduced_single(max(LEAST_SINGLE, x))
    e = power + power * rest if x >= LEAST_SINGLE else (ZERO if x < LEAST_SINGLE else x)
    s = ONE / (ONE + e)
    return s if z >= ZERO else e * s


@register_jitable
def tanh_single(z):
    """`tanh` of a float32, to 3 ulp."""
    power, rest = _reduced_single(max(LEAST_SINGLE, -TWO * abs(z)))
    u = (power - ONE) + power * rest
    t = -u / (TWO + u)
    return t if z > ZERO else (-t if z < ZERO else z)


@register_jitable(forceinline=True)
def activated(z, activation, is_single=False):
    """sigma(z), see kernels/activations.py; is_single: in float32, else in float64."""
    kind, parameter = activation
    if kind == SIGMOID:
        return sigmoid_single(np.float32(z)) if is_single else sigmoid(z)
    if kind == TANH:
        return tanh_single(np.float32(z)) if is_single else tanh(z)
    if kind == RELU:
        return 0.0 if z < 0 else z
    if kind == LEAKY_RELU:
        low = np.float32(parameter) * np.float32(z) if is_single else parameter * z
        return low if z < 0 else z
    return z


@register_jitable(forceinline=True)
def derivative(a, activation):
    """sigma'(z) from a = sigma(z)."""
    kind, parameter = activation
    if kind == SIGMOID:
        return a * (1 - a)
    if kind == TANH:
        return 1 - a * a
    if kind == RELU:
        return 1.0 if a > 0 else 0.0
    if kind == LEAKY_RELU:
        return 1.0 if a > 0 else parameter
    return 1.0


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
    return mix(mix(mix(np.uint64(seed) + GOLDEN) ^ np.uint64(step)) ^ np.uint64(layer))


@register_jitable
def uniform(key, element):
    """The number in [0, 1) of an element under a key: a function of these two alone.

    Neither the order nor the threads matter.
    """
    bits = mix(np.uint64(key) + np.uint64(element) * GOLDEN)
    return np.float64(np.int64(bits >> np.uint64(11))) * (1.0 / 9007199254740992.0)
