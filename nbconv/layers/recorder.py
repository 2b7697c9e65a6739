"""What layers call kernels on: it records the calls.

A backend's program then makes them for every mini-batch. Which kernels a layer calls, and on which
buffers, depends on the mini-batch's size alone, so it is decided once. What changes from one
mini-batch to the next, such as eta, stands in arrays that the kernels read.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from ..kernels.interface import KERNELS, Array, Backend, Call, Kernels, Program


class Recorder:
    """Records kernel calls.

    kernels: the backend's, each of which records its call instead of running.
    """

    def __init__(self, backend: Backend):
        self.backend = backend
        self._calls: list[Call | list[list[Any]]] = []
        recording = {name: partial(self.call, getattr(backend, name)) for name in KERNELS}
        self.kernels = cast(Kernels, SimpleNamespace(**recording))

    def call(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Record a call of a kernel that the backend can run: on the CPU, any @njit function."""
        self._calls.append((kernel, arguments))

    def _recorded(self, record: Callable[[], None]) -> list[Any]:
        """The calls that `record` makes."""
        before, self._calls = self._calls, []
        try:
            record()
            return self._calls
        finally:
            self._calls = before

    def concurrently(self, branches: Sequence[Callable[[], None]]) -> None:
        """Record independent call sequences, one a branch: threads may run them concurrently."""
        lists = [self._recorded(branch) for branch in branches]
        if len(lists) == 1:
            self._calls += lists[0]
        else:
            self._calls.append(lists)

    def program(self, record: Callable[[], None], varying: Sequence[Array] = ()) -> Program:
        """A program of the calls that `record` makes.

        Each run is given arrays in the place of `varying`.
        """
        return self.backend.Program(self._recorded(record), varying)
