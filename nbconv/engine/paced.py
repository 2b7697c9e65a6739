"""A plan whose work is timed, so that it is done by as many threads as are fastest."""

import time
from collections.abc import Callable
from typing import Any

from ..threads import Pace
from .plan import Plan


class PacedPlan:
    """The plans of one task and size of mini-batch, which differ in how threads share the layers.

    make: gives the plan for so many rows of micro-batches; rows: how many suit so many threads.
    pace: None where the backend has no threads. seconds: by the number of threads, added to.
    is_direct: see `Planner.is_direct`.
    """

    def __init__(
        self,
        make: Callable[[int], Plan],
        rows: Callable[[int], int],
        pace: Pace | None,
        seconds: dict[int, float],
        is_direct: bool,
    ):
        self._make = make
        self._rows = rows
        self._pace = pace
        self._seconds = seconds
        self.is_direct = is_direct
        self._by_rows: dict[int, Plan] = {}
        self._plans: dict[int, Plan] = {}  # by the number of threads

    def plan(self, threads: int) -> Plan:
        """The plan for so many threads, made on first use."""
        plan = self._plans.get(threads)
        if plan is None:
            rows = self._rows(threads)
            if rows not in self._by_rows:
                self._by_rows[rows] = self._make(rows)
            plan = self._plans[threads] = self._by_rows[rows]
        return plan

    def run(self, times: int, *varying: Any) -> Plan:
        """Go through so many mini-batches: the plan that did, at last. varying: see `Program`."""
        pace = self._pace
        if pace is None:
            plan = self.plan(1)
            plan.program(times, *varying)
            return plan
        while True:
            threads, units = pace.now(), pace.units(times)
            plan = self.plan(threads)
            started = time.perf_counter()
            plan.program(units, *varying, threads=threads)
            seconds = time.perf_counter() - started
            pace.measured(units, seconds)
            self._seconds[threads] += seconds
            times -= units
            if times <= 0:
                return plan
