"""Plans: the kernel calls of a mini-batch of one size, listed once and run for each of its like.

What a layer decides (which kernels, on which buffers) depends on the mini-batch's size alone, so it is decided once. What
changes from one mini-batch to the next, such as eta, stands in arrays that the kernels read.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from numpy.typing import NDArray


class Recorder:
    """A backend whose kernels, when called, only note the call."""

    def __init__(self, backend: ModuleType):
        self.backend = backend
        self._calls: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(self.backend, name)
        return (
            (lambda *arguments: self._calls.append((kernel, arguments)))
            if callable(kernel)
            else kernel
        )

    def _recorded(self, way: Callable[[], None]) -> list[Any]:
        """The calls that `way` makes."""
        before, self._calls = self._calls, []
        try:
            way()
            return self._calls
        finally:
            self._calls = before

    def concurrently(self, ways: Sequence[Callable[[], None]]) -> None:
        """Note the calls of ways that do not need each other: threads may go them at the same time."""
        lists = [self._recorded(way) for way in ways]
        self._calls += lists[0] if len(lists) == 1 else [lists]

    def program(self, way: Callable[[], None], varying: Sequence[NDArray[Any]] = ()) -> Any:
        """The calls that `way` makes, as the backend's `Program`: each run is given arrays in the place of `varying`."""
        return self.backend.Program(self._recorded(way), varying)
