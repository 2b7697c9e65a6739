"""Programs: kernel calls one after the other, many times over."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Call = tuple[Any, tuple[Any, ...]]


class Program:
    """Calls (kernel, arguments), made in their order.

    In the place of a call there may be a list of lists of calls; they are made one after the other.
    varying: those of the arrays for which each run is given others, of the same dtype and number of
    axes.
    """

    def __init__(self, calls: Sequence[Any], varying: Sequence[Array] = ()):
        self.calls = list(_in_a_row(calls))
        self._varying = varying

    def __call__(self, times: int, *varying: Any, threads: int = 0) -> None:
        """Make all calls, `times` times over."""
        given = dict(zip(map(id, self._varying), varying, strict=True))
        calls: list[tuple[Any, list[Any]]] = []
        for kernel, arguments in self.calls:
            calls.append((kernel, [given.get(id(argument), argument) for argument in arguments]))
        with np.errstate(all="ignore"):  # as compiled: random numbers wrap around without a warning
            for _ in range(times):
                for kernel, current in calls:
                    kernel(*current)


def _in_a_row(calls: Sequence[Any]) -> Iterator[Call]:
    for call in calls:
        if isinstance(call, list):
            for part in call:
                yield from _in_a_row(part)
        else:
            yield call
