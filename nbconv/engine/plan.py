"""The plan of a mini-batch: the kernel calls of one task, recorded for mini-batches of one size.

The layers of feature maps (convolution, pooling) take a mini-batch in micro-batches
(microbatch.py), the dense layers behind them take it whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape
from ..kernels.interface import Program
from ..layers import Distortion, Rates, Workspace
from ..layers.batch_norm import BatchNormLayer
from ..layers.costs import Cost
from ..layers.dense import DenseLayer
from ..layers.recorder import Recorder
from .folding import Folding
from .microbatch import MicroBatch, Replicas

Array = NDArray[Any]
NORM_PARTS = 64  # partial sums of a gradient's norm
DIVERGED = 1e12  # no weight, and no epoch's summed cost, of a training that learns comes near


class Descent(NamedTuple):
    """Which kernels update the parameters."""

    optimiser: str = "plain"  # or "sgd", "adam"; plain: without momentum and L1
    is_clipped: bool = False


PLAIN = Descent()


class Task(NamedTuple):
    """What is done with a mini-batch, besides the forward pass."""

    is_training: bool = False  # with dropout, and with each mini-batch's own statistics
    has_cost: bool = False
    has_gradient: bool = False
    descent: Descent | None = None
    has_activation: bool = False  # of the last layer
    shifts: int = 1  # versions of each image, see `gather`
    distortion: Distortion | None = None
    picture: Shape = ()  # of an image to be distorted; a dense network takes it as a row of pixels
    smoothing: float = 0.0  # of the labels
    whole: int = 0  # images of the mini-batch that these are a shard of; 0: these are all


OUTPUTS = Task(), Task(has_activation=True)  # z or a of the last layer, for images as they come


class Counters(NamedTuple):
    """What changes from one mini-batch of a run to the next: see the kernel `advance`."""

    seed: int
    step: int
    mini_batch: int = 0
    finite: int = 0


@dataclass(frozen=True)
class Registers:
    """Small arrays that a plan's kernels read and write, so that the plan itself never changes."""

    counters: Array  # `Counters`
    rates: Array  # `Rates`
    sums: Array  # cost and number of right answers of an epoch's training
    scores: Array  # of an evaluation
    class_weights: Array  # of the cost of a training
    ones: Array  # the same of everything else
    standard: Array  # mean and standard deviation of each channel: see the kernel `gather`
    outside_unit: Array  # how many pixels of the images for outputs were not in [0, 1]


@dataclass(frozen=True)
class Plan:
    """The program for mini-batches of one size, and where it leaves the last layer's z or a."""

    program: Program
    out: Array


class Planner:
    """Records plans.

    neurons: the layers behind those of feature maps. gradient: of all parameters, flat. updated:
    gives what an optimiser's kernel updates by its name, see `Engine.updated`. folding: what each
    plan begins with, if the layers are folded ones.
    """

    def __init__(
        self,
        neurons: Sequence[DenseLayer | BatchNormLayer],
        replicas: Replicas,
        cost: Cost,
        pixels: Shape,
        registers: Registers,
        gradient: Array,
        updated: Callable[[str], list[Array]],
        recorder: Recorder,
        dtype: np.dtype[Any],
        folding: Folding | None = None,
    ):
        self.neurons = neurons
        self.replicas = replicas
        self.cost = cost
        self.pixels = pixels
        self.registers = registers
        self.gradient = gradient
        self.updated = updated
        self.recorder = recorder
        self.kernels = recorder.kernels
        self.folding = folding
        self.buffers = Workspace(recorder, dtype)
        layers = [*replicas.layers, *neurons]
        self._needs_dx = [
            any(before.weights_shape for before in layers[:index]) for index in range(len(layers))
        ]

    def plan(self, task: Task, count: int, dtype: np.dtype[Any], rows: int) -> Plan:
        """The plan of a task for mini-batches of `count` images, stored as `dtype`.

        rows: of micro-batches, each of which a thread takes.
        """
        labels = self.buffers.array("labels", (count,), np.int64)
        neurons = self.buffers.array("neurons", (count, self.neurons[0].fans[0]))
        # Placeholders: each run has other images, labels, order and rates.
        is_direct = self.is_direct(task, dtype)
        images = neurons if is_direct else np.zeros((1, *self.pixels), dtype)
        all_labels = np.zeros(1, np.int64)
        order, rates = np.zeros((1, count), np.int64), np.zeros((2, len(Rates._fields)))
        registers = self.registers
        out: list[Array] = []

        def gather(a: Array, buffers: Workspace, first: int, stop: int) -> None:
            size, is_flat = stop - first, a.ndim == 2
            a = a.reshape(size, -1, 1) if is_flat else a.reshape(1, -1, size)
            scale = 1 / 255 if dtype == np.uint8 else 1.0
            source = images, all_labels, order, registers.counters, first
            y, read_as = labels[first:stop], (scale, registers.standard)
            if task.distortion is None:
                self.kernels.gather(a, y, *source, task.shifts, *read_as)
            else:
                drawn = task.distortion, task.picture, buffers, first, stop
                lines, framed = self._distortions(*drawn)
                self.kernels.gather_distorted(a, y, *source, lines, framed, *read_as)

        def forward_maps(micro_batches: list[MicroBatch]) -> None:
            for replica, part in micro_batches:
                size = part.stop - part.start
                a = replica.buffers.array("a", (*self.pixels, size))
                gather(a, replica.buffers, part.start, part.stop)
                for layer in replica.layers:
                    a = layer.forward(a, self._randomness(task))
                self.kernels.images_first(neurons[part], a.reshape(-1, size))

        def mini_batch() -> None:
            if self.folding:
                self.folding.record()
            if task in OUTPUTS and dtype != np.uint8:
                self.kernels.outside_unit(registers.outside_unit, images)
            if self.replicas.layers:
                schedule = self.replicas.schedule(count, task.is_training, rows, task.has_gradient)
                self.recorder.concurrently([partial(forward_maps, row) for row in schedule])
            elif not is_direct:
                gather(neurons, self.buffers, 0, count)
            out.append(self._from_neurons(task, neurons, labels, rows))
            sums = self._sums(task)
            self.kernels.advance(registers.counters, registers.rates, sums, rates, DIVERGED)

        program = self.recorder.program(mini_batch, (images, all_labels, order, rates))
        return Plan(program, out[0])

    def update(self, descent: Descent) -> Plan:
        """The plan of an update alone, from the gradient as it is."""
        if descent == PLAIN:  # whose update of layers of neurons is a part of their backward pass
            descent = Descent("sgd")
        return Plan(self.recorder.program(partial(self._descend, descent)), self.gradient)

    def is_direct(self, task: Task, dtype: np.dtype[Any]) -> bool:
        """Whether the first layer reads the images where they are: then they are (n, pixels).

        So it is for outputs of a network of dense layers, if nothing has to be converted.
        """
        first, backend = self.neurons[0], self.recorder.backend
        mean, deviation = backend.read(self.registers.standard)
        return (
            task in OUTPUTS
            and dtype == self.buffers.dtype
            and not self.replicas.layers
            and type(first) is DenseLayer
            and first.scales[1] == 1
            and not mean.any()
            and bool((deviation == 1).all())
            and backend.HAS_THREADS
        )

    def _distortions(
        self, amounts: Distortion, picture: Shape, buffers: Workspace, first: int, stop: int
    ) -> tuple[Array, Array]:
        """Draw them for images `first` to `stop`: lines and frame for `gather_distorted`."""
        (channels, rows, columns), count = picture, stop - first
        backend, counters = self.recorder.backend, self.registers.counters
        lines = buffers.array("lines", (count, rows, backend.LINE_LENGTH), np.float32)
        points = buffers.array("points", (count, 2, backend.POINTS, backend.POINTS), np.float32)
        self.kernels.draw_distortions(lines, points, (*amounts,), columns, counters, first)
        framed = buffers.array("framed", (count, channels, rows + 2, columns + 2), np.float32)
        return lines, framed

    def _sums(self, task: Task) -> Array:
        """What a task adds its cost and right answers to."""
        return self.registers.sums if task.descent else self.registers.scores

    def _randomness(self, task: Task) -> Array | None:
        """What layers are given only while training."""
        return self.registers.counters if task.is_training else None

    def _from_neurons(self, task: Task, a: Array, labels: Array, rows: int) -> Array:
        """From the first dense layer to z, to the cost, and the whole backward pass."""
        for layer in self.neurons:
            a = layer.forward(a, self._randomness(task))
        if task.has_cost:
            delta = self.buffers.array("delta", tuple(a.shape))
            scale = 1 / (task.whole or len(labels)) if task.has_gradient else 1.0
            registers, sums = self.registers, self._sums(task)
            is_learning = task.descent or task.whole
            weights = registers.class_weights if is_learning else registers.ones
            self.cost.delta(self.kernels, delta, sums, a, labels, weights, task.smoothing, scale)
            if task.has_gradient:
                self._backward(delta, task, rows)
                if task.descent:
                    self._descend(task.descent)
        if task.has_activation:
            self.cost.activate(self.kernels, a)
        return a

    def _backward(self, delta: Array, task: Task, rows: int) -> None:
        """From delta of the last layer to the mean gradient of the cost, layer by layer.

        With a plain descent, layers of neurons are updated as soon as nothing needs the old
        parameters.
        """
        randomness = self._randomness(task)
        rates = self.registers.rates if task.descent == PLAIN else None
        maps, count = self.replicas.layers, len(delta)
        needs_dx = self._needs_dx[: len(maps)], self._needs_dx[len(maps) :]
        both = zip(reversed(self.neurons), reversed(needs_dx[1]), strict=True)
        for neurons, neurons_need_dx in both:
            delta = neurons.backward(delta, randomness, neurons_need_dx, rates)
        if not needs_dx[1][0]:
            return

        def backward_maps(micro_batches: list[MicroBatch]) -> None:
            for replica, part in micro_batches:
                size = part.stop - part.start
                da = replica.buffers.array("da", (*maps[-1].output_shape, size))
                self.kernels.images_last(da.reshape(-1, size), delta[part])
                both = zip(reversed(replica.layers), reversed(needs_dx[0]), strict=True)
                for layer, layer_needs_dx in both:
                    da = layer.backward(da, randomness, layer_needs_dx)

        schedule = self.replicas.schedule(count, task.is_training, rows, keep=True)
        self.recorder.concurrently([partial(backward_maps, row) for row in schedule])
        for replica, _ in [micro_batch for row in schedule for micro_batch in row][1:]:
            for layer, first in zip(replica.layers, maps, strict=True):
                first.add_gradients(layer)

    def _descend(self, descent: Descent) -> None:
        """The update, of all parameters or of those not yet updated, and of running statistics."""
        rates = self.registers.rates
        w, b, v_w, v_b, *second, dw, db = self.updated(descent.optimiser)
        if descent.is_clipped:
            sums = self.buffers.array("sums of squares", (NORM_PARTS,), np.float64)
            self.kernels.clip(self.gradient, sums, rates)
        if descent.optimiser == "adam":
            s_w, s_b = second
            self.kernels.adam(w, b, v_w, v_b, s_w, s_b, dw, db, rates)
        elif w.size:
            self.kernels.sgd(w, b, v_w, v_b, dw, db, rates)
        for layer in [*self.replicas.layers, *self.neurons]:
            if isinstance(layer, BatchNormLayer):
                layer.track()
