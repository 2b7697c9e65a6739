"""nbconv train."""

import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .group import ACTIVATIONS, announce_compilation, backend_options, percent, print_json
from .progress import Progress, duration

NETWORKS = """\b
Networks of the book's chapter 6, for --net:
  fc, conv, conv-only, conv-conv, conv-conv-tanh,
  conv-conv-relu, expanded-100, expanded-300,
  expanded-1000, double-100, double-300, double-1000,
  dropout
Ours:
  beyond
"""

SETTINGS = (
    click.option(
        "--net",
        help="Layers, as 20C5-MP2-100N-10N or 784-30-10, or a network's name (below).  [default: 20C5-MP2-100N-10N]",
    ),
    click.option(
        "--activation",
        type=click.Choice(ACTIVATIONS),
        help="Activation of the hidden layers.  [default: sigmoid]",
    ),
    click.option(
        "--data",
        help="digits, mnist, or a path: a folder of IDX files, .npz, .h5 or .pkl.gz.  [default: digits]",
    ),
    click.option("--epochs", type=int, help="Number of epochs.  [default: 60]"),
    click.option("--mini-batch-size", type=int, help="Images in a mini-batch.  [default: 10]"),
    click.option("--eta", type=float, help="Learning rate.  [default: 0.1]"),
    click.option(
        "--lmbda",
        type=float,
        help="L2 regularisation: lmbda/(2n) sum of w^2 is added to the cost.  [default: 0]",
    ),
    click.option(
        "--lmbda-l1",
        type=float,
        help="L1 regularisation: lmbda/n sum of |w| is added to the cost.  [default: 0]",
    ),
    click.option("--momentum", type=float, help="Momentum, in [0, 1).  [default: 0]"),
    click.option("--nesterov/--no-nesterov", default=None, help="Nesterov's momentum."),
    click.option(
        "--dropout",
        type=float,
        help="Share of the dense layers' inputs left out, in [0, 1).  [default: 0]",
    ),
    click.option(
        "--schedule",
        help="Learning rate schedule: constant, cosine[:N], one-cycle[:N], halve:N or step:N:FACTOR.  "
        "[default: constant]",
    ),
    click.option(
        "--patience",
        type=int,
        help="Stop after this many epochs without a better validation accuracy.",
    ),
    click.option(
        "--expand/--no-expand",
        default=None,
        help="Also train on each image moved by a pixel in four directions.",
    ),
    click.option(
        "--rotate",
        type=float,
        help="Rotate training images at random, by at most this many degrees.  [default: 0]",
    ),
    click.option(
        "--zoom",
        type=float,
        help="Scale their rows and columns at random, by at most this share.  [default: 0]",
    ),
    click.option(
        "--shift",
        type=float,
        help="Shift them at random, by at most this many pixels each way.  [default: 0]",
    ),
    click.option(
        "--elastic",
        type=float,
        help="Bend them at random, by at most this many pixels.  [default: 0]",
    ),
    click.option(
        "--monitor-training/--no-monitor-training",
        default=None,
        help="Record the accuracy on the training images.",
    ),
    click.option(
        "--monitor-layers/--no-monitor-layers",
        default=None,
        help="Record each layer's speed of learning, norms and stuck neurons.",
    ),
    click.option(
        "--initialiser",
        help="Initial weights: default, large, glorot, he or book3.  [default: default]",
    ),
    click.option(
        "--dtype", type=click.Choice(("float32", "float64")), help="Precision.  [default: float32]"
    ),
    click.option("--seed", type=int, help="Seed of weights, order and dropout.  [default: 0]"),
)


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """CONFIG.toml and an option for each setting of a run; `given_settings` puts them together."""
    for option in reversed(
        (click.argument("config", required=False, type=click.Path(path_type=Path)), *SETTINGS)
    ):
        command = option(command)
    return command


def given_settings(config: Path | None, options: dict[str, Any]) -> dict[str, Any]:
    """What was given of the settings, options over CONFIG.toml."""
    return {
        **_read_config(config),
        **{name: value for name, value in options.items() if value is not None},
    }


@click.command(epilog=NETWORKS)
@settings
@backend_options
@click.option(
    "--threads", type=int, help="CPU threads; the results do not depend on them.  [default: all]"
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The checkpoint to write.  [default: run.h5]"
)
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Continue the run of this checkpoint."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
def train(
    config: Path | None,
    backend: str,
    threads: int | None,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network.

    A checkpoint is saved after each epoch. Ctrl-C stops and saves; --resume continues from there to the same result as
    without the stop.

    CONFIG is a TOML file of settings, named as the options: eta = 0.1. Options override it.
    """
    given = given_settings(config, options)
    from nbconv import backend as backends
    from nbconv.errors import Interrupted
    from nbconv.runs import run as runs

    if threads is not None:
        backends.set_threads(threads)
    run = (
        runs.resume(resume, given, out, backend)
        if resume
        else runs.begin(given, out or Path("run.h5"), backend)
    )
    state = run.network.state
    progress = Progress(state.epoch, state.epoch + run.arguments["epochs"])
    click.echo(f"{run.network.summary()}\n", err=True)
    click.echo(
        f"{len(run.train):,} training images from {state.run['data']}, checkpoint {run.out}",
        err=True,
    )
    if backends.threading_layer() == "workqueue":
        click.echo(
            "Numba's omp threading layer is missing, training is slower: see nbconv doctor",
            err=True,
        )
    announce_compilation()
    try:
        run.go(progress.epoch_done, progress.mini_batch)
    except Interrupted as stop:
        progress.clear()
        if stop.saved:
            click.echo(
                f"Stopped and saved after epoch {state.epoch}, mini-batch {state.epoch_step}.",
                err=True,
            )
            click.echo(f"Go on with: nbconv train --resume {shlex.quote(str(run.out))}", err=True)
        else:
            click.echo("Stopped at once, without saving.", err=True)
        raise
    _print_result(run, as_json)


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read as TOML: {error}") from error
    return {name.replace("-", "_"): value for name, value in settings.items()}


def _print_result(run: Any, as_json: bool) -> None:
    state = run.network.state
    best = state.best
    seconds = sum(state.history["seconds"])
    if as_json:
        print_json(
            {
                "checkpoint": str(run.out),
                "network": run.network.notation,
                "parameters": run.network.engine.count,
                "epochs": state.epoch,
                "seconds": seconds,
                "best_epoch": best.epoch,
                "validation_accuracy": best.validation_accuracy,
                "test_accuracy": best.test_accuracy,
                "settings": state.run,
                "history": dict(state.history),
            }
        )
        return
    click.echo(f"Test accuracy {percent(best.test_accuracy)} ({round(best.test_accuracy * len(run.test))} of {len(run.test)}) "
               f"at epoch {best.epoch}, the best in validation with {percent(best.validation_accuracy)}.")  # fmt: skip
    click.echo(f"{state.epoch} epochs in {duration(seconds)}. Checkpoint: {run.out}")
    click.echo(f"Try next: nbconv inspect {run.out}")
