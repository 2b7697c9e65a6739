"""The book's second program, `network2`: cross-entropy, regularisation, better initial weights, monitors (chapters 3 and 5).

The names, arguments, attributes, return values and printed lines are the book's; the sums are our kernels'. lmbda is chapter 5's:
cost + lmbda / (2 n) * sum of squared weights, n the number of training images.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import DataError
from .column_vectors import Array, Layers, SigmoidNetwork, shuffled, sigmoid, sigmoid_prime
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
    """What a script may bring of its own: all arguments are columns."""

    @staticmethod
    def fn(a: Array, y: Array) -> Any:
        """The cost."""

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Any:
        """dC/dz of the last layer."""


class QuadraticCost:
    """C = |a - y|^2 / 2, equation (6)."""

    @staticmethod
    def fn(a: Array, y: Array) -> float:
        """The cost of the output a where y was wanted."""
        return float(0.5 * np.linalg.norm(a - y) ** 2)

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Array:
        """(a - y) sigma'(z)."""
        return np.asarray((a - y) * sigmoid_prime(z))


class CrossEntropyCost:
    """C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)], equation (63)."""

    @staticmethod
    def fn(a: Array, y: Array) -> float:
        """The cost of the output a where y was wanted; where both are 0 or 1, 0 ln 0 counts as 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a))))

    @staticmethod
    def delta(z: Array, a: Array, y: Array) -> Array:
        """a - y, equation (66)."""
        return np.asarray(a - y)


COSTS = {cost.__name__: cost for cost in (QuadraticCost, CrossEntropyCost)}


class Network(SigmoidNetwork):
    """A network of `sizes` neurons: sizes[0] inputs, then sigmoid layers; cost: QuadraticCost, CrossEntropyCost or one's own."""

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
        """Train, and give (evaluation_cost, evaluation_accuracy, training_cost, training_accuracy), a number an epoch each.

        training_data: pairs of columns; evaluation_data: (x, label) pairs. What is not monitored is an empty list.
        """
        training_data = training_data if isinstance(training_data, list) else list(training_data)
        x, y = self._stacked(training_data)
        seen, wanted = self._stacked(list(evaluation_data or []))
        order, count = np.arange(len(x)), len(x)
        evaluation_cost, evaluation_accuracy = list[float](), list[int]()
        training_cost, training_accuracy = list[float](), list[int]()
        for epoch in range(epochs):
            order = order[shuffled(training_data)]
            self._train(x, y, order, mini_batch_size, (eta, lmbda / count))
            print(f"Epoch {epoch} training complete")
            if monitor_training_cost:
                training_cost.append(self._total_cost(x, y, lmbda))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                training_accuracy.append(self._right(x, y))
                print(f"Accuracy on training data: {training_accuracy[-1]} / {count}")
            if monitor_evaluation_cost:
                evaluation_cost.append(self._total_cost(seen, wanted, lmbda))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                evaluation_accuracy.append(self._right(seen, wanted))
                print(f"Accuracy on evaluation data: {evaluation_accuracy[-1]} / {len(seen)}")
            print()
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def update_mini_batch(
        self, mini_batch: Sequence[Pair], eta: float, lmbda: float, n: int
    ) -> None:
        """One step of gradient descent over a mini-batch, of a training set of n images."""
        self._step(mini_batch, (eta, lmbda / n))

    def accuracy(self, data: Iterable[Pair], convert: bool = False) -> int:
        """For how many pairs the most active output is right; convert: y are unit vectors, as in training data, not labels."""
        return self._right(*self._stacked(list(data)))

    def total_cost(self, data: Iterable[Pair], lmbda: float, convert: bool = False) -> float:
        """The mean cost and the regularisation, lmbda / (2 n) * sum of squared weights, n the pairs; convert: y are labels."""
        return self._total_cost(*self._stacked(list(data)), lmbda)

    def save(self, filename: str) -> None:
        """Write sizes, weights, biases and the cost's name as JSON."""
        data = {
            "sizes": list(self.sizes),
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": str(self.cost.__name__),
        }
        Path(filename).write_text(json.dumps(data), encoding="utf-8")

    def _delta(self, z: Array, a: Array, y: Array) -> Any:
        return self.cost.delta(z, a, y)

    def _total_cost(self, x: Array, y: Array, lmbda: float) -> float:
        _, activations = Layers(self.weights, self.biases).forward(x)
        a = activations[-1]
        # The costs here are sums over all numbers; one of a script's own may be made for single columns.
        is_ours = self.cost in COSTS.values() or type(self.cost) in COSTS.values()
        pairs = [(a.T, y.T)] if is_ours else zip(a[:, :, None], y[:, :, None], strict=True)
        cost = sum(self.cost.fn(*pair) for pair in pairs)
        squares = sum(float(np.linalg.norm(w)) ** 2 for w in self.weights)
        return float(cost) / len(x) + 0.5 * (lmbda / len(x)) * squares


def load(filename: str) -> Network:
    """A network from `Network.save`, or from the book's own program. Raises DataError for anything else."""
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
