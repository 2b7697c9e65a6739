"""What of a network stands where in its checkpoint, both ways.

/                      network: JSON with input shape, layers, cost, initialiser, dtype, seed
/layers/<index>-<name> weights, biases
/optimizer             velocity, in the same groups, unless it is 0; eta, momentum, lmbda, schedule
/training              how far the training is, its settings as JSON, the best epoch
/second_moment         Adam's, in the same groups; updates that it has made
/best                  the best epoch's weights and biases, in the same groups
/unaveraged            the training's own weights, where layers are their average (ema_decay),
                       and how many epochs are in that; /unaveraged_statistics
/input                 mean and deviation of each channel, if the network standardises its inputs
/statistics            running mean and variance of batch normalisations, in the same groups
/best_statistics       the best epoch's
/pictures              class names and what the training images have in common, as JSON
/history/<metric>      one number for each epoch

What comes back is checked in three steps: each value where it is used, how far the training is by
its own sense, and at the end that the network would be saved under the very names, with the very
values, that were read.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import backend as backends
from ..data.labels import check_class_names
from ..data.preparation import Preparation
from ..errors import BackendError, CheckpointError, SettingError
from ..files import one_line
from ..layers import from_dict, to_dict
from ..layers.build import build_layers, parameter_count
from ..layers.recorder import Recorder
from ..training import monitors
from ..training.history import History
from ..training.settings import Settings
from ..training.state import Average, Best, State
from .contents import OBJECTS, Contents

if TYPE_CHECKING:
    from ..network import Network

Array = NDArray[Any]
STATISTICS = ("statistics", "best_statistics", "unaveraged_statistics")  # groups
STANDARD = ("mean", "deviation")  # arrays


def contents_of(network: "Network") -> Contents:
    """Everything that is needed to go on with a network.

    Raises CheckpointError for what could not be loaded again.
    """
    try:
        _check_state(network)
        return _contents(network)
    except (SettingError, TypeError, ValueError) as error:
        raise CheckpointError(
            "the network cannot be saved, and a file that was there is as it was: "
            f"{one_line(error)}"
        ) from error


def _contents(network: "Network") -> Contents:
    state, engine = network.state, network.engine
    sums = engine.read(engine.sums)
    settings = asdict(state.settings) if state.settings else {}
    contents = Contents()
    contents.attributes[""]["network"] = _json(
        {
            "input_shape": list(network.input_shape),
            "layers": [to_dict(spec) for spec in network.specs],
            "cost": network.cost,
            "initialiser": network.initialiser,
            "dtype": network.dtype,
            "seed": network.seed,
        }
    )

    def own(name: str) -> Array:
        """The training's own "parameters" or "statistics"."""
        return state.own[name] if state.own else engine.read(getattr(engine, name))

    def answering(name: str) -> Array:
        """Those with which the network predicts."""
        return state.average.weights[name] if state.average else own(name)

    _put(contents, network, "layers", answering("parameters"))
    velocity = engine.read(engine.velocity)
    if velocity.view(np.uint8).any():
        _put(contents, network, "optimizer", velocity)
    contents.attributes["optimizer"] = {
        name: float(settings.get(name, 0.0)) for name in ("eta", "momentum", "lmbda")
    }
    contents.attributes["optimizer"]["schedule"] = str(settings.get("schedule", "constant"))
    if state.updates:
        _put(contents, network, "second_moment", engine.read(engine.second_moment))
        contents.attributes["second_moment"] = {"updates": state.updates}
    contents.attributes["training"] = {
        "epoch": state.epoch,
        "step": state.step,
        "epoch_step": state.epoch_step,
        "begun": state.begun,
        "epoch_seconds": float(state.epoch_seconds),
        "epoch_cost": float(sums[0]) if state.epoch_step else 0.0,
        "epoch_correct": float(sums[1]) if state.epoch_step else 0.0,
        "seed": network.seed,
        "mini_batch_size": int(settings.get("mini_batch_size", 0)),
        "settings": _json(settings),
        "data": state.data,
        "run": _json(state.run),
        "best_epoch": state.best.epoch if state.best else 0,
        "best_data": state.best.data if state.best else "",
        "best_validation_accuracy": float(state.best.validation_accuracy)
        if state.best
        else math.nan,
        "best_test_accuracy": float(state.best.test_accuracy) if state.best else math.nan,
    }
    _put(contents, network, "statistics", answering("statistics"))
    if state.average:
        _put(contents, network, "unaveraged", own("parameters"))
        _put(contents, network, "unaveraged_statistics", own("statistics"))
        contents.attributes["unaveraged"] = {"epochs": state.average.epochs}
    if settings.get("standardise"):
        standard = engine.read(engine.standard)
        contents.arrays |= {f"input/{name}": standard[k].copy() for k, name in enumerate(STANDARD)}
    if state.best:
        _put(contents, network, "best", state.best.parameters)
        _put(contents, network, "best_statistics", state.best.statistics)
    if network.preparation is not None:
        contents.attributes["pictures"] = {
            "class_names": _json(network.class_names),
            "preparation": _json(network.preparation.to_dict()),
        }
    contents.attributes["history"] = {"epochs": state.history.epochs}
    for metric, numbers in state.history.items():
        contents.arrays[f"history/{metric}"] = np.array(numbers, np.float64)
    return contents


@contextmanager
def _refused() -> Iterator[None]:
    """Whatever goes wrong with values that nobody has vouched for is one line of a SettingError."""
    try:
        yield
    except BackendError:
        raise
    except Exception as error:
        raise SettingError(one_line(error)) from error


def arguments_of(contents: Contents, backend: str) -> dict[str, Any]:
    """The arguments of Network for a checkpoint's contents, sized as its arrays are.

    Raises SettingError.
    """
    with _refused():
        stored = json.loads(str(contents.attributes[""]["network"]))
        arguments = {
            name: stored[name] for name in ("input_shape", "cost", "seed", "dtype", "initialiser")
        }
        if not 0 < len(stored["layers"]) <= OBJECTS:
            raise SettingError(f"it has {len(stored['layers'])} layers, expected 1 to {OBJECTS}")
        specs = [from_dict(layer) for layer in stored["layers"]]
        # Before a network of that size is made, see that the file has its numbers; their type plays
        # no part in it.
        _, kernels = backends.select(backend)
        layers = build_layers(
            specs, tuple(stored["input_shape"]), Recorder(kernels), np.dtype(np.float32)
        )
        found = sum(
            array.size for name, array in contents.arrays.items() if name.startswith("layers/")
        )
        if found != parameter_count(layers):
            raise SettingError(f"it has {found} parameters, expected {parameter_count(layers)}")
        return {**arguments, "layers": specs, "backend": backend}


def take(network: "Network", contents: Contents) -> None:
    """Put a checkpoint's arrays and state into the network made for them. Raises SettingError."""
    with _refused():
        engine = network.engine
        engine.write(engine.parameters, _flat(contents.arrays, network, "layers"))
        engine.write(engine.statistics, _flat(contents.arrays, network, "statistics"))
        if any(name.startswith("optimizer/") for name in contents.arrays):
            engine.write(engine.velocity, _flat(contents.arrays, network, "optimizer"))
        updates = int(contents.attributes.get("second_moment", {}).get("updates", 0))
        if updates:
            values = _flat(contents.arrays, network, "second_moment")
            engine.write(engine.second_moment, values)
        training = contents.attributes["training"]
        engine.write(engine.sums, (float(training["epoch_cost"]), float(training["epoch_correct"])))
        settings, run = json.loads(str(training["settings"])), json.loads(str(training["run"]))
        best = None
        if int(training["best_epoch"]):
            scores = (
                float(training["best_validation_accuracy"]),
                float(training["best_test_accuracy"]),
            )
            best = Best(
                int(training["best_epoch"]),
                *scores,
                _flat(contents.arrays, network, "best"),
                _flat(contents.arrays, network, "best_statistics"),
                str(training["best_data"]),
            )
        average, own = None, None
        if "unaveraged" in contents.attributes:
            epochs = int(contents.attributes["unaveraged"]["epochs"])
            average = Average(epochs, engine.weights())
            own = {
                "parameters": _flat(contents.arrays, network, "unaveraged"),
                "statistics": _flat(contents.arrays, network, "unaveraged_statistics"),
            }
        network.state = State(
            epoch=int(training["epoch"]),
            step=int(training["step"]),
            epoch_step=int(training["epoch_step"]),
            updates=updates,
            begun=int(training["begun"]),
            epoch_seconds=float(training["epoch_seconds"]),
            history=_history(contents, monitors.names(engine)),
            best=best,
            average=average,
            own=own,
            settings=Settings(**settings) if settings else None,
            data=str(training["data"]),
            run=run,
        )
        if network.state.settings and network.state.settings.standardise:
            engine.standardise(_standard(contents.arrays, network))
        if "pictures" in contents.attributes:
            about = contents.attributes["pictures"]
            network.class_names = check_class_names(json.loads(str(about["class_names"])))
            network.preparation = Preparation.from_dict(json.loads(str(about["preparation"])))
        _check_state(network)
        _check_again(contents, _contents(network))


def _check_state(network: "Network") -> None:
    """Raise SettingError for a training that cannot be so far."""
    state = network.state
    if state.epoch != state.history.epochs:
        raise SettingError(
            f"it is at epoch {state.epoch} and has a history of {state.history.epochs}"
        )
    if not 0 <= state.begun <= state.epoch:
        raise SettingError(
            f"its settings came into force after epoch {state.begun} of {state.epoch}"
        )
    if not 0 <= state.epoch_step <= state.step < 2**62 or (state.epoch_step and not state.settings):
        raise SettingError(
            f"it is at mini-batch {state.epoch_step} of an epoch and {state.step} in all"
        )
    if not 0 <= state.updates <= state.step:
        raise SettingError(f"Adam has made {state.updates} updates in {state.step} mini-batches")
    if state.average:
        decay = state.settings.ema_decay if state.settings else 0.0
        if not decay or not 0 < state.average.epochs <= state.epoch:
            raise SettingError(
                f"its weights are an average with ema_decay {decay:g} of "
                f"{state.average.epochs} of {state.epoch} epochs"
            )
    if state.best:
        best = state.best
        if not 0 < best.epoch <= state.epoch:
            raise SettingError(f"its best epoch is {best.epoch} of {state.epoch}")
        for name, found in (("validation", best.validation_accuracy), ("test", best.test_accuracy)):
            expected = state.history.get(f"{name}_accuracy", [math.nan] * state.epoch)[
                best.epoch - 1
            ]
            if not np.array_equal(found, expected, equal_nan=True):
                raise SettingError(
                    f"its best {name} accuracy is {found}, expected {expected} as in its history"
                )
    sums = network.engine.read(network.engine.sums)
    if state.epoch_step and not np.isfinite(sums).all():
        raise SettingError(
            f"its epoch's cost and right answers are {sums.tolist()}, expected finite ones"
        )
    if not math.isfinite(state.epoch_seconds) or not isinstance(state.run, dict):
        raise SettingError(
            f"its epoch took {state.epoch_seconds} s, or its run is no table of settings"
        )


def _check_again(contents: Contents, again: Contents) -> None:
    """Raise SettingError unless a network that was read would be saved as it was read."""
    for name in sorted(contents.names() ^ again.names()):
        raise SettingError(
            f"it lacks {name!r}" if name in again.names() else f"{name!r} is no part of it"
        )
    for group, attributes in again.attributes.items():
        for name, value in attributes.items():
            found = contents.attributes[group][name]
            # JSON may be written in other ways, and lack a setting that has come since.
            if name not in ("network", "settings") and repr(found) != repr(value):
                raise SettingError(f"{group}@{name} is {found!r}, expected {value!r}")


def _json(value: Any) -> str:
    return json.dumps(value, default=np.generic.item)


def _views(network: "Network", group: str, flat: Array) -> Iterator[tuple[str, Array]]:
    """The path of each array of a group, and its view of the group's flat buffer."""
    engine = network.engine
    names = ("mean", "variance") if group in STATISTICS else ("weights", "biases")
    layers = engine.with_statistics if group in STATISTICS else engine.with_parameters
    views: Sequence[Iterable[Array]] = (
        engine.statistics_views(flat) if group in STATISTICS else engine.views(flat)
    )
    for layer, arrays in zip(layers, views, strict=True):
        index = engine.with_parameters.index(layer)
        for name, array in zip(names, arrays, strict=True):
            yield f"{group}/{index}-{layer.name}/{name}", array


def _put(contents: Contents, network: "Network", group: str, flat: Array) -> None:
    for path, array in _views(network, group, flat):
        if not np.isfinite(array).all():
            raise SettingError(f"{path} has numbers that are infinite or NaN")
        contents.arrays[path] = array


def _flat(arrays: dict[str, Array], network: "Network", group: str) -> Array:
    """The flat buffer of a group, whose arrays must be exactly the network's."""
    engine = network.engine
    size = engine.statistics.size if group in STATISTICS else engine.count
    flat = np.empty(size, network.dtype)
    for path, target in _views(network, group, flat):
        array = arrays[path]
        if array.shape != target.shape or array.dtype != target.dtype:
            raise SettingError(
                f"{path} is {array.dtype} {array.shape}, expected {target.dtype} {target.shape}"
            )
        if path.endswith("/variance") and (array < 0).any():
            raise SettingError(f"{path} has negative numbers")
        target[...] = array
    return flat


def _standard(arrays: dict[str, Array], network: "Network") -> Array:
    """What the inputs are standardised with: see the kernel `gather`."""
    engine = network.engine
    mean, deviation = (arrays[f"input/{name}"] for name in STANDARD)
    for name, array in zip(STANDARD, (mean, deviation), strict=True):
        if array.shape != engine.standard.shape[1:] or array.dtype != engine.dtype:
            raise SettingError(
                f"input/{name} is {array.dtype} {array.shape}, expected {engine.dtype} "
                f"{tuple(engine.standard.shape[1:])}"
            )
    if not ((mean >= 0) & (mean <= 1) & (deviation > 0) & (deviation <= 1)).all():
        raise SettingError(
            f"input has the means {mean.tolist()} and deviations {deviation.tolist()}, expected "
            "those of pixels in [0, 1]"
        )
    return np.stack([mean, deviation])


def _history(contents: Contents, of_layers: list[str]) -> History:
    epochs, metrics = int(contents.attributes["history"]["epochs"]), {}
    for path, numbers in contents.arrays.items():
        if path.startswith("history/"):
            if numbers.shape != (epochs,) or numbers.dtype != np.float64:
                raise SettingError(
                    f"{path!r} is {numbers.dtype} {numbers.shape}, expected float64 ({epochs},)"
                )
            metrics[path.removeprefix("history/")] = numbers.tolist()
    expected = {"seconds", "cost"}
    for data in ("training", "validation", "test"):
        if any(name.startswith(f"{data}_") for name in metrics):
            expected |= {f"{data}_cost", f"{data}_accuracy"}
    if not metrics.keys().isdisjoint(of_layers):
        expected |= set(of_layers)
    if metrics and metrics.keys() != expected:
        raise SettingError(
            f"its history has the metrics {sorted(metrics)}, expected {sorted(expected)}"
        )
    return History(metrics)
