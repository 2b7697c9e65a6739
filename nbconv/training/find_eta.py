"""A good eta, found by short trainings."""

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset
from ..errors import DivergedError, SettingError
from .diagnosis import Yardstick

if TYPE_CHECKING:
    from ..network import Network

ETAS = 10.0 ** np.arange(-5, 1.75, 0.25)
MINI_BATCHES, IMAGES = 100, 3_000  # of a short training: so many at least, or the whole data set
EPOCHS = (1, 3, 9)  # more, as long as no eta is better than guessing
NEAR = 0.1  # of the way that the best eta's cost has come down


def find_eta(
    network: "Network", train: Dataset, mini_batch_size: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """See `Network.find_eta`."""
    count = min(len(train), max(MINI_BATCHES * mini_batch_size, IMAGES))
    chosen = np.random.default_rng((network.seed, 2)).permutation(len(train))[:count]
    sample = train.select(np.sort(chosen))
    share = {  # these are divided by the number of images
        name: settings[name] * count / len(train)
        for name in ("lmbda", "lmbda_l1")
        if name in settings
    }
    for epochs in EPOCHS:
        trials = [
            _trial(network, sample, epochs, mini_batch_size, eta, {**settings, **share})
            for eta in ETAS
        ]
        costs = np.array([cost for cost, _ in trials])
        if any(is_better for _, is_better in trials):
            break
    if not math.isfinite(costs.min()):
        raise SettingError(
            f"the training diverges with every eta from {ETAS[0]:g} to {ETAS[-1]:g}: expected "
            "data and settings with which the network learns"
        )
    bound = costs.min() + NEAR * max(0.0, float(costs[0]) - costs.min())
    eta = float(f"{ETAS[int(np.argmax(costs <= bound))]:.2g}")
    return {"eta": eta, "etas": ETAS.copy(), "costs": costs}


def _trial(
    network: "Network",
    sample: Dataset,
    epochs: int,
    mini_batch_size: int,
    eta: float,
    settings: dict[str, Any],
) -> tuple[float, bool]:
    """A copy's training: the mean cost in its last epoch, and whether it is better than guessing.

    The cost is infinite if it diverges.
    """
    trial = copy.deepcopy(network)
    try:
        history = trial.fit(sample, epochs, mini_batch_size, float(eta), verbose=False, **settings)
    except DivergedError:
        return math.inf, False
    cost, smoothing = history["cost"][-1], settings.get("label_smoothing", 0.0)
    return cost, Yardstick.of(trial.engine, sample.labels, smoothing).is_better(cost)
