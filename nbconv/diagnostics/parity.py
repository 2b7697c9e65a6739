"""Each layer on two backends: what `nbconv parity` shows.

Every layer gets the same inputs and the same deltas on both: the activations of the first backend's layer before it, and random
deltas. What comes out may differ by the rounding of sums that are added up in another order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import notation
from ..backend import why_not_cuda
from ..engine.probe import Probe, units
from ..errors import SettingError
from ..layers import Layer
from ..names import BACKENDS
from ..network import Network

BOUNDS = {"float32": 1e-5, "float64": 1e-13}  # of the largest difference over the largest number
Array = NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Result:
    """One array of one layer: its largest difference, over its largest number and in units of that one's last place."""

    layer: str
    array: str
    relative: float
    ulp: float


def two_backends(given: str | None) -> tuple[str, str]:
    """The backends named in "reference,cpu"; by default CPU and GPU, or reference and CPU where there is no GPU.

    Raises SettingError.
    """
    if given is None:
        return ("cpu", "cuda") if why_not_cuda() is None else ("reference", "cpu")
    one, _, other = given.partition(",")
    if one == other or not {one, other} <= set(BACKENDS) - {"auto"}:
        raise SettingError(
            f"backends is {given!r}: expected two of cpu, cuda and reference, such as reference,cpu"
        )
    return one, other


def networks(
    checkpoint: Path | None,
    net: str | None,
    activation: str,
    shape: str,
    dtype: str,
    seed: int,
    backends: tuple[str, str],
) -> tuple[Network, Network]:
    """The network of a checkpoint, or of a notation, on two backends. Raises BackendError, SettingError."""
    if checkpoint is not None:
        one, other = (Network.load(checkpoint, backend=backend) for backend in backends)
        return one, other
    sizes = shape.split("x")
    if not all(size.isdecimal() for size in sizes):
        raise SettingError(
            f"input is {shape!r}: expected channels x rows x columns, such as 1x28x28"
        )
    layers = notation.parse(net or "", activation)
    given = None if isinstance(layers[0], int) else [int(size) for size in sizes]
    one, other = (
        Network(layers, given, backend=backend, dtype=dtype, seed=seed) for backend in backends
    )
    return one, other


def compare(network: Network, other: Network, images: int, seed: int = 0) -> list[Result]:
    """Both networks' layers, forward and backward, on so many random images.

    The networks have the same layers and parameters, on different backends.
    """
    random = np.random.default_rng(seed)
    results: list[Result] = []
    x = random.random((images, *network.input_shape)).astype(network.dtype)
    both = zip(units(network.engine.layers), units(other.engine.layers), strict=True)
    for name, (unit, same) in zip(_names(network), both, strict=True):
        is_dense = len(unit[0].output_shape) == 1
        x = x.reshape(images, -1) if is_dense else np.ascontiguousarray(np.moveaxis(x, 0, -1))
        delta = random.standard_normal(_shape(unit[-1], images)).astype(network.dtype)
        ours, theirs = _forward(network, unit, x), _forward(other, same, x)
        _level(network, other, unit, same)
        ours |= _backward(network, unit, delta)
        theirs |= _backward(other, same, delta)
        results += [_result(name, array, ours[array], theirs[array]) for array in ours]
        a = ours["a"]
        x = a if is_dense else np.moveaxis(a, -1, 0)
    return results


def _names(network: Network) -> Iterator[str]:
    notations = iter(enumerate(network.specs, 1))
    for unit in units(network.engine.layers):
        parts = [next(notations) for _ in unit]
        yield f"{parts[0][0]} {'-'.join(spec.notation for _, spec in parts)}"


def _shape(layer: Layer, images: int) -> tuple[int, ...]:
    shape = layer.output_shape
    return (images, *shape) if len(shape) == 1 else (*shape, images)


def _last(
    network: Network, way: Callable[[Any, Layer], Any], values: Array, layers: list[Layer]
) -> Array:
    """What is left of values that go a way through layers."""
    return Probe(network.engine, lambda given: [reduce(way, layers, given)], values.shape).run(
        values
    )[0]


def _forward(network: Network, unit: list[Layer], x: Array) -> Arrays:
    return {"a": _last(network, lambda value, layer: layer.forward(value, None), x, unit)}


def _backward(network: Network, unit: list[Layer], delta: Array) -> Arrays:
    arrays = {
        "dC/dx": _last(
            network, lambda value, layer: layer.backward(value, None, True), delta, unit[::-1]
        )
    }
    if unit[0].weights_shape:
        gradients = unit[0].d_weights, unit[0].d_biases
        for name, gradient in zip(("dC/dw", "dC/db"), gradients, strict=True):
            arrays[name] = network.engine.read(gradient).copy()
    return arrays


def _level(network: Network, other: Network, unit: list[Layer], others: list[Layer]) -> None:
    """Let the other network go back from this one's activations and winners: where two are equal but for rounding, another wins."""
    for layer, same in zip(unit, others, strict=True):
        for name in ("a", "argmax"):
            if hasattr(layer, name):
                other.engine.write(getattr(same, name), network.engine.read(getattr(layer, name)))


def _result(layer: str, array: str, ours: Array, theirs: Array) -> Result:
    largest = float(np.abs(ours).max())
    difference = float(np.abs(np.float64(ours) - theirs.reshape(ours.shape)).max())
    last_place = float(np.spacing(np.asarray(largest, ours.dtype)))
    return Result(
        layer, array, difference / largest if largest else difference, difference / last_place
    )
