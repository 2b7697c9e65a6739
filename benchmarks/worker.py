"""A worker: one engine in one process. Reads lines "task network mini-batch", answers microseconds per image.

An engine gives, for each task it can do, `prepare(network, mini_batch)`. What that returns trains one epoch on random images
(task "train"), or gives the classes' probabilities of one mini-batch that is at hand (task "infer").
"""

import sys
import time
from collections.abc import Callable

from networks import calls_for, images_for

Prepare = Callable[[str, int], Callable[[], object]]


def serve(version: str, **tasks: Prepare) -> None:
    """Say the engine's version, then answer until the input ends.

    A network is prepared and warmed up when it is asked for and was not the one before; compilation is in no time.
    """
    print(version, flush=True)
    prepared, once = "", None
    for line in sys.stdin:
        task, network, text = line.split()
        size = int(text)
        calls, images = (
            (1, images_for(network, size))
            if task == "train"
            else (calls_for(size), size * calls_for(size))
        )
        if once is None or line != prepared:
            once = None  # frees the one before
            prepared, once = line, tasks[task](network, size)
            once()
            once()
        # Until the engine before has stopped spinning; then the threads have to find their cores again.
        time.sleep(0.05)
        warm = time.perf_counter() + 0.1
        while time.perf_counter() < warm:
            once()
        begun = time.perf_counter()
        for _ in range(calls):
            once()
        print((time.perf_counter() - begun) / images * 1e6, flush=True)
