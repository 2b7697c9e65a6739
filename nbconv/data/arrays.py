"""Arrays in .npz, .npy and HDF5 files, under the names that people use."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import formats, hdf5
from .found import ALL, Found, Part, check_complete, pairs
from .stored import StoredImages

ENDINGS = (".npz", ".h5", ".hdf5")
MAPPED_BYTES = 2**30  # of an .npy file: images in a smaller one are read into memory


def read(path: Path, arrays: Mapping[str, str] | None, needs_labels: bool) -> Found:
    """The sets in a file. arrays: as for `found.pairs`. Raises DataError.

    needs_labels: otherwise a set may be of images alone.
    """
    return (_npz if path.name.lower().endswith(".npz") else _h5)(path, arrays, needs_labels)


def _npz(path: Path, arrays: Mapping[str, str] | None, needs_labels: bool) -> Found:
    names = formats.npz_names(path)
    if not arrays and names and all(name.startswith("arr_") for name in names):
        return _positional(path, names, needs_labels)
    sets = pairs(names, arrays)
    if needs_labels or not sets:
        check_complete(sets, names)
    chosen = {name for pair in sets.values() for name in pair.values()}
    values = formats.read_npz(path, chosen)
    return Found(
        {
            which: Part(values[pair["images"]], values.get(pair.get("labels", "")), _what(pair))
            for which, pair in sets.items()
            if "images" in pair
        }
    )


def _positional(path: Path, names: list[str], needs_labels: bool) -> Found:
    """What numpy.savez wrote without names, in order: images have several axes, labels one."""
    values = formats.read_npz(path, names)
    ordered = [(name, values[name]) for name in sorted(names, key=lambda n: (len(n), n))]
    images: list[tuple[str, Any]] = []
    labels: list[tuple[str, Any]] = []
    for name, array in ordered:
        is_images = array.ndim > 2 or (array.ndim == 2 and array.shape[1] > 1)
        (images if is_images else labels).append((name, array))
    if len(images) == 1 and (not labels and not needs_labels):
        return Found({ALL: Part(images[0][1], None, images[0][0])})
    sets = {1: (ALL,), 2: ("train", "test"), 3: ("train", "valid", "test")}.get(len(images), ())
    if len(images) != len(labels) or not sets:
        check_complete({}, names)
    return Found(
        {
            which: Part(image[1], label[1], f"{image[0]} and {label[0]}")
            for which, image, label in zip(sets, images, labels, strict=True)
        }
    )


def find(folder: Path, arrays: Mapping[str, str] | None) -> Found | None:
    """The sets in a folder of .npy files, by the files' names; None if it has none.

    Images of more than MAPPED_BYTES stay in their file. Raises DataError.
    """
    files = {path.stem: path for path in sorted(folder.glob("[!.]*.npy"))}
    sets = pairs(files, arrays) if files else {}
    if not sets:
        return None
    check_complete(sets, files)
    parts = {}
    for which, pair in sets.items():
        images: Any
        path = files[pair["images"]]
        what = "an .npy file of images"
        with formats.reading(path, what):
            is_mapped = path.stat().st_size > MAPPED_BYTES
            images = StoredImages(formats.map_npy(path), path, what) if is_mapped else None
        if images is None:
            images = formats.read_npy(path)
        labels = formats.read_npy(files[pair["labels"]])
        parts[which] = Part(images, labels, f"{folder}: {_what(pair)}")
    return Found(parts)


def _h5(path: Path, arrays: Mapping[str, str] | None, needs_labels: bool) -> Found:
    with hdf5.opened(path) as file:
        names = hdf5.names(file)
        sets = pairs(names, arrays)
        if needs_labels or not sets:
            check_complete(sets, names)
        parts = {}
        for which, pair in sets.items():
            if "images" in pair:
                labels = hdf5.read_labels(file, pair["labels"]) if "labels" in pair else None
                parts[which] = Part(hdf5.open_images(file, pair["images"]), labels, _what(pair))
        return Found(parts)


def _what(pair: Mapping[str, str]) -> str:
    return " and ".join(pair[kind] for kind in ("images", "labels") if kind in pair)
