"""What the comparisons share: one process for each engine, taking turns, medians, a table, JSON.

Engines take turns, so that a noisy minute hits all alike; all have the same fixed number of threads.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llvmlite.binding
from networks import NETWORKS

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PEERS = HERE.parent / ".venv-bench" / "bin" / "python"
CONVOLUTIONAL = ("conv", "conv-conv", "dropout")
# Compiled once for each network and mini-batch; kept, so that a second run need not wait for it.
COMPILED = {
    "BENCHMARK_COMPILE": "1",
    "TORCHINDUCTOR_CACHE_DIR": str(HERE.parent / ".cache" / "inductor"),
}
LAST = {"BENCHMARK_FORMAT": "channels_last"}


@dataclass(frozen=True)
class Engine:
    """How an engine is started, and what it can do."""

    script: str
    interpreter: Path = PEERS
    environment: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("train", "infer")
    networks: tuple[str, ...] = tuple(NETWORKS)


ENGINES = {
    "nbconv": Engine("engine_nbconv.py", Path(sys.executable)),
    "torch": Engine("engine_torch.py"),
    "torch-last": Engine("engine_torch.py", environment=LAST, networks=CONVOLUTIONAL),
    "compile": Engine("engine_torch.py", environment=COMPILED),
    "compile-last": Engine("engine_torch.py", environment=COMPILED | LAST, networks=CONVOLUTIONAL),
    "jax": Engine("engine_jax.py"),
    "onnx": Engine("engine_onnx.py", tasks=("infer",)),
    "book": Engine(
        "engine_columns.py", Path(sys.executable), tasks=("train",), networks=("784-30-10",)
    ),
}


class Worker:
    """An engine's process."""

    def __init__(self, name: str, threads: int):
        self.name, engine = name, ENGINES[name]
        if not engine.interpreter.exists():
            raise SystemExit(
                f"{name} has no interpreter: expected {engine.interpreter}, which `make bench` makes"
            )
        limits = ("BENCHMARK_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(limits, str(threads)), **engine.environment}
        self.process = subprocess.Popen(
            [engine.interpreter, HERE / engine.script], text=True, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.version = self._answer("start")

    def _answer(self, request: str) -> str:
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"{self.name} has ended at {request!r}: its error stands above")
        return line.strip()

    def time(self, task: str, network: str, mini_batch: int) -> float:
        """Microseconds per image of one epoch, or of some calls."""
        assert self.process.stdin
        request = f"{task} {network} {mini_batch}"
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return float(self._answer(request))

    def peak(self) -> float:
        """The largest resident set that the process has had, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def parser_for(description: str, name: str, mini_batches: list[int]) -> argparse.ArgumentParser:
    """The options of a comparison whose results are called that."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: all")
    parser.add_argument("--mini-batch", action="append", type=int, help=f"default: {mini_batches}")
    parser.add_argument(
        "--engine", action="append", choices=ENGINES, help="nbconv and these; default: all that can"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    return parser


def environment(threads: int | list[int]) -> dict[str, Any]:
    """What a result depends on beside the code."""
    cpu, cores = llvmlite.binding.get_host_cpu_name(), len(os.sched_getaffinity(0))
    return {"cpu": cpu, "cores": cores, "threads": threads, "python": platform.python_version()}


def write(out: Path, contents: dict[str, Any]) -> None:
    """Write a result as JSON."""
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(contents, indent=1) + "\n")


def medians_of(
    workers: dict[str, Worker], task: str, network: str, mini_batch: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """{engine: its median and all its times}, the engines taking turns after each has warmed up."""
    for worker in workers.values():
        worker.time(task, network, mini_batch)
    rounds = [
        {name: worker.time(task, network, mini_batch) for name, worker in workers.items()}
        for _ in range(repeats)
    ]
    times = {name: [each[name] for each in rounds] for name in workers}
    return {
        name: {
            "median": round(statistics.median(each), 3),
            "all": [round(time, 3) for time in each],
        }
        for name, each in times.items()
    }


def compare(task: str, mini_batches: list[int], options: argparse.Namespace) -> None:
    """Time, print a table, write it as JSON."""
    able_to = [name for name, engine in ENGINES.items() if task in engine.tasks]
    if unable := set(options.engine or []) - set(able_to):
        raise SystemExit(
            f"{', '.join(sorted(unable))} cannot {task}: expected --engine of {', '.join(able_to)}"
        )
    chosen = ["nbconv", *(options.engine or able_to)]
    workers = {name: Worker(name, options.threads) for name in able_to if name in chosen}
    told = environment(options.threads) | {
        "versions": {name: worker.version for name, worker in workers.items()}
    }
    print(
        f"{task}: microseconds per image, {options.threads} threads, median of {options.repeats} interleaved runs"
    )
    print(
        "  ".join(
            [
                f"{'network':10} batch",
                *(f"{name:>12}" for name in workers),
                "  fastest peer and its ratio",
            ]
        )
    )
    results: list[dict[str, Any]] = []
    for network in options.network or NETWORKS:
        for mini_batch in options.mini_batch or mini_batches:
            able = {
                name: worker
                for name, worker in workers.items()
                if network in ENGINES[name].networks
            }
            figures = medians_of(able, task, network, mini_batch, options.repeats)
            medians = {name: each["median"] for name, each in figures.items()}
            row = [f"{network:10} {mini_batch:5}"]
            row += [f"{medians[name]:12.1f}" if name in medians else " " * 12 for name in workers]
            result = {"network": network, "mini_batch": mini_batch, "microseconds": figures}
            if len(medians) > 1:
                fastest = min(
                    (name for name in medians if name != "nbconv"), key=medians.__getitem__
                )
                ratio = medians[fastest] / medians["nbconv"]
                row.append(f"  {fastest} {medians[fastest]:.1f}, {ratio:.2f}x")
                result |= {"fastest_peer": fastest, "ratio": ratio}
            print("  ".join(row), flush=True)
            results.append(result)
            write(options.out, {"environment": told, "results": results})
    for worker in workers.values():
        worker.stop()
