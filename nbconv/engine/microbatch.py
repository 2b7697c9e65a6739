"""Micro-batches: the parts in which the layers of feature maps take a mini-batch.

Each has a replica of these layers, with buffers of its own that stay in a core's second-level
cache. Micro-batches do not need each other, so each thread takes some of them, and no data passes
between threads until gradients are added.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..layers import Layer, Workspace
from ..layers.batch_norm import BatchNormLayer
from ..layers.recorder import Recorder


class Replica:
    """The layers of feature maps with the buffers of one micro-batch."""

    def __init__(self, layers: list[Layer], recorder: Recorder, dtype: np.dtype[Any]):
        self.layers = layers
        self.buffers = Workspace(recorder, dtype)


class MicroBatch(NamedTuple):
    """A part of the mini-batch's images, and the replica that takes it."""

    replica: Replica
    part: slice


class Replicas:
    """An engine's replicas, made on first use.

    They share parameters; each has gradients of its own. layers: the first replica's. build: makes
    all layers of a network like the engine's.
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
        # Of each row of a schedule: buffers that nothing needs once the next layer has run.
        self._scratch: list[list[Workspace]] = []

    def __len__(self) -> int:
        return len(self._replicas)

    def _replica(self, index: int) -> Replica:
        zeros = self.recorder.backend.zeros
        while len(self._replicas) <= index:
            layers = self.build()[: len(self.layers)]
            for own, first in zip(layers, self.layers, strict=True):
                if isinstance(own, BatchNormLayer) and isinstance(first, BatchNormLayer):
                    own.statistics = first.statistics
                if first.weights_shape:
                    d_weights = zeros(first.d_weights.shape, self.dtype)
                    d_biases = zeros(first.d_biases.shape, self.dtype)
                    own.attach((first.weights, first.biases), (d_weights, d_biases))
            self._replicas.append(Replica(layers, self.recorder, self.dtype))
        return self._replicas[index]

    def _scratch_of(self, row: int) -> list[Workspace]:
        while len(self._scratch) <= row:
            self._scratch.append([Workspace(self.recorder, self.dtype) for _ in self.layers])
        return self._scratch[row]

    def micro_batches(self, count: int, is_training: bool) -> int:
        """Into how many micro-batches `count` images are cut.

        Batch normalisation while training needs the whole mini-batch: then it is one.
        """
        if is_training and any(isinstance(layer, BatchNormLayer) for layer in self.layers):
            return 1
        return self.recorder.backend.micro_batches(count)

    def rows(self, count: int, is_training: bool, threads: int) -> int:
        """How many threads take micro-batches of `count` images; 1 if kernels use them all instead.

        That is so with many more threads than micro-batches.
        """
        number = self.micro_batches(count, is_training)
        return min(number, threads) if threads <= 2 * number else 1

    def schedule(
        self, count: int, is_training: bool, rows: int, keep: bool
    ) -> list[list[MicroBatch]]:
        """The micro-batches of `count` images: a row for each thread, in the order it takes them.

        Unless the activations are to be kept for the backward pass, one replica serves a whole row.
        """
        number = self.micro_batches(count, is_training)
        schedule: list[list[MicroBatch]] = [[] for _ in range(rows)]
        for index in range(number):
            row = index * rows // number
            replica = self._replica(index if keep else row)
            for layer, scratch in zip(replica.layers, self._scratch_of(row), strict=True):
                layer.scratch = scratch
            part = slice(index * count // number, (index + 1) * count // number)
            schedule[row].append(MicroBatch(replica, part))
        return schedule
