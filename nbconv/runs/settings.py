"""The settings of a run: of its network and data, and of its training. See training/settings.py."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .. import activations, checks
from ..book.experiments import EXPERIMENTS
from ..checks import Checked, setting
from ..errors import SettingError
from ..names import DROPOUT_SCALINGS, DTYPES, INITIALISERS
from ..training.settings import Settings


@dataclass(frozen=True)
class NetworkSettings(Checked):
    """The settings of a run's network, and its data."""

    net: str = setting(
        "starter",
        "Layers, as 20C5-MP2-100N-10N or 784-30-10, or a network's name (below).",
        checks.text,
    )
    activation: str = setting(
        "sigmoid", f"Activation of the hidden layers: {activations.SHOWN}.", activations.check
    )
    data: str = setting(
        "digits",
        "digits, mnist, cifar10, ... or a path: a folder of pictures by class, IDX, CSV, .npz, "
        ".h5, .zip, ...",
        checks.text,
    )
    size: str | None = setting(
        None,
        "Pixels of a side to which pictures are resized, or ROWSxCOLUMNS.",
        checks.size,
    )
    channels: int | None = setting(
        None, "1: grey, 3: colours; left out, what the pictures have.", checks.channels
    )
    arrays: str | None = setting(
        None,
        "Arrays of an .npz or .h5 file by their role: train_images=NAME,train_labels=NAME,...",
        checks.text,
    )
    validation: bool = setting(
        True,
        "Set images aside for validation. Without it they are trained on, too, and the last epoch "
        "counts, not the best one.",
        checks.flag,
    )
    initialiser: str = setting(
        "auto",
        "Initial weights; auto: what suits the activation, default: the book's.",
        checks.choice,
        choices=INITIALISERS,
    )
    dtype: str = setting("float32", "Precision.", checks.choice, choices=DTYPES)
    seed: int = setting(0, "Seed of weights, order and dropout.", checks.seed)
    dropout: float = setting(
        0.0,
        "Share of the dense layers' inputs left out, in [0, 1).",
        checks.number,
        below=1.0,
    )
    dropout_scaling: str = setting(
        "inverted",
        "inverted: kept inputs are divided by 1 - dropout in training; book: all inputs are "
        "multiplied by it afterwards.",
        checks.choice,
        choices=DROPOUT_SCALINGS,
    )


@dataclass(frozen=True)
class RunSettings(Settings, NetworkSettings):
    """A run's settings, the network's first: a dataclass begins with its last base's fields."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.needs_validation and not self.validation:
            raise SettingError(
                "patience and the schedule halve look at the validation accuracy, and validation "
                "is off: expected --validation (validation = true), or neither of them"
            )


# What `net` may name: the book's experiments, and what to begin with, on any pictures.
NAMED: dict[str, dict[str, Any]] = {
    **EXPERIMENTS,
    "starter": {
        "net": "20C3p1-MP2-40C3p1-MP2-100N-N",
        "activation": "relu",
        "optimiser": "adam",
        "rotate": 10.0,
        "zoom": 0.1,
        "shift": 0.5,
    },
}
DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(RunSettings)}


def changed(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run's network and data, and those of its other settings that are not the defaults."""
    return {
        name: run[name]
        for name, default in DEFAULTS.items()
        if name in run and (name in ("net", "data") or run[name] != default)
    }
