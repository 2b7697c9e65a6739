"""Measurements inside a network: activations, speeds of learning, saturated and dead neurons.

A unit is a layer, or a convolution together with the max pooling that is fused into it.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..activations import LINEAR
from ..checks import Shape
from ..data.dataset import Dataset, Images
from ..data.stores import Store
from ..engine.engine import Engine
from ..engine.probe import Probe, units
from ..kernels.activations import RELU, SIGMOID, TANH
from ..layers.conv import ConvLayer
from ..layers.dense import DenseLayer

IMAGES = 1000  # training images measured after each epoch; the book's number (chapter 5)
BATCH = 64  # images
SATURATED = 0.05  # a neuron is saturated where its slope is below this share of the largest slope
NORMS = ("speed", "gradient_norm", "weight_norm")
Array = NDArray[Any]


class _Hidden(NamedTuple):
    """A hidden layer whose neurons can be saturated or dead.

    metric: its name, such as "dead_1". unit: the index of its unit. slope(a): sigma'(z) at
    a = sigma(z), relative to the largest sigma'(z).
    """

    metric: str
    unit: int
    slope: Callable[[Array], Array]


def _forward(engine: Engine, each_layer: bool, a: Array) -> list[Array]:
    """The activations of every unit; each_layer: before them, those that it pools."""
    outputs = list[Array]()
    for unit in units(engine.layers):
        if isinstance(unit[0], DenseLayer) and a.ndim == 4:
            neurons = engine.backend.zeros((a.shape[3], unit[0].fans[0]), engine.dtype)
            engine.recorder.kernels.images_first(neurons, a.reshape(-1, a.shape[3]))
            a = neurons
        if each_layer and isinstance(unit[0], ConvLayer) and len(unit) > 1:
            outputs.append(unit[0].before_pooling(a))
        for layer in unit:
            a = layer.forward(a, None)
        outputs.append(a)
    engine.cost.activate(engine.recorder.kernels, a)
    return outputs


def _batches(engine: Engine, store: Store, each_layer: bool = False) -> Iterator[list[Array]]:
    """What `_forward` gives for each batch of BATCH images, images first."""
    is_flat = isinstance(engine.layers[0], DenseLayer)
    probes = dict[Shape, Probe]()
    for first in range(0, store.shape[0], BATCH):
        x = engine.standardised(Images(store)[first : first + BATCH])
        x = x.reshape(len(x), -1) if is_flat else np.ascontiguousarray(np.moveaxis(x, 0, -1))
        with engine.lock:
            if x.shape not in probes:
                probes[x.shape] = Probe(engine, partial(_forward, engine, each_layer), x.shape)
            outputs = probes[x.shape].run(x)
        yield [np.moveaxis(a, -1, 0) if a.ndim == 4 else a for a in outputs]


def activations(engine: Engine, store: Store, each_layer: bool) -> list[Array]:
    """The activations of each unit or layer: (n, channels, rows, columns) or (n, neurons)."""
    batches = _batches(engine, store, each_layer)
    return [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]


def _hidden(engine: Engine) -> list[_Hidden]:
    """The hidden layers with sigmoid, tanh or ReLU neurons."""
    kinds: dict[int, tuple[str, Callable[[Array], Array]]] = {
        SIGMOID: ("saturated", lambda a: 4 * a * (1 - a)),
        TANH: ("saturated", lambda a: 1 - a * a),
        RELU: ("dead", lambda a: a > 0),
    }
    weighted = [
        (index, unit) for index, unit in enumerate(units(engine.layers)) if unit[0].weights_shape
    ]
    hidden = []
    for k, (index, unit) in enumerate(weighted[:-1], 1):
        number, _ = getattr(unit[-1], "activation", LINEAR)
        if number in kinds:
            kind, slope = kinds[number]
            hidden.append(_Hidden(f"{kind}_{k}", index, slope))
    return hidden


def names(engine: Engine) -> list[str]:
    """The names of the metrics that `measure` returns."""
    norms = [f"{name}_{k}" for k in range(1, len(engine.with_parameters) + 1) for name in NORMS]
    return norms + [layer.metric for layer in _hidden(engine)]


def measure(engine: Engine, data: Dataset) -> dict[str, float]:
    """The metrics of each layer with parameters, k = 1 being the first: see `Network.monitor`."""
    metrics: dict[str, float] = {}
    with engine.lock:
        gradients = engine.views(engine.mean_gradient(data))
        parameters = engine.views(engine.read(engine.parameters))
        for k, ((dw, db), (w, _)) in enumerate(zip(gradients, parameters, strict=True), 1):
            for name, array in zip(NORMS, (db, dw, w), strict=True):
                # Not numpy.linalg.norm: it uses BLAS, whose threads keep spinning.
                squares = np.square(array, dtype=np.float64).sum()
                metrics[f"{name}_{k}"] = math.sqrt(squares)
    return metrics | _stuck(engine, data)


def _stuck(engine: Engine, data: Dataset) -> dict[str, float]:
    """The share of saturated activations, or of dead neurons, in each hidden layer.

    A feature map counts as one neuron: its neurons share their weights.
    """
    hidden = _hidden(engine)
    shares = dict[str, float]()
    dead = dict[str, Any]()
    for outputs in _batches(engine, data.store):
        for metric, unit, slope in hidden:
            is_stuck = slope(outputs[unit]) < SATURATED
            share = float(is_stuck.mean()) * len(is_stuck) / len(data)
            shares[metric] = shares.get(metric, 0.0) + share
            is_dead = is_stuck.all(axis=(0, *range(2, is_stuck.ndim)))
            dead[metric] = dead.get(metric, True) & is_dead
    return {
        metric: float(dead[metric].mean()) if metric.startswith("dead") else share
        for metric, share in shares.items()
    }
