"""Images and labels in HDF5 files, which are not trusted. Images are read when they are indexed."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import DataError
from .formats import MAX_BYTES, reading
from .stored import StoredImages

Array = NDArray[Any]
WHAT = "an HDF5 file with images and labels"
MAX_NAMES = 10_000
MAX_DEPTH = 4  # of groups within groups


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an HDF5 file. It stays open for its images and is closed only if the block fails.

    Raises DataError.
    """
    import h5py

    with reading(path, WHAT):
        file = h5py.File(path, "r")
        try:
            yield file
        except BaseException:
            file.close()
            raise


def _numbers(file: Any, name: str, is_text: bool = False) -> Any:
    """The HDF5 dataset of this name. Raises DataError unless it has numbers stored in this file.

    is_text: texts will do, too.
    """
    import h5py

    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise DataError(f"{name} is a link to elsewhere: expected a dataset of this file")
    item = file[name]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{name} is not a dataset: expected numbers")
    if item.external or item.is_virtual:
        raise DataError(f"{name} is stored in other files: expected a dataset of this file")
    if item.dtype.kind not in "buif" and not (is_text and item.dtype.kind in "SO"):
        raise DataError(f"{name} has the dtype {str(item.dtype)[:60]}: expected numbers")
    if item.shape is None or 0 in item.shape:
        raise DataError(f"{name} is empty: expected at least one image")
    if item.chunks and math.prod(item.chunks) * item.dtype.itemsize > MAX_BYTES:
        raise DataError(
            f"{name} has chunks of the shape {item.chunks}: expected at most {MAX_BYTES} bytes"
        )
    return item


def read_labels(file: Any, name: str) -> Array:
    """The labels in the HDF5 dataset of this name. Raises DataError."""
    labels = _numbers(file, name, is_text=True)
    if labels.size * 8 > MAX_BYTES:
        raise DataError(
            f"{name} has the shape {labels.shape}: expected at most {MAX_BYTES // 8} labels"
        )
    array: Array = labels[()]
    return array


def names(file: Any) -> list[str]:
    """The paths of what a file holds, in groups, too, except the groups. Links are not followed."""
    import h5py

    groups = [""]
    found: list[str] = []
    while groups and len(found) < MAX_NAMES:
        path = groups.pop(0)
        for name in file[path or "/"]:
            whole = f"{path}/{name}" if path else name
            is_here = isinstance(file.get(whole, getlink=True), h5py.HardLink)
            if is_here and isinstance(file[whole], h5py.Group):
                groups += [whole] * (whole.count("/") < MAX_DEPTH)
            else:
                found.append(whole)
    return found


def open_images(file: Any, name: str) -> StoredImages:
    """The images in the HDF5 dataset of this name, which are not read yet. Raises DataError."""
    images = StoredImages(_numbers(file, name), Path(file.filename), WHAT)
    images[0]  # fails if the file is damaged or its compression unknown
    return images
