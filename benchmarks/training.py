"""Training against its peers: python benchmarks/training.py [--network conv] [--mini-batch 10] [--repeats 7].

One process for each engine; they take turns, so that a noisy minute hits all alike; medians; fixed threads.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import llvmlite.binding
from networks import NETWORKS

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-bench" / "bin" / "python"
# name: (interpreter, script, its environment, the networks it can train)
ENGINES = {
    "nbconv": (Path(sys.executable), "engine_nbconv.py", {}, list(NETWORKS)),
    "torch eager": (PEERS, "engine_torch.py", {}, list(NETWORKS)),
    "torch channels_last": (PEERS, "engine_torch.py", {"BENCHMARK_FORMAT": "channels_last"}, list(NETWORKS)[1:]),
    "book, column by column": (Path(sys.executable), "engine_columns.py", {}, ["784-30-10"]),
}


class Worker:
    """An engine's process."""

    def __init__(self, interpreter: Path, script: str, environment: dict[str, str], threads: int):
        fixed = {name: str(threads) for name in ("BENCHMARK_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        self.process = subprocess.Popen(
            [interpreter, HERE / script], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **fixed, **environment},
        )  # fmt: skip
        self._answer()

    def _answer(self) -> str:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit("a worker has ended: its error stands above")
        return line

    def time(self, network: str, mini_batch: int) -> float:
        """Microseconds per image of one epoch."""
        assert self.process.stdin
        self.process.stdin.write(f"{network} {mini_batch}\n")
        self.process.stdin.flush()
        return float(self._answer())


def main() -> None:
    """Time, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--mini-batch", action="append", type=int)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "training.json")
    options = parser.parse_args()
    workers = {name: Worker(*engine[:3], options.threads) for name, engine in ENGINES.items()}
    results = []
    print(f"microseconds per image, {options.threads} threads, median of {options.repeats} interleaved epochs")
    for network in options.network or NETWORKS:
        for mini_batch in options.mini_batch or [10, 64]:
            able = [name for name, engine in ENGINES.items() if network in engine[3]]
            times: dict[str, list[float]] = {name: [] for name in able}
            for _ in range(options.repeats):
                for name in able:
                    times[name].append(workers[name].time(network, mini_batch))
            medians = {name: statistics.median(numbers) for name, numbers in times.items()}
            results.append({"network": network, "mini_batch": mini_batch, "microseconds": medians, "all": times})
            ours = medians["nbconv"]
            line = "  ".join(f"{name} {median:.1f} ({median / ours:.2f}x)" for name, median in medians.items())
            print(f"{network:10} mini-batch {mini_batch:3}  {line}", flush=True)
    options.out.parent.mkdir(exist_ok=True)
    environment = {
        "cpu": llvmlite.binding.get_host_cpu_name(),
        "python": platform.python_version(),
        "threads": options.threads,
    }
    options.out.write_text(json.dumps({"environment": environment, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
