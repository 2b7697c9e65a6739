"""Batch normalisation (Ioffe, Szegedy 2015)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import activations
from ..checks import Shape
from .base import Array, Layer, LayerSpec
from .recorder import Recorder

EPSILON = 1e-5  # added to variances
MOMENTUM = 0.1  # of each mini-batch's statistics in the running ones


@dataclass(frozen=True)
class BatchNorm(LayerSpec):
    """The weighted inputs of the layer before, normalised, before that layer's activation.

    z of each feature map, over the rows, columns and images of the mini-batch, or of each neuron,
    over its images, gets the mean 0 and the variance 1, then the scale gamma and the shift beta,
    which are learned: the layer's weights, 1 at first and regularised as all weights are, and its
    biases, 0 at first. Outside training, running means of mean and variance take the place of the
    mini-batch's. It comes directly behind `Conv2D` or `Dense`, whose biases then change nothing.
    """

    @property
    def notation(self) -> str:
        """BN."""
        return "BN"

    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> "BatchNormLayer":
        """The layer for feature maps or neurons of that shape."""
        return BatchNormLayer(input_shape, recorder, dtype)


class BatchNormLayer(Layer):
    """a = sigma(gamma y + beta), y the normalised x, sigma of the layer before.

    The layer before has no activation then: `build_layers` moves it here.
    """

    def __init__(self, shape: Shape, recorder: Recorder, dtype: np.dtype[Any]):
        super().__init__("batch_norm", shape, recorder, dtype)
        self.weights_shape = self.biases_shape = shape[:1]
        self.statistics_shape = (2, shape[0])
        self.activation = activations.LINEAR
        self.statistics: Array  # running, a view into the flat buffer

    def _by_channel(self, values: Array) -> Array:
        """Activations as the kernels take them: (outer, channels, inner)."""
        shape = (*values.shape, 1) if values.ndim == 2 else (1, len(values), -1)
        return values.reshape(shape)

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = sigma(gamma y + beta); while training, with the mini-batch's statistics."""
        self.x = self._by_channel(x)
        self.used = self.statistics
        if randomness is not None:
            self.used = self.buffers.array("statistics", self.statistics.shape)
            self.kernels.batch_norm_statistics(self.used, self.x)
        self.a = self.buffers.array("a", x.shape)
        inputs = self.x, self.weights, self.biases, self.used, EPSILON
        self.kernels.batch_norm_forward(self._by_channel(self.a), *inputs)
        if self.activation != activations.LINEAR:
            self.kernels.activation_forward(self.a.reshape(-1), self.activation)
        return self.a

    def backward(
        self, da: Array, randomness: Array | None, needs_dx: bool, rates: Array | None = None
    ) -> Array:
        """The gradients and dC/dx, in da's place.

        With `rates`, the parameters are updated, too, by plain gradient descent.
        """
        if self.activation != activations.LINEAR:
            self.kernels.activation_backward(da.reshape(-1), self.a.reshape(-1), self.activation)
        dx, gradients = self._by_channel(da), (self.d_weights, self.d_biases)
        inputs = dx, self.x, self.weights, self.used
        is_training = randomness is not None
        self.kernels.batch_norm_backward(dx, *gradients, *inputs, EPSILON, is_training)
        if rates is not None:
            velocities = gradients  # which sgd leaves alone without momentum
            self.kernels.sgd(self.weights, self.biases, *velocities, *gradients, rates)
        return da

    def track(self) -> None:
        """The mini-batch's part in the running statistics; none of a single number."""
        outer, _, inner = self.x.shape
        if outer * inner > 1:
            self.kernels.batch_norm_track(self.statistics, self.used, MOMENTUM, outer * inner)
