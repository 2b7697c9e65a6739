"""What goes on inside a network: its activations, how fast each layer learns, and which of its neurons cannot.

A unit is a layer, or a convolution together with the max pooling that is a part of it.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset, Images, Store
from ..engine.engine import SAMPLE, Engine
from ..layers import Layer
from ..layers.dense import DenseLayer
from ..layers.geometry import Shape

IMAGES = 1000  # of the training data, the book's number (chapter 5)
FLAT = 0.05  # of the largest slope: below it a neuron is saturated
EVERY = ("speed", "gradient_norm", "weight_norm")
Array = NDArray[Any]


def units(layers: list[Layer]) -> list[list[Layer]]:
    """The layers, a convolution together with the max pooling that is a part of it."""
    found: list[list[Layer]] = []
    for layer in layers:
        if getattr(layer, "is_part", False):
            found[-1].append(layer)
        else:
            found.append([layer])
    return found


class Probe:
    """A way through layers, planned for values of one shape: `way` takes an array, and gives those that are wanted."""

    def __init__(self, engine: Engine, way: Callable[[Array], list[Array]], shape: Shape):
        self._engine = engine
        self._given = engine.backend.zeros(shape, engine.dtype)
        self._wanted = list[Array]()
        self._program = engine.recorder.program(lambda: self._wanted.extend(way(self._given)))

    def go(self, values: Array) -> list[Array]:
        """What becomes of these values, as copies."""
        self._engine.write(self._given, values)
        self._program(1)
        return [self._engine.read(array).copy() for array in self._wanted]


def _forward(engine: Engine, a: Array) -> list[Array]:
    """Each unit's activations, the last layer's among them."""
    found, recorder = list[Array](), engine.recorder
    for unit in units(engine.layers):
        if isinstance(unit[0], DenseLayer) and a.ndim == 4:
            neurons = recorder.backend.zeros((a.shape[3], unit[0].fans[0]), engine.dtype)
            recorder.images_first(neurons, a.reshape(-1, a.shape[3]))
            a = neurons
        for layer in unit:
            a = layer.forward(a, None)
        found.append(a)
    engine.cost.activate(recorder, a)
    return found


def _parts(engine: Engine, store: Store) -> Iterator[list[Array]]:
    """The activations of SAMPLE images at a time, images first."""
    is_flat, ways = isinstance(engine.layers[0], DenseLayer), dict[Shape, Probe]()
    for first in range(0, store.shape[0], SAMPLE):
        x = Images(store)[first : first + SAMPLE].astype(engine.dtype, copy=False)
        x = x.reshape(len(x), -1) if is_flat else np.ascontiguousarray(np.moveaxis(x, 0, -1))
        with engine.lock:
            if x.shape not in ways:
                ways[x.shape] = Probe(engine, partial(_forward, engine), x.shape)
            found = ways[x.shape].go(x)
        yield [np.moveaxis(a, -1, 0) if a.ndim == 4 else a for a in found]


def activations(engine: Engine, store: Store) -> list[Array]:
    """Each unit's activations: (n, channels, rows, columns) or (n, neurons)."""
    return [np.concatenate(parts) for parts in zip(*_parts(engine, store), strict=True)]


def _hidden(engine: Engine) -> list[tuple[str, int, Callable[[Array], Array]]]:
    """(metric of the neurons that cannot learn, place of the unit, slope) of the hidden layers that have such neurons.

    slope(a): sigma'(z) where a = sigma(z), over the largest that it can be.
    """
    kernels = engine.backend
    kinds: dict[int, tuple[str, Callable[[Array], Array]]] = {
        kernels.SIGMOID: ("saturated", lambda a: 4 * a * (1 - a)),
        kernels.TANH: ("saturated", lambda a: 1 - a * a),
        kernels.RELU: ("dead", lambda a: a > 0),
    }
    weighted = [
        (place, unit) for place, unit in enumerate(units(engine.layers)) if unit[0].weights_shape
    ]
    found = []
    for k, (place, unit) in enumerate(weighted[:-1], 1):
        metric, slope = kinds.get(
            getattr(unit[-1], "activation", kernels.LINEAR), ("", np.ones_like)
        )
        if metric:
            found.append((f"{metric}_{k}", place, slope))
    return found


def names(engine: Engine) -> list[str]:
    """The metrics of `report`."""
    every = [f"{name}_{k}" for k in range(1, len(engine.with_parameters) + 1) for name in EVERY]
    return every + [metric for metric, _, _ in _hidden(engine)]


def report(engine: Engine, data: Dataset) -> dict[str, float]:
    """How each layer with parameters stands, k = 1 being the first: see `Network.monitor`."""
    found: dict[str, float] = {}
    with engine.lock:
        gradients, parameters = engine.mean_gradient(data), engine.read(engine.parameters)
        for k, ((dw, db), (w, _)) in enumerate(
            zip(engine.views(gradients), engine.views(parameters), strict=True), 1
        ):
            for name, array in zip(EVERY, (db, dw, w), strict=True):
                found[f"{name}_{k}"] = math.sqrt(
                    np.square(array, dtype=np.float64).sum()
                )  # no BLAS, whose threads spin
    return found | _stuck(engine, data)


def _stuck(engine: Engine, data: Dataset) -> dict[str, float]:
    """The shares of activations that are saturated, and of neurons (feature maps, whose neurons learn as one) that are dead."""
    hidden, shares, dead = _hidden(engine), dict[str, float](), dict[str, Any]()
    for parts in _parts(engine, data.store):
        for metric, place, slope in hidden:
            is_flat = slope(parts[place]) < FLAT
            shares[metric] = shares.get(metric, 0.0) + float(is_flat.mean()) * len(is_flat) / len(
                data
            )
            dead[metric] = dead.get(metric, True) & is_flat.all(axis=(0, *range(2, is_flat.ndim)))
    return {
        metric: float(dead[metric].mean()) if metric.startswith("dead") else share
        for metric, share in shares.items()
    }
