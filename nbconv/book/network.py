"""The book's first program, `network`: sigmoid layers, the quadratic cost, stochastic gradient descent (chapter 1).

The names, arguments, attributes, return values and printed lines are the book's; the sums are our kernels'.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .column_vectors import Array, SigmoidNetwork, shuffled, sigmoid, sigmoid_prime

__all__ = ["Network", "sigmoid", "sigmoid_prime"]

Pair = tuple[Any, Any]


class Network(SigmoidNetwork):
    """A network of `sizes` neurons: sizes[0] inputs, then sigmoid layers.

    weights: one (neurons, neurons before) array for each layer but the first, biases: (neurons, 1), both N(0, 1) at first, from
    NumPy's global generator: `numpy.random.seed` fixes them, `random.seed` the order of the mini-batches.
    """

    def __init__(self, sizes: Sequence[int]):
        super().__init__(sizes)
        self._draw()

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
        tests = self._stacked(list(test_data)) if test_data else None
        x, y = self._stacked(training_data)
        order = np.arange(len(training_data))
        for epoch in range(epochs):
            order = order[shuffled(training_data)]
            self._train(x, y, order, mini_batch_size, (eta, 0.0))
            if tests:
                print(f"Epoch {epoch}: {self._right(*tests)} / {len(tests[0])}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch: Sequence[Pair], eta: float) -> None:
        """One step of gradient descent over the (x, y) pairs of a mini-batch."""
        self._step(mini_batch, (eta, 0.0))

    def evaluate(self, test_data: Iterable[Pair]) -> int:
        """For how many (x, label) pairs the most active output is the label."""
        return self._right(*self._stacked(list(test_data)))

    def cost_derivative(self, output_activations: Array, y: Array) -> Array:
        """dC_x/da of the quadratic cost."""
        return output_activations - y

    def _delta(self, z: Array, a: Array, y: Array) -> Array:
        return self.cost_derivative(a, y) * a * (1 - a)
