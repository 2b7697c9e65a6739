"""Compilation of a training's kernels in a second process, from the last kernel to the first.

Run as `nbconv.runs.precompile DESCRIPTION` (child.py). Numba compiles on one core, and a first
training waits for it. The training's process compiles from the first kernel to the last. Where the
two meet, each finds in the cache what the other has compiled.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from .. import child
from ..data import Dataset
from ..engine.plan import Descent
from ..kernels.interface import Backend
from ..layers import Distortion, Randomness, Rates, from_dict
from ..network import Network

IMAGES = 2


class _Compiler:
    """A backend whose programs are compiled but never run."""

    def __init__(self, kernels: Backend):
        self._kernels = kernels

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernels, name)

    def Program(self, calls: Sequence[Any], varying: Sequence[Any]) -> Callable[..., None]:
        """Compile each call as a separate program, the last one first."""
        for call in reversed(calls):
            self._kernels.Program([call], varying)
        return lambda *_, **__: None


def precompile(description: str) -> None:
    """Plan one step of training. description: JSON, see `Network._precompile_description`."""
    fields = json.loads(description)
    layers = [from_dict(layer) for layer in fields["layers"]]
    network = Network(layers, fields["input_shape"], **fields["settings"])
    engine = network.engine
    engine.recorder.backend = cast(Backend, _Compiler(engine.backend))
    images = np.zeros((IMAGES, *network.input_shape), np.uint8)
    data = Dataset(images, np.zeros(IMAGES, np.int64))
    distortion = Distortion(*fields["distortion"]) if fields["distortion"] else None
    order = np.arange(IMAGES)[None]
    rates, now = np.zeros((1, len(Rates._fields))), Randomness(0, 0)
    descent = Descent(*fields["descent"])
    if fields["shards"] == 1:
        engine.descend(data, order, now, rates, descent, distortion=distortion)
    else:
        engine.shard_gradient(data, order[0], IMAGES, now, distortion=distortion)
        engine.update(rates[0], descent)


if __name__ == "__main__":
    child.end_with_parent(lambda: os._exit(1))
    precompile(sys.argv[1])
