"""What all layers share: parameters, buffers, and the forward and backward pass."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape
from .recorder import Recorder

Array = NDArray[Any]
Pair = tuple[Array, Array]


class Rates(NamedTuple):
    """The numbers of an update, in the order in which kernels read them (kernels/scalar.py)."""

    eta: float
    decay: float = 0.0  # lmbda / n
    decay_l1: float = 0.0
    momentum: float = 0.0  # beta1 of Adam
    nesterov: bool = False
    beta2: float = 0.0
    bias1: float = 1.0  # 1 - beta1^t in Adam's step t
    bias2: float = 1.0
    is_decoupled: bool = False
    limit: float = 0.0  # of the gradient's norm


class Randomness(NamedTuple):
    """The key of a mini-batch's random numbers; layer and element complete it."""

    seed: int
    step: int


class Distortion(NamedTuple):
    """The largest random distortion of training images: see the kernel `draw_distortions`."""

    rotate: float  # radians
    zoom: float  # share
    shift: float  # pixels
    elastic: float  # pixels
    flip: float  # share of the images
    crop: float  # pixels, a whole number


class Workspace:
    """Buffers by name and shape, zero at their first use and then reused.

    A training has two or three mini-batch sizes. At most LIMIT buffers are kept; one more drops
    them all.
    """

    LIMIT = 32

    def __init__(self, recorder: Recorder, dtype: np.dtype[Any]):
        self.zeros = recorder.backend.zeros
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

    `forward` and `backward` compute nothing. They record kernel calls, of which a plan is made
    (engine/plan.py). Activations of feature maps are (channels, rows, columns, images), those of
    neurons (images, neurons). A layer owns the arrays that it returns. The next layer may overwrite
    a gradient that it is given.
    """

    weights_shape: Shape | None = None  # None: the layer has no parameters
    biases_shape: Shape | None = None
    fans = (1, 1)  # inputs of a neuron, outputs of an input: for the initialiser
    pooled = 1  # outputs that a max pooling behind the layer reduces to one

    def __init__(self, name: str, output_shape: Shape, recorder: Recorder, dtype: np.dtype[Any]):
        self.name = name
        self.output_shape = output_shape
        self.recorder = recorder
        self.kernels = recorder.kernels
        self.buffers = Workspace(recorder, dtype)  # kept from the forward to the backward pass
        self.scratch = self.buffers  # free once the next layer has run; replicas share it

    def attach(self, parameters: Pair, gradients: Pair) -> None:
        """Set weights and biases, and their gradients: views into the flat buffers."""
        self.weights, self.biases = parameters
        self.d_weights, self.d_biases = gradients

    @abstractmethod
    def forward(self, x: Array, randomness: Array | None) -> Array:
        """Record the forward pass and return the activations.

        randomness: `Randomness`, only while training.
        """

    @abstractmethod
    def backward(self, da: Array, randomness: Array | None, needs_dx: bool) -> Array:
        """Record the backward pass: from dC/da to dC/dw and dC/db, and to dC/dx if needed.

        Returns dC/dx. da may be overwritten.
        """

    def add_gradients(self, other: "Layer") -> None:
        """Add the gradients of a replica of this layer."""
        if self.weights_shape:
            self.kernels.add(self.d_weights.reshape(-1), other.d_weights.reshape(-1))
            self.kernels.add(self.d_biases, other.d_biases)


@dataclass(frozen=True)
class LayerSpec(ABC):
    """A layer as the user writes it: checked settings, no state, so that networks can share it."""

    @property
    @abstractmethod
    def notation(self) -> str:
        """The layer in the literature's notation, such as 20C5."""

    @abstractmethod
    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> Layer:
        """The layer for that input; index: its position in the network.

        Raises SettingError if they do not fit.
        """
