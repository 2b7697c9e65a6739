"""The book's `network2`: cross-entropy, regularisation, better initial weights (chapters 3 and 5).

Names, arguments, attributes, return values and printed lines are the book's. The arithmetic is done
by nbconv's kernels. The regularised cost is chapter 5's: cost + lmbda / (2 n) * sum of squared
weights, where n is the number of training images.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import DataError
from .column_vectors import (
    Array,
    SigmoidNetwork,
    by_column,
    in_batches,
    shuffled,
    sigmoid,
    sigmoid_prime,
)
from .network import Pair

__all__ = [
    "CrossEntropyCost",
    "Network",
    "QuadraticCost",
    "load",
    "sigmoid",
    "sigmoid_prime",
    "vectorized_result",
]


class Cost(Protocol):
    """A cost, which a script can define."""

    @staticmethod
    def fn(a: Array, y: Array) -> Any:
        """The cost of the output a for the target y: columns (neurons, 1)."""

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Any:
        """dC/dz of the last layer: columns (neurons, 1)."""


class QuadraticCost:
    """C = |a - y|^2 / 2, equation (6)."""

    @staticmethod
    def fn(a: Array, y: Array) -> float:
        """The cost of the outputs a for the targets y."""
        return float(0.5 * np.linalg.norm(a - y) ** 2)

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Array:
        """(a - y) sigma'(z)."""
        return np.asarray((a - y) * sigmoid_prime(z))


class CrossEntropyCost:
    """C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)], equation (63)."""

    @staticmethod
    def fn(a: Array, y: Array) -> float:
        """The cost of the outputs a for the targets y; 0 ln 0 is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a))))

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Array:
        """a - y, equation (66)."""
        return np.asarray(a - y)


COSTS = {cost.__name__: cost for cost in (QuadraticCost, CrossEntropyCost)}


class Network(SigmoidNetwork):
    """A network of `sizes` neurons: sizes[0] inputs, then sigmoid layers.

    cost: QuadraticCost, CrossEntropyCost or a `Cost` of the script. weights, biases: as in
    `network`.
    """

    def __init__(self, sizes: Sequence[int], cost: Any = CrossEntropyCost):
        super().__init__(sizes)
        self.default_weight_initializer()
        self.cost: Any = cost

    def default_weight_initializer(self) -> None:
        """Weights N(0, 1 / inputs), biases N(0, 1), from NumPy's global generator."""
        self.large_weight_initializer()
        self.weights = [w / np.sqrt(w.shape[1]) for w in self.weights]

    def large_weight_initializer(self) -> None:
        """Weights and biases N(0, 1), as in chapter 1."""
        self._draw()

    def SGD(
        self,
        training_data: Iterable[Pair],
        epochs: int,
        mini_batch_size: int,
        eta: float,
        lmbda: float = 0.0,
        evaluation_data: Iterable[Pair] | None = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
    ) -> tuple[list[float], list[int], list[float], list[int]]:
        """Train, and return the monitored metrics as four lists with one number per epoch.

        They are (evaluation_cost, evaluation_accuracy, training_cost, training_accuracy); those not
        monitored are empty. training_data: pairs (x, y) of columns; a list is shuffled in place.
        evaluation_data: pairs (x, label). Raises DataError.
        """
        training_data = training_data if isinstance(training_data, list) else list(training_data)
        x, y = self._stacked(training_data)
        evaluation = list(evaluation_data or [])
        evaluation_x, evaluation_y = self._stacked(evaluation)
        count = len(x)
        order = np.arange(count)
        evaluation_cost = list[float]()
        evaluation_accuracy = list[int]()
        training_cost = list[float]()
        training_accuracy = list[int]()

        def cost_of(pairs: list[Pair], x: Array, y: Array, convert: bool = False) -> float:
            """Of a script's own `total_cost`, if it has one, with the book's flag."""
            own = self._replaces("total_cost")
            return self.total_cost(pairs, lmbda, convert) if own else self._total_cost(x, y, lmbda)

        def correct_of(pairs: list[Pair], x: Array, y: Array, convert: bool = False) -> int:
            """The same of `accuracy`."""
            own = self._replaces("accuracy")
            return self.accuracy(pairs, convert) if own else self._correct(x, y)

        for epoch in range(epochs):
            order = order[shuffled(training_data)]
            if self._replaces("update_mini_batch"):
                for mini_batch in in_batches(training_data, mini_batch_size):
                    self.update_mini_batch(mini_batch, eta, lmbda, count)
            else:
                self._train(x, y, order, mini_batch_size, (eta, lmbda / count))
            print(f"Epoch {epoch} training complete")
            if monitor_training_cost:
                training_cost.append(cost_of(training_data, x, y))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                training_accuracy.append(correct_of(training_data, x, y, True))
                print(f"Accuracy on training data: {training_accuracy[-1]} / {count}")
            if monitor_evaluation_cost:
                evaluation_cost.append(cost_of(evaluation, evaluation_x, evaluation_y, True))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                evaluation_accuracy.append(correct_of(evaluation, evaluation_x, evaluation_y))
                correct, total = evaluation_accuracy[-1], len(evaluation_x)
                print(f"Accuracy on evaluation data: {correct} / {total}")
            print()
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def update_mini_batch(
        self, mini_batch: Sequence[Pair], eta: float, lmbda: float, n: int
    ) -> None:
        """One step of gradient descent on a mini-batch; n: the number of training images.

        Raises DataError.
        """
        self._step(mini_batch, (eta, lmbda / n))

    def accuracy(self, data: Iterable[Pair], convert: bool = False) -> int:
        """The number of pairs (x, y) that are classified correctly. Raises DataError.

        y: a unit vector or a label. convert is the book's flag for unit vectors; it has no effect.
        """
        return self._correct(*self._stacked(list(data)))

    def total_cost(self, data: Iterable[Pair], lmbda: float, convert: bool = False) -> float:
        """The mean cost plus lmbda / (2 n) * sum of squared weights, for n pairs (x, y).

        y: a unit vector or a label. convert is the book's flag for labels; it has no effect. Raises
        DataError.
        """
        return self._total_cost(*self._stacked(list(data)), lmbda)

    def save(self, filename: str) -> None:
        """Write sizes, weights, biases and the cost's name as JSON. Raises OSError."""
        data = {
            "sizes": list(self.sizes),
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": getattr(self.cost, "__name__", type(self.cost).__name__),
        }
        Path(filename).write_text(json.dumps(data), encoding="utf-8")

    def _delta(self, z: Array, a: Array, y: Array) -> Any:
        # This module's costs take all columns; a script's may take a single one only.
        return self.cost.delta(z, a, y) if self._is_ours() else by_column(self.cost.delta, z, a, y)

    def _is_ours(self) -> bool:
        """Whether the cost is one of this module's."""
        return self.cost in COSTS.values() or type(self.cost) in COSTS.values()

    def _total_cost(self, x: Array, y: Array, lmbda: float) -> float:
        """The mean cost and the regularisation term; x, y: (images, neurons)."""
        a = self._outputs(x)
        pairs = [(a.T, y.T)] if self._is_ours() else zip(a[:, :, None], y[:, :, None], strict=True)
        cost = sum(self.cost.fn(*pair) for pair in pairs)
        squares = sum(float(np.linalg.norm(w)) ** 2 for w in self.weights)
        return float(cost) / len(x) + 0.5 * (lmbda / len(x)) * squares


def load(filename: str) -> Network:
    """Read a network that `Network.save`, here or in the book's program, wrote.

    Raises DataError, OSError.
    """
    try:
        data = json.loads(Path(filename).read_text(encoding="utf-8"))
        net = Network(data["sizes"], cost=COSTS[data["cost"]])
        net.weights = [np.array(w, np.float64) for w in data["weights"]]
        net.biases = [np.array(b, np.float64) for b in data["biases"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{filename} was not written by network2's save: {type(error).__name__}, {error}"
        ) from error
    return net


def vectorized_result(j: int) -> Array:
    """The unit vector (10, 1) with its 1 at j."""
    e = np.zeros((10, 1))
    e[j] = 1.0
    return e
