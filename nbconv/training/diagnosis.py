"""Is anything being learned? And if not, why: chapter 5's subject."""

import math

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..engine.engine import Engine
from . import monitors
from .settings import Settings

AFTER_EPOCHS, AFTER_STEPS = 2, 500  # of a fit, before which a slow start is no fault
NO_BETTER = 0.97  # of the cost of guessing
CHANCE = 1.5  # times the share of the commonest class
STUCK = 0.9  # of a layer's neurons that are dead, or of its activations that are saturated
VANISHED = 1e-3  # of the last layer's speed of learning


def is_due(epochs: int, steps: int) -> bool:
    """Whether a fit is so far that something should have been learned. steps: mini-batches."""
    return epochs >= AFTER_EPOCHS and steps >= AFTER_STEPS


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


def nothing_learned(
    engine: Engine, data: Dataset, settings: Settings, epochs: int, cost: float, accuracy: float
) -> str:
    """A line if the epoch's mean cost and accuracy are those of guessing, with the likely cause; else ""."""
    weights = engine.read(engine.class_weights)
    frequencies = np.bincount(data.labels, minlength=len(weights)) / len(data)
    mean_weight = (weights * frequencies).sum()
    shares, knowing = weights * frequencies / mean_weight, np.eye(len(weights))[0]
    of_guessing, of_knowing = (
        mean_weight * guessing(engine.cost.name, one, settings.label_smoothing)
        for one in (shares, knowing)
    )
    is_better = cost - of_knowing < NO_BETTER * (of_guessing - of_knowing)
    if shares.max() == 1 or is_better or accuracy > CHANCE * frequencies.max():
        return ""
    return (
        f"After {epochs} epochs the network is no better than guessing: cost {cost:.3g}, and "
        f"{of_guessing:.3g} by the labels' frequencies alone. {_cause(engine, data, settings)}"
    )


def _cause(engine: Engine, data: Dataset, settings: Settings) -> str:
    """The likely cause, and the setting to change."""
    measured = monitors.measure(engine, data[: monitors.IMAGES])
    for metric, share in measured.items():
        kind, _, layer = metric.rpartition("_")
        if kind == "dead" and share >= STUCK:
            return (
                f"{100 * share:.0f} % of the ReLUs of layer {layer} are dead, 0 for every image: try a "
                f"smaller eta than {settings.eta:g}, and the initialiser auto or he"
            )
        if kind == "saturated" and share >= STUCK:
            return (
                f"{100 * share:.0f} % of the neurons of layer {layer} are saturated: try a smaller eta "
                f"than {settings.eta:g}, and the initialiser auto"
            )
    speeds = [value for metric, value in measured.items() if metric.startswith("speed_")]
    if len(speeds) > 1 and speeds[0] < VANISHED * speeds[-1]:
        slower = speeds[-1] / speeds[0] if speeds[0] else math.inf
        return (
            f"The gradient vanishes: layer 1 learns {slower:,.0f} times as slowly as the last one; try "
            "the activation relu, or fewer layers"
        )
    return (
        f"Try another eta: a smaller one than {settings.eta:g} if the cost goes up and down, a larger "
        "one if it does not move; or the activation relu"
    )
