"""The book's first program, `network`: sigmoid layers, the quadratic cost, stochastic gradient descent (chapter 1).

The names, arguments, attributes, return values and printed lines are the book's; the sums are our kernels'.
"""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .columns import Array, Layers, as_rows, sigmoid, sigmoid_prime, stacked

__all__ = ["Network", "sigmoid", "sigmoid_prime"]

Pair = tuple[Any, Any]


class Network:
    """A network of `sizes` neurons: sizes[0] inputs, then sigmoid layers.

    weights: one (neurons, neurons before) array for each layer but the first, biases: (neurons, 1), both N(0, 1) at first, from
    NumPy's global generator: `numpy.random.seed` fixes them, `random.seed` the order of the mini-batches.
    """

    biases: list[Array]
    weights: list[Array]

    def __init__(self, sizes: Sequence[int]):
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.biases = [np.random.randn(y, 1) for y in sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in pairwise(sizes)]

    def feedforward(self, a: ArrayLike) -> Array:
        """The network's output for the input a: (sizes[0], images) to (sizes[-1], images)."""
        _, activations = Layers(self.weights, self.biases).forward(as_rows(a, self.sizes[0]))
        return activations[-1].T

    def SGD(
        self,
        training_data: Iterable[Pair],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Iterable[Pair] | None = None,
    ) -> None:
        """Train on (x, y) pairs of columns; after each epoch print how many of test_data, (x, label) pairs, are right.

        A list is shuffled in place, as the book does.
        """
        training_data = training_data if isinstance(training_data, list) else list(training_data)
        tests = stacked(list(test_data), self.sizes[0], self.sizes[-1]) if test_data else None
        x, y = stacked(training_data, self.sizes[0], self.sizes[-1])
        order = np.arange(len(training_data))
        for epoch in range(epochs):
            order = order[shuffled(training_data)]
            train(self, x, y, order, mini_batch_size, self._delta, (eta, 0.0))
            if tests:
                print(f"Epoch {epoch}: {right(self, *tests)} / {len(tests[0])}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch: Sequence[Pair], eta: float) -> None:
        """One step of gradient descent over the (x, y) pairs of a mini-batch."""
        x, y = stacked(mini_batch, self.sizes[0], self.sizes[-1])
        train(self, x, y, np.arange(len(x)), max(1, len(x)), self._delta, (eta, 0.0))

    def backprop(self, x: ArrayLike, y: ArrayLike) -> tuple[list[Array], list[Array]]:
        """(nabla_b, nabla_w): the gradient of one image's cost, layer by layer, in the shapes of biases and weights."""
        return gradient(self, x, y, self._delta)

    def evaluate(self, test_data: Iterable[Pair]) -> int:
        """For how many (x, label) pairs the most active output is the label."""
        return right(self, *stacked(list(test_data), self.sizes[0], self.sizes[-1]))

    def cost_derivative(self, output_activations: Array, y: Array) -> Array:
        """dC_x/da of the quadratic cost."""
        return output_activations - y

    def _delta(self, z: Array, a: Array, y: Array) -> Array:
        return self.cost_derivative(a, y) * a * (1 - a)


def shuffled(data: list[Any]) -> NDArray[np.int64]:
    """Shuffle a list as random.shuffle does, and say how."""
    order = list(range(len(data)))
    random.shuffle(order)
    data[:] = [data[index] for index in order]
    return np.array(order, np.int64)


def train(
    network: Any, x: Array, y: Array, order: NDArray[np.int64], size: int, delta: Any, rates: tuple[float, float]
) -> None:
    """Gradient descent over mini-batches of the rows in their order; the network's lists are new ones, as the book has it."""
    layers = Layers([w.copy() for w in network.weights], [b.copy() for b in network.biases])
    given = np.array(rates, np.float64)
    for first in range(0, len(order), size):
        part = order[first : first + size]
        layers.descend(x[part], y[part], delta, given)
    network.weights, network.biases = layers.weights, layers.biases


def gradient(network: Any, x: ArrayLike, y: ArrayLike, delta: Any) -> tuple[list[Array], list[Array]]:
    """(nabla_b, nabla_w) of a column, or summed over columns."""
    layers = Layers(network.weights, network.biases)
    zs, activations = layers.forward(as_rows(x, network.sizes[0]))
    last = np.asarray(delta(zs[-1].T, activations[-1].T, as_rows(y, network.sizes[-1]).T))
    return layers.gradients(activations, np.ascontiguousarray(last.T))


def right(network: Any, x: Array, y: Array) -> int:
    """For how many rows the most active output is the one that y wants most."""
    _, activations = Layers(network.weights, network.biases).forward(x)
    return int((activations[-1].argmax(axis=1) == y.argmax(axis=1)).sum())
