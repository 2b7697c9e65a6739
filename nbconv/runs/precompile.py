"""A training's kernels, compiled by a second process from the last to the first: nbconv.runs.precompile DESCRIPTION (child.py).

Numba compiles on one core, and a first training waits for it. The training's own process compiles from the first kernel to the
last; somewhere they meet, and each finds in the cache what the other has compiled.
"""

import json
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..data import Dataset
from ..layers import Distortion, Randomness, Rates, from_dict
from ..network import Network

IMAGES = 2


class _Compiler:
    """A backend whose programs are compiled, and do nothing."""

    def __init__(self, kernels: ModuleType):
        self._kernels = kernels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def Program(self, calls: Sequence[Any], varying: Sequence[Any]) -> Callable[..., None]:
        """Each call as a program of its own, the last one first."""
        for call in reversed(calls):
            self._kernels.Program([call], varying)
        return lambda *_: None


def precompile(description: str) -> None:
    """Plan one step of training. description: see `Network._precompile_description`."""
    given = json.loads(description)
    network = Network(
        [from_dict(layer) for layer in given["layers"]], given["input_shape"], **given["settings"]
    )
    engine, rates = network.engine, Rates(*given["rates"])
    vars(engine.recorder)["backend"] = _Compiler(engine.backend)
    data = Dataset(np.zeros((IMAGES, *network.input_shape), np.uint8), np.zeros(IMAGES, np.int64))
    distortion = Distortion(*given["distortion"]) if given["distortion"] else None
    order, etas = np.arange(IMAGES)[None], np.array([rates.eta])
    engine.descend(data, order, Randomness(0, 0), rates, etas, distortion=distortion)


if __name__ == "__main__":
    precompile(sys.argv[1])
