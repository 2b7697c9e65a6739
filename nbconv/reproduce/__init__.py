"""The numbers and pictures of the book's chapters 5 and 6, from new trainings: `nbconv reproduce`.

A part is a function that adds tables and pictures to a `Context`.

OUT/parts/NAME.json     the result of a part
OUT/runs                the checkpoints of its trainings
OUT/figures             its pictures
OUT/results.md, .json   the results of all parts that have been run
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .. import backend as backends
from ..checks import expected
from ..doctor import environment
from ..errors import SettingError
from ..files import replace
from . import chapter5, chapter6
from .context import Context
from .tables import Result, merged

CHAPTERS = {"ch5": chapter5.PARTS, "ch6": chapter6.PARTS}
PARTS = {name: part for parts in CHAPTERS.values() for name, part in parts.items()}
QUICK = (
    "Quick: fewer epochs than in the book. "
    "These numbers are not results of its experiments, and fall short of them."
)


def chosen(names: Sequence[str]) -> list[str]:
    """The parts that these names of chapters or parts stand for, in the book's order.

    Raises SettingError.
    """
    unknown = [name for name in names if name not in CHAPTERS and name not in PARTS]
    if unknown or not names:
        known = [*CHAPTERS, *PARTS]
        raise SettingError(
            f"{', '.join(unknown) or 'nothing'} cannot be reproduced: "
            f"{expected(unknown[0] if unknown else '', known)} {', '.join(known)}"
        )
    parts = {part for name in names for part in CHAPTERS.get(name, [name])}
    return [name for name in PARTS if name in parts]


def reproduce(
    names: Sequence[str],
    out: Path,
    *,
    runs: int = 3,
    seed: int = 0,
    quick: bool = False,
    backend: str = "auto",
    jobs: int = 1,
    on_line: Callable[[str], None] = lambda line: None,
) -> Iterator[Result]:
    """Run parts one after the other, and write and yield their results.

    An interrupted call can be repeated: it resumes where it stopped. names: "ch5", "ch6" or parts.
    out: a folder, created if necessary. runs: trainings per experiment, with the seeds `seed`,
    `seed` + 1, ... quick: fewer epochs and one run, in OUT/quick. jobs: trainings at a time.
    on_line: called with each line about the progress. Raises SettingError, DataError,
    CheckpointError, Interrupted.
    """
    parts = chosen(names)
    backend = backends.select(backend)[0]
    out = out / "quick" if quick else out
    (out / "parts").mkdir(parents=True, exist_ok=True)
    _results(out, without=parts)  # a damaged one is told before hours of training
    for number, part in enumerate(parts, 1):
        on_line(f"Part {number} of {len(parts)}: {part}")
        context = Context(out, 1 if quick else runs, seed, quick, backend, jobs, on_line)
        started = time.perf_counter()
        PARTS[part](context)
        seconds = time.perf_counter() - started
        command = f"nbconv reproduce {part} --runs {context.runs} --seed {seed}"
        if quick:
            command += " --quick"
        result = Result(
            part, command, seconds, environment(backend), context.tables, context.pictures
        )
        result.save(out / "parts" / f"{part}.json")
        _write(out, quick)
        yield result


def _results(out: Path, without: Sequence[str] = ()) -> list[Result]:
    """The results so far. Raises DataError if one is damaged."""
    files = [out / "parts" / f"{part}.json" for part in PARTS if part not in without]
    return [Result.load(file) for file in files if file.exists()]


def _write(out: Path, quick: bool) -> None:
    """Write all results so far as Markdown and JSON."""
    results = _results(out)
    lines = ["# The book's chapters 5 and 6, reproduced", "", *([QUICK, ""] if quick else [])]
    for table in merged(results):
        lines += [table.markdown(), ""]
    for result in results:
        for picture in result.pictures:
            lines += [f"![{picture.caption}](figures/{picture.name}.png)", "", picture.caption, ""]
    lines += [
        "| part | command | seconds, without earlier trainings | environment |",
        "| --- | --- | --- | --- |",
    ]
    for result in results:
        where = ", ".join(f"{key} {value}" for key, value in result.environment.items())
        lines.append(f"| {result.name} | `{result.command}` | {result.seconds:.0f} | {where} |")
    replace(out / "results.md", ("\n".join(lines) + "\n").encode())
    content = json.dumps([asdict(result) for result in results], indent=1)
    replace(out / "results.json", content.encode())
