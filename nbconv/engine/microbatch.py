"""A network's layers, and the slices in which those of feature maps take a mini-batch.

A slice has a `Replica`: layers with buffers of their own, so that its feature maps stay in a second-level cache. Slices do not need
each other, so each thread takes some of its own, and passes nothing to and fro with the others until gradients add up.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backend import thread_limit
from ..errors import SettingError
from ..layers import Dense, Layer, LayerSpec, Softmax, Workspace
from ..layers.conv import ConvLayer
from ..layers.dense import DenseLayer
from ..layers.geometry import Shape
from ..layers.pool import MaxPoolLayer
from .plan import Recorder


def build_layers(
    specs: Sequence[LayerSpec], input_shape: Shape, kernels: Recorder, dtype: np.dtype[Any]
) -> list[Layer]:
    """The layers for that input. Raises SettingError where one does not fit the one before."""
    layers: list[Layer] = []
    shape = input_shape
    for index, spec in enumerate(specs):
        try:
            layer = spec.build(shape, index, kernels, dtype)
        except SettingError as error:
            raise SettingError(f"layer {index + 1}, {spec.notation}: {error}") from error
        if isinstance(spec, Softmax) and index < len(specs) - 1:
            raise SettingError(
                f"layer {index + 1} of {len(specs)} is Softmax: expected it as the last layer alone"
            )
        before = layers[-1] if layers else None
        if isinstance(layer, MaxPoolLayer) and isinstance(before, ConvLayer):
            layer.activation, before.activation = before.activation, kernels.LINEAR
            before.pooled = math.prod(layer.geometry.size)
            before.pool, layer.is_part = layer, True
        layers.append(layer)
        shape = layer.output_shape
    check_last(specs)
    last = layers[-1]
    assert isinstance(last, DenseLayer)
    last.activation = kernels.LINEAR  # the cost begins at z
    return layers


def check_last(specs: Sequence[LayerSpec]) -> Dense:
    """The last layer. Raises SettingError if it has no neurons, one for each class."""
    if not isinstance(specs[-1], Dense):
        raise SettingError(
            f"the last layer is {specs[-1].notation}: expected Softmax or Dense, one neuron for each class"
        )
    return specs[-1]


def parameter_count(layers: Sequence[Layer]) -> int:
    """How many weights and biases the layers have."""
    shapes = [shape for layer in layers for shape in (layer.weights_shape, layer.biases_shape)]
    return sum(math.prod(shape) for shape in shapes if shape is not None)


class Replica:
    """The layers of feature maps with the buffers of one slice."""

    def __init__(self, layers: list[Layer], kernels: Recorder, dtype: np.dtype[Any]):
        self.layers = layers
        self.buffers = Workspace(kernels, dtype)


class Replicas:
    """The stacks of an engine, made when they are needed. They share parameters; each has gradients of its own.

    layers: the first stack's. build: makes all layers of a network like the engine's.
    """

    def __init__(
        self,
        layers: list[Layer],
        build: Callable[[], list[Layer]],
        recorder: Recorder,
        dtype: np.dtype[Any],
    ):
        self.layers = layers
        self.build = build
        self.recorder = recorder
        self.dtype = dtype
        self._replicas = [Replica(layers, recorder, dtype)]
        self._scratch: list[
            list[Workspace]
        ] = []  # of each row of slices: what nothing needs once the next layer has had it

    def __len__(self) -> int:
        return len(self._replicas)

    def _replica(self, index: int) -> Replica:
        zeros = self.recorder.backend.zeros
        while len(self._replicas) <= index:
            layers = self.build()[: len(self.layers)]
            for own, first in zip(layers, self.layers, strict=True):
                if first.weights_shape:
                    gradients = tuple(
                        zeros(array.shape, self.dtype)
                        for array in (first.d_weights, first.d_biases)
                    )
                    own.attach(
                        (first.weights, first.biases), gradients, (first.v_weights, first.v_biases)
                    )
            self._replicas.append(Replica(layers, self.recorder, self.dtype))
        return self._replicas[index]

    def _scratch_of(self, row: int) -> list[Workspace]:
        while len(self._scratch) <= row:
            self._scratch.append([Workspace(self.recorder, self.dtype) for _ in self.layers])
        return self._scratch[row]

    def rows(self, count: int, keep: bool) -> list[list[tuple[Replica, slice]]]:
        """The slices of so many images, in a row for each thread, each slice with its stack.

        With many more threads than slices they are one row, whose kernels have all threads, rather than leave some idle.
        Where what it holds need not be kept, one stack serves all of a row.
        """
        number = self.recorder.backend.slices(count)
        threads = thread_limit()
        rows: list[list[tuple[Replica, slice]]] = [
            [] for _ in range(min(number, threads) if threads <= 2 * number else 1)
        ]
        for index in range(number):
            row = index * len(rows) // number
            replica = self._replica(index if keep else row)
            for layer, scratch in zip(replica.layers, self._scratch_of(row), strict=True):
                layer.scratch = scratch
            rows[row].append(
                (replica, slice(index * count // number, (index + 1) * count // number))
            )
        return rows
