"""Sigmoid layers over the book's lists: weights w (neurons out, neurons in), biases (neurons, 1), data of columns.

The kernels want an image in a row and numbers one after the other, float64 here as in the book; these functions stand in between.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import backend as backends
from ..errors import DataError

Array = NDArray[np.float64]
_, kernels = backends.select("cpu")


def as_rows(columns: ArrayLike, neurons: int) -> Array:
    """Columns (neurons, images) as (images, neurons). Raises DataError for anything else."""
    try:
        array = np.asarray(columns, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"a column of {neurons} numbers was expected, and this is none: {columns!r:.80}"
        ) from error
    if array.ndim != 2 or array.shape[0] != neurons:
        raise DataError(
            f"an array of the shape {array.shape} was given: expected columns, ({neurons}, 1)"
        )
    return np.ascontiguousarray(array.T)


def stacked(pairs: Sequence[Any], n_in: int, n_out: int) -> tuple[Array, Array]:
    """(x, y) pairs of columns as two matrices with a row for each pair. y may be a label. Raises DataError."""
    x, y = np.empty((len(pairs), n_in)), np.zeros((len(pairs), n_out))
    for row, (inputs, outputs) in enumerate(pairs):
        given = np.asarray(inputs)
        if given.size != n_in:
            raise DataError(f"image {row} has the shape {given.shape}: expected ({n_in}, 1)")
        x[row] = given.reshape(-1)
        wanted = np.asarray(outputs)
        if wanted.ndim == 0 and 0 <= wanted < n_out:
            y[row, int(wanted)] = 1.0
        elif wanted.ndim and wanted.size == n_out:
            y[row] = wanted.reshape(-1)
        else:
            found = f"of the shape {wanted.shape}" if wanted.ndim else outputs
            raise DataError(
                f"image {row}'s output is {found}: expected ({n_out}, 1), or a label below {n_out}"
            )
    return x, y


def sigmoid(z: Any) -> Any:
    """sigma(z) = 1 / (1 + e^-z) of a number or of each number of an array."""
    a = np.array(z, np.float64, order="C")
    kernels.activation_forward(a.reshape(-1), kernels.SIGMOID)
    return a if a.ndim else float(a)


def sigmoid_prime(z: Any) -> Any:
    """sigma'(z)."""
    return sigmoid(z) * (1 - sigmoid(z))


class Layers:
    """One pass at a time through a network's lists: each is read anew, for a script may have changed it."""

    def __init__(self, weights: Sequence[ArrayLike], biases: Sequence[ArrayLike]):
        self.weights = [np.ascontiguousarray(w, np.float64) for w in weights]
        self.biases = [np.ascontiguousarray(b, np.float64) for b in biases]

    def forward(self, x: Array) -> tuple[list[Array], list[Array]]:
        """z of each layer and a of each, the input being the first a, equation (25)."""
        zs, activations = list[Array](), [x]
        for w, b in zip(self.weights, self.biases, strict=True):
            z = np.empty((len(x), len(w)))
            kernels.dense_forward(z, activations[-1], w, b.reshape(-1), kernels.LINEAR)
            a = z.copy()
            kernels.activation_forward(a.reshape(-1), kernels.SIGMOID)
            zs.append(z)
            activations.append(a)
        return zs, activations

    def deltas(self, activations: list[Array], delta: Array) -> list[Array]:
        """delta of each layer from that of the last one, (BP2)."""
        found = [delta]
        for w, a in zip(self.weights[:0:-1], activations[-2:0:-1], strict=True):
            before = np.empty_like(a)
            kernels.dense_backward_input(before, found[0], w)
            kernels.activation_backward(before.reshape(-1), a.reshape(-1), kernels.SIGMOID)
            found.insert(0, before)
        return found

    def gradients(self, activations: list[Array], delta: Array) -> tuple[list[Array], list[Array]]:
        """(dC/db, dC/dw) of each layer, summed over the images, (BP3) and (BP4)."""
        nabla_b = [np.empty(b.shape) for b in self.biases]
        nabla_w = [np.empty(w.shape) for w in self.weights]
        for db, dw, dz, a in zip(
            nabla_b, nabla_w, self.deltas(activations, delta), activations[:-1], strict=True
        ):
            kernels.dense_backward_biases(db.reshape(-1), dz)
            kernels.dense_backward_weights(dw, dz, a)
        return nabla_b, nabla_w

    def descend(
        self, x: Array, y: Array, cost_delta: Callable[[Any, Any, Any], Any], rates: Array
    ) -> None:
        """One step of stochastic gradient descent over a mini-batch; rates: (eta, lmbda / n).

        cost_delta(z, a, y): delta of the last layer, for columns.
        """
        zs, activations = self.forward(x)
        delta = np.ascontiguousarray(
            np.transpose(cost_delta(zs[-1].T, activations[-1].T, y.T))
        ) / len(x)
        for w, b, dz, a in zip(
            self.weights,
            self.biases,
            self.deltas(activations, delta),
            activations[:-1],
            strict=True,
        ):
            kernels.dense_descend(w, b.reshape(-1), dz, a, rates)


class SigmoidNetwork(ABC):
    """What both of the book's networks are: sizes[0] inputs, then sigmoid layers."""

    biases: list[Array]
    weights: list[Array]

    def __init__(self, sizes: Sequence[int]):
        self.num_layers = len(sizes)
        self.sizes = sizes

    def _draw(self) -> None:
        """Biases (neurons, 1), then weights (neurons, neurons before), all N(0, 1) from NumPy's global generator."""
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in pairwise(self.sizes)]

    @abstractmethod
    def _delta(self, z: Array, a: Array, y: Array) -> Any:
        """dC/dz of the last layer; all are columns."""

    def _stacked(self, pairs: Sequence[Any]) -> tuple[Array, Array]:
        return stacked(pairs, self.sizes[0], self.sizes[-1])

    def _train(
        self, x: Array, y: Array, order: NDArray[np.int64], size: int, rates: tuple[float, float]
    ) -> None:
        """Gradient descent over mini-batches of the rows in their order; the lists are new ones then, as the book has it."""
        layers = Layers([w.copy() for w in self.weights], [b.copy() for b in self.biases])
        given = np.array(rates, np.float64)
        for first in range(0, len(order), size):
            part = order[first : first + size]
            layers.descend(x[part], y[part], self._delta, given)
        self.weights, self.biases = layers.weights, layers.biases

    def _step(self, mini_batch: Sequence[Any], rates: tuple[float, float]) -> None:
        """One step over a mini-batch of pairs."""
        x, y = self._stacked(mini_batch)
        self._train(x, y, np.arange(len(x)), max(1, len(x)), rates)

    def _right(self, x: Array, y: Array) -> int:
        """For how many rows the most active output is the one that y wants most."""
        _, activations = Layers(self.weights, self.biases).forward(x)
        return int((activations[-1].argmax(axis=1) == y.argmax(axis=1)).sum())

    def feedforward(self, a: ArrayLike) -> Array:
        """The network's output for the input a: (sizes[0], images) to (sizes[-1], images)."""
        _, activations = Layers(self.weights, self.biases).forward(as_rows(a, self.sizes[0]))
        return activations[-1].T

    def backprop(self, x: ArrayLike, y: ArrayLike) -> tuple[list[Array], list[Array]]:
        """(nabla_b, nabla_w): the gradient of one image's cost, layer by layer, in the shapes of biases and weights."""
        layers = Layers(self.weights, self.biases)
        zs, activations = layers.forward(as_rows(x, self.sizes[0]))
        last = np.asarray(self._delta(zs[-1].T, activations[-1].T, as_rows(y, self.sizes[-1]).T))
        return layers.gradients(activations, np.ascontiguousarray(last.T))


def shuffled(data: list[Any]) -> NDArray[np.int64]:
    """Shuffle a list as random.shuffle does, and say how."""
    order = list(range(len(data)))
    random.shuffle(order)
    data[:] = [data[index] for index in order]
    return np.array(order, np.int64)
