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

from .costs import Cost
from .data.dataset import Dataset, Store
from .geometry import Shape
from .initialisers import initialise
from .layers import Layer, Randomness, Rates, Update, Workspace, aligned_zeros
from .layers.dense import DenseLayer
from .plan import Recorder
from .stacks import SLICE, Stack, Stacks, parameter_count

Array = NDArray[Any]
BATCH = 8 * SLICE  # images at a time where nothing is trained
ROUTES = 32  # kept at most: a training has two or three sizes of mini-batch
BOUND = 1e12  # no weight and no epoch's summed cost of a training that learns comes near
NO_ETAS = np.zeros(1)


class Task(NamedTuple):
    """What is done with a mini-batch, besides going forward."""

    has_dropout: bool = False
    has_cost: bool = False
    has_gradient: bool = False
    has_update: bool = False
    is_plain: bool = False  # the update, see `Update`
    has_activation: bool = False  # of the last layer
    moves: int = 1  # versions of each image, see `gather`


OUTPUTS, ACTIVATIONS = Task(), Task(has_activation=True)


class Clock(NamedTuple):
    """What a run's mini-batches differ by, in an array that the kernels read and `advance` moves on."""

    seed: int
    step: int
    turn: int = 0
    sound: int = 0


@dataclass(frozen=True)
class Route:
    """A task's program for mini-batches of one size, and where it leaves the last layer's z or a."""

    program: Any
    out: Array
    labels: Array  # of images that have none
    order: Array  # of a single mini-batch as it comes


class Engine:
    """The layers with their parameters, velocities and gradients: flat buffers, all weights before all biases.

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
        self.with_parameters = [layer for layer in layers if layer.weights_shape and layer.biases_shape]
        self.shapes = [(layer.weights_shape or (), layer.biases_shape or ()) for layer in self.with_parameters]
        self.weights_count = sum(math.prod(weights) for weights, _ in self.shapes)
        self.count = parameter_count(layers)
        self.parameters = aligned_zeros((self.count,), dtype)
        self.gradient = aligned_zeros((self.count,), dtype)
        self.velocity = aligned_zeros((self.count,), dtype)
        self.lock = threading.RLock()  # the layers' buffers serve one thread at a time
        self.sums = np.zeros(2)  # cost and right answers of an epoch's training, added up by the cost kernels
        self.scores = np.zeros(2)  # and those of an evaluation
        self.clock = np.zeros(len(Clock._fields), np.int64)
        self.rates = np.zeros(len(Rates._fields))
        self.routes: dict[tuple[Task, int, np.dtype[Any]], Route] = {}
        self.buffers = Workspace(dtype)
        views = (self.views(flat) for flat in (self.parameters, self.gradient, self.velocity))
        for layer, *pairs in zip(self.with_parameters, *views, strict=True):
            layer.attach(*pairs)
        self.dense = [layer for layer in layers if isinstance(layer, DenseLayer)]
        self.stacks = Stacks(layers[: len(layers) - len(self.dense)], build, dtype)
        self._wanted = [any(before.weights_shape for before in layers[:index]) for index in range(len(layers))]

    @property
    def kernels(self) -> ModuleType:
        """The backend."""
        return self.recorder.kernels

    def views(self, flat: Array) -> list[tuple[Array, Array]]:
        """(weights, biases) of each layer with parameters, as views into a flat buffer."""
        views, weights_at, biases_at = [], 0, self.weights_count
        for weights, biases in self.shapes:
            weights_end, biases_end = weights_at + math.prod(weights), biases_at + math.prod(biases)
            views.append((flat[weights_at:weights_end].reshape(weights), flat[biases_at:biases_end].reshape(biases)))
            weights_at, biases_at = weights_end, biases_end
        return views

    def initialise(self, name: str, seed: int, has_softmax: bool) -> None:
        """Fill the parameters by the initialiser of that name."""
        for index, layer in enumerate(self.with_parameters):
            is_softmax = has_softmax and layer is self.with_parameters[-1]
            initialise(layer.weights, layer.biases, name, (*layer.fans, layer.pooled), is_softmax, (seed, 0, index))

    # A mini-batch's way

    def _route(self, task: Task, count: int, dtype: np.dtype[Any]) -> Route:
        """The way of so many images, stored so."""
        route = self.routes.get((task, count, dtype))
        if route is None:
            if len(self.routes) >= ROUTES:
                self.routes.clear()
            route = self.routes[task, count, dtype] = self._planned(task, count, dtype)
        return route

    def _planned(self, task: Task, count: int, dtype: np.dtype[Any]) -> Route:
        """Plan it."""
        dense, labels = self.dense[0], np.zeros(count, np.int64)
        neurons = self.buffers.array("neurons", (count, dense.fans[0]))
        # Those of the first run; each other one has its own.
        images, all_labels = np.zeros((1, *self.pixels), dtype), np.zeros(1, np.int64)
        order, etas = np.zeros((1, count), np.int64), np.zeros(1)
        ways: list[Array] = []

        def gather(a: Array, first: int, after: int) -> None:
            scale = 1 / 255 if dtype == np.uint8 else 1.0
            arrays = images, all_labels, order, self.clock
            self.recorder.gather(a, labels[first:after], *arrays, first, task.moves, scale)

        def forward(row: list[tuple[Stack, slice]]) -> None:
            for stack, part in row:
                pictures = stack.buffers.array("a", (*self.input_shape, part.stop - part.start))
                gather(pictures, part.start, part.stop)
                self._forward_maps(stack.layers, pictures, neurons[part])

        def way() -> None:
            if self.stacks.layers:
                rows = self.stacks.rows(count, task.has_gradient)
                self.recorder.side_by_side([partial(forward, row) for row in rows])
            else:
                gather(neurons, 0, count)
            ways.append(self._forward_neurons(task, neurons, labels))
            if task.has_update:
                self.recorder.advance(self.clock, self.rates, self.sums, etas, BOUND)

        program = self.recorder.program(way, (images, all_labels, order, etas))
        return Route(program, ways[0], np.zeros(count, np.int64), np.arange(count)[None])

    def _forward_maps(self, layers: list[Layer], a: Array, neurons: Array) -> None:
        for layer in layers:
            a = layer.forward(a, None)
        self.recorder.images_first(neurons, a.reshape(-1, a.shape[-1]))

    def _forward_neurons(self, task: Task, a: Array, labels: Array) -> Array:
        """From the first dense layer to z, then to the cost, and all the way back."""
        randomness = self.clock if task.has_dropout else None
        for dense in self.dense:
            a = dense.forward(a, randomness)
        if task.has_cost:
            delta, sums = self.buffers.array("delta", a.shape), self.sums if task.has_update else self.scores
            scale = 1 / len(labels) if task.has_gradient else 1.0
            self.cost.delta(self.recorder, delta, sums, a, labels, scale)
            if task.has_gradient:
                self._backward(delta, randomness, Update(self.rates, task.is_plain) if task.has_update else None)
        if task.has_activation:
            self.cost.activate(self.recorder, a)
        return a

    def _backward(self, delta: Array, randomness: Array | None, update: Update | None) -> None:
        """From delta of the last layer to the mean gradient of the cost, layer by layer.

        With `update`, each layer's parameters are updated as soon as nothing needs the old ones.
        """
        maps, count = self.stacks.layers, len(delta)
        for dense, wanted in zip(reversed(self.dense), reversed(self._wanted[len(maps) :]), strict=True):
            delta = dense.backward(delta, randomness, wanted, update)
        if not self._wanted[len(maps)]:
            return

        def backward(row: list[tuple[Stack, slice]]) -> None:
            for stack, part in row:
                da = stack.buffers.array("da", (*maps[-1].output_shape, part.stop - part.start))
                self.recorder.images_last(da.reshape(-1, da.shape[-1]), delta[part])
                for layer, wanted in zip(reversed(stack.layers), reversed(self._wanted[: len(maps)]), strict=True):
                    da = layer.backward(da, randomness, wanted)

        rows = self.stacks.rows(count, keep=True)
        self.recorder.side_by_side([partial(backward, row) for row in rows])
        for stack, _ in [member for row in rows for member in row][1:]:
            for layer, first in zip(stack.layers, maps, strict=True):
                first.add_gradients(layer)
        if update is not None:
            for layer in maps:
                layer.descend(update)

    def _go(self, task: Task, images: Array, labels: Array | None = None) -> Array:
        """Take images a task's way as one mini-batch; what it leaves in the last layer's buffer."""
        route = self._route(task, len(images), images.dtype)
        route.program(1, images, route.labels if labels is None else labels, route.order, NO_ETAS)
        return route.out

    def descend(self, data: Dataset, order: Array, moves: int, now: Randomness, rates: Rates, etas: Array) -> int:
        """Train on mini-batches one after the other, a row of `order` and an eta for each: forward, backward, update.

        Their cost and right answers are added to `sums`. How many of them left the summed cost below BOUND, up to the first that
        did not: those after it are worth nothing.
        """
        is_plain = not rates.momentum and not rates.decay_l1
        with self.lock:
            self.clock[:], self.rates[:] = Clock(*now), rates
            self.rates[0] = etas[0]
            route = self._route(Task(True, True, True, True, is_plain, moves=moves), order.shape[1], data.store.dtype)
            route.program(len(order), *data.batch(order, moves), etas)
            return int(self.clock[3])

    def evaluate(self, data: Dataset, randomness: Randomness | None = None) -> tuple[float, int]:
        """(summed cost, right answers) over a dataset; with randomness, as while training."""
        totals, task = np.zeros(2), Task(has_dropout=randomness is not None, has_cost=True)
        for images, labels in _parts(data, BATCH):
            with self.lock:
                self.scores[:], self.clock[:] = 0, Clock(*randomness or (0, 0))
                self._go(task, images, labels)
                totals += self.scores
        return float(totals[0]), int(totals[1])

    def outputs(self, store: Store, has_activation: bool) -> Array:
        """z of the last layer or, with its activation, a: (n, classes)."""
        out = np.empty((store.shape[0], *self.layers[-1].output_shape), self.dtype)
        for first in range(0, len(out), BATCH):
            images = store[first : first + BATCH]
            with self.lock:
                self.clock[:] = 0
                out[first : first + len(images)] = self._go(ACTIVATIONS if has_activation else OUTPUTS, images)
        return out

    def mean_gradient(self, data: Dataset, randomness: Randomness | None = None, size: int = SLICE) -> Array:
        """The mean gradient of the cost over a dataset, as a flat copy, so many images at a time."""
        total, task = np.zeros(self.count), Task(randomness is not None, has_cost=True, has_gradient=True)
        for images, labels in _parts(data, size):
            with self.lock:
                self.clock[:] = Clock(*randomness or (0, 0))
                self._go(task, images, labels)
                total += self.gradient * (len(labels) / len(data))
        return total.astype(self.dtype)


def _parts(data: Dataset, size: int) -> Iterator[tuple[Array, Array]]:
    """A dataset's images and labels, so many at a time."""
    for first in range(0, len(data), size):
        yield data.store[first : first + size], data.labels[first : first + size]
