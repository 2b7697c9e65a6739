"""Standardised inputs: mean and standard deviation of each channel of the training images."""

import math

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Images
from ..data.stores import Store

PIXELS = 2**20  # looked at together
LEAST = 1e-6  # a smaller deviation is taken for that of a constant channel


def of_channels(store: Store, channels: int) -> NDArray[np.float64]:
    """Means and standard deviations of the pixels, in [0, 1], of each channel: (2, channels).

    A constant channel has the deviation 1: it is centred only. channels: those of the images, or 1
    for all their pixels together.
    """
    images, sums = Images(store), np.zeros((2, channels))
    # Sums of differences from the first pixel: those of a constant channel are exactly 0.
    first = images[:1].reshape(channels, -1)[:, :1].astype(np.float64)
    step = max(1, PIXELS // math.prod(images.shape[1:]))
    for begin in range(0, len(images), step):
        pixels = images[begin : begin + step]
        differences = pixels.reshape(len(pixels), channels, -1) - first
        sums += differences.sum(axis=(0, 2)), np.square(differences).sum(axis=(0, 2))
    mean, square = sums * (channels / images.size)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    deviation[deviation < LEAST] = 1
    return np.stack([first[:, 0] + mean, deviation])
