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


def guessing(cost: str, labels: NDArray[np.int64], classes: int) -> tuple[float, float]:
    """(the least cost, the largest accuracy) of an answer that does not look at the images.

    It gives each class the share p that it has among the labels. Equations (80), (63), (6).
    """
    p = np.bincount(labels, minlength=classes) / len(labels)
    with np.errstate(divide="ignore", invalid="ignore"):
        right, other = np.nan_to_num(-p * np.log(p)), np.nan_to_num(-(1 - p) * np.log(1 - p))
    costs = {
        "log-likelihood": right.sum(),
        "cross-entropy": right.sum() + other.sum(),
        "quadratic": (p * (1 - p)).sum() / 2,
    }
    return float(costs[cost]), float(p.max())


def nothing_learned(
    engine: Engine, data: Dataset, settings: Settings, epochs: int, cost: float, accuracy: float
) -> str:
    """A line with the likely cause if mean cost and accuracy are those of guessing; else ""."""
    classes = engine.shapes[-1][1][0]
    of_guessing, share = guessing(engine.cost.name, data.labels, classes)
    if share == 1 or cost < NO_BETTER * of_guessing or accuracy > CHANCE * share:
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
                f"{100 * share:.0f} % of the ReLUs of layer {layer} are dead, 0 for every image: "
                f"try a smaller eta than {settings.eta:g}, and the initialiser auto or he"
            )
        if kind == "saturated" and share >= STUCK:
            return (
                f"{100 * share:.0f} % of the neurons of layer {layer} are saturated: try a smaller "
                f"eta than {settings.eta:g}, and the initialiser auto"
            )
    speeds = [value for metric, value in measured.items() if metric.startswith("speed_")]
    if len(speeds) > 1 and speeds[0] < VANISHED * speeds[-1]:
        slower = speeds[-1] / speeds[0] if speeds[0] else math.inf
        return (
            f"The gradient vanishes: layer 1 learns {slower:,.0f} times as slowly as the last one; "
            "try the activation relu, or fewer layers"
        )
    return (
        f"Try another eta: a smaller one than {settings.eta:g} if the cost goes up and down, a "
        "larger one if it does not move; or the activation relu"
    )
