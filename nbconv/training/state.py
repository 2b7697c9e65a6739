"""How far a network's training is: everything about it that is saved and gone on with."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from . import schedules
from .history import History
from .settings import Settings


@dataclass
class Best:
    """The parameters of the epoch with the best validation accuracy (of equal ones the first)."""

    epoch: int
    validation_accuracy: float
    test_accuracy: float
    parameters: NDArray[Any]
    statistics: NDArray[Any]  # of batch normalisations, empty without any
    data: str  # fingerprint of the validation data; accuracies on others are not compared with it


@dataclass(frozen=True)
class Average:
    """The average of the weights after so many epochs. weights: see `Engine.weights`."""

    epochs: int
    weights: dict[str, NDArray[Any]]


@dataclass
class State:
    """How far a network's training is: whole epochs, and mini-batches within the running one."""

    epoch: int = 0
    step: int = 0  # mini-batches in all; keys the dropout
    epoch_step: int = 0
    updates: int = 0  # that Adam has made, since its moments were 0
    epoch_seconds: float = 0.0
    history: History = field(default_factory=History)
    best: Best | None = None
    average: Average | None = None
    own: dict[str, NDArray[Any]] | None = None  # the training's weights, where average answers
    settings: Settings | None = None
    begun: int = 0  # the epoch after which these settings and data came into force
    data: str = ""  # fingerprints of the training and validation data
    run: dict[str, Any] = field(default_factory=dict)  # of `nbconv train`: its `RunSettings`
    warning: str = ""  # why the last fit was no better than guessing at first; it is not saved

    def copy(self) -> "State":
        """As it is now; what a training changes in its place is copied."""
        return replace(self, history=copy.deepcopy(self.history), run=dict(self.run))

    def begin(self, settings: Settings, data: str) -> None:
        """Go on where the training stopped; a half epoch of other settings or data begins anew.

        With others it is no longer the training of an `nbconv train`.
        """
        before = self.settings
        if before is None or before.ema_decay != settings.ema_decay:
            self.average = None
        same = before is not None and replace(before, epochs=settings.epochs) == settings
        if not same or data != self.data:
            self.epoch_step, self.epoch_seconds = 0, 0.0
        if not same or data != self.data or self.out_of_patience(settings):
            self.begun = self.epoch
        if before is not None and not (same and data == self.data):
            self.run = {}
        if self.run:
            self.run = {**self.run, "epochs": settings.epochs}
        self.settings, self.data = settings, data

    def begin_average_anew(self) -> None:
        """The engine has been given other weights: training goes on with them."""
        self.average, self.own = None, None

    def accuracies(self) -> list[float]:
        """The validation accuracies since these settings and data are in force."""
        return list(self.history.get("validation_accuracy", []))[self.begun :]

    @property
    def test_accuracy(self) -> float:
        """On the test images: of the best epoch; without validation images of the last one."""
        return self.best.test_accuracy if self.best else self.history["test_accuracy"][-1]

    def out_of_patience(self, settings: Settings) -> bool:
        """Whether the last `patience` epochs brought no better validation accuracy."""
        patience = settings.patience
        return (
            patience is not None
            and schedules.epochs_without_improvement(self.accuracies()) >= patience
        )
