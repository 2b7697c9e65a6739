"""What `network` and `network2` share: sigmoid layers on the book's column vectors.

The book has weights (neurons out, neurons in), biases (neurons, 1) and columns (neurons, images).
The kernels take one image per row, C-contiguous. All numbers are float64, as in the book.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import backend as backends
from ..activations import LINEAR, parse
from ..errors import DataError

Array = NDArray[np.float64]
Items = TypeVar("Items", list[Any], NDArray[Any])
SIGMOID = parse("activation", "sigmoid")
_, kernels = backends.select("cpu")


def as_rows(columns: ArrayLike, neurons: int) -> Array:
    """Columns (neurons, images) as (images, neurons). Raises DataError for anything else."""
    try:
        array = np.asarray(columns, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{columns!r:.80} was given: expected a column of {neurons} numbers"
        ) from error
    if array.ndim != 2 or array.shape[0] != neurons:
        raise DataError(
            f"an array of the shape {array.shape} was given: expected columns, ({neurons}, 1)"
        )
    return np.ascontiguousarray(array.T)


def stacked(pairs: Sequence[Any], n_in: int, n_out: int) -> tuple[Array, Array]:
    """(x, y) pairs as matrices (pairs, n_in) and (pairs, n_out). Raises DataError.

    Each x is a column (n_in, 1); each y a column (n_out, 1), or a label, which becomes a unit
    vector.
    """
    x = np.empty((len(pairs), n_in))
    y = np.zeros((len(pairs), n_out))
    for row, (inputs, outputs) in enumerate(pairs):
        image = np.asarray(inputs)
        if image.size != n_in:
            raise DataError(f"image {row} has the shape {image.shape}: expected ({n_in}, 1)")
        x[row] = image.reshape(-1)
        target = np.asarray(outputs)
        if target.ndim == 0 and 0 <= target < n_out:
            y[row, int(target)] = 1.0
        elif target.ndim and target.size == n_out:
            y[row] = target.reshape(-1)
        else:
            shown = f"of the shape {target.shape}" if target.ndim else outputs
            raise DataError(
                f"image {row}'s output is {shown}: expected ({n_out}, 1), or a label below {n_out}"
            )
    return x, y


def sigmoid(z: Any) -> Any:
    """sigma(z) = 1 / (1 + e^-z), of a number or elementwise."""
    a = np.array(z, np.float64, order="C")
    kernels.activation_forward(a.reshape(-1), SIGMOID)
    return a if a.ndim else float(a)


def sigmoid_prime(z: Any) -> Any:
    """sigma'(z)."""
    return sigmoid(z) * (1 - sigmoid(z))


class Layers:
    """Forward and backward passes through the current weights and biases of a network.

    The network makes a new one for each pass, because a script may have changed its lists.
    """

    def __init__(self, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]):
        self.weights = [np.ascontiguousarray(w, np.float64) for w in weights]
        self.biases = [np.ascontiguousarray(b, np.float64) for b in biases]

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """(the z of each layer, the a of each layer with x before them), equation (25).

        x and all others: (images, neurons).
        """
        zs = list[Array]()
        activations = [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            z = np.empty((len(x), len(w)))
            kernels.dense_forward(z, activations[-1], w, b.reshape(-1), LINEAR)
            a = z.copy()
            kernels.activation_forward(a.reshape(-1), SIGMOID)
            zs.append(z)
            activations.append(a)
        return zs, activations

    def deltas(self, activations: list[Array], delta: Array) -> list[Array]:
        """The delta of each layer, (images, neurons), from the last layer's, (BP2)."""
        deltas = [delta]
        for w, a in zip(self.weights[:0:-1], activations[-2:0:-1], strict=True):
            previous = np.empty_like(a)
            kernels.dense_backward_input(previous, deltas[0], w)
            kernels.activation_backward(previous.reshape(-1), a.reshape(-1), SIGMOID)
            deltas.insert(0, previous)
        return deltas

    def gradients(self, activations: list[Array], delta: Array) -> tuple[list[Array], list[Array]]:
        """(dC/db, dC/dw) of the layers, summed over the images, (BP3) and (BP4)."""
        nabla_b = [np.empty(b.shape) for b in self.biases]
        nabla_w = [np.empty(w.shape) for w in self.weights]
        deltas = self.deltas(activations, delta)
        for db, dw, dz, a in zip(nabla_b, nabla_w, deltas, activations[:-1], strict=True):
            kernels.dense_backward_biases(db.reshape(-1), dz)
            kernels.dense_backward_weights(dw, dz, a)
        return nabla_b, nabla_w

    def descend(
        self, x: Array, y: Array, cost_delta: Callable[[Any, Any, Any], Any], rates: Array
    ) -> None:
        """One step of stochastic gradient descent on a mini-batch.

        x, y: (images, neurons). cost_delta(z, a, y): the last layer's delta, of all columns. rates:
        (eta, lmbda / n).
        """
        zs, activations = self.forward(x)
        last = np.transpose(cost_delta(zs[-1].T, activations[-1].T, y.T))
        deltas = self.deltas(activations, np.ascontiguousarray(last) / len(x))
        layers = zip(self.weights, self.biases, deltas, activations[:-1], strict=True)
        for w, b, dz, a in layers:
            kernels.dense_descend(w, b.reshape(-1), dz, a, rates)


class SigmoidNetwork(ABC):
    """The base of the networks in `network` and `network2`: sizes[0] inputs, then sigmoid layers.

    weights: (neurons, neurons of the layer before) for each layer but the first. biases:
    (neurons, 1).
    """

    biases: list[Array]
    weights: list[Array]

    def __init__(self, sizes: Sequence[int]):
        self.num_layers = len(sizes)
        self.sizes = sizes

    def _draw(self) -> None:
        """Draw all biases, then all weights, from N(0, 1) with NumPy's global generator."""
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in pairwise(self.sizes)]

    @abstractmethod
    def _delta(self, z: Array, a: Array, y: Array) -> Any:
        """dC/dz of the last layer, from its z and a and the target y; all are columns."""

    def _replaces(self, *names: str) -> bool:
        """Whether a script has methods of its own in the place of one of these."""
        modules = [getattr(getattr(self, name), "__module__", None) or "" for name in names]
        return not all(module.startswith(f"{__package__}.") for module in modules)

    def _stacked(self, pairs: Sequence[Any]) -> tuple[Array, Array]:
        return stacked(pairs, self.sizes[0], self.sizes[-1])

    def _train(
        self, x: Array, y: Array, order: NDArray[np.int64], size: int, rates: tuple[float, float]
    ) -> None:
        """Gradient descent on mini-batches of `size` rows of x and y, in this order.

        As in the book, weights and biases are new arrays afterwards.
        """
        if self._replaces("backprop"):
            for batch in in_batches(order, size):
                self._descend_by_image(x[batch], y[batch], rates)
            return
        layers = Layers([w.copy() for w in self.weights], [b.copy() for b in self.biases])
        rate_array = np.array(rates, np.float64)
        for batch in in_batches(order, size):
            layers.descend(x[batch], y[batch], self._delta, rate_array)
        self.weights, self.biases = layers.weights, layers.biases

    def _descend_by_image(self, x: Array, y: Array, rates: tuple[float, float]) -> None:
        """A mini-batch's step from a script's own `backprop`, an image at a time, as in the book.

        w -> (1 - eta lmbda / n) w - eta / m sum dC_x/dw, equation (93).
        """
        eta, decay = rates
        each = [self.backprop(a[:, None], b[:, None]) for a, b in zip(x, y, strict=True)]
        nabla_b, nabla_w = (
            [sum(parts) for parts in zip(*kind, strict=True)] for kind in zip(*each, strict=True)
        )
        self.weights = [
            (1 - eta * decay) * w - eta / len(x) * dw
            for w, dw in zip(self.weights, nabla_w, strict=True)
        ]
        self.biases = [b - eta / len(x) * db for b, db in zip(self.biases, nabla_b, strict=True)]

    def _step(self, mini_batch: Sequence[Any], rates: tuple[float, float]) -> None:
        """One step of gradient descent on a mini-batch of (x, y) pairs."""
        x, y = self._stacked(mini_batch)
        self._train(x, y, np.arange(len(x)), max(1, len(x)), rates)

    def _correct(self, x: Array, y: Array) -> int:
        """The number of rows where the network's largest output is the largest of y."""
        return int((self._outputs(x).argmax(axis=1) == y.argmax(axis=1)).sum())

    def _outputs(self, x: Array) -> Array:
        """The outputs (images, neurons) for the inputs x, of a script's own `feedforward` too."""
        if self._replaces("feedforward"):
            return np.hstack([np.asarray(self.feedforward(row[:, None])) for row in x]).T
        return Layers(self.weights, self.biases).forward(x)[1][-1]

    def feedforward(self, a: ArrayLike) -> Array:
        """The outputs (sizes[-1], images) for the inputs a (sizes[0], images). Raises DataError."""
        _, activations = Layers(self.weights, self.biases).forward(as_rows(a, self.sizes[0]))
        return activations[-1].T

    def backprop(self, x: ArrayLike, y: ArrayLike) -> tuple[list[Array], list[Array]]:
        """(nabla_b, nabla_w): the gradient of one image's cost, shaped like biases and weights.

        x: (sizes[0], 1). y: (sizes[-1], 1). Raises DataError.
        """
        layers = Layers(self.weights, self.biases)
        zs, activations = layers.forward(as_rows(x, self.sizes[0]))
        target = as_rows(y, self.sizes[-1]).T
        last = np.asarray(self._delta(zs[-1].T, activations[-1].T, target))
        return layers.gradients(activations, np.ascontiguousarray(last.T))


def by_column(function: Callable[..., Any], *columns: Array) -> Array:
    """What a script's function gives for each column alone, as the book calls it; side by side."""
    each = zip(*(array.T[:, :, None] for array in columns), strict=True)
    return np.hstack([np.asarray(function(*column)) for column in each])


def in_batches(items: Items, size: int) -> list[Items]:
    """A list or array in parts of `size`; the last may be smaller."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def shuffled(data: list[Any]) -> NDArray[np.int64]:
    """Shuffle a list in place as random.shuffle does, and return the old index of each item."""
    order = list(range(len(data)))
    random.shuffle(order)
    data[:] = [data[index] for index in order]
    return np.array(order, np.int64)
