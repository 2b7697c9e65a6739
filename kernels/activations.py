"""The activation functions by name, and what suits each.

A kernel takes one as `activation`: (its number, its parameter). Those without one ignore it.
"""

from typing import NamedTuple


class Parameter(NamedTuple):
    """The parameter of an activation, which follows its name and a colon: leaky_relu:0.1."""

    name: str
    default: float
    below: float  # it is at least 0 and less than this


class Function(NamedTuple):
    """What nbconv has to know of an activation function, besides its formula in `scalar`.

    initialiser: of its layers' weights, for "auto". eta: for gradient descent with mini-batches of
    10, well below what diverges. onnx: its operator there, whose alpha is the parameter.
    """

    initialiser: str
    eta: float
    onnx: str
    parameter: Parameter | None = None


FUNCTIONS = {
    "sigmoid": Function("default", 0.5, "Sigmoid"),
    "tanh": Function("glorot", 0.1, "Tanh"),
    "relu": Function("he", 0.05, "Relu"),
    "linear": Function("glorot", 0.05, "Identity"),
    "leaky_relu": Function("he", 0.05, "LeakyRelu", Parameter("slope", 0.01, below=1.0)),
}
NAMES = tuple(FUNCTIONS)
SIGMOID, TANH, RELU, LINEAR, LEAKY_RELU = range(len(NAMES))
