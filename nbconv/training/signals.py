"""SIGINT, SIGTERM and SIGHUP: noted while training, and acted upon between two mini-batches.

Before and after it, in nbconv's own processes, SIGTERM and SIGHUP raise an exception, as SIGINT
does in any Python: locks and temporary files are removed.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Interrupted

# Those that there are: Windows has no SIGHUP.
SIGNALS = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))
)


@contextmanager
def signals() -> Iterator[Callable[[], int]]:
    """A function that gives the number of SIGINT, SIGTERM or SIGHUP if it has come, else 0.

    A second one raises Interrupted at once. Those that are ignored (nohup) stay so.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received:
            raise Interrupted(number)
        received.append(number)

    def first() -> int:
        return received[0] if received else 0

    with _handled(SIGNALS, remember):
        yield first


@contextmanager
def raised() -> Iterator[None]:
    """Raise Interrupted at SIGTERM and SIGHUP, which otherwise end the process at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number, saved=None)

    with _handled(set(SIGNALS) - {signal.SIGINT}, interrupt):
        yield


@contextmanager
def _handled(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    """Only Python's main thread can handle signals: in others nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, handler)
        for number in numbers
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
