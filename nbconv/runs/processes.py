"""Train several runs as separate processes that can be stopped and resumed, a few at a time.

A run's process is `nbconv.runs.processes DESCRIPTION` (child.py), in a separate session: Ctrl-C in
a terminal reaches only the parent, which sends SIGTERM to each process. Standard input is a pipe
that nothing is written to. It closes when the parent ends, for whatever reason, and the process
then sends SIGTERM to itself. Either way the run saves between two mini-batches and ends. The parent
passes on every line that a process prints.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend as backends
from .. import checks, child, threads
from ..errors import Interrupted, NbconvError
from ..files import one_line
from ..tables import duration
from ..training import history
from ..training.signals import raised, signals
from . import run as runs

POLL_SECONDS = 0.2  # between two checks for signals
LINE = 80  # characters of a line about a job's epoch, its name included
Lines = queue.SimpleQueue[tuple[str, str | None]]  # (a job's name, a line, or None at its end)


@dataclass(frozen=True)
class Job:
    """A run to train.

    name, out: different for every job; out is the checkpoint. settings: as `runs.begin` takes them.
    """

    name: str
    settings: Mapping[str, Any]
    out: Path


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose checkpoint is missing or not at its last epoch.

    Raises SettingError and CheckpointError as `runs.is_finished` does.
    """
    return [job for job in jobs if not runs.is_finished(job.out, job.settings)]


def train_all(
    jobs: Sequence[Job],
    parallel: int = 1,
    backend: str = "auto",
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Train the unfinished jobs, `parallel` at a time, each resumed from its checkpoint if any.

    The jobs share the CPU threads of this process. on_line: called with every line that a job
    prints, prefixed with the job's name. If a job fails, the others are still trained.

    Raises SettingError and CheckpointError before training if settings are invalid or differ from
    a checkpoint's; NbconvError after training if jobs failed, saying which and why; Interrupted
    after SIGINT or SIGTERM, once all jobs have saved. A second signal does not wait for that.
    """
    parallel = checks.count("jobs", parallel)
    waiting = unfinished(jobs)
    total, started = len(waiting), time.perf_counter()
    share = max(1, threads.most() // max(1, min(parallel, len(waiting))))
    running: dict[str, subprocess.Popen[str]] = {}
    lines: Lines = queue.SimpleQueue()
    last_lines: dict[str, str] = {}
    failures: dict[str, str] = {}

    def receive(timeout: float | None = None) -> None:
        """Handle one line, or the end of a process. Raises queue.Empty after `timeout` seconds."""
        name, line = lines.get(timeout=timeout)
        if line is not None:
            on_line(f"{name}: {line}")
            last_lines[name] = line
            return
        if code := running.pop(name).wait():
            failures[name] = _reason(last_lines.get(name, ""), code)
        elif left := len(waiting) + len(running):
            seconds = (time.perf_counter() - started) / (total - left) * left
            on_line(f"{total - left} of {total} trainings done, about {duration(seconds)} left")

    with signals() as signal_number:
        try:
            while waiting or running:
                if number := signal_number():
                    raise Interrupted(number, saved=True)
                while waiting and len(running) < parallel:
                    job = waiting.pop(0)
                    running[job.name] = _start(job, backend, share, lines)
                with suppress(queue.Empty):
                    receive(POLL_SECONDS)
        finally:
            for process in running.values():
                process.terminate()
            while running:
                receive()
    if failed := [job.name for job in jobs if job.name in failures]:
        others = f" (and so did {', '.join(failed[1:])}, see above)" if failed[1:] else ""
        raise NbconvError(f"{failed[0]} failed{others}: {failures[failed[0]]}")


def _reason(last_line: str, code: int) -> str:
    """Why a process failed: its error message, or the signal or exit code if it printed none."""
    if last_line.startswith("Error: "):
        return last_line.removeprefix("Error: ")
    return f"its process ended with {'signal' if code < 0 else 'exit code'} {abs(code)}"


def _start(job: Job, backend: str, share: int, lines: Lines) -> subprocess.Popen[str]:
    """Start a job's process, and a thread that puts its lines into the queue, then None."""
    fields = {
        "settings": dict(job.settings),
        "out": str(job.out),
        "backend": backend,
        "threads": share,
        "width": LINE - len(f"{job.name}: "),
    }
    description = json.dumps(fields, default=lambda number: number.item())  # NumPy numbers
    process = subprocess.Popen(
        child.command("nbconv.runs.processes", description),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip

    def read_lines() -> None:
        with process:
            for line in process.stdout or ():
                lines.put((job.name, line.rstrip()))
        lines.put((job.name, None))

    threading.Thread(target=read_lines, daemon=True).start()
    return process


def _begin_or_resume(settings: Mapping[str, Any], out: Path, backend: str) -> runs.Run:
    if out.exists():
        return runs.resume(out, settings, backend=backend)
    return runs.begin(settings, out, backend)


def _train(description: str) -> None:
    """Train one job: the entry point of its process. description: the JSON that `_start` writes."""
    fields = json.loads(description)
    child.end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        threads.set_most(fields["threads"])
        backends.on_compilation(_print)
        run = _begin_or_resume(fields["settings"], Path(fields["out"]), fields["backend"])
        first, epochs = run.network.state.epoch, run.arguments["epochs"]
        started = time.perf_counter()

        def epoch_done(metrics: Mapping[str, float]) -> None:
            done = metrics["epoch"] - first
            left = (time.perf_counter() - started) / done * (epochs - done)
            _print(history.line(metrics, first + epochs, left=left, width=fields["width"]))

        run.go(epoch_done)
    except Interrupted as stop:
        if stop.saved:
            state = run.network.state
            _print(f"stopped and saved after epoch {state.epoch}, mini-batch {state.epoch_step}")
        elif stop.saved is False:
            _print("stopped without saving")
        raise SystemExit(128 + stop.signal_number) from stop
    except (NbconvError, OSError, MemoryError) as error:
        _print(f"Error: {one_line(error)}")
        raise SystemExit(1) from error


def _print(line: str) -> None:
    with suppress(BrokenPipeError):  # the parent has ended
        os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    with raised():
        _train(sys.argv[1])
