"""Programs: kernel calls one after the other, many times over, without the host between them.

A launch from Python costs some ten microseconds, more than most kernels here take. So the launches of many mini-batches are
captured into one CUDA graph: what changes from one mini-batch to the next lies in the device's memory, and nothing is
allocated, copied or read on the way. The first mini-batch is launched kernel by kernel, which loads them.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import device, memory

MANY = 32  # mini-batches in a graph; there is one for single ones, too
GRAPHS = 8  # kept at most: those of two slots, for two sets of images

Array = np.ndarray[Any, Any]
Call = tuple[Any, tuple[Any, ...]]

_one_at_a_time = threading.RLock()  # scratch rooms and slots are everyone's


class Program:
    """Calls (kernel, arguments), made in their order; a list of lists in the place of a call is gone through one by one.

    varying: those of the arrays for which each run is given others, of the same dtype and number of axes: arrays of the
    device, or of the host, which are then uploaded. All other arrays are the device's.
    """

    def __init__(self, calls: Sequence[Any], varying: Sequence[Array] = ()):
        self.calls: list[Call] = list(_in_a_row(calls))
        self._varying = varying
        self._graphs: dict[tuple[int, ...], Any] = {}
        self._is_loaded = False

    def _make(self, times: int, arrays: Sequence[Any]) -> None:
        """Make all calls with these arrays, so many times over."""
        given = {
            id(described): array for described, array in zip(self._varying, arrays, strict=True)
        }
        calls = [
            (kernel, [given.get(id(one), one) for one in arguments])
            for kernel, arguments in self.calls
        ]
        for _ in range(times):
            for kernel, arguments in calls:
                kernel(*arguments)

    def _graph(self, times: int, arrays: Sequence[Any]) -> Any:
        """That, as a graph: it holds for arrays that lie where these do."""
        key = (times, *(device.address(array) for array in arrays))
        if key not in self._graphs:
            if len(self._graphs) >= GRAPHS:
                self._graphs.clear()
            self._graphs[key] = device.capture(lambda: self._make(times, arrays)), arrays
        return self._graphs[key][0]

    def __call__(self, times: int, *varying: Any) -> None:
        """Have all calls made, `times` times over."""
        with _one_at_a_time:
            arrays = [array if device.is_here(array) else memory.upload(array) for array in varying]
            while times > 0:
                together = MANY if times >= MANY else 1
                graph = self._graph(together, arrays) if self._is_loaded else None
                if graph is None:
                    self._make(1, arrays)
                    self._is_loaded, together = True, 1
                else:
                    graph()
                times -= together


def _in_a_row(calls: Sequence[Any]) -> Iterator[Call]:
    for call in calls:
        if isinstance(call, list):
            for part in call:
                yield from _in_a_row(part)
        else:
            yield call
