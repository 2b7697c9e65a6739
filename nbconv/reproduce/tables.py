"""The results of a part: tables and pictures, as text, Markdown and JSON."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import one_line, replace
from ..tables import aligned

Cell = str | float | int | None


@dataclass
class Table:
    """A table with a title.

    columns: each column's name and number format, such as ".2f"; "" for a column of strings.
    rows: a cell that is None is left empty.
    """

    title: str
    columns: Mapping[str, str]
    rows: list[list[Cell]] = field(default_factory=list)

    def _cells(self) -> list[list[str]]:
        """All cells as strings, the header first."""
        formats = self.columns.values()
        rows = [
            [_text(cell, form) for cell, form in zip(row, formats, strict=True)]
            for row in self.rows
        ]
        return [list(self.columns), *rows]

    def markdown(self) -> str:
        """A Markdown table under the title."""
        cells = ([cell.replace("|", "\\|") for cell in row] for row in self._cells())
        head, *rows = ("| " + " | ".join(row) + " |" for row in cells)
        rule = "| " + " | ".join("---:" if form else "---" for form in self.columns.values()) + " |"
        return "\n".join([f"**{self.title}**", "", head, rule, *rows])

    def text(self, width: int | None = None) -> str:
        """Aligned columns under the title.

        width: the characters of a line; columns that do not fit come below, beside the first again.
        """
        alignment = [">" if form else "<" for form in self.columns.values()]
        columns = list(zip(*self._cells(), strict=True))
        lengths = [max(map(len, column)) for column in columns]
        blocks = [[0]]
        for k in range(1, len(columns)):
            used = sum(lengths[j] + 2 for j in blocks[-1])
            if width is not None and used + lengths[k] > width and len(blocks[-1]) > 1:
                blocks.append([0])
            blocks[-1].append(k)
        tables = (
            aligned(
                list(zip(*(columns[k] for k in block), strict=True)),
                "".join(alignment[k] for k in block),
            )
            for block in blocks
        )
        title = self.title if width is None else textwrap.fill(self.title, width)
        return "\n".join([title, "\n\n".join(tables)])


def _text(cell: Cell, form: str) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else format(cell, form)


@dataclass
class Picture:
    """A picture's file name, without its extension, and its caption."""

    name: str
    caption: str


@dataclass
class Result:
    """The tables and pictures of one part of a chapter, and how they were made.

    seconds: the time that it took. environment: see `doctor.environment`.
    """

    name: str
    command: str
    seconds: float
    environment: dict[str, str]
    tables: list[Table]
    pictures: list[Picture]

    def save(self, path: Path) -> None:
        """Write the result as JSON, atomically. Raises OSError."""
        replace(path, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> "Result":
        """Read a result that `save` wrote. Raises DataError if it is damaged."""
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            tables = [Table(**table) for table in stored.pop("tables")]
            pictures = [Picture(**picture) for picture in stored.pop("pictures")]
            result = cls(tables=tables, pictures=pictures, **stored)
            for table in tables:
                table.markdown()
            f"{result.seconds:.0f} {dict(result.environment)} {json.dumps(asdict(result))}"
        except OSError:
            raise
        except Exception as error:  # of a file that something else wrote
            raise DataError(
                f"{path} is damaged and cannot be used ({one_line(error)}): remove it, and its "
                "part is reproduced again"
            ) from error
        return result


def merged(results: Sequence[Result]) -> list[Table]:
    """The results' tables; consecutive ones with the same title and columns become one."""
    tables: list[Table] = []
    for table in (table for result in results for table in result.tables):
        if tables and tables[-1].title == table.title and tables[-1].columns == table.columns:
            tables[-1].rows += table.rows
        else:
            tables.append(Table(table.title, table.columns, list(table.rows)))
    return tables


def statistics(values: Sequence[float]) -> dict[str, Any]:
    """Best, mean and spread: the sample standard deviation, or None for a single value."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"best": max(values), "mean": float(np.mean(values)), "spread": spread}
