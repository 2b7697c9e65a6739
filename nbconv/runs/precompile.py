"""Compilation of a training's kernels in a second process, from the last kernel to the first.

Run as `nbconv.runs.precompile DESCRIPTION` (child.py). Numba compiles on one core, and a first
training waits for it. The training's process compiles from the first kernel to the last. Where the
two meet, each finds in the cache what the other has compiled. `every_kernel` compiles them all
ahead.
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
from ..notation import parse


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
    count = fields["count"]
    images = np.zeros((count, *network.input_shape), fields["images"])
    data = Dataset(images, np.zeros(count, np.int64))
    distortion = Distortion(*fields["distortion"]) if fields["distortion"] else None
    order = np.arange(count)[None]
    rates, now = np.zeros((1, len(Rates._fields))), Randomness(0, 0)
    descent = Descent(*fields["descent"])
    if fields["shards"] == 1:
        engine.descend(data, order, now, rates, descent, distortion=distortion)
    else:
        engine.shard_gradient(data, order[0], count, now, distortion=distortion)
        engine.update(rates[0], descent)
    engine.evaluate(data)  # other kernels, where batch normalisations are folded


# Small networks of 22x22 pixels that between them call every kernel of a training or prediction.
_NETWORKS = (
    "6C3-MP2-4C3-MP2-6N-3N", "4C3s2p1-4C3s2p1-MP2-6N-3N", "4C3-L2P2-AP2-6N-3N",
    "4C3-BN-MP2-6N-BN-3N",
)  # fmt: skip
_TRAININGS: tuple[dict[str, Any], ...] = (
    {"lmbda": 0.1, "monitor_layers": True},
    {"optimiser": "adam", "clip_norm": 1.0, "class_weights": "balanced", "label_smoothing": 0.1},
    {"rotate": 5, "zoom": 0.1, "shift": 1, "elastic": 1.0, "flip": True, "crop": 1},
    {"mini_batch_size": 32, "standardise": True},
)


def every_kernel() -> None:
    """Compile every kernel of the CPU, for float32."""
    labels = np.arange(64) % 3
    pixels = np.random.default_rng(0).integers(0, 256, (64, 1, 22, 22), np.uint8)
    sizes, shape = [pixels[0].size, 6, 3], pixels.shape[1:]
    networks: list[dict[str, Any]] = [
        {"layers": sizes},
        {"layers": sizes, "cost": "quadratic"},
        *({"layers": parse(text, "relu", 0.5), "input_shape": shape} for text in _NETWORKS),
    ]
    for described in networks:
        for training in _TRAININGS:
            for images in (pixels, pixels / np.float32(255)):
                network = Network(**described, backend="cpu", seed=0)
                data = Dataset(images, labels)
                network.fit(data, 1, validation=data, **{"mini_batch_size": 10, **training})
                network.predict_proba(images)
                network.predict_proba(images[:1])


if __name__ == "__main__":
    child.end_with_parent(lambda: os._exit(1))
    precompile(sys.argv[1])
