"""How weights and biases begin.

Standard deviations by name, the numbers from a generator per layer.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..activations import function

# (standard deviation of the weights, of the biases) from a neuron's inputs, an input's outputs, and
# how many outputs a max pooling behind the layer makes one.
DEVIATIONS: dict[str, Callable[[int, int, int], tuple[float, float]]] = {
    "default": lambda n_in, n_out, pooled: (
        1 / math.sqrt(n_in),
        1.0,
    ),  # chapter 3, "Weight initialization"
    "large": lambda n_in, n_out, pooled: (1.0, 1.0),  # chapter 1's
    "glorot": lambda n_in, n_out, pooled: (
        math.sqrt(2 / (n_in + n_out)),
        0.0,
    ),  # Glorot, Bengio 2010
    "he": lambda n_in, n_out, pooled: (math.sqrt(2 / n_in), 0.0),  # He et al. 2015
    "book3": lambda n_in, n_out, pooled: (math.sqrt(pooled / n_out), 1.0),  # chapter 6's network3
}


def suiting(activation: str, is_softmax: bool) -> str:
    """What initialiser "auto" is: the book's for sigmoid neurons, Glorot's or He's for others."""
    return "glorot" if is_softmax else function(activation).initialiser


def initialise(
    weights: NDArray[np.floating],
    biases: NDArray[np.floating],
    name: str,
    fans: tuple[int, int, int],
    is_softmax: bool,
    seed: tuple[int, int, int],
) -> None:
    """Fill one layer's weights and biases, normally distributed, by the generator of `seed`.

    With "book3" a softmax layer begins at zero.
    """
    deviation, bias_deviation = DEVIATIONS[name](*fans)
    if name == "book3" and is_softmax:
        deviation = bias_deviation = 0.0
    random = np.random.default_rng(seed)
    weights[...] = random.standard_normal(weights.shape) * deviation
    biases[...] = random.standard_normal(biases.shape) * bias_deviation
