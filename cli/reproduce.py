"""nbconv reproduce."""

from pathlib import Path

import click

from .group import BACKEND, announce_backend, announce_compilation
from .progress import duration

EPILOG = (
    "NAMES: ch5, ch6, or parts of them. Of chapter 5: accuracy, speeds, curves, bars, sigma, chain, remedies. Of chapter 6: "
    "digits, parameters, fc, conv, conv-only, conv-conv, conv-conv-tanh, conv-conv-relu, expanded-100, expanded-300, "
    "expanded-1000, double-100, double-300, double-1000, dropout, beyond (ours), ensemble, beyond-ensemble, filters."
)


@click.command(epilog=EPILOG)
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--runs",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Trainings of each experiment.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the first; the others' follow.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="One training of fewer epochs each: minutes instead of hours, and no results.",
)
@BACKEND
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trainings at a time, with their share of the threads.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reproduced"),
    show_default=True,
    help="A folder for all of it.",
)
def reproduce(
    names: tuple[str, ...], runs: int, seed: int, quick: bool, backend: str, jobs: int, out: Path
) -> None:
    """The numbers and pictures of the book's chapters 5 and 6 on MNIST, from our own trainings.

    Tables are printed, and written to OUT with the figures. Ctrl-C stops and saves; the same command goes on from there.
    """
    from nbconv import reproduce as chapters
    from nbconv.reproduce.tables import merged

    chapters.chosen(names)
    announce_backend(backend)
    announce_compilation()
    done = []
    for result in chapters.reproduce(
        names,
        out,
        runs=runs,
        seed=seed,
        quick=quick,
        backend=backend,
        jobs=jobs,
        tell=lambda line: click.echo(line, err=True),
    ):
        click.echo(f"{result.name}: done, {duration(result.seconds)}", err=True)
        done.append(result)
    for table in merged(done):
        click.echo(f"{table.text()}\n")
    for picture in (picture for result in done for picture in result.pictures):
        click.echo(f"{picture.caption}: {picture.name}.png, {picture.name}.svg")
    click.echo(
        f"All tables: {out / 'quick' if quick else out}/results.md, results.json; pictures: figures/",
        err=True,
    )
