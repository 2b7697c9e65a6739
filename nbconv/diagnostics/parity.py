"""A comparison of two backends, layer by layer: `nbconv parity`.

A layer gets the same inputs and the same random deltas on both backends; the inputs are the first
backend's activations of the layer before it. The results may differ by rounding, because the
backends add up sums in different orders.
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

BOUNDS = {"float32": 1e-5, "float64": 1e-13}  # of the relative difference, see Result
Array = NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Result:
    """The largest difference between the backends in one array of one layer.

    relative: divided by the largest absolute value in the array. ulp: in units of the last place of
    that value.
    """

    layer: str
    array: str
    relative: float
    ulp: float


def two_backends(names: str | None) -> tuple[str, str]:
    """The two backends in a string such as "reference,cpu". Raises SettingError.

    The default, None, is "cpu,cuda" if CUDA is available, else "reference,cpu".
    """
    if names is None:
        return ("cpu", "cuda") if why_not_cuda() is None else ("reference", "cpu")
    one, _, other = names.partition(",")
    if one == other or not {one, other} <= set(BACKENDS) - {"auto"}:
        raise SettingError(
            f"backends is {names!r}: expected two of cpu, cuda and reference, such as reference,cpu"
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
    """A network on two backends, from a checkpoint, or else from the notation `net`.

    activation, shape ("channels x rows x columns"), dtype, seed: of the network from the notation.
    Raises BackendError, SettingError, CheckpointError.
    """
    if checkpoint is not None:
        one, other = (Network.load(checkpoint, backend=backend) for backend in backends)
        return one, other
    sizes = shape.split("x")
    if not all(size.isdecimal() for size in sizes):
        raise SettingError(
            f"input is {shape!r}: expected channels x rows x columns, such as 1x28x28"
        )
    layers = notation.parse(net or "", activation)
    input_shape = None if isinstance(layers[0], int) else [int(size) for size in sizes]
    one, other = (
        Network(layers, input_shape, backend=backend, dtype=dtype, seed=seed)
        for backend in backends
    )
    return one, other


def compare(network: Network, other: Network, images: int, seed: int = 0) -> list[Result]:
    """Compare the forward and backward passes of two networks on `images` random images.

    They are passed as while training, with dropout and the mini-batch's statistics. The networks
    have the same layers and parameters, on different backends.
    """
    random = np.random.default_rng(seed)
    results: list[Result] = []
    x = random.random((images, *network.input_shape)).astype(network.dtype)
    pairs = zip(units(network.engine.layers), units(other.engine.layers), strict=True)
    for name, (unit, other_unit) in zip(_names(network), pairs, strict=True):
        is_dense = len(unit[0].output_shape) == 1
        x = x.reshape(images, -1) if is_dense else np.ascontiguousarray(np.moveaxis(x, 0, -1))
        delta = random.standard_normal(_shape(unit[-1], images)).astype(network.dtype)
        arrays = _forward(network, unit, x)
        other_arrays = _forward(other, other_unit, x)
        _copy_activations(network, other, unit, other_unit)
        arrays |= _backward(network, unit, delta)
        other_arrays |= _backward(other, other_unit, delta)
        results += [_result(name, key, arrays[key], other_arrays[key]) for key in arrays]
        a = arrays["a"]
        x = a if is_dense else np.moveaxis(a, -1, 0)
    return results


def _names(network: Network) -> Iterator[str]:
    """The number and notation of each unit, such as "1 20C5-MP2"."""
    numbered = iter(enumerate(network.specs, 1))
    for unit in units(network.engine.layers):
        parts = [next(numbered) for _ in unit]
        yield f"{parts[0][0]} {'-'.join(spec.notation for _, spec in parts)}"


def _shape(layer: Layer, images: int) -> tuple[int, ...]:
    shape = layer.output_shape
    return (images, *shape) if len(shape) == 1 else (*shape, images)


def _apply(
    network: Network, step: Callable[[Any, Layer], Any], values: Array, layers: list[Layer]
) -> Array:
    """Apply the layers in order to `values`, each by step(values, layer), and return the result."""
    probe = Probe(network.engine, lambda x: [reduce(step, layers, x)], values.shape)
    return probe.run(values)[0]


def _forward(network: Network, unit: list[Layer], x: Array) -> Arrays:
    randomness = _randomness(network)
    return {"a": _apply(network, lambda value, layer: layer.forward(value, randomness), x, unit)}


def _randomness(network: Network) -> Array:
    """Seed and step 0, as layers take them while training."""
    return network.engine.backend.zeros((2,), np.int64)


def _backward(network: Network, unit: list[Layer], delta: Array) -> Arrays:
    """dC/dx and, if the unit has parameters, dC/dw and dC/db."""
    randomness = _randomness(network)

    def step(value: Any, layer: Layer) -> Any:
        return layer.backward(value, randomness, True)

    arrays = {"dC/dx": _apply(network, step, delta, unit[::-1])}
    if unit[0].weights_shape:
        gradients = unit[0].d_weights, unit[0].d_biases
        for name, gradient in zip(("dC/dw", "dC/db"), gradients, strict=True):
            arrays[name] = network.engine.read(gradient).copy()
    return arrays


def _copy_activations(
    network: Network, other: Network, unit: list[Layer], other_unit: list[Layer]
) -> None:
    """Copy activations and max indices to the other network, for the same backward pass.

    Rounding may decide which of two nearly equal numbers is the maximum.
    """
    for layer, other_layer in zip(unit, other_unit, strict=True):
        for name in ("a", "argmax"):
            if hasattr(layer, name):
                values = network.engine.read(getattr(layer, name))
                other.engine.write(getattr(other_layer, name), values)


def _result(layer: str, array: str, values: Array, other_values: Array) -> Result:
    """The difference between the values of an array on the two backends."""
    largest = float(np.abs(values).max())
    difference = float(np.abs(np.float64(values) - other_values.reshape(values.shape)).max())
    last_place = float(np.spacing(np.asarray(largest, values.dtype)))
    relative = difference / largest if largest else difference
    return Result(layer, array, relative, difference / last_place)
