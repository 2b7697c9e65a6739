"""The book's `network`: sigmoid layers, quadratic cost, stochastic gradient descent (chapter 1).

Names, arguments, attributes, return values and printed lines are the book's. The arithmetic is done
by nbconv's kernels.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .column_vectors import (
    Array,
    SigmoidNetwork,
    by_column,
    in_batches,
    shuffled,
    sigmoid,
    sigmoid_prime,
)

__all__ = ["Network", "sigmoid", "sigmoid_prime"]

Pair = tuple[Any, Any]


class Network(SigmoidNetwork):
    """A network of `sizes` neurons: sizes[0] inputs, then sigmoid layers.

    weights: (neurons, neurons of the layer before) for each layer but the first. biases:
    (neurons, 1). Both are drawn from N(0, 1) with NumPy's global generator, so `numpy.random.seed`
    determines them; `random.seed` determines the order of the mini-batches.
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
        """Train, and after each epoch print how many of the test data are classified correctly.

        training_data: pairs (x, y) of columns; a list is shuffled in place, as in the book.
        test_data: pairs (x, label). Raises DataError.
        """
        training_data = training_data if isinstance(training_data, list) else list(training_data)
        test_data = list(test_data or [])
        tests = self._stacked(test_data) if test_data else None
        x, y = self._stacked(training_data)
        order = np.arange(len(training_data))
        for epoch in range(epochs):
            order = order[shuffled(training_data)]
            if self._replaces("update_mini_batch"):
                for mini_batch in in_batches(training_data, mini_batch_size):
                    self.update_mini_batch(mini_batch, eta)
            else:
                self._train(x, y, order, mini_batch_size, (eta, 0.0))
            if tests:
                own = self._replaces("evaluate")
                correct = self.evaluate(test_data) if own else self._correct(*tests)
                print(f"Epoch {epoch}: {correct} / {len(tests[0])}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch: Sequence[Pair], eta: float) -> None:
        """One step of gradient descent on a mini-batch of pairs (x, y). Raises DataError."""
        self._step(mini_batch, (eta, 0.0))

    def evaluate(self, test_data: Iterable[Pair]) -> int:
        """The number of pairs (x, label) for which the largest output is the label's.

        Raises DataError.
        """
        return self._correct(*self._stacked(list(test_data)))

    def cost_derivative(self, output_activations: Array, y: Array) -> Array:
        """dC_x/da of the quadratic cost, a - y: columns."""
        return output_activations - y

    def _delta(self, z: Array, a: Array, y: Array) -> Array:
        if self._replaces("cost_derivative"):
            return by_column(self.cost_derivative, a, y) * a * (1 - a)
        return self.cost_derivative(a, y) * a * (1 - a)
