"""Dropout as `network3` has it: inputs left out in training, and multiplied by 1 - p where nothing is trained.

Ours divides those kept in training by 1 - p instead, and leaves the others alone. Over (1 - p) x in both, that is the book's, with
the book's weights and its gradients; over x it would be another gradient descent, with an eta (1 - p)^-2 times as large for w.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import activation_kinds
from ..geometry import Shape
from ..layers import Dense, Update
from ..layers.base import Array
from ..layers.dense import DenseLayer
from ..plan import Recorder


@dataclass(frozen=True)
class ScaledDense(Dense):
    """A dense layer over (1 - dropout) times its inputs."""

    def build(self, input_shape: Shape, index: int, kernels: Recorder, dtype: np.dtype[Any]) -> "ScaledDenseLayer":
        """The layer for that many inputs."""
        kind = activation_kinds()[self.activation]
        return ScaledDenseLayer(
            "dense", index, math.prod(input_shape), self.neurons, kind, self.dropout, kernels, dtype
        )


class ScaledDenseLayer(DenseLayer):
    """z = w (1 - p) x' + b, x' the kept inputs over 1 - p in training, all inputs otherwise; a = sigma(z)."""

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = sigma(w (1 - p) x' + b)."""
        return super().forward(self._scaled("scaled x", x), randomness)

    def backward(self, da: Array, randomness: Array | None, wanted: bool, update: Update | None = None) -> Array:
        """As in a dense layer, and dC/dx for what was given."""
        dx = super().backward(da, randomness, wanted, update)
        return self._scaled("scaled dx", dx) if wanted else dx

    def _scaled(self, name: str, values: Array) -> Array:
        """(1 - p) times the values: the kernel's 1 / (1 - rate) at the negative rate where nothing is left out."""
        if not self.dropout:
            return values
        out, unused = self.buffers.array(name, values.shape), self.buffers.array("no clock", (2,), np.int64)
        rate = 1 - 1 / (1 - self.dropout)
        self.kernels.dropout(out.reshape(-1), values.reshape(-1), rate, unused, self.index)
        return out
