"""Layers: what a user writes (`Conv2D(20, 5)`), and the `Layer` with buffers made from it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

import numpy as np

from .. import checks
from ..checks import Shape
from ..errors import SettingError
from .base import Distortion, Layer, LayerSpec, Randomness, Rates, Workspace
from .batch_norm import BatchNorm
from .conv import Conv2D
from .dense import Dense, Softmax
from .pool import AvgPool2D, L2Pool2D, MaxPool2D, Pool2D

__all__ = [
    "AvgPool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Distortion",
    "L2Pool2D",
    "Layer",
    "LayerSpec",
    "MaxPool2D",
    "Pool2D",
    "Randomness",
    "Rates",
    "Softmax",
    "Workspace",
    "from_dict",
    "given_layers",
    "register_layer",
    "to_dict",
]

Spec = TypeVar("Spec", bound=LayerSpec)
LAYERS: dict[str, type[LayerSpec]] = {
    kind.__name__: kind
    for kind in (Conv2D, MaxPool2D, L2Pool2D, AvgPool2D, BatchNorm, Dense, Softmax)
}


def to_dict(spec: LayerSpec) -> dict[str, Any]:
    """A layer as JSON: its kind and its settings."""
    return {"layer": type(spec).__name__, **asdict(spec)}


def register_layer(kind: type[Spec]) -> type[Spec]:
    """Make a layer known by its class name, so that checkpoints with it can be loaded.

    a class decorator. kind: a frozen dataclass derived from `LayerSpec`, whose fields are its
    settings. Raises SettingError if another class has that name already.
    """
    if not issubclass(kind, LayerSpec) or not is_dataclass(kind):
        raise SettingError(
            f"{kind!r} is registered as a layer: expected a dataclass derived from LayerSpec"
        )
    known = LAYERS.setdefault(kind.__name__, kind)
    if (known.__module__, known.__qualname__) != (kind.__module__, kind.__qualname__):
        raise SettingError(
            f"a layer {kind.__name__} is registered already ({known.__module__}): expected another "
            "name"
        )
    LAYERS[kind.__name__] = (
        kind  # a module that is run again, as in a notebook, brings its class anew
    )
    return kind


def from_dict(settings: dict[str, Any]) -> LayerSpec:
    """The inverse of `to_dict`. Raises SettingError for anything that is not a layer."""
    settings = dict(settings)
    kind = settings.pop("layer", None)
    if kind not in LAYERS:
        raise SettingError(
            f"layer is {kind!r}: expected one of {', '.join(LAYERS)}; "
            "import the module that registers it first (nbconv.register_layer)"
        )
    try:
        return LAYERS[kind](**settings)
    except TypeError as error:
        raise SettingError(f"layer {kind} has the settings {sorted(settings)}: {error}") from error


def given_layers(layers: Any, input_shape: Any) -> tuple[list[LayerSpec], Shape]:
    """Layers and input shape as given by a user, checked."""
    if isinstance(layers, (str, LayerSpec)) or not isinstance(layers, Sequence) or not layers:
        raise SettingError(
            f"layers are {layers!r}: expected a list of layers, or of sizes such as [784, 30, 10]"
        )
    if all(not isinstance(layer, LayerSpec) for layer in layers):
        sizes = [checks.count("a layer's size", size) for size in layers]
        if len(sizes) < 2:
            raise SettingError(
                f"layers are {layers!r}: expected the number of inputs and at least one layer"
            )
        if input_shape is None:
            input_shape = sizes[0]
        layers = [Dense(size) for size in sizes[1:]]
        if math.prod(_given_shape(input_shape)) != sizes[0]:
            raise SettingError(
                f"input_shape is {input_shape!r}: expected {sizes[0]} inputs, as layers say"
            )
    for index, layer in enumerate(layers):
        if not isinstance(layer, LayerSpec):
            raise SettingError(
                f"layer {index + 1} is {layer!r}: expected a layer such as nbconv.Dense(10)"
            )
    if input_shape is None:
        raise SettingError(
            "input_shape was not given: expected (channels, rows, columns) or (pixels,)"
        )
    return list(layers), _given_shape(input_shape)


def _given_shape(given: Any) -> Shape:
    """An input shape as given by a user: a number, or any sequence of them. Raises SettingError."""
    if isinstance(given, np.ndarray):
        given = given.tolist()
    shape = tuple(given) if isinstance(given, Sequence) else (given,)
    if len(shape) not in (1, 3):
        raise SettingError(
            f"input_shape is {given!r}: expected (channels, rows, columns) or (pixels,)"
        )
    return tuple(checks.count("a part of input_shape", size) for size in shape)
