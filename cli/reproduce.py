"""nbconv reproduce."""

import shutil
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from ..book.experiments import EXPERIMENTS
from ..tables import duration
from .group import Suggesting, announce_compilation, backend_options, note

CHAPTER5 = "accuracy", "speeds", "curves", "bars", "sigma", "chain", "remedies"
OURS = "beyond", "beyond-ensemble"
CHAPTER6 = (
    "digits", "parameters", *(name for name in EXPERIMENTS if name not in OURS), "ensemble",
    "filters",
)  # fmt: skip


def _listed(names: Iterable[str]) -> str:
    return textwrap.fill(
        ", ".join(names), 56, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


PARTS = f"""\b
ch5, chapter 5, or its parts:
{_listed(CHAPTER5)}
ch6, chapter 6, or its parts:
{_listed(CHAPTER6)}
{_listed(OURS)} (ours)
"""


@click.command(epilog=PARTS)
@click.argument(
    "names",
    nargs=-1,
    required=True,
    type=Suggesting(("ch5", "ch6", *CHAPTER5, *CHAPTER6, *OURS)),
)
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
    help="Seed of the first training; the others add 1 each.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="One training of few epochs each: minutes instead of hours, for a first look.",
)
@backend_options
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trainings at a time; they share the threads.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reproduced"),
    show_default=True,
    help="Folder for everything written.",
)
def reproduce(
    names: tuple[str, ...], runs: int, seed: int, quick: bool, backend: str, jobs: int, out: Path
) -> None:
    """Reproduce the book's chapters 5 and 6.

    Trains on MNIST, prints tables, and writes them to OUT with the figures. Ctrl-C stops and saves;
    the same command continues from there. NAMES are chapters or parts of them, listed below.
    """
    from nbconv import reproduce as chapters
    from nbconv.reproduce.tables import merged

    chapters.chosen(names)
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
        on_line=note,
    ):
        note(f"{result.name}: done in {duration(result.seconds)}")
        done.append(result)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for table in merged(done):
        click.echo(f"{table.text(width)}\n")
    out = out / "quick" if quick else out
    for picture in (picture for result in done for picture in result.pictures):
        click.echo(f"{picture.caption}:\n  {out / 'figures' / picture.name}.png and .svg")
    note(f"All results so far: {out / 'results.md'} and .json")
