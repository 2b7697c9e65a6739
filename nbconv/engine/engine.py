"""A network's layers, its parameters in one flat buffer, and the mini-batches run through them."""

import math
import os
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape
from ..data.dataset import Dataset, check_pixels
from ..data.stores import Store
from ..kernels.interface import Backend
from ..layers import BatchNorm, Distortion, Layer, LayerSpec, Randomness, Rates
from ..layers.batch_norm import BatchNormLayer
from ..layers.build import build_layers, parameter_count
from ..layers.costs import Cost
from ..layers.dense import DenseLayer
from ..layers.initialisers import initialise, suiting
from ..layers.recorder import Recorder
from ..threads import Pace, most_tried
from .folding import Folding
from .microbatch import Replicas
from .paced import PacedPlan
from .plan import OUTPUTS, PLAIN, Counters, Descent, Plan, Planner, Registers, Task
from .turns import Turns

Array = NDArray[Any]
GRADIENT_BATCH = 64  # images at a time for a mean gradient
EVALUATION_ROWS = 16  # mini-batches that are evaluated in one run, which nothing can interrupt
MAX_PLANS = 32  # kept at most: a training has two or three sizes of mini-batch
UNCHANGED = np.array([[0], [1]])  # mean and standard deviation for pixels that stay as they are
NO_RATES = np.zeros((2, len(Rates._fields)))
SMALL_BYTES = 2**15  # of images whose copy costs less than another description for the program


_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def _after_fork() -> None:
    """A thread that holds a lock in the parent does not exist in the child."""
    for engine in _engines:
        engine.lock, engine.turns = threading.RLock(), Turns()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Engine:
    """The layers with their parameters, velocities, gradients and statistics in flat buffers.

    Each buffer has all weights before all biases. The statistics are the running means and
    variances of batch normalisations. The buffers lie where the backend has its memory; the host
    reaches them by `read` and `write`.

    Raises SettingError where a layer does not fit the one before.
    """

    def __init__(
        self,
        specs: Sequence[LayerSpec],
        cost: Cost,
        input_shape: Shape,
        recorder: Recorder,
        dtype: np.dtype[Any],
    ):
        self.layers = layers = build_layers(specs, input_shape, recorder, dtype)
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
        self.with_statistics = [layer for layer in layers if isinstance(layer, BatchNormLayer)]
        self.lock = threading.RLock()  # the layers' buffers serve one thread at a time
        self.turns = Turns()
        _engines.add(self)
        zeros = recorder.backend.zeros
        self.parameters, self.gradient, self.velocity = (
            zeros((self.count,), dtype) for _ in range(3)
        )
        views = (self.views(flat) for flat in (self.parameters, self.gradient))
        for layer, *pairs in zip(self.with_parameters, *views, strict=True):
            layer.attach(*pairs)
        (classes,) = self.shapes[-1][1]
        sizes = [math.prod(layer.statistics_shape) for layer in self.with_statistics]
        self.statistics = zeros((sum(sizes),), dtype)
        statistics = self.statistics_views(self.statistics)
        for normalising, view in zip(self.with_statistics, statistics, strict=True):
            normalising.statistics = view
        registers = Registers(
            counters=zeros((len(Counters._fields),), np.int64),
            rates=zeros((len(Rates._fields),), np.float64),
            sums=zeros((2,), np.float64),
            scores=zeros((2,), np.float64),
            class_weights=zeros((classes,), np.float64),
            ones=zeros((classes,), np.float64),
            standard=zeros((2, self.pixels[0]), dtype),
            outside_unit=zeros((1,), np.int64),
        )
        self.counters, self.rates = registers.counters, registers.rates
        self.sums, self.scores = registers.sums, registers.scores
        self.outside_unit, self.class_weights = registers.outside_unit, registers.class_weights
        for weights in (registers.class_weights, registers.ones):
            self.write(weights, 1)
        self.standard = registers.standard
        self.write(self.standard, UNCHANGED)
        self.planner = self.predictor = self._planner(specs, layers, registers)
        if self.with_statistics and Folding.is_possible(layers):
            plain = [spec for spec in specs if not isinstance(spec, BatchNorm)]
            folded = build_layers(plain, input_shape, recorder, dtype)
            folding = Folding(layers, folded, recorder)
            self.predictor = self._planner(plain, folded, registers, folding)
        maps = self.planner.replicas.layers
        self.maps = sum(layer in maps for layer in self.with_parameters)
        self.seconds: defaultdict[int, float] = defaultdict(float)  # of work, by number of threads
        # Of outputs: plan, where few images are copied to, labels for images that have none, and
        # the order of images as they come.
        self._prepared: dict[tuple[bool, int, str], tuple[Any, ...]] = {}
        self.plans: dict[tuple[Task, int, np.dtype[Any]], PacedPlan] = {}
        self._updates: dict[Descent, PacedPlan] = {}

    def _planner(
        self,
        specs: Sequence[LayerSpec],
        layers: list[Layer],
        registers: Registers,
        folding: Folding | None = None,
    ) -> Planner:
        """The planner for layers that were built from these."""
        neurons = [
            layer
            for layer in layers
            if isinstance(layer, DenseLayer | BatchNormLayer) and len(layer.output_shape) == 1
        ]
        recorder, dtype = self.recorder, self.dtype
        build = partial(build_layers, specs, self.input_shape, recorder, dtype)
        return Planner(
            neurons,
            Replicas(layers[: -len(neurons)], build, recorder, dtype),
            self.cost,
            self.pixels,
            registers,
            self.gradient,
            self.updated,
            recorder,
            dtype,
            folding,
        )

    @property
    def backend(self) -> Backend:
        """The kernels' module."""
        return self.recorder.backend

    def read(self, array: Array) -> Array:
        """The current contents of one of the engine's arrays.

        Maybe no copy: valid until anything else is done.
        """
        return self.backend.read(array)

    def write(self, array: Array, values: Any) -> None:
        """Put a number, or an array of host or backend, into one of the engine's arrays."""
        self.backend.write(array, values)

    def views(self, flat: Array) -> list[tuple[Array, Array]]:
        """(weights, biases) of each layer with parameters, as views into a flat buffer."""
        views, weights_at, biases_at = [], 0, self.weights_count
        for weights, biases in self.shapes:
            weights_end = weights_at + math.prod(weights)
            biases_end = biases_at + math.prod(biases)
            pair = flat[weights_at:weights_end], flat[biases_at:biases_end]
            views.append((pair[0].reshape(weights), pair[1].reshape(biases)))
            weights_at, biases_at = weights_end, biases_end
        return views

    def statistics_views(self, flat: Array) -> list[Array]:
        """(2, channels) of each layer with statistics, mean and variance, as views of `flat`."""
        views, at = [], 0
        for layer in self.with_statistics:
            after = at + math.prod(layer.statistics_shape)
            views.append(flat[at:after].reshape(layer.statistics_shape))
            at = after
        return views

    @cached_property
    def second_moment(self) -> Array:
        """Of each parameter's gradient, for Adam: s in the kernel `adam`."""
        return self.recorder.backend.zeros((self.count,), self.dtype)

    def weights(self) -> dict[str, Array]:
        """Copies, for the host, of what answers depend on: parameters and running statistics."""
        with self.lock:
            return {
                "parameters": self.read(self.parameters).copy(),
                "statistics": self.read(self.statistics).copy(),
            }

    def learned(self) -> dict[str, Array]:
        """Copies, for the host, of all that training has changed: see `learn`."""
        names = ["parameters", "velocity", "statistics", "sums", "standard"]
        if "second_moment" in vars(self):
            names.append("second_moment")
        with self.lock:
            return {name: self.read(getattr(self, name)).copy() for name in names}

    def learn(self, learned: Mapping[str, Array]) -> None:
        """Be as far as the engine whose `learned` this is."""
        for name, values in learned.items():
            if name == "standard":
                self.standardise(values)
            else:
                self.write(getattr(self, name), values)

    def standardise(self, standard: Array) -> None:
        """Read a pixel x of channel c as (x - standard[0, c]) / standard[1, c] from now on."""
        with self.lock:
            if not np.array_equal(standard, self.read(self.standard)):
                self.write(self.standard, standard)
                self.plans.clear()  # whose first layer may read the images where they are
                self._prepared.clear()

    def standardised(self, images: Array) -> Array:
        """A copy of images in [0, 1] as the first layer reads them, in the network's dtype."""
        mean, deviation = self.read(self.standard).reshape(2, 1, -1, 1, 1)
        standardised: Array = (self.pictures(images).astype(self.dtype) - mean) / deviation
        return standardised

    def pictures(self, images: Array) -> Array:
        """Rows of pixels in the shape of the network's input, other images as they are."""
        is_row = tuple(images.shape[1:]) == (1, 1, math.prod(self.pixels)) != self.pixels
        return images.reshape(images.shape[0], *self.pixels) if is_row else images

    def updated(self, optimiser: str) -> list[Array]:
        """The flat w, b, v_w, v_b, dw, db that the kernel of an optimiser takes.

        "adam": with s_w, s_b before dw. "plain": of the layers of feature maps alone, the first in
        the flat buffers. Dense layers are updated by `dense_descend`.
        """
        shapes = self.shapes[: self.maps] if optimiser == "plain" else self.shapes
        weights = slice(0, sum(math.prod(w) for w, _ in shapes))
        first = self.weights_count
        biases = slice(first, first + sum(math.prod(b) for _, b in shapes))
        kept = [self.second_moment] if optimiser == "adam" else []
        flats = self.parameters, self.velocity, *kept, self.gradient
        return [flat[part] for flat in flats for part in (weights, biases)]

    def initialise(
        self, name: str, seed: int, has_softmax: bool, activations: Sequence[str]
    ) -> None:
        """Fill the parameters by the initialiser of that name.

        activations: of the layers with parameters, for "auto". Batch normalisations scale by 1 and
        shift by 0, and their running means and variances are 0 and 1.
        """
        flat = np.empty(self.count, self.dtype)
        pairs = zip(self.with_parameters, self.views(flat), strict=True)
        for index, (layer, pair) in enumerate(pairs):
            if layer in self.with_statistics:
                pair[0][...], pair[1][...] = 1, 0
                continue
            is_softmax = has_softmax and layer is self.with_parameters[-1]
            fans = (*layer.fans, layer.pooled)
            chosen = suiting(activations[index], is_softmax) if name == "auto" else name
            initialise(*pair, chosen, fans, is_softmax, (seed, 0, index))
        self.write(self.parameters, flat)
        for normalising in self.with_statistics:
            self.write(normalising.statistics[0], 0)
            self.write(normalising.statistics[1], 1)

    def _plan(self, task: Task, count: int, dtype: np.dtype[Any]) -> PacedPlan:
        """The plan for mini-batches of `count` images of this dtype, made on first use."""
        plan = self.plans.get((task, count, dtype))
        if plan is None:
            if len(self.plans) >= MAX_PLANS:
                self.plans.clear()
            is_prediction = not (task.is_training or task.has_gradient)
            planner = self.predictor if is_prediction else self.planner
            plan = self.plans[task, count, dtype] = self._paced(
                partial(planner.plan, task, count, dtype),
                partial(planner.replicas.rows, count, task.is_training),
                planner.is_direct(task, dtype),
            )
        return plan

    def _paced(
        self, make: Callable[[int], Plan], rows: Callable[[int], int], is_direct: bool = False
    ) -> PacedPlan:
        pace = Pace(most_tried()) if self.backend.HAS_THREADS else None
        return PacedPlan(make, rows, pace, self.seconds, is_direct)

    def _uploads(
        self, data: Dataset, order: Array, shifts: int
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """(rows of the order, and their images, labels and order) where kernels can read them.

        All at once, if the backend has room for all images.
        """
        images = self.backend.resident(data.store) if isinstance(data.store, np.ndarray) else None
        labels = None if images is None else self.backend.resident(data.labels)
        if images is not None and labels is not None:
            yield slice(0, len(order)), self.pictures(images), labels, order
            return
        image_bytes = math.prod(data.shape) * data.store.dtype.itemsize
        step = max(1, self.backend.images_per_upload(image_bytes) // order.shape[1])
        for first in range(0, len(order), step):
            rows = slice(first, min(first + step, len(order)))
            images, labels, positions = data.batch(order[rows], shifts)
            images = self.backend.upload(self.pictures(images))
            yield rows, images, self.backend.upload(labels), positions

    def _run(
        self, task: Task, data: Dataset, order: Array, now: Randomness, rates: Array | None = None
    ) -> int:
        """Run a task on the mini-batches in the rows of `order`.

        Returns how many kept the summed cost below `DIVERGED`, up to the first that did not.
        """
        plan = self._plan(task, order.shape[1], data.store.dtype)
        rates = np.zeros((len(order), self.rates.size)) if rates is None else rates
        uploads = self._uploads(data, order, task.shifts)
        upload, finite = next(uploads, None), 0
        while upload is not None:
            rows, images, labels, positions = upload
            self.write(self.counters, Counters(now.seed, now.step + rows.start))
            if task.descent:
                self.write(self.rates, rates[rows.start])
            row_more = np.append(rates[rows], rates[:1], axis=0)
            plan.run(len(positions), images, labels, positions, row_more)
            upload = next(uploads, None)  # copied while the device works
            finite += Counters(*map(int, self.read(self.counters))).finite
            if task.descent and finite < rows.stop:
                break
        return finite

    def descend(
        self,
        data: Dataset,
        order: Array,
        now: Randomness,
        rates: Array,
        descent: Descent = PLAIN,
        shifts: int = 1,
        distortion: Distortion | None = None,
        smoothing: float = 0.0,
    ) -> int:
        """Train on the mini-batches in the rows of `order`: forward, backward, update.

        rates: of each mini-batch, (mini-batches, numbers), see `Rates`. The images' costs are
        multiplied by `class_weights`, and the labels smoothed. Cost and right answers are added to
        `sums`. Returns how many mini-batches kept the summed cost below `DIVERGED`, up to the first
        that did not; what follows that one is worthless.
        """
        with self.lock:
            task = _learning(data, shifts, distortion, smoothing)._replace(descent=descent)
            return self._run(task, data, order, now, rates)

    def shard_gradient(
        self,
        data: Dataset,
        shard: Array,
        whole: int,
        now: Randomness,
        shifts: int = 1,
        distortion: Distortion | None = None,
        smoothing: float = 0.0,
    ) -> tuple[float, int]:
        """Leave in `gradient` what these images add to the mean gradient of their mini-batch.

        shard: a part of the mini-batch, whose random numbers `now` keys. whole: images of the
        mini-batch. All else: as for `descend`. Returns the shard's (summed cost, right answers).
        """
        with self.lock:
            task = _learning(data, shifts, distortion, smoothing)._replace(whole=whole)
            self.write(self.scores, 0)
            self._run(task, data, shard[None], now)
            cost, correct = self.read(self.scores)
        return float(cost), int(correct)

    def update(self, rates: Array, descent: Descent = PLAIN) -> None:
        """Update the parameters by the mean gradient in `gradient`. rates: see `Rates`."""
        with self.lock:
            if descent not in self._updates:
                make = partial(self.planner.update, descent)
                self._updates[descent] = self._paced(lambda rows: make(), lambda threads: 1)
            self.write(self.rates, rates)
            self._updates[descent].run(1)

    def evaluate(
        self, data: Dataset, randomness: Randomness | None = None, part: range | None = None
    ) -> tuple[float, int]:
        """(summed cost, right answers) over a dataset, or over a part of its images.

        With randomness, as while training.
        """
        task = Task(is_training=randomness is not None, has_cost=True)
        now = randomness or Randomness(0, 0)
        images = range(len(data)) if part is None else part
        with self.lock:
            self.write(self.scores, 0)
            for order in _orders(images, self.backend.INFERENCE_BATCH):
                self._run(task, data, order, now)
            cost, correct = self.read(self.scores)
        return float(cost), int(correct)

    def outputs(self, store: Store, has_activation: bool) -> Array:
        """z of the last layer or, with its activation, a: (n, classes)."""
        count, step = store.shape[0], self.backend.INFERENCE_BATCH
        try:
            if count <= step:
                return self._outputs(store[:], has_activation)
            firsts = range(0, count, step)
            parts = [self._outputs(store[first : first + step], has_activation) for first in firsts]
            return np.concatenate(parts)
        except FloatingPointError:
            check_pixels(store)  # says which image
            raise

    def _outputs(self, images: Array, has_activation: bool) -> Array:
        """The same for images of one call, with little done in Python."""
        count, images = images.shape[0], self.pictures(images)
        with self.lock:
            key = has_activation, count, images.dtype.char
            if key not in self._prepared:
                if len(self._prepared) >= MAX_PLANS:
                    self._prepared.clear()
                plan = self._plan(OUTPUTS[has_activation], count, images.dtype)
                labels = self.backend.resident(np.zeros(count, np.int64))
                shape = (count, math.prod(self.pixels)) if plan.is_direct else images.shape
                held = np.empty(shape, images.dtype) if images.nbytes <= SMALL_BYTES else None
                self._prepared[key] = plan, held, labels, np.arange(count)[None]
            plan, held, labels, order = self._prepared[key]
            if held is not None:  # a program need not be told where the same array is
                held.reshape(images.shape)[...] = images
                images = held
            elif plan.is_direct:
                images = images.reshape(count, -1)
            self.backend.write(self.counters, 0)
            done = plan.run(1, self.backend.upload(images), labels, order, NO_RATES)
            if images.dtype != np.uint8 and self.read(self.outside_unit)[0]:
                self.write(self.outside_unit, 0)
                raise FloatingPointError
            return self.backend.read(done.out).copy()

    def busiest(self) -> int:
        """With how many threads most work was done since `seconds` was cleared; 0 for none."""
        return max(self.seconds, key=self.seconds.__getitem__, default=0)

    def mean_gradient(
        self, data: Dataset, randomness: Randomness | None = None, size: int = GRADIENT_BATCH
    ) -> Array:
        """The mean gradient of the cost over a dataset, as a flat copy; `size` images at a time."""
        task = Task(randomness is not None, has_cost=True, has_gradient=True)
        now = randomness or Randomness(0, 0)
        total = np.zeros(self.count)
        with np.errstate(under="ignore"):
            for order in _orders(range(len(data)), size):
                for part in order:
                    with self.lock:
                        self._run(task, data, part[None], now)
                        total += self.read(self.gradient) * (len(part) / len(data))
            return total.astype(self.dtype)


def _learning(data: Dataset, shifts: int, distortion: Distortion | None, smoothing: float) -> Task:
    """The task of a training, without its descent."""
    return Task(
        is_training=True,
        has_cost=True,
        has_gradient=True,
        shifts=shifts,
        distortion=distortion,
        picture=data.shape if distortion else (),
        smoothing=smoothing,
    )


def _orders(images: range, size: int) -> Iterator[Array]:
    """These images in order, as mini-batches of `size`, EVALUATION_ROWS at most.

    Then those left over.
    """
    count, numbers = len(images), np.array(images, np.int64)
    whole = count // size * size
    for first in range(0, whole, EVALUATION_ROWS * size):
        stop = min(first + EVALUATION_ROWS * size, whole)
        yield numbers[first:stop].reshape(-1, size)
    if whole < count:
        yield numbers[None, whole:]
