"""A network as one HTML page on which it can be tried: it computes in the browser, offline.

The page is made of the files beside this one. Its mathematics is network.js, loop for loop as
kernels/reference has it; prepare.js and ink.js make pictures like the training images, as
data/preparation.py does.
"""

import base64
import hashlib
import json
import math
import os
from dataclasses import asdict
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import activations, inputs
from ..checks import Shape, show
from ..data.dataset import Dataset
from ..data.levels import BYTE
from ..errors import SettingError
from ..files import write
from ..kernels.activations import NAMES
from ..layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    L2Pool2D,
    Layer,
    LayerSpec,
    MaxPool2D,
    Pool2D,
    Softmax,
)
from ..layers.batch_norm import EPSILON
from ..layers.conv import ConvLayer
from ..network import Network

Array = NDArray[Any]
SCRIPTS = (
    "network.js", "picture.js", "ink.js", "prepare.js", "maps.js", "views.js", "neuron.js",
    "learning.js", "page.js",
)  # fmt: skip
POOLS: dict[type[LayerSpec], tuple[str, str]] = {
    MaxPool2D: ("max", "max pooling"),
    L2Pool2D: ("l2", "L2 pooling"),
    AvgPool2D: ("average", "average pooling"),
}
MOST_PARAMETERS = 5_000_000
MOST_PRODUCTS = 50_000_000  # of a weight and an activation, for one picture
MOST_EXAMPLES = 10


def save(network: Network, path: str | os.PathLike[str], examples: Dataset | None = None) -> None:
    """Write the page atomically to an .html file.

    examples: a data set, of which one image of each class, up to ten, goes into the page. Raises
    SettingError for a network that the page cannot show, and if the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{path} has an unknown extension: expected .html")
    write(path, page(network, examples).encode())


def page(network: Network, examples: Dataset | None = None) -> str:
    """The page as text. examples: as for `save`. Raises SettingError."""
    folder = Path(__file__).parent
    template, style, *scripts = (
        (folder / name).read_text(encoding="utf-8") for name in ("page.html", "page.css", *SCRIPTS)
    )
    script = "\n".join(scripts)
    described = json.dumps(_described(network, examples), separators=(",", ":"))
    count = f"{network.engine.count:,} parameters, cost {network.cost}, {network.dtype}"
    return Template(template).substitute(
        title=escape(network.notation),
        about=f"{count}. All of it runs in this page: nothing is sent, and no network is needed.",
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        network=described.replace("<", "\\u003c"),  # nothing in it can end its element
    )


def _hash(text: str) -> str:
    """What a content security policy allows a script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _described(network: Network, examples: Dataset | None) -> dict[str, Any]:
    """The network as page.js reads it."""
    if network.picture_shape[0] not in (1, 3):
        raise SettingError(
            f"the network takes pictures of {show(network.picture_shape)}: expected 1 or 3 "
            "channels, which the page can show"
        )
    _check_size(network)
    mean, deviation = network.engine.read(network.engine.standard).tolist()
    return {
        "standard": {"mean": mean, "deviation": deviation},
        "layers": _layers(network),
        "cost": network.cost,
        "dtype": network.dtype,
        "classNames": [network.name_of(label) for label in range(network.classes)],
        "pictureShape": network.picture_shape,
        "preparation": asdict(network.preparation) if network.preparation else None,
        "examples": [] if examples is None else _examples(network, examples),
    }


def _check_size(network: Network) -> None:
    """Raise SettingError for a network that is too large for a page."""
    products = 0
    for layer in network.engine.layers:
        positions = math.prod(layer.output_shape[1:])
        products += math.prod(layer.weights_shape or (0,)) * positions
    for value, most, what in (
        (network.engine.count, MOST_PARAMETERS, "parameters"),
        (products, MOST_PRODUCTS, "products of weights and activations a picture"),
    ):
        if value > most:
            raise SettingError(
                f"the network has {value:,} {what}: expected at most {most:,} for a page that "
                "answers while one draws; nbconv report shows larger ones"
            )


def _layers(network: Network) -> list[dict[str, Any]]:
    """Each layer with its sizes, its activation and its parameters, in the book's order.

    The engine applies an activation after max pooling; here it is the convolution's again.
    """
    described: list[dict[str, Any]] = []
    shape, before = network.input_shape, ""
    parameters = iter(network.parameters())
    flat = network.engine.read(network.engine.statistics)
    statistics = iter(network.engine.statistics_views(flat))
    for number, (spec, layer) in enumerate(zip(network.specs, network.engine.layers, strict=True)):
        activation = getattr(spec, "activation", "linear")
        each = {
            "notation": spec.notation,
            "inputShape": shape,
            "shape": layer.output_shape,
            "isLast": spec is network.specs[-1],
            **_kind(number, spec, layer, shape),
        }
        if isinstance(spec, BatchNorm):
            described[-1]["activation"], activation = _activation("linear"), before
            mean, variance = next(statistics)
            each |= {"mean": _numbers(mean), "variance": _numbers(variance), "epsilon": EPSILON}
        if layer.weights_shape:
            each["activation"] = _activation(activation)
            each |= {name: _numbers(array) for name, array in next(parameters).items()}
        described.append(each)
        shape, before = layer.output_shape, activation
    return described


def _kind(number: int, spec: LayerSpec, layer: Layer, shape: Shape) -> dict[str, Any]:
    """What a layer is, and its sizes. Raises SettingError for a user's own."""
    if type(spec) is Conv2D and isinstance(layer, ConvLayer):
        g = layer.geometry
        sizes = {"kernel": g.kernel, "stride": g.stride, "padding": g.padding}
        return {"kind": "convolution", "about": "convolution", **sizes}
    if isinstance(spec, Pool2D) and type(spec) in POOLS:
        rows, columns, down, right = spec.geometry(shape).window
        pool, about = POOLS[type(spec)]
        sizes = {"size": (rows, columns), "stride": (down, right)}
        return {"kind": "pooling", "pool": pool, "about": about, **sizes}
    if type(spec) is BatchNorm:
        return {"kind": "normalisation", "about": "batch normalisation"}
    if isinstance(spec, Dense) and type(spec) in (Dense, Softmax):
        is_softmax = type(spec) is Softmax
        about = "softmax" if is_softmax else "dense"
        scale = spec.scales[1]
        return {"kind": "dense", "about": about, "isSoftmax": is_softmax, "scale": scale}
    raise SettingError(
        f"layer {number + 1}, {spec.notation}, is {type(spec).__name__}, a layer of your own: "
        "expected nbconv's layers alone, whose mathematics the page has"
    )


def _activation(setting: str) -> dict[str, Any]:
    number, slope = activations.parse("activation", setting)
    return {"name": NAMES[number], "slope": slope}


def _numbers(array: Array) -> str:
    """The numbers of an array, little-endian, as base64."""
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return base64.b64encode(flat.tobytes()).decode()


def _examples(network: Network, data: Dataset) -> list[dict[str, Any]]:
    """The first image of each class, in levels to 255."""
    inputs.check_data(network, data, "examples")
    labels, first = np.unique(data.labels, return_index=True)
    levels = np.rint(data.images[first[:MOST_EXAMPLES]] * BYTE).astype(np.uint8)
    return [
        {"label": int(label), "pixels": _numbers(pixels)}
        for label, pixels in zip(labels[:MOST_EXAMPLES], levels, strict=True)
    ]
