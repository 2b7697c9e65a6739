"""The book's chapters 5 and 6 again: every number and every picture from our own runs; what `nbconv reproduce` calls.

A part is a function that works on a `Context` and leaves tables and pictures there. Each has its result in OUT/parts/NAME.json, its
trainings in OUT/runs, its pictures in OUT/figures; OUT/results.md and OUT/results.json hold those of all parts that have been run.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .. import backend as backends
from ..doctor import environment
from ..errors import SettingError
from ..files import replace
from . import chapter5, chapter6
from .context import Context
from .tables import Result, merged

CHAPTERS = {"ch5": chapter5.PARTS, "ch6": chapter6.PARTS}
PARTS = {name: part for parts in CHAPTERS.values() for name, part in parts.items()}
QUICK = "Quick: fewer epochs than the book's. These are no results of the book's experiments, and fall short of them."


def chosen(names: Sequence[str]) -> list[str]:
    """The parts of these names (chapters or parts), in the book's order. Raises SettingError."""
    unknown = [name for name in names if name not in CHAPTERS and name not in PARTS]
    if unknown or not names:
        raise SettingError(
            f"{', '.join(unknown) or 'nothing'} cannot be reproduced: expected {', '.join([*CHAPTERS, *PARTS])}"
        )
    wanted = {part for name in names for part in CHAPTERS.get(name, [name])}
    return [name for name in PARTS if name in wanted]


def reproduce(
    names: Sequence[str],
    out: Path,
    *,
    runs: int = 3,
    seed: int = 0,
    quick: bool = False,
    backend: str = "auto",
    jobs: int = 1,
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Result]:
    """Run parts, one after the other; what is interrupted goes on where it stopped when the same is asked for again.

    names: "ch5", "ch6" or parts. out: a folder, made if it is not there. runs: trainings of each experiment, with the seeds `seed`,
    seed + 1, ... quick: fewer epochs, in a folder of their own, OUT/quick. jobs: trainings at a time.
    Raises SettingError, DataError, CheckpointError, Interrupted.
    """
    parts, name = chosen(names), backends.select(backend)[0]
    out = out / "quick" if quick else out
    (out / "parts").mkdir(parents=True, exist_ok=True)
    for part in parts:
        tell(f"{part} ...")
        context = Context(out, 1 if quick else runs, seed, quick, name, jobs, tell)
        begun = time.perf_counter()
        PARTS[part](context)
        command = f"nbconv reproduce {part} --runs {context.runs} --seed {seed}" + (
            " --quick" if quick else ""
        )
        seconds = time.perf_counter() - begun
        result = Result(part, command, seconds, environment(name), context.tables, context.pictures)
        result.save(out / "parts" / f"{part}.json")
        _write(out, quick)
        yield result


def _write(out: Path, quick: bool) -> None:
    """All results so far, as Markdown and JSON."""
    files = [out / "parts" / f"{part}.json" for part in PARTS]
    results = [Result.load(file) for file in files if file.exists()]
    lines = ["# The book's chapters 5 and 6, reproduced", "", *([QUICK, ""] if quick else [])]
    for table in merged(results):
        lines += [table.markdown(), ""]
    for result in results:
        for picture in result.pictures:
            lines += [f"![{picture.caption}](figures/{picture.name}.png)", "", picture.caption, ""]
    lines += [
        "| part | command | seconds, what was trained before not counted | environment |",
        "| --- | --- | --- | --- |",
    ]
    for result in results:
        where = ", ".join(f"{key} {value}" for key, value in result.environment.items())
        lines.append(f"| {result.name} | `{result.command}` | {result.seconds:.0f} | {where} |")
    replace(out / "results.md", ("\n".join(lines) + "\n").encode())
    replace(
        out / "results.json", json.dumps([asdict(result) for result in results], indent=1).encode()
    )
