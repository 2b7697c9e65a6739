"""The way back, rehearsed by a second process, so that two cores compile: python -m nbconv.rehearsal DESCRIPTION.

Numba compiles on one core, and a first training waits for it. While the training's own process compiles the kernels of the
way forward, this one goes the way back through the same network on zeros; what it compiles, the other finds in the cache.
"""

import json
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .data import Dataset
from .layers import Randomness, Rates, from_dict
from .network import Network

SKIPPED = ("gather", "images_first", "dropout")  # and what is called forward: the other process needs them at once
IMAGES = 2


class _WayBack:
    """A backend whose programs leave out the way forward."""

    def __init__(self, kernels: ModuleType):
        self._kernels = kernels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def Program(self, calls: Sequence[Any], varying: Sequence[Any]) -> Any:
        """What is left of a program."""
        names = [kernel.__name__ for kernel, _ in calls]
        left = [call for name, call in zip(names, calls, strict=True) if not _is_forward(name)]
        return self._kernels.Program(left, varying)


def _is_forward(name: str) -> bool:
    return name in SKIPPED or name.endswith("_forward")


def rehearse(description: str) -> None:
    """One step of training on zeros, without the way forward. description: see `Network._rehearsal`."""
    given = json.loads(description)
    network = Network([from_dict(layer) for layer in given["layers"]], given["input_shape"], **given["settings"])
    engine, rates = network.engine, Rates(*given["rates"])
    vars(engine.recorder)["kernels"] = _WayBack(engine.kernels)
    data = Dataset(np.zeros((IMAGES, *network.input_shape)), np.zeros(IMAGES, np.int64))
    engine.descend(data, np.arange(IMAGES)[None], 1, Randomness(0, 0), rates, np.array([rates.eta]))


if __name__ == "__main__":
    rehearse(sys.argv[1])
