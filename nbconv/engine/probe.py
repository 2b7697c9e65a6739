"""Some of a network's layers alone: for monitors, the comparison of backends and the like.

A unit is a layer, or a convolution together with the max pooling that is fused into it.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..checks import Shape
from ..layers import Layer
from ..threads import most
from .engine import Engine

Array = NDArray[Any]


def units(layers: list[Layer]) -> list[list[Layer]]:
    """The layers, a convolution together with the max pooling that is fused into it."""
    found: list[list[Layer]] = []
    for layer in layers:
        if getattr(layer, "is_fused", False):
            found[-1].append(layer)
        else:
            found.append([layer])
    return found


class Probe:
    """A program through some layers, for values of one shape.

    record: calls layers on the array that it is given, and returns the arrays to be seen.
    """

    def __init__(self, engine: Engine, record: Callable[[Array], list[Array]], shape: Shape):
        self._engine = engine
        self._input = engine.backend.zeros(shape, engine.dtype)
        self._outputs = list[Array]()
        self._program = engine.recorder.program(lambda: self._outputs.extend(record(self._input)))

    def run(self, values: Array) -> list[Array]:
        """Copies of what becomes of these values."""
        self._engine.write(self._input, values)
        self._program(1, threads=most() if self._engine.backend.HAS_THREADS else 1)
        return [self._engine.read(array).copy() for array in self._outputs]
