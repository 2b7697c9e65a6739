"""nbconv train."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_args

import click

from ..errors import SettingError, printable
from ..kernels.activations import NAMES
from ..names import DATASETS, SCHEDULES
from ..runs.settings import NAMED, RunSettings
from ..tables import duration
from .group import (
    THREADS,
    Suggesting,
    announce_compilation,
    backend_options,
    note,
    percent,
    print_json,
)
from .progress import Decoding, Log, Progress, tell

NETWORKS = """\b
Networks of the book's chapter 6, for --net:
  fc, conv, conv-only, conv-conv, conv-conv-tanh,
  conv-conv-relu, expanded-100, expanded-300,
  expanded-1000, double-100, double-300, double-1000,
  dropout
Ours:
  starter (small pairs of convolution and pooling, images
  turned and moved a little), beyond
"""


# What a file of settings cannot have.
ONLY_OPTIONS = "backend", "find_eta", "json", "log", "mpi", "out", "resume", "threads", "verbose"
# For what is not one of a few names, and begins with one of some.
COMPLETED = {
    "net": Suggesting(NAMED),
    "activation": Suggesting(NAMES),
    "data": Suggesting(DATASETS, has_files=True),
    "schedule": Suggesting(SCHEDULES),
}


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """CONFIG.toml and an option for each setting of a run; `given_settings` puts them together."""
    config = click.argument("config", required=False, type=click.Path(path_type=Path))
    for decorate in reversed([config, *map(_option, fields(RunSettings))]):
        command = decorate(command)
    return command


def _option(setting: Field[Any]) -> Callable[..., Any]:
    """The option of a setting. It is None where it is not given: CONFIG.toml's value holds then."""
    name, default, help = setting.name.replace("_", "-"), setting.default, setting.metadata["help"]
    if setting.type is bool:
        return click.option(f"--{name}/--no-{name}", default=None, help=help)
    if default is not None:
        shown = f"{default:g}" if isinstance(default, float) else default
        help += f"  [default: {shown}]"
    kind = next(iter(get_args(setting.type)), setting.type)  # int of int | None
    choices = setting.metadata["limits"].get("choices")
    kind = click.Choice(choices) if choices else COMPLETED.get(setting.name, kind)
    return click.option(f"--{name}", type=kind, help=help)


def given_settings(config: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """What was given of the settings, options over CONFIG.toml."""
    return {
        **_read_config(config),
        **{name: value for name, value in options.items() if value is not None},
    }


@click.command(epilog=NETWORKS)
@settings
@backend_options
@THREADS
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The checkpoint to write; another run's there is kept, as OUT.old.  [default: run.h5]",
)
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Continue the run of this checkpoint."
)
@click.option(
    "--find-eta", is_flag=True, help="First try etas in short trainings, and take a good one."
)
@click.option("--mpi", is_flag=True, help="Share the training among mpiexec's processes.")
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="A file to which each epoch appends a line of JSON: its number, cost, accuracies, seconds "
    "and what is monitored.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
def train(
    config: Path | None,
    backend: str,
    threads: int | str,
    out: Path | None,
    resume: Path | None,
    find_eta: bool,
    mpi: bool,
    log: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network.

    A checkpoint is saved after each epoch. Ctrl-C stops and saves; --resume continues from there to
    the same result as without the stop.

    CONFIG is a TOML file of settings, named as the options: eta = 0.1. Options override it.

    mpiexec -n 4 nbconv train --mpi trains one network on 4 processes, and on any number of them the
    same one with the same --shards.
    """
    out = out or resume or Path("run.h5")
    if log and log.resolve() == out.resolve():
        raise click.UsageError(f"--log and --out are both {out}: expected two files")
    from nbconv.training import ranks as mpi_ranks

    ranks = mpi_ranks.Ranks(mpi_ranks.world() if mpi else None)
    ranks.take_gpu()
    if not ranks.is_first:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- rank 0 speaks for all
    with ranks.all_or_none(), ranks.agreeing():
        given = given_settings(config, options)
    if find_eta and (resume or "eta" in given):
        raise click.UsageError(
            "--find-eta chooses the eta of a new run: leave --resume and --eta out"
        )
    started, number, _ = mpi_ranks.launched()
    if not mpi and started > 1 and number == 0:
        note(
            f"mpiexec has started {started} processes, and each trains a network of its own: with "
            "--mpi they share one"
        )
    if ranks.size > 1 and not resume and "shards" not in given:
        given["shards"] = 1 << (ranks.size - 1).bit_length()
        note(f"shards {given['shards']}, for {ranks.size} processes")
    with ranks.all_or_none(), _logging(log, not resume, ranks) as logged:
        _train(given, backend, threads, out, resume, find_eta, logged, as_json, ranks)


@contextmanager
def _logging(path: Path | None, is_new: bool, ranks: Any) -> Iterator[Log | None]:
    """The log of the epochs, on rank 0 and if there is one.

    Raises SettingError, CheckpointError.
    """
    from nbconv.files import claimed

    with ExitStack() as stack:
        logged = None
        with ranks.agreeing():
            if path and ranks.is_first:
                logged = Log(path, is_new=is_new)
                stack.callback(logged.close)
                if path.is_file() or not path.exists():
                    stack.enter_context(claimed(path, "--log"))
        yield logged


def _train(
    given: dict[str, Any],
    backend: str,
    threads: int | str,
    out: Path,
    resume: Path | None,
    find_eta: bool,
    logged: Log | None,
    as_json: bool,
    ranks: Any,
) -> None:
    """What `train` does, on one of the ranks."""
    from nbconv import backend as backends
    from nbconv import set_threads
    from nbconv.errors import Interrupted
    from nbconv.runs import run as runs

    decoding = Decoding()
    with ranks.agreeing():
        set_threads(threads)
        try:
            run = (
                runs.resume(resume, given, out, backend, decoding)
                if resume
                else runs.begin(given, out, backend, decoding, find_eta)
            )
        except Interrupted:
            tell("Stopped before the training, nothing was saved.")
            raise
    state = run.network.state
    progress = Progress(state.epoch, state.epoch + run.arguments["epochs"])
    note(f"{run.network.summary()}\n")
    aside = f"{len(run.validation):,}" if run.validation else "none"
    tell(
        f"{len(run.train):,} training images, {aside} for validation and {len(run.test):,} for the "
        f"test from {state.run['data']}"
    )
    tell(f"Checkpoint: {run.out}")
    tell(runs.classes_line(run.train, run.arguments["class_weights"]))
    how = "as before" if resume else "given" if "eta" in given else "by default"
    how = "found by short trainings" if find_eta else how
    tell(f"eta {state.run['eta']:g}, {how}")
    if backends.threading_layer() == "workqueue":
        tell("Numba's omp threading layer is missing, training is slower: see nbconv doctor")
    announce_compilation()
    was_told = False

    def tell_kept() -> None:
        """Say once where the file that was in the way has been kept."""
        nonlocal was_told
        if run.kept and not was_told:
            tell(f"The file that was at {run.out} is now {run.kept}")
            was_told = True

    def epoch_done(metrics: dict[str, float]) -> None:
        progress.epoch_done(metrics)
        tell_kept()
        if logged:
            logged.epoch_done(metrics)

    try:
        run.go(epoch_done, progress.mini_batch, ranks)
    except Interrupted as stop:
        progress.clear()
        tell_kept()
        if stop.saved:
            tell(f"Stopped and saved after epoch {state.epoch}, mini-batch {state.epoch_step}.")
            note(f"Go on with: nbconv train --resume {shlex.quote(str(run.out))}")
        else:
            tell("Stopped at once, without saving.")
        raise
    _print_result(run, as_json)


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import tomllib

    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(
            f"{path}, the file of settings, cannot be read ({error.strerror}){_meant(path)}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{path} cannot be read as TOML: {error}{_meant(path)}") from error
    spelled: dict[str, str] = {}
    for name in settings:
        if (other := spelled.setdefault(name.replace("-", "_"), name)) != name:
            raise SettingError(f"{path} has both {other} and {name}: expected one of them")
    named = {name: settings[spelling] for name, spelling in spelled.items()}
    if ours := sorted(set(named) & {*ONLY_OPTIONS}):
        raise SettingError(
            f"{path}: {ours[0]} is an option of the command and no setting of the training: "
            f"expected --{ours[0].replace('_', '-')} on the command line"
        )
    return named


def _meant(path: Path) -> str:
    """How an error about a file of settings goes on where another option was meant, else ""."""
    from ..checkpoint.file import is_checkpoint

    option = ""
    if str(path) in NAMED:
        option = "--net"
    elif is_checkpoint(path):
        option = "--resume"
    elif str(path) in DATASETS or path.is_dir() or (path.is_file() and path.suffix != ".toml"):
        option = "--data"
    return f": did you mean {option} {path}?" if option else ""


def _print_result(run: Any, as_json: bool) -> None:
    state = run.network.state
    best, accuracy = state.best, state.test_accuracy
    seconds = sum(state.history["seconds"])
    warning = run.still_guessing() and state.warning
    if as_json:
        print_json(
            {
                "checkpoint": str(run.out),
                "network": run.network.notation,
                "parameters": run.network.engine.count,
                "epochs": state.epoch,
                "seconds": seconds,
                "best_epoch": best and best.epoch,
                "validation_accuracy": best and best.validation_accuracy,
                "test_accuracy": accuracy,
                "warning": warning or None,
                "settings": state.run,
                "history": dict(state.history),
            }
        )
        return
    total = len(run.test)
    when = (
        f"at epoch {best.epoch}, best in validation ({percent(best.validation_accuracy)})"
        if best
        else f"after the last epoch, {state.epoch}"
    )
    right = f"{round(accuracy * total)} of {total}"
    click.echo(f"Test accuracy {percent(accuracy)} ({right}) {when}.")
    if warning:
        click.echo(printable(f"Nothing was learned. {warning}"))
    epochs = f"{state.epoch} epoch{'s' if state.epoch > 1 else ''}"
    click.echo(f"{epochs} in {duration(seconds)}. Checkpoint: {run.out}")
    click.echo(f"Try next: nbconv inspect {shlex.quote(str(run.out))}")
