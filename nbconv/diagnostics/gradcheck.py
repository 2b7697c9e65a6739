"""Every layer kind's gradient against central differences, in float64: what `nbconv gradcheck` shows.

(C(w + h) - C(w - h)) / 2h is exact to h^2; with h = 1e-5 and float64 its error is near 1e-10 of the gradient's size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape
from ..data.dataset import Dataset
from ..layers import AvgPool2D, Conv2D, Dense, L2Pool2D, LayerSpec, MaxPool2D, Randomness, Softmax
from ..network import Network

BOUND = 1e-6
_STEP = 1e-5

_CONV = Conv2D(3, 3, activation="tanh")
# name: (layers, input shape, cost). A convolution before the layer in question checks its gradient to the input.
CASES: dict[str, tuple[list[LayerSpec], Shape, str | None]] = {
    "convolution": (
        [Conv2D(3, 3), Conv2D(5, (2, 3), activation="tanh"), Softmax(3)],
        (2, 7, 8),
        None,
    ),
    "convolution, relu": (
        [Conv2D(5, 3, activation="relu"), Conv2D(6, 3, activation="relu"), Softmax(3)],
        (1, 8, 8),
        None,
    ),
    "convolution, stride 2": (
        [Conv2D(5, 3, padding=1), Conv2D(2, 3, stride=2), Softmax(3)],
        (1, 9, 8),
        None,
    ),
    "convolution, padding": (
        [Conv2D(4, 3, stride=(1, 2), padding=(2, 1)), Conv2D(2, 3, padding=1), Softmax(3)],
        (2, 5, 6),
        None,
    ),
    "convolution, whole image": ([Conv2D(2, 1), Conv2D(6, (5, 4)), Softmax(3)], (1, 5, 4), None),
    "max pooling": ([_CONV, MaxPool2D(2), Softmax(3)], (1, 8, 7), None),
    "max pooling, overlapping": (
        [_CONV, MaxPool2D(3, 2), Conv2D(2, 2), Softmax(3)],
        (1, 9, 9),
        None,
    ),
    "L2 pooling": ([_CONV, L2Pool2D(2), Softmax(3)], (1, 8, 7), None),
    "L2 pooling, overlapping": ([_CONV, L2Pool2D((3, 2), 1), Softmax(3)], (1, 7, 7), None),
    "average pooling": ([_CONV, AvgPool2D(2), Softmax(3)], (1, 8, 7), None),
    "average pooling, overlapping": ([_CONV, AvgPool2D(3, (1, 2)), Softmax(3)], (1, 8, 8), None),
    "dense, sigmoid": ([Dense(7), Dense(5), Softmax(3)], (13,), None),
    "dense, tanh": (
        [Dense(7, activation="tanh"), Dense(5, activation="tanh"), Softmax(3)],
        (13,),
        None,
    ),
    "dense, relu": (
        [Dense(7, activation="relu"), Dense(5, activation="relu"), Softmax(3)],
        (13,),
        None,
    ),
    "dense, linear": ([Dense(7, activation="linear"), Softmax(3)], (13,), None),
    "dropout": (
        [Dense(9, dropout=0.3), Dense(7, dropout=0.5), Softmax(3, dropout=0.5)],
        (20,),
        None,
    ),
    "log-likelihood cost": ([Softmax(4)], (6,), None),
    "cross-entropy cost": ([Dense(5), Dense(4)], (6,), "cross-entropy"),
    "quadratic cost": ([Dense(5), Dense(4)], (6,), "quadratic"),
    "quadratic cost, tanh": ([Dense(5), Dense(4, activation="tanh")], (6,), "quadratic"),
}


@dataclass(frozen=True)
class Result:
    """One case: the largest relative error over its parameters, and where it is."""

    name: str
    error: float
    parameter: str
    gradient: float
    difference: float


def relative_error(
    gradient: NDArray[np.float64], differences: NDArray[np.float64]
) -> NDArray[np.float64]:
    """|gradient - differences| over the largest of both in the array, so that a zero among others is no division by zero."""
    size = max(float(np.abs(gradient).max()), float(np.abs(differences).max()), 1e-8)
    return np.abs(gradient - differences) / size


def central_differences(
    network: Network, data: Dataset, randomness: Randomness | None
) -> NDArray[np.float64]:
    """dC/dp of the mean cost for every parameter p, one after the other."""
    engine = network.engine
    parameters, differences = engine.read(engine.parameters).copy(), np.empty(engine.count)

    def cost(index: int, step: float) -> float:
        moved = parameters.copy()
        moved[index] += step
        engine.write(engine.parameters, moved)
        return engine.evaluate(data, randomness)[0] / len(data)

    for index in range(engine.count):
        differences[index] = (cost(index, _STEP) - cost(index, -_STEP)) / (2 * _STEP)
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
    """Compare all gradients of a network, on five random images, with central differences."""
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
    images = random.uniform(size=(5, *input_shape))
    data = Dataset(images, random.integers(0, network.classes, 5))
    randomness = Randomness(seed, 3)
    gradient = engine.mean_gradient(data, randomness)
    differences = central_differences(network, data, randomness)
    worst = Result(name, 0.0, "", 0.0, 0.0)
    for index, arrays in enumerate(
        zip(engine.views(gradient), engine.views(differences), strict=True)
    ):
        for kind, ours, theirs in zip(("weights", "biases"), *arrays, strict=True):
            errors = relative_error(ours, theirs)
            at = int(errors.argmax())
            if not errors.flat[at] <= worst.error:
                where = (
                    f"layer {index + 1} {kind}{list(map(int, np.unravel_index(at, ours.shape)))}"
                )
                worst = Result(
                    name,
                    float(errors.flat[at]),
                    where,
                    float(ours.flat[at]),
                    float(theirs.flat[at]),
                )
    return worst


def check_all(backend: str = "cpu") -> list[Result]:
    """All cases, on a backend. Raises BackendError if it is not there."""
    return [check(name, *case, backend=backend) for name, case in CASES.items()]
