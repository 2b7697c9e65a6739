"""A network's layers, its parameters in one flat buffer, and a mini-batch's way through them.

The layers of feature maps (convolution, pooling) take a mini-batch slice by slice (stacks.py), the dense layers behind them
take it whole. Everything that a mini-batch of one size goes through is planned at the first of them (plan.py).
"""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset, Store
from ..layers import Distortion, Layer, Randomness, Rates, Update, Workspace
from ..layers.build import parameter_count
from ..layers.costs import Cost
from ..layers.dense import DenseLayer
from ..layers.geometry import Shape
from ..layers.initialisers import initialise
from .microbatch import Replica, Replicas
from .plan import Recorder

Array = NDArray[Any]
SAMPLE = 64  # images at a time for a mean gradient
ROWS = 16  # mini-batches that are evaluated in one run: nothing can interrupt it
NO_ETAS = np.zeros(2)
MAX_PLANS = 32  # kept at most: a training has two or three sizes of mini-batch
BOUND = 1e12  # no weight and no epoch's summed cost of a training that learns comes near


class Task(NamedTuple):
    """What is done with a mini-batch, besides going forward."""

    has_dropout: bool = False
    has_cost: bool = False
    has_gradient: bool = False
    has_update: bool = False
    is_plain: bool = False  # the update, see `Update`
    has_activation: bool = False  # of the last layer
    shifts: int = 1  # versions of each image, see `gather`
    distortion: Distortion | None = None


OUTPUTS, ACTIVATIONS = Task(), Task(has_activation=True)


class Counters(NamedTuple):
    """What a run's mini-batches differ by, in an array that the kernels read and `advance` moves on."""

    seed: int
    step: int
    mini_batch: int = 0
    finite: int = 0


@dataclass(frozen=True)
class Plan:
    """A task's program for mini-batches of one size, and where it leaves the last layer's z or a."""

    program: Any
    out: Array
    labels: Array  # of images that have none
    order: Array  # of a single mini-batch as it comes


class Engine:
    """The layers with their parameters, velocities and gradients: flat buffers, all weights before all biases.

    They lie where the backend has its memory: `read` and `write` are the host's way to them.

    build: makes layers like these, for each slice that a mini-batch has besides the first.
    """

    def __init__(
        self,
        layers: list[Layer],
        build: Callable[[], list[Layer]],
        cost: Cost,
        input_shape: Shape,
        recorder: Recorder,
        dtype: np.dtype[Any],
    ):
        self.layers = layers
        self.build = build
        self.cost = cost
        self.recorder = recorder
        self.dtype = dtype
        self.input_shape = input_shape
        self.pixels = input_shape if len(input_shape) == 3 else (1, 1, *input_shape)
        self.with_parameters = [
            layer for layer in layers if layer.weights_shape and layer.biases_shape
        ]
        self.shapes = [
            (layer.weights_shape or (), layer.biases_shape or ()) for layer in self.with_parameters
        ]
        self.weights_count = sum(math.prod(weights) for weights, _ in self.shapes)
        self.count = parameter_count(layers)
        zeros = recorder.backend.zeros
        self.parameters, self.gradient, self.velocity = (
            zeros((self.count,), dtype) for _ in range(3)
        )
        self.lock = threading.RLock()  # the layers' buffers serve one thread at a time
        # Cost and right answers of an epoch's training, added up by the cost kernels, and those of an evaluation.
        self.sums = zeros((2,), np.float64)
        self.scores = zeros((2,), np.float64)
        self.counters = zeros((len(Counters._fields),), np.int64)
        self.rates = zeros((len(Rates._fields),), np.float64)
        self.plans: dict[tuple[Task, int, np.dtype[Any]], Plan] = {}
        self.buffers = Workspace(recorder, dtype)
        views = (self.views(flat) for flat in (self.parameters, self.gradient, self.velocity))
        for layer, *pairs in zip(self.with_parameters, *views, strict=True):
            layer.attach(*pairs)
        self.dense = [layer for layer in layers if isinstance(layer, DenseLayer)]
        self.replicas = Replicas(layers[: len(layers) - len(self.dense)], build, recorder, dtype)
        self._needs_dx = [
            any(before.weights_shape for before in layers[:index]) for index in range(len(layers))
        ]

    @property
    def backend(self) -> ModuleType:
        """The kernels' module."""
        return self.recorder.backend

    def read(self, array: Array) -> Array:
        """What is in one of the engine's arrays, to look at before anything else is done, and to copy if it is to last."""
        seen: Array = self.backend.read(array)
        return seen

    def write(self, array: Array, values: Any) -> None:
        """Put a number, or an array of the host, into one of the engine's arrays."""
        self.backend.write(array, values)

    def views(self, flat: Array) -> list[tuple[Array, Array]]:
        """(weights, biases) of each layer with parameters, as views into a flat buffer."""
        views, weights_at, biases_at = [], 0, self.weights_count
        for weights, biases in self.shapes:
            weights_end, biases_end = weights_at + math.prod(weights), biases_at + math.prod(biases)
            views.append(
                (
                    flat[weights_at:weights_end].reshape(weights),
                    flat[biases_at:biases_end].reshape(biases),
                )
            )
            weights_at, biases_at = weights_end, biases_end
        return views

    def initialise(self, name: str, seed: int, has_softmax: bool) -> None:
        """Fill the parameters by the initialiser of that name."""
        flat = np.empty(self.count, self.dtype)
        for index, (layer, pair) in enumerate(
            zip(self.with_parameters, self.views(flat), strict=True)
        ):
            is_softmax = has_softmax and layer is self.with_parameters[-1]
            initialise(*pair, name, (*layer.fans, layer.pooled), is_softmax, (seed, 0, index))
        self.write(self.parameters, flat)

    # A mini-batch's way

    def _plan(self, task: Task, count: int, dtype: np.dtype[Any]) -> Plan:
        """The way of so many images, stored so."""
        plan = self.plans.get((task, count, dtype))
        if plan is None:
            if len(self.plans) >= MAX_PLANS:
                self.plans.clear()
            plan = self.plans[task, count, dtype] = self._build_plan(task, count, dtype)
        return plan

    def _build_plan(self, task: Task, count: int, dtype: np.dtype[Any]) -> Plan:
        """Plan it."""
        dense, labels = self.dense[0], self.buffers.array("labels", (count,), np.int64)
        neurons = self.buffers.array("neurons", (count, dense.fans[0]))
        # Those of the first run; each other one has its own.
        images, all_labels = np.zeros((1, *self.pixels), dtype), np.zeros(1, np.int64)
        order, etas = np.zeros((1, count), np.int64), np.zeros(2)
        ways: list[Array] = []

        def gather(a: Array, buffers: Workspace, first: int, after: int) -> None:
            scale = 1 / 255 if dtype == np.uint8 else 1.0
            arrays = a, labels[first:after], images, all_labels, order, self.counters, first
            if task.distortion is None:
                self.recorder.gather(*arrays, task.shifts, scale)
            else:
                lines, framed = self._distortions(task.distortion, buffers, first, after)
                self.recorder.gather_distorted(*arrays, lines, framed, scale)

        def forward(row: list[tuple[Replica, slice]]) -> None:
            for replica, part in row:
                pictures = replica.buffers.array("a", (*self.input_shape, part.stop - part.start))
                gather(pictures, replica.buffers, part.start, part.stop)
                self._forward_maps(replica.layers, pictures, neurons[part])

        def way() -> None:
            if self.replicas.layers:
                rows = self.replicas.rows(count, task.has_gradient)
                self.recorder.concurrently([partial(forward, row) for row in rows])
            else:
                gather(neurons, self.buffers, 0, count)
            ways.append(self._forward_neurons(task, neurons, labels))
            self.recorder.advance(self.counters, self.rates, self._sums(task), etas, BOUND)

        program = self.recorder.program(way, (images, all_labels, order, etas))
        return Plan(
            program,
            ways[0],
            self.backend.resident(np.zeros(count, np.int64)),
            np.arange(count)[None],
        )

    def _distortions(
        self, most: Distortion, buffers: Workspace, first: int, after: int
    ) -> tuple[Array, Array]:
        """Draw them for a slice of the mini-batch; the lines and the frame that `gather_distorted` takes."""
        (channels, rows, columns), count, kernels = self.pixels, after - first, self.backend
        lines = buffers.array("lines", (count, rows, kernels.LINE), np.float32)
        points = buffers.array("points", (count, 2, kernels.POINTS, kernels.POINTS), np.float32)
        self.recorder.draw_distortions(lines, points, tuple(most), columns, self.counters, first)
        return lines, buffers.array("framed", (count, channels, rows + 2, columns + 2), np.float32)

    def _sums(self, task: Task) -> Array:
        """What a task adds its cost and right answers to."""
        sums: Array = self.sums if task.has_update else self.scores
        return sums

    def _forward_maps(self, layers: list[Layer], a: Array, neurons: Array) -> None:
        for layer in layers:
            a = layer.forward(a, None)
        self.recorder.images_first(neurons, a.reshape(-1, len(neurons)))

    def _forward_neurons(self, task: Task, a: Array, labels: Array) -> Array:
        """From the first dense layer to z, then to the cost, and all the way back."""
        randomness = self.counters if task.has_dropout else None
        for dense in self.dense:
            a = dense.forward(a, randomness)
        if task.has_cost:
            delta = self.buffers.array("delta", tuple(a.shape))
            scale = 1 / len(labels) if task.has_gradient else 1.0
            self.cost.delta(self.recorder, delta, self._sums(task), a, labels, scale)
            if task.has_gradient:
                self._backward(
                    delta,
                    randomness,
                    Update(self.rates, task.is_plain) if task.has_update else None,
                )
        if task.has_activation:
            self.cost.activate(self.recorder, a)
        return a

    def _backward(self, delta: Array, randomness: Array | None, update: Update | None) -> None:
        """From delta of the last layer to the mean gradient of the cost, layer by layer.

        With `update`, each layer's parameters are updated as soon as nothing needs the old ones.
        """
        maps, count = self.replicas.layers, len(delta)
        for dense, needs_dx in zip(
            reversed(self.dense), reversed(self._needs_dx[len(maps) :]), strict=True
        ):
            delta = dense.backward(delta, randomness, needs_dx, update)
        if not self._needs_dx[len(maps)]:
            return

        def backward(row: list[tuple[Replica, slice]]) -> None:
            for replica, part in row:
                da = replica.buffers.array("da", (*maps[-1].output_shape, part.stop - part.start))
                self.recorder.images_last(da.reshape(-1, part.stop - part.start), delta[part])
                for layer, needs_dx in zip(
                    reversed(replica.layers), reversed(self._needs_dx[: len(maps)]), strict=True
                ):
                    da = layer.backward(da, randomness, needs_dx)

        rows = self.replicas.rows(count, keep=True)
        self.recorder.concurrently([partial(backward, row) for row in rows])
        for replica, _ in [member for row in rows for member in row][1:]:
            for layer, first in zip(replica.layers, maps, strict=True):
                first.add_gradients(layer)
        if update is not None:
            self._descend_maps(update)

    def _descend_maps(self, update: Update) -> None:
        """Update the parameters of the layers of feature maps: they are the first in the flat buffers, so they go together."""
        shapes = self.shapes[: len(self.shapes) - len(self.dense)]
        weights, biases = (sum(math.prod(pair[kind]) for pair in shapes) for kind in range(2))
        flats = self.parameters, self.velocity, self.gradient
        parts = slice(0, weights), slice(self.weights_count, self.weights_count + biases)
        self.recorder.sgd(*(flat[part] for flat in flats for part in parts), update.rates)

    # Many mini-batches, one after the other

    def _pieces(
        self, data: Dataset, order: Array, shifts: int
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """(rows of the order, and for these rows images, labels and order) where the kernels can read them.

        One piece, if the backend has room for all images.
        """
        images = self.backend.resident(data.store) if isinstance(data.store, np.ndarray) else None
        if images is not None:
            yield slice(0, len(order)), images, self.backend.resident(data.labels), order
            return
        image_bytes = math.prod(data.shape) * data.store.dtype.itemsize
        step = max(1, self.backend.piece(image_bytes) // order.shape[1])
        for first in range(0, len(order), step):
            rows = slice(first, min(first + step, len(order)))
            chosen, labels, places = data.batch(order[rows], shifts)
            yield rows, self.backend.upload(chosen), self.backend.upload(labels), places

    def _run(self, task: Task, data: Dataset, order: Array, now: Randomness, etas: Array) -> int:
        """Take mini-batches, one for each row of `order`, a task's way; how many were sound, see `Counters`."""
        plan = self._plan(task, order.shape[1], data.store.dtype)
        pieces = self._pieces(data, order, task.shifts)
        piece, finite = next(pieces, None), 0
        while piece is not None:
            rows, images, labels, places = piece
            self.write(self.counters, Counters(now.seed, now.step + rows.start))
            if task.has_update:
                self.write(self.rates[:1], etas[rows.start])
            plan.program(len(places), images, labels, places, np.append(etas[rows], 0.0))
            piece = next(pieces, None)  # on its way while the device works
            finite += Counters(*map(int, self.read(self.counters))).finite
            if task.has_update and finite < rows.stop:
                break
        return finite

    def descend(
        self, data: Dataset, order: Array, now: Randomness, rates: Rates, etas: Array,
        shifts: int = 1, distortion: Distortion | None = None,
    ) -> int:  # fmt: skip
        """Train on mini-batches one after the other, a row of `order` and an eta for each: forward, backward, update.

        Their cost and right answers are added to `sums`. How many of them left the summed cost below BOUND, up to the first that
        did not: those after it are worth nothing.
        """
        is_plain = not rates.momentum and not rates.decay_l1
        with self.lock:
            self.write(self.rates, rates)
            task = Task(True, True, True, True, is_plain, shifts=shifts, distortion=distortion)
            return self._run(task, data, order, now, etas)

    def evaluate(self, data: Dataset, randomness: Randomness | None = None) -> tuple[float, int]:
        """(summed cost, right answers) over a dataset; with randomness, as while training."""
        task = Task(has_dropout=randomness is not None, has_cost=True)
        with self.lock:
            self.write(self.scores, 0)
            for order in _orders(len(data), self.backend.BATCH):
                self._run(task, data, order, randomness or Randomness(0, 0), np.zeros(len(order)))
            cost, correct = self.read(self.scores)
        return float(cost), int(correct)

    def outputs(self, store: Store, has_activation: bool) -> Array:
        """z of the last layer or, with its activation, a: (n, classes)."""
        out = np.empty((store.shape[0], *self.layers[-1].output_shape), self.dtype)
        task, backend = ACTIVATIONS if has_activation else OUTPUTS, self.backend
        for first in range(0, len(out), backend.BATCH):
            images = store[first : first + backend.BATCH]
            with self.lock:
                plan = self._plan(task, len(images), images.dtype)
                backend.write(self.counters, 0)
                plan.program(1, backend.upload(images), plan.labels, plan.order, NO_ETAS)
                out[first : first + len(images)] = backend.read(plan.out)
        return out

    def mean_gradient(
        self, data: Dataset, randomness: Randomness | None = None, size: int = SAMPLE
    ) -> Array:
        """The mean gradient of the cost over a dataset, as a flat copy, so many images at a time."""
        total, task = (
            np.zeros(self.count),
            Task(randomness is not None, has_cost=True, has_gradient=True),
        )
        for order in _orders(len(data), size):
            for part in order:
                with self.lock:
                    self._run(task, data, part[None], randomness or Randomness(0, 0), np.zeros(1))
                    total += self.read(self.gradient) * (len(part) / len(data))
        return total.astype(self.dtype)


def _orders(count: int, size: int) -> Iterator[Array]:
    """All images in their order, in rows of so many, ROWS of them at most; those left over are in a row of their own."""
    whole, numbers = count // size * size, np.arange(count)
    for first in range(0, whole, ROWS * size):
        yield numbers[first : min(first + ROWS * size, whole)].reshape(-1, size)
    if whole < count:
        yield numbers[None, whole:]
