"""Tables of results: for a terminal, as Markdown, as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replace

Cell = str | float | int | None


@dataclass
class Table:
    """Rows of cells under columns; a cell that is None is empty.

    columns: name and format of a number, such as ".2f".
    """

    title: str
    columns: Mapping[str, str]
    rows: list[list[Cell]] = field(default_factory=list)

    def _texts(self) -> list[list[str]]:
        formats = self.columns.values()
        rows = [
            [_text(cell, spec) for cell, spec in zip(row, formats, strict=True)]
            for row in self.rows
        ]
        return [list(self.columns), *rows]

    def markdown(self) -> str:
        """As a table of Markdown under its title."""
        texts = ([cell.replace("|", "\\|") for cell in row] for row in self._texts())
        head, *rows = ("| " + " | ".join(row) + " |" for row in texts)
        rule = "| " + " | ".join("---:" if spec else "---" for spec in self.columns.values()) + " |"
        return "\n".join([f"**{self.title}**", "", head, rule, *rows])

    def text(self) -> str:
        """In columns, under its title."""
        rows = self._texts()
        widths = [max(len(row[column]) for row in rows) for column in range(len(self.columns))]
        sides = [
            f"{'>' if spec else '<'}{width}"
            for spec, width in zip(self.columns.values(), widths, strict=True)
        ]
        lines = [
            "  ".join(f"{cell:{side}}" for cell, side in zip(row, sides, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self.title, *lines])


def _text(cell: Cell, spec: str) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else format(cell, spec)


@dataclass
class Picture:
    """A figure's file name without its ending, and what it shows."""

    name: str
    caption: str


@dataclass
class Result:
    """What one part of a chapter gave, and how."""

    name: str
    command: str
    seconds: float
    environment: dict[str, str]
    tables: list[Table]
    pictures: list[Picture]

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        replace(path, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> "Result":
        """The way back of `save`."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        tables = [Table(**table) for table in stored.pop("tables")]
        return cls(
            tables=tables,
            pictures=[Picture(**picture) for picture in stored.pop("pictures")],
            **stored,
        )


def merged(results: Sequence[Result]) -> list[Table]:
    """Their tables, those that follow each other with one title as one."""
    tables: list[Table] = []
    for table in (table for result in results for table in result.tables):
        if tables and tables[-1].title == table.title and tables[-1].columns == table.columns:
            tables[-1].rows += table.rows
        else:
            tables.append(Table(table.title, table.columns, list(table.rows)))
    return tables


def statistics(values: Sequence[float]) -> dict[str, Any]:
    """Best, mean and spread (standard deviation of the sample; None of one value)."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"best": max(values), "mean": float(np.mean(values)), "spread": spread}
