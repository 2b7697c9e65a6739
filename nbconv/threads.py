"""How many CPU threads the kernels use. Results do not depend on it, so it may change at any time.

"auto", the default, begins with what the machine offers and then measures: whatever else runs on
its cores decides which number is best. Threads wait for each other after every kernel; one whose
core is taken away makes all of them wait.
"""

import ctypes
import math
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import mean, median_low
from typing import Any

import numba
from numba.np.ufunc import parallel

from .errors import SettingError

SAMPLE = 0.01  # seconds of work that make one measurement
TRIAL = 0.004  # of a trial of another number of threads; the next samples have to confirm it
CONFIRMATIONS = 4  # samples that a number of threads has to be faster in
REFUTATIONS = 3  # that fewer threads have to be slower in
MUCH_FASTER = 0.6  # of fewer threads: needs no confirmation
FASTER = 0.93  # a number of threads is taken if it needs so much of the time
SLOWER = 1.5  # work that needs so much more time than before: something else has begun to run
FIRST_WAIT, LAST_WAIT = 0.1, 3.0  # seconds between two trials: doubled when one has failed
COST = 10  # times as long as a failed trial is the wait after it, or longer
RECENT = 16  # measurements whose best one more threads have to beat
WEIGHT = 0.2  # of a measurement in the running mean


def limit() -> int:
    """The most CPU threads that this process can use: Numba's, as NUMBA_NUM_THREADS says."""
    config: Any = numba.config
    return int(config.NUMBA_NUM_THREADS)


def limits() -> dict[str, int]:
    """What bounds the number of threads, by where it is said."""
    found = {"NUMBA_NUM_THREADS" if "NUMBA_NUM_THREADS" in os.environ else "CPUs": limit()}
    if hasattr(os, "sched_getaffinity"):
        found["CPU affinity"] = len(os.sched_getaffinity(0))
    if quota := _quota():
        found["CPU quota"] = max(1, math.ceil(quota))
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        first = os.environ.get(name, "").split(",")[0].strip()
        if first.isdecimal() and int(first):
            found[name] = int(first)
    return found


def offered() -> int:
    """With how many threads "auto" begins, and the most that it tries."""
    return min(limits().values())


def _quota(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> float:
    """How many CPUs the process's control groups allow (Linux, version 1 and 2); 0 if unlimited."""
    found = []
    try:
        lines = mine.read_text().splitlines()
    except (OSError, ValueError):
        return 0.0
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            mounts = [root, root / "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [root / controllers, root / "cpu"]
        else:
            continue
        # A group is bound by those above it; in a container its own path may not be there.
        inner = Path(path.lstrip("/"))
        for mount in mounts:
            found += [_quota_of(mount / group) for group in (inner, *inner.parents)]
    return min((quota for quota in found if quota), default=0.0)


def _quota_of(group: Path) -> float:
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()[:2]
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            quota, period = ((group / name).read_text() for name in names)
        return max(0.0, float(quota) / float(period))
    except (OSError, ValueError, ZeroDivisionError):  # not there, or "max"
        return 0.0


class _Chosen(threading.local):
    """What holds in a Python thread: a number, or None for what set_threads said."""

    number: int | None = None


_here = _Chosen()
_everywhere: dict[str, int | None] = {"number": None, "most": None, "forked": None}
_POOLS = {"omp": "omppool", "workqueue": "workqueue"}


def fixed() -> int | None:
    """The number of threads that was asked for; None for "auto"."""
    return _everywhere["forked"] or _here.number or _everywhere["number"]


def _has_openmp() -> bool:
    """Whether the system's OpenMP, which Numba's layer uses too, has been loaded (Linux)."""
    try:
        return "/libgomp.so.1" in Path("/proc/self/maps").read_text()
    except (OSError, ValueError):
        return False


def _after_fork() -> None:
    """Make kernels work in the child of a process whose OpenMP threads have run.

    The child has none of these threads, and would wait for them for ever; Numba ends it at the
    first kernel (SIGTERM). With one thread OpenMP asks for no others, and after another launch
    Numba takes the child for a process of its own. Another library may have run the threads, too.
    """
    layer = getattr(parallel, "_threading_layer", None)  # None before the first kernel
    if layer is None and _has_openmp():
        _everywhere["forked"] = 1
    elif layer in _POOLS:
        pool = import_module(f"numba.np.ufunc.{_POOLS[layer]}")
        ctypes.CFUNCTYPE(None, ctypes.c_int)(pool.launch_threads)(limit())
        if layer == "omp":
            _everywhere["forked"] = 1
            numba.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def checked(threads: Any) -> int | None:
    """A number of threads, or None for "auto". Raises SettingError for anything else."""
    if isinstance(threads, str) and threads == "auto":
        return None
    most = limit()
    is_number = hasattr(threads, "__index__") and not isinstance(threads, bool)
    if not is_number or not 1 <= int(threads) <= most:
        raise SettingError(
            f"threads is {threads!r}: expected 'auto' or 1 to {most}, this process's limit "
            "(NUMBA_NUM_THREADS)"
        )
    return int(threads)


def set_threads(threads: int | str) -> None:
    """How many CPU threads this process's kernels use; results do not depend on it.

    threads: "auto", the default, which finds by itself what is fastest, or 1 to `limit()`.
    Raises SettingError.
    """
    _everywhere["number"] = checked(threads)


def set_most(threads: int) -> None:
    """The most threads that "auto" tries in this process, which shares its cores with others."""
    _everywhere["most"] = threads


def most_tried() -> int:
    """The most threads that "auto" tries here."""
    bound = offered()
    return min(_everywhere["most"] or bound, bound)


def most() -> int:
    """The most threads that kernels use here: the number chosen, or the most that "auto" tries."""
    return fixed() or most_tried()


@contextmanager
def using(threads: int | str) -> Iterator[None]:
    """So many threads in the block; "auto" stands for what `set_threads` said."""
    number, before = checked(threads), _here.number
    _here.number = number or before
    try:
        yield
    finally:
        _here.number = before


class Pace:
    """Finds the number of threads that is fastest for one kind of work, and goes on looking.

    The work is measured in units (mini-batches) as it is done. Now and then a neighbouring number
    gets a trial; it stays if it is faster. A trial that fails makes the next one wait longer; work
    that slows down makes it come at once. Where fewer threads are clearly slower, the next wait is
    the longest. Not so where more are: a single sample whose core was away looks the same. But a
    trial costs a tenth of the time until the next one at most.
    """

    def __init__(self, most: int):
        self.most = most
        self.threads = most
        self._trial: int | None = None
        self._mean: float | None = None  # seconds a unit, with `threads`
        self._recent: deque[float] = deque(maxlen=RECENT)  # samples
        self._wait = FIRST_WAIT
        self._since = 0.0  # seconds since a trial began or ended
        self._is_upward = False  # where the next trial goes
        self._seconds, self._units = 0.0, 0  # of the sample being taken
        self._trials: list[float] = []

    def now(self) -> int:
        """With how many threads to do the next units."""
        return fixed() or self._trial or self.threads

    def units(self, left: int) -> int:
        """How many of the units that are left to do before asking again.

        In a trial one, then two, four, ...: a number of threads that is many times slower is found
        out soon.
        """
        if self._trial is None:
            return left
        return min(left, max(1, self._units))

    def measured(self, units: int, seconds: float) -> None:
        """Take in that so many units took so long with `now()` threads."""
        if self.most == 1 or fixed():
            return
        self._seconds += seconds
        self._units += units
        if self._seconds < SAMPLE and not (self._trial and self._is_judged()):
            return
        sample = self._seconds / self._units
        self._since += self._seconds
        self._seconds, self._units = 0.0, 0
        if self._trial is not None:
            self._judge(sample)
            return
        if self._mean is None:
            self._mean = sample
        elif sample > SLOWER * self._mean and self.threads > 1:
            self._wait, self._is_upward = FIRST_WAIT, False
        self._mean += (sample - self._mean) * WEIGHT
        self._recent.append(sample)
        if self._since >= self._wait:
            self._trial, self._since = self._neighbour(), 0.0

    def _neighbour(self) -> int:
        """The number to try next: by a factor of about two, up and down in turn."""
        up, down = min(self.most, 2 * self.threads), max(1, self.threads // 2)
        goes_up = self.threads == 1 or (self._is_upward and self.threads < self.most)
        self._is_upward = not goes_up
        return up if goes_up else down

    def _is_judged(self) -> bool:
        """Whether the trial's sample is large enough."""
        if self._seconds >= TRIAL:
            return True
        return self._seconds >= TRIAL / 4 and self._seconds > 2 * self._units * (self._mean or 0)

    def _judge(self, sample: float) -> None:
        """End the trial, unless it needs another sample."""
        assert self._mean is not None
        assert self._trial is not None
        self._trials.append(sample)
        # A share of a core comes and goes. More threads have to be faster than the fewer were at
        # their best; fewer threads do not fail by one sample in which their core was away.
        is_upward = self._trial > self.threads
        taken = mean(self._trials) if is_upward else median_low(self._trials)
        is_faster = taken < FASTER * (min(self._recent) if is_upward else self._mean)
        is_clear = taken < MUCH_FASTER * self._mean and not is_upward
        samples = CONFIRMATIONS if is_faster else 1 if is_upward else REFUTATIONS
        if len(self._trials) < samples and not is_clear:
            return
        if is_faster:
            self._is_upward = is_upward
            self.threads, self._mean = self._trial, taken
            self._recent.clear()
            self._recent.append(taken)
            self._wait = 0.0  # the next neighbour may be faster still
        elif taken > SLOWER * self._mean and not is_upward:
            self._wait = LAST_WAIT
        else:
            doubled = min(max(FIRST_WAIT, 2 * self._wait), LAST_WAIT)
            self._wait = max(doubled, COST * self._since)
        self._trial, self._trials, self._since = None, [], 0.0
