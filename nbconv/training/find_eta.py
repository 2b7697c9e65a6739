"""A good eta, found by short trainings."""

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.dataset import Dataset
from ..errors import DivergedError, SettingError
from .diagnosis import NO_BETTER, guessing

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
    of_guessing, _ = guessing(network.cost, sample.labels, network.classes)
    for epochs in EPOCHS:
        costs = np.array(
            [
                _cost(network, sample, epochs, mini_batch_size, eta, {**settings, **share})
                for eta in ETAS
            ]
        )
        if costs.min() < NO_BETTER * of_guessing:
            break
    if not math.isfinite(costs.min()):
        raise SettingError(
            f"the training diverges with every eta from {ETAS[0]:g} to {ETAS[-1]:g}: expected "
            "data and settings with which the network learns"
        )
    bound = costs.min() + NEAR * max(0.0, float(costs[0]) - costs.min())
    eta = float(f"{ETAS[int(np.argmax(costs <= bound))]:.2g}")
    return {"eta": eta, "etas": ETAS.copy(), "costs": costs}


def _cost(
    network: "Network",
    sample: Dataset,
    epochs: int,
    mini_batch_size: int,
    eta: float,
    settings: dict[str, Any],
) -> float:
    """The mean cost in the last epoch of a copy's training; infinite if it diverges."""
    try:
        trial = copy.deepcopy(network)
        return float(trial.fit(sample, epochs, mini_batch_size, float(eta), **settings)["cost"][-1])
    except DivergedError:
        return math.inf
