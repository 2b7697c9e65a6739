"""Layers: what a user writes (`Conv2D(20, 5)`), and what a network makes of it (a `Layer` with buffers)."""

from dataclasses import asdict
from typing import Any

from ..errors import SettingError
from .base import ACTIVATIONS, Layer, LayerSpec, Randomness, Rates, Update, Workspace
from .conv import Conv2D
from .dense import Dense, Softmax
from .pool import AvgPool2D, L2Pool2D, MaxPool2D

__all__ = [
    "ACTIVATIONS",
    "AvgPool2D",
    "Conv2D",
    "Dense",
    "L2Pool2D",
    "Layer",
    "LayerSpec",
    "MaxPool2D",
    "Randomness",
    "Rates",
    "Softmax",
    "Update",
    "Workspace",
    "from_dict",
    "to_dict",
]

LAYERS: dict[str, type[LayerSpec]] = {
    kind.__name__: kind for kind in (Conv2D, MaxPool2D, L2Pool2D, AvgPool2D, Dense, Softmax)
}


def to_dict(spec: LayerSpec) -> dict[str, Any]:
    """A layer as JSON: its kind and its settings."""
    return {"layer": type(spec).__name__, **asdict(spec)}


def from_dict(settings: dict[str, Any]) -> LayerSpec:
    """The way back of `to_dict`. Raises SettingError for anything that is no layer."""
    settings = dict(settings)
    kind = settings.pop("layer", None)
    if kind not in LAYERS:
        raise SettingError(f"layer is {kind!r}: expected one of {', '.join(LAYERS)}")
    try:
        return LAYERS[kind](**settings)
    except TypeError as error:
        raise SettingError(f"layer {kind} has the settings {sorted(settings)}: {error}") from error
