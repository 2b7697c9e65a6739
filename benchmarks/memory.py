"""Peak resident memory of training beside the peers: python benchmarks/memory.py [--mini-batch 10] [--engine jax].

One process for each engine and mini-batch, on equally many random images; with what the engine's import alone takes.
A first process, which is not measured, fills the caches of compiled kernels.
"""

import argparse
from pathlib import Path
from typing import Any

from compare import ENGINES, RESULTS, Worker, environment, write

NETWORK, MINI_BATCHES = "conv-conv", [10, 256]


def peaks(name: str, mini_batch: int, threads: int) -> tuple[str, float, float]:
    """(version, MiB when imported, MiB when trained) of a process of that engine."""
    worker = Worker(name, threads)
    imported = worker.peak()
    worker.time("train", NETWORK, mini_batch)
    trained = worker.peak()
    worker.stop()
    return worker.version, imported, trained


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mini-batch", action="append", type=int, help=f"default: {MINI_BATCHES}")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all that can")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    options = parser.parse_args()
    able = [
        name
        for name, engine in ENGINES.items()
        if "train" in engine.tasks and NETWORK in engine.networks
    ]
    results: list[dict[str, Any]] = []
    versions = {}
    print(
        f"peak resident set of training {NETWORK}, MiB, {options.threads} threads: imported, trained"
    )
    for mini_batch in options.mini_batch or MINI_BATCHES:
        for name in [name for name in able if name in (options.engine or ENGINES)]:
            peaks(name, mini_batch, options.threads)
            versions[name], imported, trained = peaks(name, mini_batch, options.threads)
            print(f"{name:12} mini-batch {mini_batch:3} {imported:8.0f} {trained:8.0f}", flush=True)
            results.append(
                {"engine": name, "mini_batch": mini_batch, "imported": imported, "trained": trained}
            )
    contents = {
        "environment": environment(options.threads) | {"versions": versions},
        "network": NETWORK,
    }
    write(options.out, contents | {"mebibytes": results})


if __name__ == "__main__":
    main()
