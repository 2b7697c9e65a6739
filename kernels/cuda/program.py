"""Programs: kernel calls one after the other, many times over, without the host between them.

A launch from Python costs some ten microseconds, more than most kernels here take. So the launches
of many mini-batches are captured into one CUDA graph: what changes from one mini-batch to the next
lies in the device's memory, and nothing is allocated, copied or read on the way. The first
mini-batch is launched kernel by kernel, which loads them.
"""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import reference
from . import device, memory

GRAPH_BATCHES = 32  # mini-batches in a graph; there is one for single ones, too
MAX_GRAPHS = 8  # kept at most: those of two slots, for two sets of images

Array = np.ndarray[Any, Any]

_one_at_a_time = threading.RLock()  # scratch rooms and slots are everyone's


class Program(reference.Program):
    """The reference's `Program`, its calls captured as graphs.

    A run's arrays may be the device's, or the host's, which are then uploaded. All other arrays are
    the device's.
    """

    def __init__(self, calls: Sequence[Any], varying: Sequence[Array] = ()):
        super().__init__(calls, varying)
        self._graphs: dict[tuple[int, ...], Any] = {}
        self._is_loaded = False

    def _graph(self, times: int, arrays: Sequence[Any]) -> Any:
        """All calls with these arrays, so many times over, as a graph.

        The graph holds for arrays that lie where these do.
        """
        key = (times, *(device.address(array) for array in arrays))
        if key not in self._graphs:
            if len(self._graphs) >= MAX_GRAPHS:
                self._graphs.clear()
            self._graphs[key] = device.capture(partial(super().__call__, times, *arrays)), arrays
        return self._graphs[key][0]

    def __call__(self, times: int, *varying: Any, threads: int = 0) -> None:
        """Have all calls made, `times` times over."""
        with _one_at_a_time:
            arrays = [array if device.is_here(array) else memory.upload(array) for array in varying]
            while times > 0:
                together = GRAPH_BATCHES if times >= GRAPH_BATCHES else 1
                graph = self._graph(together, arrays) if self._is_loaded else None
                if graph is None:
                    super().__call__(1, *arrays)
                    self._is_loaded, together = True, 1
                else:
                    graph()
                times -= together
