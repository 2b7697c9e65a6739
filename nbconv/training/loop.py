"""The loop over epochs and mini-batches."""

import hashlib
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..data.dataset import Dataset
from ..data.stores import chunks
from ..engine.engine import UNCHANGED, Engine
from ..engine.plan import DIVERGED
from ..errors import DataError, DivergedError, Interrupted, SettingError, say
from ..layers import Randomness
from . import average, diagnosis, monitors, optimisers, schedules, standard
from .order import Reader, shuffled
from .ranks import Ranks
from .settings import Settings
from .shards import Shards
from .signals import signals
from .state import Average, Best, State

PACE = 0.02  # seconds between two looks at signals and at progress
LARGE = 2**30  # bytes of images, beyond which reading them at random is slow
SHIFTS = 5  # an image and its four copies moved by one pixel
Metrics = dict[str, float]


def fingerprint(train: Dataset, validation: Dataset | None, shuffle_chunks: int) -> str:
    """Of all data that a training's course depends on. shuffle_chunks: the setting."""
    names = [train.fingerprint]
    if validation is not None:
        names.append(validation.fingerprint)
    if shuffle_chunks:
        names.append(f"{zlib.crc32(chunks(train.store).data):08x}")  # of where chunks begin
    return " ".join(names)


def weights_of_classes(
    given: str | None, labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """The factor of each class's costs, (classes,). given: the setting class_weights.

    "balanced": n / (K n_c), n_c of the n images being of class c, and K the number of classes that
    have any; 0 for the others. So the images' mean is 1. Raises SettingError.
    """
    if given is None:
        return np.ones(classes)
    counts = np.bincount(labels, minlength=classes)
    if given == "balanced":
        present = counts > 0
        return np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
    weights = np.array(given.split(","), np.float64)
    if len(weights) != classes:
        raise SettingError(
            f"class_weights is {given:.80}, numbers for {len(weights)} classes: expected balanced, "
            f"or one for each of the network's {classes} classes"
        )
    if not weights[counts > 0].any():
        raise SettingError(
            f"class_weights is {given:.80}, and of the classes with a weight there are no training "
            "images: expected a weight greater than 0 for one that has images"
        )
    return weights


@dataclass
class Training:
    """One call of fit: a network's engine and state, the data, and whom to tell.

    save, callback, progress: of rank 0.
    """

    engine: Engine
    state: State
    seed: int
    settings: Settings
    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    save: Callable[[], None]
    callback: Callable[[Metrics], None] | None
    progress: Callable[[int, int], None] | None
    ranks: Ranks

    def __post_init__(self) -> None:
        self.shards: Shards | None = None
        if self.settings.shards > 1 or self.ranks.size > 1:
            self.shards = Shards(self.engine, self.settings.shards, self.ranks)
        self.validation_data = self.validation.fingerprint if self.validation is not None else ""
        self.shifts = SHIFTS if self.settings.expand else 1
        self.examples = len(self.train) * self.shifts
        self.reader = Reader(
            self.train,
            self.shifts,
            self.settings.shuffle_chunks,
            self.settings.mini_batch_size,
            self.settings.shards,
            self.shards.mine if self.shards else range(1),
        )
        assert self.settings.eta is not None  # see optimisers.with_eta
        self.eta = self.settings.eta
        self.together = 1  # mini-batches that take about PACE
        self.best_tested: Metrics | None = None  # the best epoch's scores on the test data
        self.restored = ""  # how the weights are after a divergence
        classes = len(self.engine.read(self.engine.class_weights))
        given = self.settings.class_weights
        self.class_weights = weights_of_classes(given, self.train.labels, classes)
        size = math.prod(self.train.store.shape) * self.train.store.dtype.itemsize
        is_array = isinstance(self.train.store, np.ndarray)
        if not (is_array or self.settings.shuffle_chunks) and size > LARGE and self.ranks.is_first:
            say(
                f"the training images, {size / 1e9:.1f} GB, stay in their file, and every "
                "mini-batch reads from all of it: with shuffle_chunks 64 a chunk is read once or "
                "twice an epoch"
            )
        if self.settings.mini_batch_size > self.examples:
            raise SettingError(
                f"mini_batch_size is {self.settings.mini_batch_size}: expected at most the "
                f"{self.examples} training images"
            )
        before = self.state.settings
        if before and self.state.step and before.standardise != self.settings.standardise:
            now, then = ("on", "off") if self.settings.standardise else ("off", "on")
            raise SettingError(
                f"standardise is {now}, and the network was trained with it {then}: expected it "
                f"{then}, as the weights are for such inputs, or a new network"
            )
        for layer in self.engine.with_statistics:
            if self.settings.mini_batch_size * math.prod(layer.output_shape[1:]) == 1:
                raise SettingError(
                    "mini_batch_size is 1: expected at least 2, as a BN layer normalises each "
                    "neuron over the images of the mini-batch"
                )
        if (self.settings.expand or self.settings.distortion) and 1 in self.train.shape[1:]:
            raise DataError(
                "expand, rotate, zoom, shift, elastic, flip and crop are for pictures: expected "
                "images of (n, channels, rows, columns)"
            )
        _, rows, columns = self.train.shape
        for name in ("shift", "elastic", "crop"):  # farther away there is no picture
            pixels = getattr(self.settings, name)
            if pixels >= min(rows, columns):
                raise SettingError(
                    f"{name} is {pixels:g}: expected less than {min(rows, columns)}, as the "
                    f"pictures are {rows}x{columns}"
                )

    def run(self) -> None:
        """Train until the last epoch or until there is no improvement.

        Raises DivergedError, Interrupted.
        """
        with self.engine.turns.step():
            average.hide(self.engine, self.state)
        try:
            self._run()
        finally:
            with self.engine.turns.step():
                average.show(self.engine, self.state)

    def _run(self) -> None:
        engine, state, settings = self.engine, self.state, self.settings
        if not state.step:  # what the network reads is settled by its first training
            channels = self.engine.pixels[0]
            self.engine.standardise(
                standard.of_channels(self.train.store, channels)
                if settings.standardise
                else UNCHANGED
            )
        data = fingerprint(self.train, self.validation, settings.shuffle_chunks)
        is_half = state.epoch_step > 0
        with engine.turns.step():
            state.begin(settings, data)
            state.warning = ""
            engine.write(engine.class_weights, self.class_weights)
            self._begin_optimiser()
        begun, steps = state.epoch, state.step
        if self.ranks.size > 1:
            self.ranks.compare(self._course())
        with signals() as signal_number:
            if self.shards:
                self.shards.signal = signal_number
            while state.epoch < settings.epochs and not state.out_of_patience(settings):
                with engine.turns.step():
                    average.hide(engine, state)
                    before, updates = engine.learned(), state.updates
                    place = state.step, state.epoch_step, state.epoch_seconds
                end = f"at the end of epoch {state.epoch}"
                self.restored = "as they were before this fit" if is_half else end
                try:
                    engine.seconds.clear()
                    self._epoch(signal_number)
                    with engine.turns.step():
                        threads, report = self._finish_epoch(begun, steps)
                except DivergedError as error:
                    with engine.turns.step():
                        engine.learn(before)
                        state.updates = updates
                        state.step, state.epoch_step, state.epoch_seconds = place
                    self.ranks.everywhere(error)
                    raise
                is_half = False
                self._save()
                if self.callback and self.ranks.is_first:
                    self.callback({"epoch": state.epoch, **report, "threads": float(threads)})
                if number := max(self.ranks.each(signal_number())):
                    raise self.ranks.everywhere(Interrupted(number, saved=True))

    def _finish_epoch(self, begun: int, steps: int) -> tuple[int, Metrics]:
        """The threads that did most of an epoch, and its metrics, which go into the history.

        begun, steps: epochs and mini-batches before this fit.
        """
        engine, state = self.engine, self.state
        threads = engine.busiest()
        averaged = average.with_epoch(state.average, engine, self.settings.ema_decay)
        report = self._report(averaged)
        state.average, state.epoch = averaged, state.epoch + 1
        state.epoch_step, state.epoch_seconds = 0, 0.0
        state.history.add(report, threads)
        if not state.warning:
            costs = list(state.history["cost"])[begun - state.epoch :]
            state.warning = self._diagnosis(costs, state.step - steps)
        average.show(engine, state)
        return threads, report

    def _save(self) -> None:
        """Save, on rank 0; where it fails, it fails on all."""
        with self.ranks.agreeing():
            if self.ranks.is_first:
                self.save()

    def _course(self) -> dict[str, Any]:
        """What decides the training's course, and has to be the same on all ranks."""
        engine, state = self.engine, self.state
        learned = hashlib.sha256()
        for values in engine.learned().values():
            learned.update(values.data)
        settings, size = self.settings, self.settings.mini_batch_size
        shard = shuffled(self.seed, state.epoch, self.examples)[: size // settings.shards]
        how = self.shifts, settings.distortion, settings.label_smoothing
        engine.shard_gradient(self.train, shard, size, Randomness(self.seed, state.step), *how)
        gradient = hashlib.sha256(engine.read(engine.gradient).data).hexdigest()
        return {
            "nbconv": __version__,
            **{name.replace("_", " "): value for name, value in settings.to_dict().items()},
            "the seed": self.seed,
            "training data with the fingerprint": self.train.fingerprint,
            "validation data with the fingerprint": self.validation_data,
            "test data with the fingerprint": self.test.fingerprint if self.test else "",
            "finished epochs": state.epoch,
            "finished mini-batches": state.step,
            "weights with the fingerprint": learned.hexdigest()[:16],
            "another processor or library, by the first gradient's fingerprint": gradient[:16],
        }

    def _begin_optimiser(self) -> None:
        """Forget what another optimiser has kept, and what plain descent does not use."""
        engine, state, is_adam = self.engine, self.state, self.settings.optimiser != "sgd"
        if is_adam == (state.updates > 0) and (is_adam or self.settings.momentum):
            return
        engine.write(engine.velocity, 0)
        if is_adam or state.updates:
            engine.write(engine.second_moment, 0)
        state.updates = 0

    def _diagnosis(self, costs: list[float], steps: int) -> str:
        """A line, which is also logged, if the epoch was no better than guessing; else ""."""
        accuracy = float(self.engine.read(self.engine.sums)[1]) / self.examples
        line = diagnosis.nothing_learned(
            self.engine, self.train, self.settings, costs, steps, accuracy
        )
        if line and self.ranks.is_first:
            say(line)
        return line

    def _epoch(self, signal_number: Callable[[], int]) -> None:
        """The mini-batches of one epoch, or what is left of it; the last may be smaller."""
        engine, state, settings = self.engine, self.state, self.settings
        size, examples = settings.mini_batch_size, self.examples
        self.reader.begin(self.seed, state.epoch)
        schedule = schedules.parse(settings.schedule)
        factor = schedule(settings.epochs - state.begun, state.accuracies())
        if state.epoch_step == 0:
            engine.write(engine.sums, 0)
        begun = time.perf_counter() - state.epoch_seconds
        eta = self.eta
        while (first := state.epoch_step * size) < examples:
            if number := self.shards.stop if self.shards else signal_number():
                state.epoch_seconds = time.perf_counter() - begun
                self._save()
                raise self.ranks.everywhere(Interrupted(number, saved=True))
            # Whole mini-batches together, or the last one, which may be smaller; the epoch's first
            # alone.
            stretch, at = self.reader.at(first)
            left = (len(stretch.order) - at) // size
            together = max(1, min(self.together if state.epoch_step else 1, left))
            batches = stretch.order[at : at + together * size].reshape(together, -1)
            etas = [self._eta(factor, first + k * size) for k in range(together)]
            with engine.turns.step():
                started = time.perf_counter()
                finite = (self.shards or engine).descend(
                    stretch.data,
                    batches,
                    Randomness(self.seed, state.step),
                    optimisers.rates(settings, etas, examples, state.updates),
                    optimisers.descent(settings),
                    self.shifts,
                    settings.distortion,
                    settings.label_smoothing,
                )
                if finite < together:
                    state.epoch_step += finite
                    raise self._diverged(
                        f"the cost, {engine.read(engine.sums)[0]:.3g},", etas[finite]
                    )
                eta = etas[-1]
                if state.epoch_step == 0:
                    self._check_weights(eta)
                if not self.shards:  # a mini-batch of shards is one message, and a look at signals
                    pace = PACE / (time.perf_counter() - started)
                    self.together = max(1, min(2 * self.together, int(together * pace)))
                state.step += together
                state.updates += together if settings.optimiser != "sgd" else 0
                state.epoch_step += together
            if self.progress and self.ranks.is_first:
                self.progress(first + batches.size, examples)
        state.epoch_seconds = time.perf_counter() - begun
        self._check_weights(eta)

    def _eta(self, factor: schedules.Factor, done: int) -> float:
        """Of the mini-batch that begins after `done` images of the epoch."""
        settings, state = self.settings, self.state
        epochs = state.epoch - state.begun + done / self.examples
        risen = (
            min(1.0, (epochs + settings.mini_batch_size / self.examples) / settings.warm_up)
            if settings.warm_up
            else 1.0
        )
        return self.eta * factor(epochs) * risen

    def _check_weights(self, eta: float) -> None:
        largest = float(np.abs(self.engine.read(self.engine.parameters)).max())
        if not largest < DIVERGED:
            raise self._diverged(f"a weight, {largest:.3g},", eta)

    def _diverged(self, what: str, eta: float) -> DivergedError:
        others = "lmbda", "lmbda_l1", "class_weights"
        too_large = [name for name in others if getattr(self.settings, name)]
        return DivergedError(
            f"{what} is beyond all bounds in epoch {self.state.epoch + 1}, mini-batch "
            f"{self.state.epoch_step + 1} "
            f"(eta {eta:g}): the training has diverged; the weights are back {self.restored}, "
            f"try a smaller {' or '.join(['eta', *too_large])}"
        )

    def _report(self, averaged: Average | None) -> Metrics:
        """One epoch's metrics; a new best epoch's weights are kept.

        averaged: the average of the weights, which is evaluated in their place.
        """
        engine, state, settings = self.engine, self.state, self.settings
        report = {
            "seconds": state.epoch_seconds,
            "cost": engine.read(engine.sums)[0] / self.examples,
        }
        layers = Metrics()
        if settings.monitor_layers:
            layers = monitors.measure(engine, self.train[: monitors.IMAGES])
        with average.using(engine, averaged):
            if settings.monitor_training:
                report |= self._scores(self.train, "training")
            report |= layers
            if self.validation is not None:
                report |= self._scores(self.validation, "validation")
            report |= self._tested(report.get("validation_accuracy"))
        return {name: float(value) for name, value in report.items()}

    def _tested(self, accuracy: float | None) -> Metrics:
        """Scores on the test data: the epoch's, if its validation accuracy is the best, and kept.

        Else those of the best epoch. Without validation data no epoch is the best any more.
        """
        engine, state = self.engine, self.state
        if accuracy is None:
            state.best = None
        best = state.best if state.best and state.best.data == self.validation_data else None
        if accuracy is None or best is None or accuracy > best.validation_accuracy:
            report = self._scores(self.test, "test") if self.test is not None else Metrics()
            if accuracy is not None:
                self.best_tested = report
                state.best = Best(
                    state.epoch + 1,
                    accuracy,
                    report.get("test_accuracy", math.nan),
                    **engine.weights(),
                    data=self.validation_data,
                )
            return report
        if self.best_tested is None and self.test is not None:  # of an earlier fit
            with average.using(
                engine,
                Average(0, {"parameters": best.parameters, "statistics": best.statistics}),
            ):
                self.best_tested = self._scores(self.test, "test")
        return self.best_tested or Metrics()

    def _scores(self, data: Dataset, name: str) -> Metrics:
        cost, correct = (self.shards or self.engine).evaluate(data)
        return {f"{name}_cost": cost / len(data), f"{name}_accuracy": correct / len(data)}
