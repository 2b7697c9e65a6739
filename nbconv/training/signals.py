"""SIGINT, SIGTERM and SIGHUP while training: noted at once, acted upon between two mini-batches."""

import signal
import threading
from collections.abc import Callable, Iterator
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

    if threading.current_thread() is not threading.main_thread():
        yield first
        return
    before = {
        number: signal.signal(number, remember)
        for number in SIGNALS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield first
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
