"""The loop over epochs and mini-batches, and everything about it that can be saved and gone on with."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..data.dataset import Dataset
from ..engine.engine import BOUND, Engine
from ..errors import DataError, DivergedError, Interrupted, SettingError
from ..layers import Distortion, Randomness, Rates
from . import monitors, schedules
from .history import History

PACE = 0.02  # seconds between two looks at signals and at progress
FLAGS = ("nesterov", "expand", "monitor_training", "monitor_layers")
SHIFTS = 5  # an image and its four copies moved by one pixel
Metrics = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """What a training is made with; two with the same settings, data and seed have the same bits."""

    epochs: int  # the last epoch's number, those before a resume counted
    mini_batch_size: int
    eta: float
    lmbda: float = 0.0
    lmbda_l1: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"
    patience: int | None = None
    expand: bool = False
    monitor_training: bool = False
    monitor_layers: bool = False
    rotate: float = 0.0  # degrees
    zoom: float = 0.0  # share
    shift: float = 0.0  # pixels
    elastic: float = 0.0  # pixels

    def __post_init__(self) -> None:
        # Plain Python numbers, whatever kind was given: a checkpoint brings back the same.
        plain = {
            "epochs": checks.count("epochs", self.epochs),
            "mini_batch_size": checks.count("mini_batch_size", self.mini_batch_size),
            "eta": checks.number("eta", self.eta, positive=True),
            "lmbda": checks.number("lmbda", self.lmbda),
            "lmbda_l1": checks.number("lmbda_l1", self.lmbda_l1),
            "momentum": checks.number("momentum", self.momentum, below=1.0),
            **{name: checks.number(name, getattr(self, name)) for name in ("shift", "elastic")},
            "rotate": checks.number("rotate", self.rotate, below=360.0),
            "zoom": checks.number("zoom", self.zoom, below=1.0),
            "patience": None if self.patience is None else checks.count("patience", self.patience),
            **{name: checks.flag(name, getattr(self, name)) for name in FLAGS},
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.nesterov and not self.momentum:
            raise SettingError(
                "nesterov is on and momentum is 0: expected a momentum greater than 0, such as 0.9"
            )
        schedules.parse(self.schedule)
        if self.expand and self.distortion:
            raise SettingError(
                "expand is on, and so is a distortion (rotate, zoom, shift, elastic): expected one of the two"
            )

    @property
    def distortion(self) -> Distortion | None:
        """How much images are distorted, if they are."""
        most = Distortion(math.radians(self.rotate), self.zoom, self.shift, self.elastic)
        return most if any(most) else None

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)


@dataclass
class Best:
    """The parameters of the epoch with the highest validation accuracy (of equal ones the first)."""

    epoch: int
    validation_accuracy: float
    test_accuracy: float
    parameters: NDArray[Any]
    data: str  # fingerprint of the validation data; accuracies on others are not compared with it


@dataclass
class State:
    """How far a network's training is: whole epochs, and mini-batches within the running one."""

    epoch: int = 0
    step: int = 0  # mini-batches in all; keys the dropout
    epoch_step: int = 0
    epoch_seconds: float = 0.0
    history: History = field(default_factory=History)
    best: Best | None = None
    settings: Settings | None = None
    begun: int = 0  # the epoch after which these settings and data came into force
    data: str = ""  # fingerprints of the training and validation data
    run: dict[str, Any] = field(
        default_factory=dict
    )  # the settings of `nbconv train`, if it was that

    def begin(self, settings: Settings, data: str) -> None:
        """Go on where the training stopped; a half epoch of other settings or data begins anew."""
        same = self.settings is not None and asdict(self.settings) | {"epochs": 0} == asdict(
            settings
        ) | {"epochs": 0}
        if not same or data != self.data:
            self.epoch_step, self.epoch_seconds = 0, 0.0
        if not same or data != self.data or self.out_of_patience(settings):
            self.begun = self.epoch
        self.settings, self.data = settings, data

    def accuracies(self) -> list[float]:
        """The validation accuracies since these settings and data are in force."""
        return list(self.history.get("validation_accuracy", []))[self.begun :]

    def out_of_patience(self, settings: Settings) -> bool:
        """Whether the last `patience` epochs brought no better validation accuracy."""
        patience = settings.patience
        return (
            patience is not None
            and schedules.epochs_without_improvement(self.accuracies()) >= patience
        )


@contextmanager
def signals() -> Iterator[Callable[[], None]]:
    """A function that raises Interrupted if SIGINT or SIGTERM has come; a second one stops at once."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received:
            raise Interrupted(number)
        received.append(number)

    def check() -> None:
        if received:
            raise Interrupted(received[0])

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of an epoch: a function of seed and epoch alone."""
    return np.random.default_rng((seed, 1, epoch)).permutation(count)


def fingerprint(train: Dataset, validation: Dataset | None) -> str:
    """Of all data that a training's course depends on."""
    return train.fingerprint + (f" {validation.fingerprint}" if validation is not None else "")


@dataclass
class Training:
    """One call of fit: a network's engine and state, the data, and whom to tell."""

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

    def __post_init__(self) -> None:
        self.validation_data = self.validation.fingerprint if self.validation is not None else ""
        self.shifts = SHIFTS if self.settings.expand else 1
        self.examples = len(self.train) * self.shifts
        self.together = 1  # mini-batches that take about PACE
        if self.settings.mini_batch_size > self.examples:
            raise SettingError(
                f"mini_batch_size is {self.settings.mini_batch_size}: expected at most the {self.examples} training images"
            )
        if (self.settings.expand or self.settings.distortion) and 1 in self.train.shape[1:]:
            raise DataError(
                "expand, rotate, zoom, shift and elastic are for pictures: expected images of (n, channels, rows, columns)"
            )

    def run(self) -> None:
        """Train until the last epoch or until there is no improvement. Raises DivergedError, Interrupted."""
        state, settings = self.state, self.settings
        state.begin(settings, fingerprint(self.train, self.validation))
        if not settings.momentum:
            self.engine.write(self.engine.velocity, 0)
        with signals() as check_signals:
            while state.epoch < settings.epochs and not state.out_of_patience(settings):
                flats = self.engine.parameters, self.engine.velocity
                sound, step = (
                    [self.engine.read(flat).copy() for flat in flats],
                    state.step - state.epoch_step,
                )
                try:
                    self._epoch(check_signals)
                    report = self._report()
                except DivergedError:
                    for flat, values in zip(flats, sound, strict=True):
                        self.engine.write(flat, values)
                    state.step = step
                    state.epoch_step, state.epoch_seconds = 0, 0.0
                    raise
                state.epoch += 1
                state.epoch_step, state.epoch_seconds = 0, 0.0
                state.history.add(report)
                self.save()
                if self.callback:
                    self.callback({"epoch": state.epoch, **report})
                try:
                    check_signals()
                except Interrupted as stop:
                    stop.saved = True
                    raise

    def _epoch(self, check_signals: Callable[[], None]) -> None:
        """The mini-batches of one epoch, or what is left of it; the last may be smaller."""
        engine, state, settings = self.engine, self.state, self.settings
        size, examples = settings.mini_batch_size, self.examples
        order = shuffled(self.seed, state.epoch, examples)
        factor = schedules.parse(settings.schedule)(settings.epochs, state.accuracies())
        if state.epoch_step == 0:
            engine.write(engine.sums, 0)
        begun = time.perf_counter() - state.epoch_seconds
        eta, decay, decay_l1 = settings.eta, settings.lmbda / examples, settings.lmbda_l1 / examples
        while (first := state.epoch_step * size) < examples:
            try:
                check_signals()
            except Interrupted as stop:
                state.epoch_seconds = time.perf_counter() - begun
                self.save()
                stop.saved = True
                raise
            # Whole mini-batches together, or the last one, which may be smaller; the epoch's first alone.
            together = max(
                1, min(self.together if state.epoch_step else 1, (examples - first) // size)
            )
            batches = order[first : first + together * size].reshape(together, -1)
            etas = np.array(
                [
                    settings.eta * factor(state.epoch + (first + k * size) / examples)
                    for k in range(together)
                ]
            )
            rates = Rates(settings.eta, decay, decay_l1, settings.momentum, settings.nesterov)
            started = time.perf_counter()
            sound = engine.descend(
                self.train,
                batches,
                Randomness(self.seed, state.step),
                rates,
                etas,
                self.shifts,
                settings.distortion,
            )
            if sound < together:
                state.epoch_step += sound
                raise self._diverged(f"the cost, {engine.read(engine.sums)[0]:.3g},", etas[sound])
            eta = etas[-1]
            if state.epoch_step == 0:
                self._check_weights(eta)
            pace = PACE / (time.perf_counter() - started)
            self.together = max(1, min(2 * self.together, int(together * pace)))
            state.step += together
            state.epoch_step += together
            if self.progress:
                self.progress(first + batches.size, examples)
        state.epoch_seconds = time.perf_counter() - begun
        self._check_weights(eta)

    def _check_weights(self, eta: float) -> None:
        largest = float(np.abs(self.engine.read(self.engine.parameters)).max())
        if not largest < BOUND:
            raise self._diverged(f"a weight, {largest:.3g},", eta)

    def _diverged(self, what: str, eta: float) -> DivergedError:
        return DivergedError(
            f"{what} is beyond all bounds in epoch {self.state.epoch + 1}, mini-batch {self.state.epoch_step + 1} "
            f"(eta {eta:g}): the training has diverged; the weights are back at the end of epoch {self.state.epoch}, "
            "try a smaller eta"
        )

    def _report(self) -> Metrics:
        """One epoch's metrics; a new best epoch's parameters are kept."""
        engine, state = self.engine, self.state
        report = {
            "seconds": state.epoch_seconds,
            "cost": engine.read(engine.sums)[0] / self.examples,
        }
        if self.settings.monitor_training:
            report |= _scores(engine, self.train, "training")
        if self.settings.monitor_layers:
            report |= monitors.report(engine, self.train[: monitors.IMAGES])
        if self.validation is not None:
            report |= _scores(engine, self.validation, "validation")
        accuracy = report.get("validation_accuracy")
        best = state.best if state.best and state.best.data == self.validation_data else None
        if accuracy is None or best is None or accuracy > best.validation_accuracy:
            if self.test is not None:
                report |= _scores(engine, self.test, "test")
            if accuracy is not None:
                test_accuracy = report.get("test_accuracy", math.nan)
                parameters = engine.read(engine.parameters).copy()
                state.best = Best(
                    state.epoch + 1, accuracy, test_accuracy, parameters, self.validation_data
                )
        elif self.test is not None:
            report |= {
                name: state.history.get(name, [math.nan])[-1]
                for name in ("test_cost", "test_accuracy")
            }
        return {name: float(value) for name, value in report.items()}


def _scores(engine: Engine, data: Dataset, name: str) -> Metrics:
    cost, correct = engine.evaluate(data)
    return {f"{name}_cost": cost / len(data), f"{name}_accuracy": correct / len(data)}
