"""Training beside a program that keeps one core busy: python benchmarks/neighbour.py.

The cost of a busy neighbour depends on how long OpenMP's threads spin before they sleep
(GOMP_SPINCOUNT). Prints microseconds per image, the median of five, without and with the neighbour,
for nbconv's default, OpenMP's default and other values.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NETWORK = "conv-conv"
MINI_BATCH = 10
THREADS = 2


def microseconds(environment: dict[str, str]) -> float:
    """The median time per image of five trainings in one process."""
    done = subprocess.run(
        [sys.executable, HERE / "engine_nbconv.py"],
        input=f"train {NETWORK} {MINI_BATCH}\n" * 5,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return statistics.median(map(float, done.stdout.splitlines()[1:]))


def main() -> None:
    """Measure and print."""
    print(
        f"{NETWORK}, mini-batch {MINI_BATCH}, {THREADS} threads: microseconds per image alone, "
        "beside a busy neighbour"
    )
    for spins in (None, "1000", "4000", "12000", "300000"):
        environment = {**os.environ, "BENCHMARK_THREADS": str(THREADS)}
        if spins:
            environment["GOMP_SPINCOUNT"] = spins
        alone = microseconds(environment)
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            beside = microseconds(environment)
        finally:
            neighbour.kill()
            neighbour.wait()
        print(
            f"GOMP_SPINCOUNT {spins or 'as nbconv sets it':18} {alone:8.1f} {beside:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
