"""Cost functions: from the last layer's z and the labels, the cost and its delta = dC/dz, scaled.

Each adds to `sums` (float64): the images' summed cost and the number classified rightly. y is the
unit vector of the label (n's label is the 1). `scale` is 1 / images for the mean gradient of a
mini-batch. Loops over images are not parallel: the sums have one order, and ten numbers an image
are soon done.
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
def log_likelihood(delta, sums, z, labels, scale):
    """C = -ln a_y with a = softmax(z), equation (80); delta = (a - y) scale, equation (81).

    ln a_y = z_y - max - ln sum_k e^(z_k - max): exact however small a_y is. delta: like z,
    overwritten; sums: added to.
    """
    for n in range(z.shape[0]):
        best = _largest(z, n)
        highest = np.float64(z[n, best])
        total = 0.0
        for j in range(z.shape[1]):
            total += scalar.exp_negative(z[n, j] - highest)
        for j in range(z.shape[1]):
            y = 1.0 if j == labels[n] else 0.0
            delta[n, j] = (scalar.exp_negative(z[n, j] - highest) / total - y) * scale
        sums[0] += np.log(total) + (highest - z[n, labels[n]])
        sums[1] += 1.0 if best == labels[n] else 0.0


@njit(**FLAGS)
def cross_entropy(delta, sums, z, labels, scale):
    """C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)], equation (63); delta = (a - y) scale, (66).

    a = sigma(z). In terms of z: C = sum_j max(z, 0) - y z + ln(1 + e^-|z|), exact at any z. delta:
    like z, overwritten; sums: added to.
    """
    for n in range(z.shape[0]):
        cost = 0.0
        for j in range(z.shape[1]):
            y = 1.0 if j == labels[n] else 0.0
            v = np.float64(z[n, j])
            cost += (v if v > 0.0 else 0.0) - y * v + np.log1p(scalar.exp_negative(-abs(v)))
            delta[n, j] = (scalar.sigmoid(v) - y) * scale
        sums[0] += cost
        sums[1] += 1.0 if _largest(z, n) == labels[n] else 0.0


@njit(**FLAGS)
def quadratic(delta, sums, z, labels, scale, activation):
    """C = |a - y|^2 / 2, equation (6); delta = (a - y) sigma'(z) scale, (BP1).

    a = sigma(z) for `activation`, see `activated`. delta: like z, overwritten; sums: added to.
    """
    for n in range(z.shape[0]):
        cost = 0.0
        for j in range(z.shape[1]):
            y = 1.0 if j == labels[n] else 0.0
            a = scalar.activated(np.float64(z[n, j]), activation)
            cost += 0.5 * (a - y) * (a - y)
            delta[n, j] = (a - y) * scalar.derivative(a, activation) * scale
        sums[0] += cost
        sums[1] += 1.0 if _largest(z, n) == labels[n] else 0.0
