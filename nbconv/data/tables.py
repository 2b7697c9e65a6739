"""CSV files: a row for each image, its label and its pixels."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, say
from .dataset import square_shape
from .formats import MAX_BYTES, open_unpacked, reading, refuse_page
from .found import ALL, Found, Part, pairs, set_named, words

Array = NDArray[Any]
ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
NUMBERING = ("", "id", "index", "unnamed: 0")  # columns that number the rows
EXACT = 2**24  # whole numbers that a float32 has are below
PIXEL_NAMES = re.compile(r"(pixels?|px|p)?[\W_]*#([\W_x]+#)*")  # with # for each number
LABEL_NAMES = ("label", "labels", "class", "target", "y", "digit", "category")
WHAT = "a CSV file with a row for each image: its label, then its pixels"
_LINE = 2**20  # characters at most: 200,000 pixels


def read(path: Path) -> Found:
    """The single set of images in a CSV file. Raises DataError."""
    return Found({ALL: _part(path)})


def find(folder: Path) -> Found | None:
    """The sets in a folder of CSV files named train, test, maybe validation; None without them.

    Images and labels may be in files of their own, such as X_train.csv and y_train.csv.
    """
    parts: dict[str, Part] = {}
    files: dict[str, tuple[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        stem = re.sub(r"\.[ct]sv(\.gz)?$", "", path.name, flags=re.IGNORECASE)
        if stem != path.name and path.is_file() and not path.name.startswith("."):
            which = next((name for word in words(stem) if (name := set_named(word))), None)
            if which:
                files[stem] = which, path
    for which, pair in pairs(files).items():
        if len(pair) == 2:
            parts[which] = _joined(*(files.pop(pair[kind])[1] for kind in ("images", "labels")))
    for which, path in files.values():
        if which in parts:
            raise DataError(
                f"{folder} holds {parts[which].what} and {path.name}, both the {which} set: "
                "expected one of each; or name a single file"
            )
        parts[which] = _part(path)
    if "train" not in parts:
        return None
    for which in [name for name, part in parts.items() if part.labels is None]:
        if which == "train":
            raise DataError(f"{folder}: {parts[which].what} has no labels: expected a column label")
        say(f"{folder}: {parts[which].what} has no labels, so it is not used as the {which} set")
        del parts[which]
    return Found(parts)


def read_images(path: Path, pixels: int) -> Array | None:
    """The images of a CSV file without labels, (n, pixels); None if it has labels.

    pixels: of one image, so that a file of as many columns and no header has no labels. Raises
    DataError.
    """
    with reading(path, WHAT):
        head = _head(path)
        has_labels = _label_column(head.names, head.row) is not None
        if has_labels or (head.names is None and len(head.row) != pixels):
            return None
        images: Array = _read(path, head, has_labels=False).images
        return images


def _part(path: Path) -> Part:
    """The images and, if it has any, labels of a CSV file. Raises DataError."""
    with reading(path, WHAT):
        return _read(path, _head(path))


def _joined(path: Path, of_labels: Path) -> Part:
    """A file of images alone, and one with a column of their labels. Raises DataError."""
    with reading(path, WHAT):
        head = _head(path)
        if head.names is not None and _label_column(head.names, head.row) is not None:
            raise DataError(f"it has labels, and {of_labels.name}, too: expected them in one file")
        images = _read(path, head, has_labels=False).images
    what = "a CSV file with a column of labels"
    with reading(of_labels, what), open_unpacked(of_labels) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        lines = _Bounded(text)
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        rows = [row for row in csv.reader(chain([first], lines), delimiter=delimiter) if row]
        widths = {len(row) for row in rows}
        width = max(widths, default=0)
        header = rows.pop(0) if len(rows) == len(images) + 1 else []
        if len(rows) != len(images):
            raise DataError(
                f"it has {len(rows)} rows, and {path.name} {len(images)} images: expected a label "
                "for each image"
            )
        numbering = [k for k, cell in enumerate(header) if cell.strip().casefold() in NUMBERING]
        columns = [k for k in range(width) if width == 1 or k not in numbering]
        if len(columns) != 1 or len(widths) > 1:
            raise DataError(f"it has rows of {width} columns: expected one column of labels")
        cells = [row[columns[0]].strip() for row in rows]
    labels = np.array(cells, np.float64 if all(map(_is_number, cells)) else np.str_)
    return Part(images, labels, f"{path.name} and {of_labels.name}")


@dataclass(frozen=True)
class _Head:
    """How a table begins.

    names: of its columns, if it says them. row: its first of numbers. skipped: lines that are
    empty, and the header.
    """

    delimiter: str
    names: list[str] | None
    row: list[str]
    skipped: int


def _head(path: Path) -> _Head:
    refuse_page(path, WHAT)
    with open_unpacked(path) as raw:
        lines = enumerate(_Bounded(io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")))
        filled = list(islice(((k, line) for k, line in lines if line.strip()), 2))
    head = [line for _, line in filled]
    if not head:
        raise DataError(f"{path} is empty: expected {WHAT}")
    delimiter = max(",;\t ", key=head[0].count)
    first, *more = list(csv.reader(head, delimiter=delimiter))
    row = (more or [[]])[0]
    has_names = _has_names(first, row)
    was_a_row = not has_names and _was_a_row(first, row)
    if was_a_row:
        say(
            f"{path}: its first line is passed over as a header, a row in which pandas made equal "
            f"numbers different ({', '.join(first[:3])}, ...): read_csv(..., header=None) keeps it"
        )
    has_header = has_names or was_a_row or (_is_numbering(first) and len(first) > 1)
    names = [cell.strip().casefold() for cell in first] if has_names else None
    row = row if has_header else first
    if has_header and len(row) != len(first):
        raise DataError(f"{path} has {len(first)} columns in its header and {len(row)} below it")
    return _Head(delimiter, names, row, filled[0][0] + has_header)


def _is_numbering(cells: list[str]) -> bool:
    """Whether these number the columns, from 0, as pandas does, or from 1."""
    texts = [cell.strip() for cell in cells]
    return any(texts == [str(k + first) for k in range(len(texts))] for first in (0, 1))


def _was_a_row(first: list[str], second: list[str]) -> bool:
    """Whether a header is a row of whole numbers, the k-th repetition of n written as n.k."""
    seen: Counter[str] = Counter()
    for cell in first:
        number, _, repetition = cell.strip().partition(".")
        if not number.isdecimal() or repetition != (str(seen[number]) if seen[number] else ""):
            return False
        seen[number] += 1
    is_whole = all(cell.strip().isdecimal() for cell in second)
    return is_whole and max(seen.values()) > 1 and len(first) >= 10


def _has_names(first: list[str], second: list[str]) -> bool:
    """Whether the first row of a table has the names of its columns: texts, but for one's class."""
    texts = [k for k, cell in enumerate(first) if not _is_number(cell)]
    rest = [cell for k, cell in enumerate(first) if k not in texts]
    if texts not in ([0], [len(first) - 1]) or _is_numbering(rest):
        return bool(texts)
    is_class = len(second) == len(first) > 2 and not _is_number(second[texts[0]])
    return not is_class and (texts != [0] or first[0].strip().casefold() in ("", *LABEL_NAMES))


def _read(path: Path, head: _Head, has_labels: bool = True) -> Part:
    """The table's pixels and labels. has_labels: they are looked for where no header says so."""
    names, row = head.names, head.row
    columns = len(row)
    label = _label_column(names, row)
    pixels = [k for k in range(columns) if k != label and not (names and names[k] in NUMBERING)]
    if names:
        _check_pixels(path, [names[k] for k in pixels])
    with open_unpacked(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        lines = _Bounded(text)
        converters: Any = None
        texts: list[str] = []
        if label is not None and not _is_number(row[label]):

            def number(cell: str) -> float:
                text = cell.strip()
                texts.append(text.strip('"') if cell[:1].isspace() else text)
                return len(texts) - 1

            converters = {label: number}
        table = np.loadtxt(
            lines, np.float32, delimiter=head.delimiter, skiprows=head.skipped, ndmin=2,
            converters=converters, quotechar='"', comments=None, encoding="utf-8",
        )  # fmt: skip
    if label is None and names is None and has_labels:
        label = _plausible_label(path, table)
    if label is not None and len(pixels) == columns:
        pixels.remove(label)
    labels: Any = None
    if texts:
        labels = np.array(texts)
    elif label is not None:
        labels = table[:, label]
        if labels.max() >= EXACT:
            raise DataError(
                f"{path} has labels up to {labels.max():.0f}: expected numbers below {EXACT:,}, 0 "
                "for the first class, or names"
            )
    values = table[:, pixels] if len(pixels) < columns else table
    if (values == np.floor(values)).all() and values.min() >= 0 and values.max() <= 65535:
        values = values.astype(np.uint8 if values.max() <= 255 else np.uint16)
    return Part(values, labels, path.name)


class _Bounded:
    """The lines of a file of which at most MAX_BYTES characters are read."""

    def __init__(self, file: Any):
        self._file, self._left = file, MAX_BYTES

    def __iter__(self) -> "_Bounded":
        return self

    def __next__(self) -> str:
        line: str = self._file.readline(_LINE)
        self._left -= len(line)
        if not line:
            raise StopIteration
        if self._left < 0 or (len(line) == _LINE and not line.endswith("\n")):
            raise DataError(
                f"it has more than {MAX_BYTES} characters, or {_LINE} in a line: expected {WHAT}"
            )
        return line


def _label_column(names: list[str] | None, row: list[str]) -> int | None:
    """Which column holds labels, by its name or because it holds names; None if that is open."""
    if names is not None:
        named = [k for k, name in enumerate(names) if name in LABEL_NAMES]
        if len(named) > 1:
            raise DataError(f"several columns could be the label: {[names[k] for k in named]}")
        if named:
            return named[0]
    texts = [k for k, cell in enumerate(row) if not _is_number(cell)]
    if len(texts) > 1:
        raise DataError(
            f"its columns {texts[0] + 1} and {texts[1] + 1} hold no numbers "
            f"({row[texts[0]][:20]!r}, {row[texts[1]][:20]!r}): expected {WHAT}"
        )
    return texts[0] if texts else None


def _check_pixels(path: Path, names: list[str]) -> None:
    """Raise DataError if most columns evidently are pixels, by their numbers, and a few are not."""
    stems = [re.sub(r"\d+", "#", name) for name in names]
    ((stem, count),) = Counter(stems).most_common(1) or [("", 0)]
    others = [name for name, its in zip(names, stems, strict=True) if its != stem]
    is_pixels = PIXEL_NAMES.fullmatch(stem) or ("#" in stem and _is_picture(count))
    if is_pixels and count >= 16 and others and 4 * len(others) <= count:
        shown = [name for name, its in zip(names, stems, strict=True) if its == stem]
        raise DataError(
            f"{path} has columns {shown[0]} to {shown[-1]}, and {', '.join(others)[:100]} beside "
            "them: expected a label, pixels and nothing else; drop the others, or rename one to "
            "label, or to id if it numbers the rows"
        )


def _plausible_label(path: Path, table: Array) -> int | None:
    """The first or last column of a table without a header, whichever looks like labels.

    None if neither need be one: all columns together are a square picture. Raises DataError.
    """
    columns = table.shape[1]
    if _is_picture(columns) and not _is_picture(columns - 1):
        return None

    def looks_so(column: Array) -> bool:
        is_whole = bool((column == np.floor(column)).all() and column.min() >= 0)
        return is_whole and 1 < len(np.unique(column)) <= max(2, min(1000, len(column)))

    first, last = looks_so(table[:, 0]), looks_so(table[:, -1])
    if not first and not last:
        raise DataError(
            f"{path}: neither its first nor its last column looks like labels: expected a header "
            "with a column label"
        )
    which = 0 if first else columns - 1
    unclear = first and last and len(np.unique(table[:, -1])) <= len(np.unique(table[:, 0]))
    doubt = ", though the last could be, too: a header with a column label decides"
    say(
        f"{path} has no header: its {'first' if first else 'last'} column is taken for the labels"
        f"{doubt if unclear else ''}"
    )
    return which


def _is_picture(pixels: int) -> bool:
    return len(square_shape((1, pixels))) == 4


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
