"""From layers as a user writes them to layers with buffers, each built for the output before it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..activations import LINEAR
from ..checks import Shape
from ..errors import SettingError
from .base import Layer, LayerSpec
from .batch_norm import BatchNormLayer
from .conv import ConvLayer
from .dense import Dense, DenseLayer, Softmax
from .pool import MaxPoolLayer
from .recorder import Recorder


def build_layers(
    specs: Sequence[LayerSpec], input_shape: Shape, recorder: Recorder, dtype: np.dtype[Any]
) -> list[Layer]:
    """The layers for that input. Raises SettingError where one does not fit the one before."""
    layers: list[Layer] = []
    shape = input_shape
    for index, spec in enumerate(specs):
        try:
            layer = spec.build(shape, index, recorder, dtype)
        except SettingError as error:
            raise SettingError(
                f"layer {index + 1}, {spec.notation}: {error}{_channels_last(input_shape)}"
            ) from error
        if isinstance(spec, Softmax) and index < len(specs) - 1:
            raise SettingError(
                f"layer {index + 1} of {len(specs)} is Softmax: expected it only as the last layer"
            )
        before = layers[-1] if layers else None
        if isinstance(layer, BatchNormLayer):
            if not isinstance(before, ConvLayer | DenseLayer):
                raise SettingError(
                    f"layer {index + 1} is {spec.notation}: expected it directly behind a "
                    "convolution or a dense layer, before any pooling"
                )
            layer.activation, before.activation = before.activation, LINEAR
        elif any(isinstance(each, DenseLayer) for each in layers) and not isinstance(
            layer, DenseLayer
        ):
            raise SettingError(
                f"layer {index + 1}, {spec.notation}, comes after a dense layer: "
                "expected layers of feature maps before all dense layers"
            )
        if isinstance(layer, MaxPoolLayer) and isinstance(before, ConvLayer):
            layer.activation, before.activation = before.activation, LINEAR
            before.pooled = math.prod(layer.geometry.size)
            before.pool, layer.is_fused = layer, True
        layers.append(layer)
        shape = layer.output_shape
    check_last(specs)
    last = layers[-1]
    assert isinstance(last, DenseLayer)
    last.activation = LINEAR  # the cost begins at z
    return layers


def _channels_last(shape: Shape) -> str:
    """How an error goes on where an input's channels seem to be its last number, else ""."""
    if len(shape) != 3 or shape[2] not in (1, 3) or shape[0] in (1, 3):
        return ""
    rows, columns, channels = shape
    return f"; channels come first: ({channels}, {rows}, {columns})"


def check_last(specs: Sequence[LayerSpec]) -> Dense:
    """The last layer. Raises SettingError if it has no neurons, one for each class."""
    if not isinstance(specs[-1], Dense):
        raise SettingError(
            f"the last layer is {specs[-1].notation}: expected Softmax or Dense, one neuron for "
            "each class"
        )
    return specs[-1]


def parameter_count(layers: Sequence[Layer]) -> int:
    """How many weights and biases the layers have."""
    shapes = [shape for layer in layers for shape in (layer.weights_shape, layer.biases_shape)]
    return sum(math.prod(shape) for shape in shapes if shape is not None)
