"""The book's `expand_mnist`: a file of MNIST with each training image and its four copies moved by one pixel (chapter 6).

`python -m nbconv.book.expand_mnist [FILE]` makes it, for `network3.load_data_shared`; `nbconv train --expand` needs no such file.
"""

import gzip
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend as backends
from ..data import Dataset, load_data
from ..errors import DataError, NbconvError
from ..files import check_place, replace
from ..training.loop import SHIFTS
from .mnist_loader import Arrays, arrays

FILE = "../data/mnist_expanded.pkl.gz"
_, kernels = backends.select("cpu")


def expanded(data: Dataset) -> Arrays:
    """The `arrays` of each image and its four copies moved by one pixel, edges filled with 0, shuffled by a fixed generator."""
    order = np.random.default_rng(0).permutation(len(data) * SHIFTS)[None]
    images = np.empty((order.size, data.images[0].size), np.float32)
    labels, counters = np.empty(order.size, np.int64), np.zeros(4, np.int64)
    kernels.gather(images, labels, data.images[:], data.labels, order, counters, 0, SHIFTS, 1.0)
    return images, labels


def write(path: Path, sets: tuple[Dataset, Dataset, Dataset]) -> None:
    """Write the expanded training data, validation and test data as they are, whole or not at all. Raises DataError."""
    training, *others = sets
    content = expanded(training), *map(arrays, others)
    print("Saving expanded data. This may take a few minutes.")
    image = io.BytesIO()
    with gzip.GzipFile("", "wb", 1, image, 0) as file:
        pickle.dump(content, file, protocol=5)
    try:
        replace(path, image.getvalue())
    except OSError as error:
        raise DataError(
            f"{path} could not be written: {error.strerror or error}; no file was left"
        ) from error


def main(arguments: list[Any]) -> int:
    """What the command does, and its exit code."""
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print(
            f"usage: python -m nbconv.book.expand_mnist [FILE]   (FILE: {FILE}, or another .pkl.gz)",
            file=sys.stderr,
        )
        return 2 * (len(arguments) > 1)
    path = Path(*arguments or [FILE])
    try:
        print("Expanding the MNIST training set")
        if path.exists():
            print("The expanded training set already exists.  Exiting.")
            return 0
        if not path.name.endswith(".pkl.gz"):
            raise DataError(
                f"{path} is no name that load_data_shared reads: expected one that ends in .pkl.gz"
            )
        check_place(path)
        write(path, load_data("mnist"))
    except (NbconvError, MemoryError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped: no file was left", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
