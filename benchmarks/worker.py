"""A worker: one engine in one process, which times itself on request.

It reads lines "task network mini-batch" and answers each with microseconds per image. For each task
that an engine supports it has a function `prepare(network, mini_batch)`. This returns a function
that trains one epoch on random images (task "train") or computes the probabilities of one
mini-batch in memory (task "infer").
"""

import os
import sys
import time
from collections.abc import Callable

from networks import calls_for, images_for

SHORTEST = float(os.environ.get("BENCHMARK_SECONDS", "0.1"))  # seconds timed
Prepare = Callable[[str, int], Callable[[], object]]


def serve(version: str, **tasks: Prepare) -> None:
    """Print the engine's version, then answer requests until the input ends.

    A network is prepared and warmed up unless the last request was the same. Compilation is not
    timed.
    """
    print(version, flush=True)
    prepared = ""
    once = None
    for line in sys.stdin:
        task, network, mini_batch = line.split()
        size = int(mini_batch)
        calls, images = calls_for(size), size
        if task == "train":
            calls, images = 1, images_for(network, size)
        if once is None or line != prepared:
            once = None  # frees the memory of the last one
            once = tasks[task](network, size)
            prepared = line
            once()
            once()
        # Wait until the threads of the last engine have stopped spinning, then warm up the caches.
        time.sleep(0.05)
        warm = time.perf_counter() + 0.1
        while time.perf_counter() < warm:
            once()
        done, seconds, started = 0, 0.0, time.perf_counter()
        while seconds < SHORTEST:
            for _ in range(calls):
                once()
            done += calls
            seconds = time.perf_counter() - started
        print(seconds / (done * images) * 1e6, flush=True)
