"""The activation functions by name.

A kernel takes one as `activation`: (its number, its parameter). Those without one ignore it.
"""

from typing import NamedTuple


class Parameter(NamedTuple):
    """The parameter of an activation, which follows its name and a colon: leaky_relu:0.1."""

    name: str
    default: float
    below: float  # it is at least 0 and less than this


NAMES = ("sigmoid", "tanh", "relu", "linear", "leaky_relu")
SIGMOID, TANH, RELU, LINEAR, LEAKY_RELU = range(len(NAMES))
PARAMETERS = {"leaky_relu": Parameter("slope", 0.01, below=1.0)}  # of those that have one
