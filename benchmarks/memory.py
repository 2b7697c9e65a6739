"""Peak resident memory of training, compared with other engines: python benchmarks/memory.py.

One process per engine and mini-batch size, all with the same number of random images; the memory
after the import is listed, too. A first process, which is not measured, fills the caches of
compiled kernels. For example: --mini-batch 10 --engine jax.
"""

import argparse
from pathlib import Path
from typing import Any

from compare import ENGINES, RESULTS, Worker, environment, write

NETWORK = "conv-conv"
MINI_BATCHES = [10, 256]


def peaks(name: str, mini_batch: int, threads: int) -> tuple[str, float, float]:
    """(version, peak MiB after the import, peak MiB after training) of an engine's process."""
    worker = Worker(name, threads)
    imported = worker.peak()
    worker.time("train", NETWORK, mini_batch)
    trained = worker.peak()
    worker.stop()
    return worker.version, imported, trained


def main() -> None:
    """Measure, print a table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mini-batch", action="append", type=int, help=f"default: {MINI_BATCHES}")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all that can")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "memory.json")
    options = parser.parse_args()
    engines = [
        name
        for name, engine in ENGINES.items()
        if "train" in engine.tasks
        and NETWORK in engine.networks
        and name in (options.engine or ENGINES)
    ]
    results: list[dict[str, Any]] = []
    versions = {}
    print(
        f"peak resident set size of training {NETWORK} in MiB, {options.threads} threads: "
        "imported, trained"
    )
    for mini_batch in options.mini_batch or MINI_BATCHES:
        for name in engines:
            peaks(name, mini_batch, options.threads)
            versions[name], imported, trained = peaks(name, mini_batch, options.threads)
            print(f"{name:12} mini-batch {mini_batch:3} {imported:8.0f} {trained:8.0f}", flush=True)
            results.append(
                {"engine": name, "mini_batch": mini_batch, "imported": imported, "trained": trained}
            )
    settings = environment(options.threads) | {"versions": versions}
    write(options.out, {"environment": settings, "network": NETWORK, "mebibytes": results})


if __name__ == "__main__":
    main()
