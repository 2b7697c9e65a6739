"""What of a network stands where in its checkpoint, both ways.

/                      network: JSON with input shape, layers, cost, initialiser, dtype, seed
/layers/<index>-<name> weights, biases
/optimizer             velocity, in the same groups; eta, momentum, lmbda, schedule
/training              how far the training is, its settings as JSON, the best epoch
/best                  the best epoch's weights and biases, in the same groups
/history/<metric>      one number for each epoch
"""

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import backend as backends
from .checkpoint import Contents
from .engine import build_layers, parameter_count
from .errors import SettingError
from .history import History
from .layers import from_dict, to_dict
from .training import Best, Settings, State

if TYPE_CHECKING:
    from .network import Network

Array = NDArray[Any]


def contents_of(network: "Network") -> Contents:
    """Everything that is needed to go on with a network."""
    state, sums = network.state, network.engine.sums
    settings = asdict(state.settings) if state.settings else {}
    contents = Contents()
    contents.attributes[""]["network"] = json.dumps(
        {
            "input_shape": list(network.input_shape),
            "layers": [to_dict(spec) for spec in network.specs],
            "cost": network.cost,
            "initialiser": network.initialiser,
            "dtype": network.dtype,
            "seed": network.seed,
        }
    )
    _put(contents, network, "layers", network.engine.parameters)
    _put(contents, network, "optimizer", network.engine.velocity)
    contents.attributes["optimizer"] = {name: settings.get(name, 0.0) for name in ("eta", "momentum", "lmbda")}
    contents.attributes["optimizer"]["schedule"] = settings.get("schedule", "constant")
    contents.attributes["training"] = {
        "epoch": state.epoch,
        "step": state.step,
        "epoch_step": state.epoch_step,
        "epoch_seconds": state.epoch_seconds,
        "epoch_cost": float(sums[0]),
        "epoch_correct": float(sums[1]),
        "seed": network.seed,
        "mini_batch_size": settings.get("mini_batch_size", 0),
        "settings": json.dumps(settings),
        "data": state.data,
        "run": json.dumps(state.run),
        "best_epoch": state.best.epoch if state.best else 0,
        "best_validation_accuracy": state.best.validation_accuracy if state.best else math.nan,
        "best_test_accuracy": state.best.test_accuracy if state.best else math.nan,
    }
    if state.best:
        _put(contents, network, "best", state.best.parameters)
    contents.attributes["history"] = {"epochs": state.history.epochs}
    for metric, numbers in state.history.items():
        contents.arrays[f"history/{metric}"] = np.array(numbers, np.float64)
    return contents


def arguments_of(contents: Contents, backend: str) -> dict[str, Any]:
    """The arguments of Network for a checkpoint's contents, sized as its arrays are. Raises SettingError."""
    stored = json.loads(str(contents.attributes[""]["network"]))
    arguments = {name: stored[name] for name in ("input_shape", "cost", "seed", "dtype", "initialiser")}
    specs = [from_dict(layer) for layer in stored["layers"]]
    # Before a network of that size is made, see that the file has its numbers.
    _, kernels = backends.select(backend)
    layers = build_layers(specs, tuple(stored["input_shape"]), kernels, np.dtype(stored["dtype"]))
    found = sum(array.size for name, array in contents.arrays.items() if name.startswith("layers/"))
    if found != parameter_count(layers):
        raise SettingError(f"it has {found} parameters, expected {parameter_count(layers)}")
    return {**arguments, "layers": specs, "backend": backend}


def take(network: "Network", contents: Contents) -> None:
    """Put a checkpoint's arrays and state into the network made for them. Raises SettingError, KeyError, ValueError."""
    arrays = dict(contents.arrays)
    network.engine.parameters[...] = _flat(arrays, network, "layers")
    network.engine.velocity[...] = _flat(arrays, network, "optimizer")
    training = contents.attributes["training"]
    network.engine.sums[:] = float(training["epoch_cost"]), float(training["epoch_correct"])
    settings = json.loads(str(training["settings"]))
    best = None
    if int(training["best_epoch"]):
        scores = float(training["best_validation_accuracy"]), float(training["best_test_accuracy"])
        best = Best(int(training["best_epoch"]), *scores, _flat(arrays, network, "best"))
    network.state = State(
        epoch=int(training["epoch"]),
        step=int(training["step"]),
        epoch_step=int(training["epoch_step"]),
        epoch_seconds=float(training["epoch_seconds"]),
        history=_history(arrays, int(contents.attributes["history"]["epochs"])),
        best=best,
        settings=Settings(**settings) if settings else None,
        data=str(training["data"]),
        run=json.loads(str(training["run"])),
    )
    if arrays:
        raise SettingError(f"it has {next(iter(arrays))}, which the network does not")


def _paths(network: "Network", group: str) -> list[str]:
    return [f"{group}/{index}-{layer.name}" for index, layer in enumerate(network.engine.with_parameters)]


def _put(contents: Contents, network: "Network", group: str, flat: Array) -> None:
    for path, (weights, biases) in zip(_paths(network, group), network.engine.views(flat), strict=True):
        contents.arrays[f"{path}/weights"], contents.arrays[f"{path}/biases"] = weights, biases


def _flat(arrays: dict[str, Array], network: "Network", group: str) -> Array:
    """The flat buffer of a group, whose arrays must be exactly the network's; they are taken out of `arrays`."""
    flat = np.empty_like(network.engine.parameters)
    for path, pair in zip(_paths(network, group), network.engine.views(flat), strict=True):
        for name, target in zip(("weights", "biases"), pair, strict=True):
            array = arrays.pop(f"{path}/{name}", None)
            if array is None:
                raise SettingError(f"it lacks {path}/{name}")
            if array.shape != target.shape or array.dtype != target.dtype:
                raise SettingError(
                    f"{path}/{name} is {array.dtype} {array.shape}, expected {target.dtype} {target.shape}"
                )
            if not np.isfinite(array).all():
                raise SettingError(f"{path}/{name} has numbers that are infinite or NaN")
            target[...] = array
    return flat


def _history(arrays: dict[str, Array], epochs: int) -> History:
    metrics = {}
    for name in [name for name in arrays if name.startswith("history/")]:
        numbers = arrays.pop(name)
        if numbers.shape != (epochs,) or numbers.dtype != np.float64:
            raise SettingError(f"{name} is {numbers.dtype} {numbers.shape}, expected float64 ({epochs},)")
        metrics[name.removeprefix("history/")] = numbers.tolist()
    return History(metrics)
