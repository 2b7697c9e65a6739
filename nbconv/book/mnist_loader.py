"""The book's `mnist_loader`: MNIST as arrays, and as the lists of pairs that its programs take."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Dataset
from ..data import load_data as load_datasets
from .network2 import vectorized_result

__all__ = ["load_data", "load_data_wrapper", "vectorized_result"]

Arrays = tuple[NDArray[np.float32], NDArray[np.int64]]


def arrays(data: Dataset) -> Arrays:
    """(images, labels) as in mnist.pkl.gz: (n, pixels) float32 in [0, 1], (n,) int64."""
    return np.asarray(data.images, np.float32).reshape(len(data), -1), data.labels


def load_data() -> tuple[Arrays, Arrays, Arrays]:
    """(images, labels) of 50,000 training, 10,000 validation and 10,000 test images.

    images: (n, 784) float32 in [0, 1]. labels: (n,) int64. MNIST comes from
    `nbconv.load_data("mnist")`. Raises DataError.
    """
    training, validation, test = map(arrays, load_datasets("mnist"))
    return training, validation, test


def load_data_wrapper() -> tuple[list[Any], list[Any], list[Any]]:
    """Training, validation and test data as lists of pairs (x, y). Raises DataError.

    x: a column (784, 1). y: a unit vector (10, 1) in the training data, else a label.
    """
    (images, labels), *others = load_data()
    training = [
        (x[:, None], vectorized_result(int(y))) for x, y in zip(images, labels, strict=True)
    ]
    validation, test = (
        [(x[:, None], int(y)) for x, y in zip(*pair, strict=True)] for pair in others
    )
    return training, validation, test
