"""SIGINT, SIGTERM and SIGHUP while training: noted at once, acted upon between two mini-batches."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Interrupted


@contextmanager
def signals() -> Iterator[Callable[[], None]]:
    """A function that raises Interrupted if SIGINT, SIGTERM or SIGHUP has come.

    A second one stops at once. Those that are ignored (nohup) stay so.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received:
            raise Interrupted(number)
        received.append(number)

    def check() -> None:
        if received:
            raise Interrupted(received[0])

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {
        number: signal.signal(number, remember)
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        if (number := getattr(signal, name, None))
        and signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
