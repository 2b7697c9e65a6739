"""Batch normalisations as a part of the weights and biases before them, for predictions."""

from collections.abc import Sequence
from itertools import pairwise

from ..layers import Layer
from ..layers.batch_norm import EPSILON, BatchNormLayer
from ..layers.conv import ConvLayer
from ..layers.dense import DenseLayer
from ..layers.recorder import Recorder


class Folding:
    """Gives a network without batch normalisations the answers of one that has them.

    Normalised by constants, a layer's z = w x + b is that of other weights and biases, see the
    kernel `batch_norm_fold`. They are computed at the beginning of each program, from parameters
    and running statistics as they are then. layers: of the network. folded: the same without the
    normalisations; they are attached.
    """

    def __init__(self, layers: Sequence[Layer], folded: Sequence[Layer], recorder: Recorder):
        self.kernels = recorder.kernels
        self._folds: list[tuple[Layer, Layer, BatchNormLayer]] = []
        following = [*layers[1:], None]
        kept = [
            (layer, after)
            for layer, after in zip(layers, following, strict=True)
            if not isinstance(layer, BatchNormLayer)
        ]
        for (layer, after), own in zip(kept, folded, strict=True):
            if not layer.weights_shape:
                continue
            weights, biases = layer.weights, layer.biases
            if isinstance(after, BatchNormLayer):
                zeros = recorder.backend.zeros
                weights, biases = (zeros(each.shape, each.dtype) for each in (weights, biases))
                self._folds.append((own, layer, after))
            own.attach((weights, biases), (layer.d_weights, layer.d_biases))

    @staticmethod
    def is_possible(layers: Sequence[Layer]) -> bool:
        """Whether z is w x + b before each normalisation; a layer of the user's may differ."""
        return all(
            type(layer) in (ConvLayer, DenseLayer)
            for layer, after in pairwise(layers)
            if isinstance(after, BatchNormLayer)
        )

    def record(self) -> None:
        """Record the computation of the folded layers' weights and biases."""
        for own, layer, norm in self._folds:
            channels = len(layer.biases)
            self.kernels.batch_norm_fold(
                own.weights.reshape(channels, -1),
                own.biases,
                layer.weights.reshape(channels, -1),
                layer.biases,
                norm.weights,
                norm.biases,
                norm.statistics,
                EPSILON,
            )
