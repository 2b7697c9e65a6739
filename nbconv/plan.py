"""Plans: the kernel calls of a mini-batch of one size, listed once and run for each of its like.

What a layer decides (which kernels, on which buffers) depends on the mini-batch's size alone, so it is decided once. What
changes from one mini-batch to the next, such as eta, stands in arrays that the kernels read.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

Plan = list[tuple[Callable[..., None], tuple[Any, ...]]]


class Recorder:
    """A backend whose kernels, when called, only note the call."""

    def __init__(self, kernels: ModuleType):
        self.kernels = kernels
        self._plan: Plan = []

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(self.kernels, name)
        return (lambda *arguments: self._plan.append((kernel, arguments))) if callable(kernel) else kernel

    def plan(self, way: Callable[[], None]) -> Plan:
        """The calls that `way` makes."""
        self._plan = []
        way()
        return self._plan


def run(plan: Plan) -> None:
    """Make the calls."""
    for kernel, arguments in plan:
        kernel(*arguments)
