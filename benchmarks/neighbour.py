"""Training beside a program that keeps one core busy: python benchmarks/neighbour.py.

How long OpenMP's threads spin before they sleep (GOMP_SPINCOUNT) decides what a busy neighbour costs. Prints microseconds
per image, median of five, alone and beside the neighbour; the default of nbconv, of OpenMP, and values around.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NETWORK, MINI_BATCH, THREADS = "conv-conv", 10, 2


def main() -> None:
    """Measure and print."""
    print(
        f"{NETWORK}, mini-batch {MINI_BATCH}, {THREADS} threads: microseconds per image alone, beside a busy neighbour"
    )
    for spins in (None, "1000", "4000", "12000", "300000"):
        environment = {
            **os.environ,
            "BENCHMARK_THREADS": str(THREADS),
            **({"GOMP_SPINCOUNT": spins} if spins else {}),
        }
        medians = []
        for busy in (False, True):
            neighbour = (
                subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
            )
            request = f"train {NETWORK} {MINI_BATCH}\n" * 5
            done = subprocess.run(
                [sys.executable, HERE / "engine_nbconv.py"],
                input=request,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            medians.append(statistics.median(map(float, done.stdout.splitlines()[1:])))
            if neighbour:
                neighbour.kill()
                neighbour.wait()
        print(
            f"GOMP_SPINCOUNT {spins or 'as nbconv sets it':18} {medians[0]:8.1f} {medians[1]:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
