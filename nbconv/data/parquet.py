"""Parquet files with pictures and labels, such as Hugging Face's. They are read by pyarrow."""

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from ..errors import DataError
from .formats import MAX_BYTES, reading
from .found import ALL, SETS, Found, Part, set_named, shown
from .labels import ClassNames

PICTURES = ("image", "img", "picture")
LABELS = ("label", "labels", "fine_label", "class", "target")
WHAT = f"a Parquet file with a column of pictures ({', '.join(PICTURES)}) and one of labels"
_ROWS = 8  # read at a time: a small file can hold one large picture in very many rows


def find(folder: Path) -> Found | None:
    """The sets in files named train-00000-of-00001.parquet, test-..., validation-...

    They lie in a folder or in its folder data. None if there are none. Raises DataError.
    """
    with reading(folder, "a folder of Parquet files"):
        for place in (folder, folder / "data"):
            if sets := _files(place):
                return _found(place, sets)
    return None


def _files(folder: Path) -> dict[str, list[Path]]:
    """The files of each set in a folder, in the order of their names."""
    sets: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else ():
        which = set_named(re.split(r"[-_.]", path.name)[0])
        if which is not None and path.is_file():
            sets.setdefault(which, []).append(path)
    return sets


def _found(folder: Path, sets: dict[str, list[Path]]) -> Found:
    for paths in sets.values():
        _check_complete(folder, paths)
    if "train" not in sets:
        held = [path.name for paths in sets.values() for path in paths]
        raise DataError(f"{folder} holds {shown(held)}: expected train-*.parquet as well")
    parts = {}
    class_names: ClassNames | None = None
    for which in (name for name in SETS if name in sets):
        parts[which], classes = _part(sets[which])
        if class_names is not None and classes not in (class_names, None):
            raise DataError(
                f"{sets[which][0]} names other classes than {sets['train'][0].name}: expected the "
                "same in all files"
            )
        class_names = class_names or classes
    return Found(parts, class_names)


def _check_complete(folder: Path, paths: Iterable[Path]) -> None:
    """Raise DataError if a file of some, such as train-00001-of-00003.parquet, is missing."""
    there = {path.name for path in paths}
    for name in sorted(there):
        if match := re.fullmatch(r"(.*-)(\d{5})(-of-)(\d{5})(.*\.parquet)", name):
            begin, _, middle, count, end = match.groups()
            for k in range(int(count)):
                other = f"{begin}{k:05d}{middle}{count}{end}"
                if other not in there:
                    raise DataError(f"{folder} lacks {other}: expected it beside {name}")


def read(path: Path) -> Found:
    """The pictures and labels in one file. Raises DataError."""
    part, class_names = _part([path])
    return Found({ALL: part}, class_names)


def _part(paths: list[Path]) -> tuple[Part, ClassNames | None]:
    """The pictures, labels and class names in files of one set. Raises DataError."""
    from .decoding import Pictures

    sources: list[bytes] = []
    names: list[str] = []
    labels: list[Any] = []
    class_names: ClassNames | None = None
    left = MAX_BYTES
    for path in paths:
        with reading(path, WHAT), _open(path) as file:
            left = _add(path, file, left, sources, names, labels)
            class_names = class_names or _class_names(file.schema_arrow)
    what = f"{paths[0]}" + (f" to {paths[-1].name}" if len(paths) > 1 else "")
    return Part(Pictures(sources, names), labels, what, names), class_names


def _open(path: Path) -> Any:
    """A pyarrow ParquetFile. Raises DataError if pyarrow is not installed."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            "reading Parquet files needs pyarrow; install it with: pip install 'nbconv[parquet]' "
            "(or pip install pyarrow)"
        ) from error
    return parquet.ParquetFile(path)


def _add(
    path: Path, file: Any, left: int, sources: list[bytes], names: list[str], labels: list[Any]
) -> int:
    """Add a file's pictures, their names and labels. Returns how many bytes of `left` remain."""
    columns = file.schema_arrow
    picture, label = _column(columns.names, PICTURES), _column(columns.names, LABELS)
    _check_types(columns.field(picture).type, picture, columns.field(label).type, label)
    row = 0
    for batch in file.iter_batches(_ROWS, columns=[picture, label]):
        left -= batch.nbytes
        if left < 0:
            raise DataError(f"it unpacks to more than {MAX_BYTES} bytes: expected fewer")
        for item, number in zip(batch[picture].to_pylist(), batch[label].to_pylist(), strict=True):
            is_struct = isinstance(item, dict)
            content, name = (item.get("bytes"), item.get("path")) if is_struct else (item, None)
            if content is None:
                raise DataError(f"row {row} has no picture in {picture}: expected its bytes")
            if number is None:
                raise DataError(f"row {row} has no {label}: expected a number or name")
            sources.append(content)
            names.append(str(name or f"{path.name} row {row}"))
            labels.append(number)
            row += 1
    return left


def _column(names: Collection[str], known: Iterable[str]) -> str:
    """The name of the column that has one of the known names. Raises DataError."""
    by_name = {name.casefold(): name for name in names}
    for name in known:
        if name in by_name:
            return by_name[name]
    raise DataError(f"it has the columns {shown(names)}: expected {WHAT}")


def _check_types(pictures: Any, picture: str, labels: Any, label: str) -> None:
    """Raise DataError unless pictures are encoded, and labels numbers or names."""
    from pyarrow import types

    content = pictures
    if types.is_struct(pictures):
        index = pictures.get_field_index("bytes")
        content = pictures.field(index).type if index >= 0 else pictures
    if not (types.is_binary(content) or types.is_large_binary(content)):
        raise DataError(
            f"its column {picture} is {str(pictures)[:80]}: expected the bytes of PNG or JPEG "
            "files, or struct<bytes, path>"
        )
    if not (types.is_integer(labels) or types.is_string(labels) or types.is_large_string(labels)):
        raise DataError(
            f"its column {label} is {str(labels)[:80]}: expected whole numbers or names"
        )


def _class_names(columns: Any) -> ClassNames | None:
    """The class names that Hugging Face's library wrote into a file's schema, if it did."""
    try:
        about = json.loads((columns.metadata or {})[b"huggingface"])
        names = about["info"]["features"][_column(columns.names, LABELS)]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(names) if isinstance(names, list) and names else None
