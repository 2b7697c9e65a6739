"""Gradients of every kind of layer against central differences, in float64: `nbconv gradcheck`.

The error of (C(w + h) - C(w - h)) / 2h is of the order h^2; with h = 1e-5 and float64 it is about
1e-10 of the gradient.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape
from ..data.dataset import Dataset
from ..kernels.activations import NAMES
from ..layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    L2Pool2D,
    LayerSpec,
    MaxPool2D,
    Randomness,
    Softmax,
)
from ..network import Network

BOUND = 1e-6  # of the relative error
_H = 1e-5


class Case(NamedTuple):
    """A network to check. cost: None for the default of its last layer."""

    layers: list[LayerSpec]
    input_shape: Shape
    cost: str | None = None


_CONV = Conv2D(3, 3, activation="tanh")
_RELU_CONVS = [Conv2D(5, 3, activation="relu"), Conv2D(6, 3, activation="relu")]
_PADDED_CONVS = [Conv2D(4, 3, stride=(1, 2), padding=(2, 1)), Conv2D(2, 3, padding=1)]
_DROPOUT_LAYERS = [Dense(9, dropout=0.3), Dense(7, dropout=0.5)]
# A convolution before the layer in question checks that layer's gradient with respect to its input.
CASES = {
    "convolution": Case(
        [Conv2D(3, 3), Conv2D(5, (2, 3), activation="tanh"), Softmax(3)], (2, 7, 8)
    ),
    "convolution, relu": Case([*_RELU_CONVS, Softmax(3)], (1, 8, 8)),
    "convolution, stride 2": Case(
        [Conv2D(5, 3, padding=1), Conv2D(2, 3, stride=2), Softmax(3)], (1, 9, 8)
    ),
    "convolution, padding": Case([*_PADDED_CONVS, Softmax(3)], (2, 5, 6)),
    "convolution, whole image": Case([Conv2D(2, 1), Conv2D(6, (5, 4)), Softmax(3)], (1, 5, 4)),
    "max pooling": Case([_CONV, MaxPool2D(2), Softmax(3)], (1, 8, 7)),
    "max pooling, overlapping": Case([_CONV, MaxPool2D(3, 2), Conv2D(2, 2), Softmax(3)], (1, 9, 9)),
    "L2 pooling": Case([_CONV, L2Pool2D(2), Softmax(3)], (1, 8, 7)),
    "L2 pooling, overlapping": Case([_CONV, L2Pool2D((3, 2), 1), Softmax(3)], (1, 7, 7)),
    "average pooling": Case([_CONV, AvgPool2D(2), Softmax(3)], (1, 8, 7)),
    "average pooling, overlapping": Case([_CONV, AvgPool2D(3, (1, 2)), Softmax(3)], (1, 8, 8)),
    "batch normalisation, convolution": Case(
        [Conv2D(3, 3), BatchNorm(), Conv2D(4, 3, activation="tanh"), BatchNorm(), Softmax(3)],
        (2, 6, 7),
    ),
    "batch normalisation, pooling": Case(
        [_CONV, BatchNorm(), MaxPool2D(2), Dense(5), BatchNorm(), Softmax(3, dropout=0.3)],
        (1, 8, 7),
    ),
    **{
        f"dense, {name}": Case([Dense(7, name), Dense(5, name), Softmax(3)], (13,))
        for name in NAMES
    },
    "dropout": Case([*_DROPOUT_LAYERS, Softmax(3, dropout=0.5)], (20,)),
    "dropout, the book's scaling": Case(
        [Dense(9, dropout=0.3, dropout_scaling="book"), Softmax(3)], (20,)
    ),
    "log-likelihood cost": Case([Softmax(4)], (6,)),
    "cross-entropy cost": Case([Dense(5), Dense(4)], (6,), "cross-entropy"),
    "quadratic cost": Case([Dense(5), Dense(4)], (6,), "quadratic"),
    "quadratic cost, tanh": Case([Dense(5), Dense(4, activation="tanh")], (6,), "quadratic"),
}


@dataclass(frozen=True)
class Result:
    """The largest relative error in one case, and the parameter that has it.

    gradient: by backpropagation. difference: the central difference.
    """

    name: str
    error: float
    parameter: str
    gradient: float
    difference: float


def relative_error(
    gradient: NDArray[np.float64], differences: NDArray[np.float64], size: float = 0.0
) -> NDArray[np.float64]:
    """|gradient - differences|, divided by the largest absolute value in both arrays.

    size: divided by instead, if it is larger.
    """
    size = max(float(np.abs(gradient).max()), float(np.abs(differences).max()), size, 1e-8)
    return np.abs(gradient - differences) / size


def central_differences(
    network: Network, data: Dataset, randomness: Randomness | None
) -> NDArray[np.float64]:
    """dC/dp of the mean cost for every parameter p, in the order of the flat parameter buffer.

    randomness: of the dropout, None for no dropout.
    """
    engine = network.engine
    parameters = engine.read(engine.parameters).copy()
    differences = np.empty(engine.count)

    def cost(index: int, step: float) -> float:
        changed = parameters.copy()
        changed[index] += step
        engine.write(engine.parameters, changed)
        return engine.evaluate(data, randomness)[0] / len(data)

    for index in range(engine.count):
        differences[index] = (cost(index, _H) - cost(index, -_H)) / (2 * _H)
    engine.write(engine.parameters, parameters)
    return differences


def check(
    name: str,
    layers: list[LayerSpec],
    input_shape: Shape,
    cost: str | None,
    seed: int = 1,
    backend: str = "cpu",
) -> Result:
    """Compare all gradients of a network with central differences, on five random images."""
    network = Network(
        layers,
        input_shape,
        cost=cost,
        dtype="float64",
        seed=seed,
        initialiser="glorot",
        backend=backend,
    )
    random = np.random.default_rng(seed)
    engine = network.engine
    biases = random.uniform(-0.5, 0.5, engine.count - engine.weights_count)
    engine.write(engine.parameters[engine.weights_count :], biases)
    for normalising in engine.with_statistics:  # scales of both signs
        engine.write(normalising.weights, random.uniform(-2, 2, normalising.weights.shape))
    images = random.uniform(size=(5, *input_shape))
    data = Dataset(images, random.integers(0, network.classes, 5))
    randomness = Randomness(seed, 3)
    gradient = engine.mean_gradient(data, randomness)
    differences = central_differences(network, data, randomness)
    worst = Result(name, 0.0, "", 0.0, 0.0)
    layer_arrays = zip(engine.views(gradient), engine.views(differences), strict=True)
    for layer, arrays in enumerate(layer_arrays, 1):
        # Of weights and biases: the gradient of biases before a batch normalisation is 0.
        size = max(float(np.abs(array).max()) for pair in arrays for array in pair)
        for kind, by_backprop, by_differences in zip(("weights", "biases"), *arrays, strict=True):
            errors = relative_error(by_backprop, by_differences, size)
            at = np.unravel_index(int(errors.argmax()), errors.shape)
            if not errors[at] <= worst.error:  # also if it is NaN
                parameter = f"layer {layer} {kind}{list(map(int, at))}"
                pair = float(by_backprop[at]), float(by_differences[at])
                worst = Result(name, float(errors[at]), parameter, *pair)
    return worst


def check_all(backend: str = "cpu") -> list[Result]:
    """The results of all cases on a backend. Raises BackendError if it is not available."""
    return [check(name, *case, backend=backend) for name, case in CASES.items()]
