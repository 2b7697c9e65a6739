"""What the comparisons share: one process per engine, interleaved timing, medians, a table, JSON.

The engines are timed in turns, so that noise from other programs affects all of them alike. All
have the same fixed number of threads.
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
# Compiled code is cached, so that a second run does not compile again.
COMPILED = {
    "BENCHMARK_COMPILE": "1",
    "TORCHINDUCTOR_CACHE_DIR": str(HERE.parent / ".cache" / "inductor"),
}
CHANNELS_LAST = {"BENCHMARK_FORMAT": "channels_last"}


@dataclass(frozen=True)
class Engine:
    """An engine's worker script, and the tasks and networks that it supports."""

    script: str
    interpreter: Path = PEERS
    environment: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("train", "infer")
    networks: tuple[str, ...] = tuple(NETWORKS)


ENGINES = {
    "nbconv": Engine("engine_nbconv.py", Path(sys.executable)),
    "torch": Engine("engine_torch.py"),
    "torch-last": Engine("engine_torch.py", environment=CHANNELS_LAST, networks=CONVOLUTIONAL),
    "compile": Engine("engine_torch.py", environment=COMPILED),
    "compile-last": Engine(
        "engine_torch.py", environment=COMPILED | CHANNELS_LAST, networks=CONVOLUTIONAL
    ),
    "jax": Engine("engine_jax.py"),
    "onnx": Engine("engine_onnx.py", tasks=("infer",)),
    "book": Engine(
        "engine_columns.py", Path(sys.executable), tasks=("train",), networks=("784-30-10",)
    ),
}


class Worker:
    """An engine's process, see worker.py.

    threads: a number, or "auto" for nbconv's own choice. share: of an epoch's images that a
    training is timed with, one in so many.
    """

    def __init__(self, name: str, threads: int | str, share: int = 1):
        self.name = name
        engine = ENGINES[name]
        if not engine.interpreter.exists():
            raise SystemExit(
                f"{name} has no interpreter: expected {engine.interpreter}, created by `make bench`"
            )
        limits = ("BENCHMARK_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        set_to = limits[:1] if threads == "auto" else limits
        environment = {**os.environ, **dict.fromkeys(set_to, str(threads)), **engine.environment}
        environment["BENCHMARK_SHARE"] = str(share)
        self.process = subprocess.Popen(
            [engine.interpreter, HERE / engine.script],
            text=True,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.version = self._read_line("start")

    def _read_line(self, request: str) -> str:
        """The worker's answer. request: what it was asked, for the error."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"{self.name} ended at {request!r}: see its error above")
        return line.strip()

    def time(self, task: str, network: str, mini_batch: int) -> float:
        """Microseconds per image, over one epoch ("train") or some calls ("infer")."""
        assert self.process.stdin
        request = f"{task} {network} {mini_batch}"
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return float(self._read_line(request))

    def peak(self) -> float:
        """The peak resident set size of the process so far, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match
        return int(match[1]) / 1024

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def parser_for(description: str, name: str, mini_batches: list[int]) -> argparse.ArgumentParser:
    """The options of a comparison. name: of the file for its results."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: all")
    parser.add_argument("--mini-batch", action="append", type=int, help=f"default: {mini_batches}")
    parser.add_argument(
        "--engine", action="append", choices=ENGINES, help="besides nbconv; default: all that can"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    return parser


def environment(threads: int | list[int]) -> dict[str, Any]:
    """What a result depends on besides the code."""
    return {
        "cpu": llvmlite.binding.get_host_cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "python": platform.python_version(),
    }


def write(out: Path, results: dict[str, Any]) -> None:
    """Write results as JSON."""
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n")


def medians_of(
    workers: dict[str, Worker], task: str, network: str, mini_batch: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """{engine: {"median", "all"}} in microseconds per image, timed in turns after a warm-up."""
    for worker in workers.values():
        worker.time(task, network, mini_batch)
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name, worker in workers.items():
            times[name].append(worker.time(task, network, mini_batch))
    return {
        name: {
            "median": round(statistics.median(each), 3),
            "all": [round(time, 3) for time in each],
        }
        for name, each in times.items()
    }


def compare(task: str, mini_batches: list[int], options: argparse.Namespace) -> None:
    """Time the engines, print a table and write it as JSON."""
    able = [name for name, engine in ENGINES.items() if task in engine.tasks]
    if unable := set(options.engine or []) - set(able):
        raise SystemExit(
            f"{', '.join(sorted(unable))} cannot {task}: expected --engine of {', '.join(able)}"
        )
    chosen = ["nbconv", *(options.engine or able)]
    workers = {name: Worker(name, options.threads) for name in able if name in chosen}
    versions = {name: worker.version for name, worker in workers.items()}
    settings = environment(options.threads) | {"versions": versions}
    print(
        f"{task}: microseconds per image, {options.threads} threads, "
        f"median of {options.repeats} interleaved runs"
    )
    names = [f"{name:>12}" for name in workers]
    print("  ".join([f"{'network':10} batch", *names, "  fastest peer and its ratio"]))
    results: list[dict[str, Any]] = []
    for network in options.network or NETWORKS:
        timed = {
            name: worker for name, worker in workers.items() if network in ENGINES[name].networks
        }
        for mini_batch in options.mini_batch or mini_batches:
            times = medians_of(timed, task, network, mini_batch, options.repeats)
            medians = {name: each["median"] for name, each in times.items()}
            row = [f"{network:10} {mini_batch:5}"]
            row += [f"{medians[name]:12.1f}" if name in medians else " " * 12 for name in workers]
            result = {"network": network, "mini_batch": mini_batch, "microseconds": times}
            if len(medians) > 1:
                peers = [name for name in medians if name != "nbconv"]
                fastest = min(peers, key=medians.__getitem__)
                ratio = medians[fastest] / medians["nbconv"]
                row.append(f"  {fastest} {medians[fastest]:.1f}, {ratio:.2f}x")
                result |= {"fastest_peer": fastest, "ratio": ratio}
            print("  ".join(row), flush=True)
            results.append(result)
            write(options.out, {"environment": settings, "results": results})
    for worker in workers.values():
        worker.stop()
