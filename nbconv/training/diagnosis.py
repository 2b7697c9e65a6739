"""Is anything being learned? And if not, why: chapter 5's subject."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..engine.engine import Engine
from . import monitors
from .settings import Settings

AFTER_EPOCHS, AFTER_STEPS = 2, 500  # of a fit, before which a slow start is no fault
SURE_STEPS = 100  # before which nothing is a fault
WILD = 1.5  # times the cost of guessing, in an epoch's mean: no slow start
MOVED = 0.01  # of the first epoch's cost; by less it has not changed
NO_BETTER = 0.97  # of the cost of guessing
CHANCE = 1.5  # times the share of the commonest class
STUCK = 0.9  # of a layer's neurons that are dead, or of its activations that are saturated
VANISHED = 1e-3  # of another layer's speed of learning


def guessing(cost: str, shares: NDArray[np.float64], smoothing: float) -> float:
    """The least mean cost of an answer that does not look at the images.

    It is p, the mean of the smoothed labels. Equations (80), (63), (6). shares: of the classes
    among the labels, (classes,), the sum 1; where images have weights, of these.
    """
    p = (1 - smoothing) * shares + smoothing / len(shares)
    with np.errstate(divide="ignore", invalid="ignore"):
        right, other = np.nan_to_num(-p * np.log(p)), np.nan_to_num(-(1 - p) * np.log(1 - p))
    costs = {
        "log-likelihood": right.sum(),
        "cross-entropy": right.sum() + other.sum(),
        "quadratic": (1 - smoothing) ** 2 * (shares * (1 - shares)).sum() / 2,
    }
    return float(costs[cost])


class Yardstick(NamedTuple):
    """The least mean costs of two answers: one that never sees the images, one that is right."""

    guessing: float
    knowing: float

    @classmethod
    def of(cls, engine: Engine, labels: NDArray[np.int64], smoothing: float) -> "Yardstick":
        """For these labels, with the class weights that the engine has."""
        weights = engine.read(engine.class_weights)
        weighted = weights * np.bincount(labels, minlength=len(weights)) / len(labels)
        shares = weighted / weighted.sum()
        knowing = np.eye(len(weights))[shares.argmax()]  # to the bit the shares of one class alone
        costs = (guessing(engine.cost.name, one, smoothing) for one in (shares, knowing))
        return cls(*(weighted.sum() * cost for cost in costs))

    def is_better(self, cost: float) -> bool:
        """Whether a mean cost is below that of guessing."""
        return cost - self.knowing < NO_BETTER * (self.guessing - self.knowing)


def nothing_learned(
    engine: Engine,
    data: Dataset,
    settings: Settings,
    costs: Sequence[float],
    steps: int,
    accuracy: float,
) -> str:
    """A line with the likely cause if mean cost and accuracy are those of guessing; else "".

    costs: of this fit's epochs so far; steps: its mini-batches. A slow start is no fault; a cost
    far above guessing's, dead and saturated neurons are.
    """
    epochs, cost = len(costs), costs[-1]
    share = np.bincount(data.labels).max() / len(data)
    if epochs < AFTER_EPOCHS or steps < SURE_STEPS or accuracy > CHANCE * share:
        return ""
    yardstick = Yardstick.of(engine, data.labels, settings.label_smoothing)
    if yardstick.is_better(cost) or yardstick.guessing == yardstick.knowing:  # one class
        return ""
    is_wild = cost > WILD * yardstick.guessing
    measured = monitors.measure(engine, data[: monitors.IMAGES])
    stuck = _stuck(measured, settings)
    if steps < AFTER_STEPS and not (is_wild or stuck):
        return ""
    return (
        f"After {epochs} epochs the network is no better than guessing: cost {cost:.3g}, and "
        f"{yardstick.guessing:.3g} by the labels' frequencies alone. "
        f"{stuck or _cause(measured, settings, costs if is_wild else None)}"
    )


def _stuck(measured: Mapping[str, float], settings: Settings) -> str:
    """Dead or saturated neurons, and the setting to change; "" if there are few."""
    for metric, share in measured.items():
        kind, _, layer = metric.rpartition("_")
        if kind == "dead" and share >= STUCK:
            return (
                f"{100 * share:.0f} % of the ReLUs of layer {layer} are dead, 0 for every image: "
                f"try a smaller eta than {settings.eta:g}, and the initialiser auto or he"
            )
        if kind == "saturated" and share >= STUCK:
            return (
                f"{100 * share:.0f} % of the neurons of layer {layer} are saturated: try a smaller "
                f"eta than {settings.eta:g}, and the initialiser auto"
            )
    return ""


def _cause(measured: Mapping[str, float], settings: Settings, wild: Sequence[float] | None) -> str:
    """What else keeps it from learning, and the setting to change.

    wild: the epochs' costs, if they are far above guessing's.
    """
    speeds = [value for metric, value in measured.items() if metric.startswith("speed_")]
    slowest, fastest = int(np.argmin(speeds)), int(np.argmax(speeds))
    if speeds[slowest] < VANISHED * speeds[-1]:
        times = speeds[-1] / speeds[slowest] if speeds[slowest] else math.inf
        return (
            f"The gradient vanishes: layer {slowest + 1} learns {times:,.0f} times as slowly as "
            "the last one; try the activation relu, the optimiser adam, or fewer layers"
        )
    if speeds[-1] < VANISHED * speeds[fastest]:
        return (
            f"The gradient explodes: layer {fastest + 1} learns "
            f"{speeds[fastest] / speeds[-1]:,.0f} times as fast as the last one; try the "
            "initialiser auto, a smaller eta or clip_norm"
        )
    if wild and abs(wild[-1] - wild[0]) < MOVED * wild[0]:
        clipped = ", or a larger clip_norm" if settings.clip_norm else ""
        return (
            "The cost is far above that and does not move: try a larger eta than "
            f"{settings.eta:g}{clipped}"
        )
    if wild and wild[-1] < wild[0]:
        return (
            "The cost is far above that and falls: train for more epochs; or try a larger eta than "
            f"{settings.eta:g}, or a smaller one if it goes up and down"
        )
    if wild:
        return f"The cost is far above that: try a smaller eta than {settings.eta:g}"
    return (
        f"Try another eta: a smaller one than {settings.eta:g} if the cost goes up and down, a "
        "larger one if it does not move (--find-eta, find_eta); or the optimiser adam"
    )
