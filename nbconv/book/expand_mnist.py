"""The book's `expand_mnist`: each training image of MNIST and four copies shifted by one pixel.

`python -m nbconv.book.expand_mnist [FILE]` writes the file that `network3.load_data_shared` reads
(chapter 6). `nbconv train --expand` needs no such file.
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
    """The `arrays` of each image and of its four copies shifted by one pixel.

    The pixels shifted in are 0. The images are shuffled with a fixed seed.
    """
    order = np.random.default_rng(0).permutation(len(data) * SHIFTS)[None]
    images = np.empty((order.size, data.images[0].size), np.float32)
    labels = np.empty(order.size, np.int64)
    counters, standard = np.zeros(4, np.int64), np.array([[0], [1]], np.float32)
    source = data.images[:], data.labels, order, counters, 0
    kernels.gather(images[..., None], labels, *source, SHIFTS, 1.0, standard)
    return images, labels


def write(path: Path, sets: tuple[Dataset, Dataset, Dataset]) -> None:
    """Write expanded training data, and validation and test data, atomically. Raises DataError."""
    training, validation, test = sets
    pairs = expanded(training), arrays(validation), arrays(test)
    print("Saving expanded data. This may take a few minutes.")
    content = io.BytesIO()
    with gzip.GzipFile("", "wb", 1, content, 0) as file:
        pickle.dump(pairs, file, protocol=5)
    try:
        replace(path, content.getvalue())
    except OSError as error:
        raise DataError(
            f"{path} could not be written: {error.strerror or error}; no file was written"
        ) from error


def main(arguments: list[Any]) -> int:
    """Run the command and return its exit code."""
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        usage = f"[FILE]   (FILE: {FILE}, or another .pkl.gz)"
        print(f"usage: python -m nbconv.book.expand_mnist {usage}", file=sys.stderr)
        return 2 * (len(arguments) > 1)
    path = Path(*arguments or [FILE])
    try:
        print("Expanding the MNIST training set")
        if path.exists():
            print("The expanded training set already exists.  Exiting.")
            return 0
        if not path.name.endswith(".pkl.gz"):
            raise DataError(
                f"{path} is not a name that load_data_shared reads: expected one ending in .pkl.gz"
            )
        check_place(path)
        write(path, load_data("mnist"))
    except (NbconvError, MemoryError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped: no file was written", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
