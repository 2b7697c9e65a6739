"""Dense layers, the softmax layer among them."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .. import activations, checks
from ..checks import Shape
from ..names import DROPOUT_SCALINGS
from .base import Array, Layer, LayerSpec
from .recorder import Recorder


@dataclass(frozen=True)
class Dense(LayerSpec):
    """`neurons` neurons, each connected to every input: a = sigma(w x + b), equation (25).

    activation: "sigmoid", "relu", ...: `nbconv.activations.SHOWN`. dropout: the share p of
    the layer's inputs left out at random while training, in [0, 1). dropout_scaling: "inverted"
    divides the kept inputs by 1 - p while training; "book" multiplies all inputs by 1 - p
    afterwards instead, as the book's network3. With the same w and eta these are different
    descents: "inverted" has gradients larger by 1 / (1 - p), and for the same outputs a w smaller
    by 1 - p. Raises SettingError.
    """

    neurons: int
    activation: str = "sigmoid"
    dropout: float = 0.0
    dropout_scaling: str = "inverted"

    def __post_init__(self) -> None:
        name = type(self).__name__
        checks.count(f"{name} neurons", self.neurons)
        activations.check(f"{name} activation", self.activation)
        object.__setattr__(
            self, "dropout", checks.number(f"{name} dropout", self.dropout, below=1.0)
        )
        checks.choice(f"{name} dropout_scaling", self.dropout_scaling, DROPOUT_SCALINGS)

    @property
    def notation(self) -> str:
        """Such as 100N."""
        return f"{self.neurons}N"

    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> "DenseLayer":
        """The layer for that many inputs."""
        return DenseLayer(self, math.prod(input_shape), index, recorder, dtype)

    @property
    def scales(self) -> tuple[float, float]:
        """The factors of the inputs that are kept while training, and of all inputs afterwards."""
        kept = 1 - self.dropout
        return (1.0, kept) if self.dropout_scaling == "book" else (1 / kept, 1.0)


@dataclass(frozen=True)
class Softmax(Dense):
    """A classifier's last layer: its activations are the classes' probabilities, equation (78).

    dropout and dropout_scaling: see `Dense`.
    """

    activation: str = "linear"

    def __init__(
        self,
        neurons: int,
        dropout: float = 0.0,
        dropout_scaling: str = "inverted",
        activation: str = "linear",
    ):
        given = neurons, activation, dropout, dropout_scaling
        for each, value in zip(fields(Dense), given, strict=True):
            object.__setattr__(self, each.name, value)
        self.__post_init__()
        checks.choice("Softmax activation", activation, ("linear",))


class DenseLayer(Layer):
    """z = w x + b over the kept inputs x, a = sigma(z) in z's place."""

    def __init__(
        self, spec: Dense, n_in: int, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ):
        super().__init__(type(spec).__name__.lower(), (spec.neurons,), recorder, dtype)
        self.index = index
        self.activation = activations.parse("activation", spec.activation)
        self.dropout, self.scales = spec.dropout, spec.scales
        self.weights_shape = (spec.neurons, n_in)
        self.biases_shape = (spec.neurons,)
        self.fans = (n_in, spec.neurons)

    def _dropped(self, values: Array, randomness: Array | None, in_place: bool = False) -> Array:
        """Dropout of the inputs, or of their gradient in the backward pass: same mask and scale."""
        rate, scale = (
            (0.0, self.scales[1]) if randomness is None else (self.dropout, self.scales[0])
        )
        if not rate and scale == 1:
            return values
        out = values if in_place else self.buffers.array("x", values.shape)
        if randomness is None:
            randomness = self.buffers.array("no randomness", (2,), np.int64)
        self.kernels.dropout(
            out.reshape(-1), values.reshape(-1), rate, scale, randomness, self.index
        )
        return out

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = sigma(w x + b)."""
        self.x = x = self._dropped(x, randomness)
        self.a = self.buffers.array("a", (x.shape[0], *self.output_shape))
        self.kernels.dense_forward(self.a, x, self.weights, self.biases, self.activation)
        return self.a

    def backward(
        self, da: Array, randomness: Array | None, needs_dx: bool, rates: Array | None = None
    ) -> Array:
        """dz = da sigma'(z), then the gradients and dC/dx.

        With `rates`, the parameters are updated instead, by plain gradient descent.
        """
        if self.activation != activations.LINEAR:
            self.kernels.activation_backward(da.reshape(-1), self.a.reshape(-1), self.activation)
        dz, dx = da, self.buffers.array("dx", self.x.shape)
        if needs_dx:
            self.kernels.dense_backward_input(dx, dz, self.weights)
        if rates is not None:
            self.kernels.dense_descend(self.weights, self.biases, dz, self.x, rates)
        else:
            self.kernels.dense_backward_weights(self.d_weights, dz, self.x)
            self.kernels.dense_backward_biases(self.d_biases, dz)
        return self._dropped(dx, randomness, in_place=True) if needs_dx else dx
