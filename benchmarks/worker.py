"""A worker: one engine in one process. Reads lines "network mini-batch", answers microseconds per image.

An engine gives `prepare(network, mini_batch)`, which returns a function that trains one epoch on random images.
"""

import sys
import time
from collections.abc import Callable

from networks import images_for

Prepare = Callable[[str, int], Callable[[], None]]


def serve(prepare: Prepare) -> None:
    """Answer until the input ends. Each network is prepared and warmed up once."""
    epochs: dict[tuple[str, int], Callable[[], None]] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        network, size = line.split()
        key = network, int(size)
        if key not in epochs:
            epochs[key] = prepare(*key)
            epochs[key]()
        begun = time.perf_counter()
        epochs[key]()
        print((time.perf_counter() - begun) / images_for(key[1]) * 1e6, flush=True)
