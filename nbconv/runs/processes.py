"""Several runs, some at a time, each a process of its own that can be stopped and gone on with.

A run's process is `nbconv.runs.processes DESCRIPTION` (child.py), in a session of its own: a terminal's Ctrl-C reaches only the parent,
which sends each one SIGTERM. Its standard input is a pipe that nothing is written to and that ends when the parent is gone,
however it went: then the process sends itself SIGTERM. Either way a run saves between two mini-batches and ends. What it prints
is passed on line by line.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend as backends
from .. import checks, child
from ..checkpoint import file as checkpoint
from ..errors import Interrupted, NbconvError
from ..training import history
from ..training.loop import signals
from . import run as runs

LOOK = 0.2  # seconds between two looks at signals


@dataclass(frozen=True)
class Job:
    """A run: its name and its checkpoint, no other job's, and its settings by name as `runs.begin` takes them."""

    name: str
    settings: Mapping[str, Any]
    out: Path


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """The jobs whose checkpoint is not there or not at its end. Raises SettingError, CheckpointError as `runs.is_finished`."""
    return [job for job in jobs if not runs.is_finished(job.out, job.settings)]


def train_all(
    jobs: Sequence[Job],
    parallel: int = 1,
    backend: str = "auto",
    tell: Callable[[str], None] = lambda line: None,
) -> None:
    """Train what is unfinished of the jobs, each from where its checkpoint stands, `parallel` at a time.

    The CPU threads of this process are shared out among them. tell: is given every line, with the job's name before it.
    A run that fails is told at once and the others are trained nevertheless; then NbconvError says which failed and why.
    SIGINT and SIGTERM stop all after saving, with Interrupted; a second one does not wait for that.
    Raises, before anything is trained, SettingError and CheckpointError for settings that cannot be or are not the checkpoint's.
    """
    parallel, waiting = checks.count("jobs", parallel), unfinished(jobs)
    threads = max(1, backends.threads() // max(1, min(parallel, len(waiting))))
    running: dict[str, subprocess.Popen[str]] = {}
    said: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    last: dict[str, str] = {}
    failures: dict[str, str] = {}

    def hear(timeout: float | None = None) -> None:
        """Take in one line, or the end of a process."""
        name, line = said.get(timeout=timeout)
        if line is not None:
            tell(f"{name}: {line}")
            last[name] = line
        elif code := running.pop(name).wait():
            failures[name] = _reason(last.get(name, ""), code)

    with signals() as check_signals:
        try:
            while waiting or running:
                try:
                    check_signals()
                except Interrupted as stop:
                    stop.saved = True
                    raise
                while waiting and len(running) < parallel:
                    job = waiting.pop(0)
                    running[job.name] = _start(job, backend, threads, said)
                with suppress(queue.Empty):
                    hear(LOOK)
        finally:
            for process in running.values():
                process.terminate()
            while running:
                hear()
    if failed := [job.name for job in jobs if job.name in failures]:
        rest = f" (and so did {', '.join(failed[1:])}, see above)" if failed[1:] else ""
        raise NbconvError(f"{failed[0]} failed{rest}: {failures[failed[0]]}")


def _reason(last_line: str, code: int) -> str:
    """Why a process failed: its one line, if it ended as it should."""
    if last_line.startswith("Error: "):
        return last_line.removeprefix("Error: ")
    return f"its process ended with {'signal' if code < 0 else 'exit code'} {abs(code)}"


def _start(
    job: Job, backend: str, threads: int, said: queue.SimpleQueue[tuple[str, str | None]]
) -> Any:
    """A job's process, and a thread that puts its lines into a queue, None after the last one."""
    given = {
        "settings": dict(job.settings),
        "out": str(job.out),
        "backend": backend,
        "threads": threads,
    }
    description = json.dumps(given, default=lambda number: number.item())  # NumPy's numbers
    process = subprocess.Popen(
        child.command("nbconv.runs.processes", description),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip

    def listen() -> None:
        with process:
            for line in process.stdout or ():
                said.put((job.name, line.rstrip()))
        said.put((job.name, None))

    threading.Thread(target=listen, daemon=True).start()
    return process


def _train(description: str) -> None:
    """What a job's process does."""
    given = json.loads(description)
    settings, out, backend = given["settings"], Path(given["out"]), given["backend"]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        backends.set_threads(given["threads"])
        backends.on_compilation(_say)
        run = (
            runs.resume(out, settings, backend=backend)
            if out.exists()
            else runs.begin(settings, out, backend)
        )
        epochs = run.network.state.epoch + run.arguments["epochs"]
        run.go(lambda report: _say(history.line(report, epochs)))
    except Interrupted as stop:
        state = run.network.state
        place = f"and saved after epoch {state.epoch}, mini-batch {state.epoch_step}"
        _say(f"stopped {place if stop.saved else 'at once, without saving'}")
        raise SystemExit(128 + stop.signal_number) from stop
    except (NbconvError, OSError, MemoryError) as error:
        _say(f"Error: {checkpoint.one_line(error)}")
        raise SystemExit(1) from error


def _say(line: str) -> None:
    with suppress(BrokenPipeError):  # the parent is gone
        os.write(1, f"{line}\n".encode())


def _end_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    _train(sys.argv[1])
