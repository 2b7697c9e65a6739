"""A network as an ONNX file, for programs that run without nbconv (the extra `onnx`).

`Network.export` and `nbconv export` write it. Importing this module raises SettingError if the
package onnx is missing.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__, files
from .activations import LINEAR, Activation
from .checks import Shape
from .engine.engine import UNCHANGED, Engine
from .errors import SettingError
from .kernels.activations import FUNCTIONS, NAMES
from .layers import Layer
from .layers.batch_norm import EPSILON, BatchNormLayer
from .layers.conv import ConvLayer
from .layers.costs import LogLikelihood
from .layers.dense import DenseLayer
from .layers.pool import AvgPoolLayer, L2PoolLayer, MaxPoolLayer

try:
    from onnx import GraphProto, NodeProto, TensorProto, checker, helper, numpy_helper
except ModuleNotFoundError as error:
    raise SettingError("onnx is not installed: expected pip install 'nbconv[onnx]'") from error

if TYPE_CHECKING:
    from .network import Network

OPSET, IR_VERSION = 13, 7  # ONNX 1.8, of 2020: old runtimes read it, too
LARGEST = 2**31 - 2**20  # bytes of parameters: an ONNX file is smaller than 2 GiB


def _convolution(layer: Any) -> dict[str, Any]:
    sizes = layer.geometry
    return {"kernel_shape": sizes.kernel, "strides": sizes.stride, "pads": 2 * sizes.padding}


def _window(layer: Any) -> dict[str, Any]:
    return {"kernel_shape": layer.geometry.size, "strides": layer.geometry.stride}


# Each layer's operator and its attributes. Its inputs are x and the layer's parameters.
OPERATORS: dict[type[Layer], tuple[str, Callable[[Any], dict[str, Any]]]] = {
    ConvLayer: ("Conv", _convolution),
    MaxPoolLayer: ("MaxPool", _window),
    L2PoolLayer: ("LpPool", lambda layer: {**_window(layer), "p": 2}),
    AvgPoolLayer: ("AveragePool", _window),
    BatchNormLayer: ("BatchNormalization", lambda layer: {"epsilon": EPSILON}),
    # alpha: by which dropout with the book's scaling multiplies all inputs outside training.
    DenseLayer: ("Gemm", lambda layer: {"transB": 1, "alpha": layer.scales[1]}),
}


def export(network: "Network", path: Path) -> None:
    """Write what the network predicts with, in float32, to an .onnx file. Raises SettingError."""
    if path.suffix.lower() != ".onnx":
        raise SettingError(f"{path} has an unknown extension: expected .onnx")
    numbers = network.engine.count + network.engine.statistics.size
    if 4 * numbers > LARGEST:
        raise SettingError(
            f"the network has {numbers:,} numbers: expected at most {LARGEST // 4:,}, as an ONNX "
            "file is smaller than 2 GiB"
        )
    model = helper.make_model(
        _graph(network),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nbconv",
        producer_version=__version__,
    )
    about = {
        "notation": network.notation,
        "cost": network.cost,
        "class_names": [network.name_of(label) for label in range(network.classes)],
        "preparation": network.preparation and network.preparation.to_dict(),
        "nbconv_version": __version__,
    }
    helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    checker.check_model(model, full_check=True)
    files.write(path, model.SerializeToString(deterministic=True))


def _graph(network: "Network") -> GraphProto:
    """From "images" to "labels" and the last layer's activations."""
    engine, shape = network.engine, network.input_shape
    parts, z = _Parts(engine), "images"
    with engine.lock:
        if (engine.read(engine.standard) != UNCHANGED).any():
            z = parts.standardised(z, shape)
        for k, (spec, layer) in enumerate(zip(network.specs, engine.layers, strict=True), 1):
            if type(layer) not in OPERATORS:
                raise SettingError(
                    f"layer {k}, {spec.notation}, has no operator in ONNX: expected nbconv's own "
                    "layers"
                )
            z = parts.layer(f"{k}.{spec.notation}", layer, z, shape)
            shape = layer.output_shape
    # The labels are those of z, as in Network.predict: activations may round to the same number.
    parts.add("ArgMax", "labels", [z], axis=1, keepdims=0)
    if isinstance(engine.cost, LogLikelihood):
        last = parts.add("Softmax", "probabilities", [z], axis=1)
    else:
        last = parts.activation(engine.cost.activation, "activations", z)
    as_float, as_label = TensorProto.FLOAT, TensorProto.INT64
    value = helper.make_tensor_value_info
    images = value("images", as_float, ["n", *network.input_shape], "values in [0, 1]")
    outputs = [value(last, as_float, ["n", *shape]), value("labels", as_label, ["n"])]
    return helper.make_graph(parts.nodes, network.notation, [images], outputs, parts.constants)


class _Parts:
    """A graph's nodes and constants, in the order in which they are computed."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(self, operator: str, output: str, inputs: list[str], **attributes: Any) -> str:
        """Add a node, and give its output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def standardised(self, images: str, shape: Shape) -> str:
        """Add what the network reads its pixels as: less their mean, over their deviation."""
        axes = (-1, 1, 1) if len(shape) == 3 else (-1,)
        mean, deviation = (
            self._constant(f"images.{name}", self.engine.standard[row].reshape(axes))
            for row, name in enumerate(("mean", "deviation"))
        )
        centred = self.add("Sub", "images.centred", [images, mean])
        return self.add("Div", "images.standardised", [centred, deviation])

    def activation(self, activation: Activation, output: str, x: str) -> str:
        """Add an activation function."""
        number, parameter = activation
        function = FUNCTIONS[NAMES[number]]
        attributes = {"alpha": parameter} if function.parameter else {}
        return self.add(function.onnx, output, [x], **attributes)

    def layer(self, name: str, layer: Layer, x: str, shape: Shape) -> str:
        """Add a layer for an input of that shape, and the activation that follows it."""
        if isinstance(layer, DenseLayer) and len(shape) == 3:
            x = self.add("Flatten", f"{name}.flat", [x])
        operator, attributes = OPERATORS[type(layer)]
        inputs = [x]
        if layer.weights_shape:
            inputs.append(self._constant(f"{name}.weights", layer.weights))
            inputs.append(self._constant(f"{name}.biases", layer.biases))
        if isinstance(layer, BatchNormLayer):
            inputs.append(self._constant(f"{name}.mean", layer.statistics[0]))
            inputs.append(self._constant(f"{name}.variance", layer.statistics[1]))
        z = self.add(operator, f"{name}.z", inputs, **attributes(layer))
        activation = getattr(layer, "activation", LINEAR)  # where build_layers has put it
        return z if activation == LINEAR else self.activation(activation, f"{name}.a", z)

    def _constant(self, name: str, array: Any) -> str:
        """Add one of the engine's arrays. Raises SettingError if float32 cannot hold it."""
        values = self.engine.read(array)
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float32)
        if not np.isfinite(rounded).all():
            raise SettingError(
                f"{name} has numbers up to {np.abs(values).max():.3g}: expected numbers that "
                "float32 can hold, in which networks are exported"
            )
        self.constants.append(numpy_helper.from_array(rounded, name))
        return name
