"""nbconv ensemble train, seal and eval."""

import shlex
from pathlib import Path
from typing import Any

import click

from .group import (
    JSON,
    THREADS,
    announce_compilation,
    backend_options,
    note,
    percent,
    print_json,
)
from .train import NETWORKS, given_settings, settings
from .use import DATA, SPLIT, WEIGHTS

FOLDER = click.argument("folder", type=click.Path(path_type=Path))


@click.group()
def ensemble() -> None:
    """Train networks that vote together."""


@ensemble.command("train", epilog=NETWORKS)
@settings
@click.option("--members", type=int, help="Number of networks.  [default: 5]")
@click.option(
    "--member", type=int, help="Train this one alone, the first being 1; see nbconv ensemble seal."
)
@click.option(
    "--jobs",
    type=int,
    default=1,
    show_default=True,
    help="Trainings at a time; they share the threads.",
)
@backend_options
@THREADS
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write.  [default: ensemble]"
)
@click.option(
    "--resume", type=click.Path(path_type=Path), help="Continue the training in this folder."
)
@JSON
def train(
    config: Path | None,
    members: int | None,
    member: int | None,
    jobs: int,
    backend: str,
    threads: int | str,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train an ensemble.

    Its members differ in their seeds: --seed is the first one's, the others add 1 each. Ctrl-C
    stops and saves; the same command again, or --resume FOLDER, continues from there. CONFIG is a
    TOML file of settings, as for nbconv train.

    With --member each job of a cluster trains a member, and nbconv ensemble seal closes the folder.
    """
    given = given_settings(config, options)
    from nbconv import Interrupted, set_threads
    from nbconv import ensemble as ensembles
    from nbconv.runs import run as runs

    if resume and out:
        raise click.UsageError("--resume goes on in its own folder: leave --out out")
    set_threads(threads)
    announce_compilation()
    folder = resume or out or Path("ensemble")

    def on_line(line: str) -> None:
        note(line)

    if resume:
        given, count = ensembles.begun(folder, given, members)
    else:
        count = 5 if members is None else members
    try:
        if member is not None:
            ensembles.train_member(folder, member, given, count, backend, on_line)
        else:
            trained = ensembles.train(folder, given, count, jobs, backend, on_line)
    except Interrupted as stop:
        note("Stopped and saved." if stop.saved else "Stopped at once.")
        one = "" if member is None else f" --member {member}"
        note(f"Go on with: nbconv ensemble train --resume {shlex.quote(str(folder))}{one}")
        raise
    if member is not None:
        path = shlex.quote(str(folder))
        click.echo(f"member-{member} of {count} is trained. After all: nbconv ensemble seal {path}")
        return
    _, *sets = runs.load(trained.networks[0].state.run)
    results = {
        name: trained.evaluate(data)
        for name, data in zip(("validation", "test"), sets, strict=True)
        if data is not None
    }
    if as_json:
        print_json({"ensemble": str(folder), **results})
    else:
        _print_table(results)
        click.echo(f"Try next: nbconv ensemble eval {shlex.quote(str(folder))}")


@ensemble.command("seal")
@FOLDER
def seal(folder: Path) -> None:
    """Close an ensemble trained member by member.

    Checks that all members are there and at their last epoch, and records their digests.
    """
    from nbconv import ensemble as ensembles

    sealed = ensembles.seal(folder)
    click.echo(f"{folder} has its {len(sealed)} members.")
    click.echo(f"Try next: nbconv ensemble eval {shlex.quote(str(folder))}")


@ensemble.command("eval")
@FOLDER
@DATA
@SPLIT
@WEIGHTS
@backend_options
@JSON
def evaluate(
    folder: Path, data: str | None, split: str | None, weights: str, backend: str, as_json: bool
) -> None:
    """Evaluate an ensemble.

    Prints the accuracy of each member, of their vote and of their mean probability.
    """
    from nbconv import Ensemble
    from nbconv.runs.run import images_for

    announce_compilation()
    loaded = Ensemble.load(folder, backend=backend, weights=weights)
    data, split, dataset = images_for(loaded.networks[0], data, split, folder)
    result = loaded.evaluate(dataset)
    if as_json:
        print_json({**result, "data": data, "split": split, "weights": weights})
    else:
        _print_table({split: result})


def _print_table(results: dict[str, dict[str, Any]]) -> None:
    """What `Ensemble.evaluate` gave for each split."""
    members = zip(*(result["members"] for result in results.values()), strict=True)
    rows = [[f"member-{number}", *scores] for number, scores in enumerate(members, 1)]
    rows.append(["vote", *(result["accuracy"] for result in results.values())])
    rows.append(
        ["mean probability", *(result["mean_probability_accuracy"] for result in results.values())]
    )
    click.echo(" " * 16 + "".join(f"{split:>24}" for split in results))
    for name, *scores in rows:
        cells = (
            f"{percent(score)}, {round(score * result['total'])} of {result['total']}"
            for score, result in zip(scores, results.values(), strict=True)
        )
        click.echo(f"{name:16}" + "".join(f"{cell:>24}" for cell in cells))
