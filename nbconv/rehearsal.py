"""The way back, rehearsed by a second process, so that two cores compile: python -m nbconv.rehearsal DESCRIPTION.

Numba compiles on one core, and a first training waits for it. While the training's own process compiles the kernels of the
way forward, this one goes the way back through the same network on zeros; what it compiles, the other finds in the cache.
"""

import json
import sys
from types import ModuleType
from typing import Any

import numpy as np

from .data import Dataset
from .layers import Randomness, Rates, from_dict
from .network import Network

SKIPPED = ("gather", "images_first", "dropout")  # and what is called forward: the other process needs them at once
IMAGES = 2


class _WayBack:
    """A backend whose way forward does nothing."""

    def __init__(self, kernels: ModuleType):
        self._kernels = kernels

    def __getattr__(self, name: str) -> Any:
        if name in SKIPPED or name.endswith("_forward"):
            return lambda *_: None
        return getattr(self._kernels, name)


def rehearse(description: str) -> None:
    """One step of training on zeros, without the way forward. description: see `Network._rehearsal`."""
    given = json.loads(description)
    network = Network([from_dict(layer) for layer in given["layers"]], given["input_shape"], **given["settings"])
    engine = network.engine
    vars(engine.recorder)["kernels"] = _WayBack(engine.kernels)
    data = Dataset(np.zeros((IMAGES, *network.input_shape)), np.zeros(IMAGES, np.int64))
    engine.step(data, np.arange(IMAGES), 1, Randomness(0, 0), Rates(*given["rates"]))


if __name__ == "__main__":
    rehearse(sys.argv[1])
