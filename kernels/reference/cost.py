"""Cost functions: from the last layer's z and the labels, the cost and its delta = dC/dz, scaled.

Each adds to `sums` (float64): the images' summed cost and the number classified rightly. y is the
unit vector of the label (n's label is the 1). The target is t = (1 - smoothing) y + smoothing /
classes: `own` at the label and `other` elsewhere. w is weights[label], float64. `scale` is 1 /
images for the mean gradient of a mini-batch. Loops over images are not parallel: the sums have one
order, and ten numbers an image are soon done.
"""

import numpy as np

from .. import scalar
from ..compilation import FLAGS, njit


@njit(**FLAGS)
def _largest(z, n):
    """Where row n of z is largest; of equal values the first."""
    best = 0
    for j in range(1, z.shape[1]):
        if z[n, j] > z[n, best]:
            best = j
    return best


@njit(**FLAGS)
def softmax(a, z):
    """a[n, j] = e^(z[n, j] - max) / sum_k e^(z[n, k] - max), equation (78).

    z: (images, classes). a: like z, overwritten; may be z.
    """
    for n in range(z.shape[0]):
        highest = z[n, _largest(z, n)]
        total = 0.0
        for j in range(z.shape[1]):
            total += scalar.exp_negative(np.float64(z[n, j]) - highest)
        for j in range(z.shape[1]):
            a[n, j] = scalar.exp_negative(np.float64(z[n, j]) - highest) / total


@njit(**FLAGS)
def log_likelihood(delta, sums, z, labels, weights, smoothing, scale):
    """C = -w sum_j t_j ln a_j, a = softmax(z), equation (80); delta = w (a - t) scale, (81).

    ln a_j = z_j - max - ln sum_k e^(z_k - max): exact. delta: like z, overwritten; sums: added to.
    """
    other, own = smoothing / z.shape[1], 1.0 - smoothing + smoothing / z.shape[1]
    for n in range(z.shape[0]):
        best, label = _largest(z, n), labels[n]
        highest, factor = np.float64(z[n, best]), weights[label] * scale
        total = below = 0.0
        for j in range(z.shape[1]):
            total += scalar.exp_negative(z[n, j] - highest)
        for j in range(z.shape[1] if other > 0.0 else 0):
            below += highest - z[n, j]
        for j in range(z.shape[1]):
            t = own if j == label else other
            delta[n, j] = (scalar.exp_negative(z[n, j] - highest) / total - t) * factor
        cost = np.log(total) + (1.0 - smoothing) * (highest - z[n, label]) + other * below
        sums[0] += weights[label] * cost
        sums[1] += 1.0 if best == label else 0.0


@njit(**FLAGS)
def cross_entropy(delta, sums, z, labels, weights, smoothing, scale):
    """C = -w sum_j [t_j ln a_j + (1 - t_j) ln(1 - a_j)], (63); delta = w (a - t) scale, (66).

    a = sigma(z). In terms of z: C = w sum_j [max(z, 0) - t z + ln(1 + e^-|z|)], exact at any z.
    delta: like z, overwritten; sums: added to.
    """
    other, own = smoothing / z.shape[1], 1.0 - smoothing + smoothing / z.shape[1]
    for n in range(z.shape[0]):
        cost, label = 0.0, labels[n]
        factor = weights[label] * scale
        for j in range(z.shape[1]):
            t = own if j == label else other
            v = np.float64(z[n, j])
            cost += (v if v > 0.0 else 0.0) - t * v + np.log1p(scalar.exp_negative(-abs(v)))
            delta[n, j] = (scalar.sigmoid(v) - t) * factor
        sums[0] += weights[label] * cost
        sums[1] += 1.0 if _largest(z, n) == label else 0.0


@njit(**FLAGS)
def quadratic(delta, sums, z, labels, weights, smoothing, scale, activation):
    """C = w |a - t|^2 / 2, equation (6); delta = w (a - t) sigma'(z) scale, (BP1).

    a = sigma(z) for `activation`, see `activated`. delta: like z, overwritten; sums: added to.
    """
    other, own = smoothing / z.shape[1], 1.0 - smoothing + smoothing / z.shape[1]
    for n in range(z.shape[0]):
        cost, label = 0.0, labels[n]
        factor = weights[label] * scale
        for j in range(z.shape[1]):
            t = own if j == label else other
            a = scalar.activated(np.float64(z[n, j]), activation)
            cost += 0.5 * (a - t) * (a - t)
            delta[n, j] = (a - t) * scalar.derivative(a, activation) * factor
        sums[0] += weights[label] * cost
        sums[1] += 1.0 if _largest(z, n) == label else 0.0
