"""What all layers share: their parameters, their buffers, and the two directions."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.plan import Recorder
from .geometry import Shape

ACTIVATIONS = ("sigmoid", "tanh", "relu", "linear")

Array = NDArray[Any]
Pair = tuple[Array, Array]


class Rates(NamedTuple):
    """What the update multiplies with: see the kernel `sgd`."""

    eta: float
    decay: float  # lmbda / n
    decay_l1: float
    momentum: float
    nesterov: bool


class Randomness(NamedTuple):
    """What a mini-batch's random numbers are keyed by; together with the layer and the element they are fixed."""

    seed: int
    step: int


class Distortion(NamedTuple):
    """How much training images are distorted at random, at most: see the kernel `draw_distortions`."""

    rotate: float  # radians
    zoom: float  # share
    shift: float  # pixels
    elastic: float  # pixels


class Update(NamedTuple):
    """How the layers update their parameters."""

    rates: Array  # `Rates`, in an array that the kernels read
    is_plain: (
        bool  # whether a step is eta times the gradient and the weight decay, and nothing else
    )


class Workspace:
    """A backend's buffers by name and shape, made (filled with zeros) at their first use and used again.

    A training has two or three sizes of mini-batch; whoever comes with ever new sizes gets no more than
    `LIMIT` buffers kept.
    """

    LIMIT = 32

    def __init__(self, kernels: Recorder, dtype: np.dtype[Any]):
        self.zeros = kernels.backend.zeros
        self.dtype = dtype
        self._buffers: dict[tuple[str, Shape], Array] = {}

    def array(self, name: str, shape: Shape, dtype: Any = None) -> Array:
        """The buffer of that name and shape."""
        buffer = self._buffers.get((name, shape))
        if buffer is None:
            if len(self._buffers) >= self.LIMIT:
                self._buffers.clear()
            buffer = self._buffers[name, shape] = self.zeros(shape, dtype or self.dtype)
        return buffer


class Layer(ABC):
    """A layer within a network: built for one input shape, one dtype and one backend.

    `kernels` is a `Recorder`: forward and backward run nothing, they list the calls that a plan is made of (plan.py).
    Activations of feature maps are (channels, rows, columns, images), those of neurons (images, neurons). A layer owns
    the arrays that it returns, and the next layer may overwrite a delta that it is given.
    """

    weights_shape: Shape | None = None  # None: the layer has no parameters
    biases_shape: Shape | None = None
    fans = (1, 1)  # inputs of a neuron, outputs of an input: for the initialiser
    pooled = 1  # outputs that a max pooling behind the layer makes one

    def __init__(self, name: str, output_shape: Shape, kernels: Recorder, dtype: np.dtype[Any]):
        self.name = name
        self.output_shape = output_shape
        self.kernels = kernels
        self.buffers = Workspace(kernels, dtype)  # what backward needs of forward
        self.scratch = self.buffers  # what nothing needs once the next layer has had it

    def attach(self, parameters: Pair, gradients: Pair, velocities: Pair) -> None:
        """Take (weights, biases), their gradients and their velocities: views into the network's flat buffers."""
        self.weights, self.biases = parameters
        self.d_weights, self.d_biases = gradients
        self.v_weights, self.v_biases = velocities

    @abstractmethod
    def forward(self, x: Array, randomness: Array | None) -> Array:
        """The layer's activations; randomness (the numbers of `Randomness`) is given while training, None otherwise."""

    @abstractmethod
    def backward(self, da: Array, randomness: Array | None, needs_dx: bool) -> Array:
        """From dC/da to dC/dx (computed only if wanted), and dC/dw, dC/db into the gradients; da is overwritten."""

    def add_gradients(self, other: "Layer") -> None:
        """Add those of a layer like this one."""
        if self.weights_shape:
            self.kernels.add(self.d_weights.reshape(-1), other.d_weights.reshape(-1))
            self.kernels.add(self.d_biases, other.d_biases)

    def descend(self, update: Update) -> None:
        """Update the parameters, if there are any, by their gradients: one step of stochastic gradient descent."""
        if self.weights_shape:
            pairs = (
                self.weights,
                self.biases,
                self.v_weights,
                self.v_biases,
                self.d_weights,
                self.d_biases,
            )
            self.kernels.sgd(*(array.reshape(-1) for array in pairs), update.rates)


@dataclass(frozen=True)
class LayerSpec(ABC):
    """A layer as the user writes it: settings, checked; it holds no state and may be used in many networks."""

    @property
    @abstractmethod
    def notation(self) -> str:
        """The layer in the literature's notation, such as 20C5."""

    @abstractmethod
    def build(
        self, input_shape: Shape, index: int, kernels: Recorder, dtype: np.dtype[Any]
    ) -> Layer:
        """The layer for that input. Raises SettingError if they do not fit."""
