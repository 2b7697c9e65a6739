"""Training, or --task infer, beside other busy programs: python benchmarks/neighbour.py.

Microseconds per image with "auto", one and two threads, and PyTorch's with one and two: alone, and
beside programs that keep a core busy each. All are timed in turns; medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from compare import RESULTS, Worker, environment, write
from networks import NETWORKS

FEWER = 40  # PyTorch, whose epochs would take minutes, trains on one image in so many
COLUMNS: dict[str, tuple[str, int | str, int]] = {
    "auto": ("nbconv", "auto", 1),
    "1 thread": ("nbconv", 1, 1),
    "2 threads": ("nbconv", 2, 1),
    "PyTorch, 1": ("torch", 1, FEWER),
    "PyTorch, 2": ("torch", 2, FEWER),
}
SETTLING = 1.0
SHORTEST = "0.5"  # seconds timed: many of the scheduler's time slices
BUSY = [sys.executable, "-c", "while True: pass"]


def row(
    workers: dict[str, Worker], task: str, network: str, mini_batch: int, busy: int, repeats: int
) -> dict[str, float]:
    """The median of each column beside so many busy programs.

    Each is timed after SETTLING seconds of the same work.
    """
    programs = [subprocess.Popen(BUSY, start_new_session=True) for _ in range(busy)]
    times: dict[str, list[float]] = {name: [] for name in workers}
    try:
        for worker in workers.values():
            end = time.monotonic() + SETTLING
            while time.monotonic() < end:
                worker.time(task, network, mini_batch)
        for _ in range(repeats):
            for name, worker in workers.items():
                times[name].append(worker.time(task, network, mini_batch))
    finally:
        for program in programs:
            program.kill()
            program.wait()
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Measure, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--task", choices=("train", "infer"), default="train")
    parser.add_argument("--mini-batch", action="append", type=int, help="default: 1, 10, 64")
    parser.add_argument("--busy", action="append", type=int, help="default: 0, 1, 2, 6")
    parser.add_argument("--column", action="append", choices=COLUMNS, help="default: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "neighbour.json")
    options = parser.parse_args()
    names = options.column or list(COLUMNS)
    os.environ.setdefault("BENCHMARK_SECONDS", SHORTEST)
    workers = {name: Worker(*COLUMNS[name]) for name in names}
    what = "training" if options.task == "train" else "prediction"
    print(f"{os.cpu_count()} CPUs; microseconds per image in {what}\n")
    print(f"| network, mini-batch, busy programs | {' | '.join(names)} | auto over the best |")
    print("| --- |" + " --- |" * (len(names) + 1))
    rows: list[dict[str, Any]] = []
    for busy in options.busy or (0, 1, 2, 6):
        for network in options.network or ("conv-conv", "784-30-10", "dropout"):
            for mini_batch in options.mini_batch or (1, 10, 64):
                found = row(workers, options.task, network, mini_batch, busy, options.repeats)
                ours = [found[name] for name in ("1 thread", "2 threads") if name in found]
                ratio = found["auto"] / min(ours) if ours and "auto" in found else None
                cells = " | ".join(f"{found[name]:.1f}" if name in found else "" for name in names)
                print(
                    f"| {network}, {mini_batch}, {busy} | {cells} | "
                    f"{f'{ratio:.2f}' if ratio else ''} |",
                    flush=True,
                )
                rows.append({"network": network, "mini_batch": mini_batch, "busy": busy, **found})
    versions = {name: worker.version for name, worker in workers.items()}
    settings = environment([1, 2]) | {"versions": versions}
    write(options.out, {"environment": settings, "microseconds": rows})


if __name__ == "__main__":
    main()
