"""How images are divided into training, validation and test data: by class, always the same way."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Indices = NDArray[np.int64]
MNIST_LABELS = "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"  # SHA-256
VALIDATION_OF_TRAINING = 1 / 6  # as MNIST's 10,000 of 60,000
VALIDATION = TEST = 0.15


def of_one_set(labels: Indices) -> tuple[Indices, Indices, Indices]:
    """The indices of 70, 15 and 15 % of the images for training, validation and test.

    Each class is shared out in the same proportion, at random with a fixed seed. Raises DataError.
    """
    rest, test = set_aside(labels, TEST)
    train, validation = set_aside(labels[rest], VALIDATION / (1 - TEST))
    return rest[train], rest[validation], test


def set_aside(labels: Indices, share: float) -> tuple[Indices, Indices]:
    """The indices of the images that are kept, and of a share of each class that is set aside.

    Both in the images' order. Raises DataError if there are too few.
    """
    count = len(labels)
    wanted = max(1, round(count * share))
    members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    taken = _shares([len(each) for each in members], wanted)
    if sum(taken) < wanted or count - wanted < 1:
        raise DataError(
            f"{count} images of {len(members)} classes are too few to set {wanted} aside for "
            "validation or test: expected more, at least two of a class"
        )
    random = np.random.default_rng(0)
    aside = np.concatenate(
        [random.permutation(each)[:number] for each, number in zip(members, taken, strict=True)]
    )
    is_aside = np.zeros(count, bool)
    is_aside[aside] = True
    return np.flatnonzero(~is_aside), np.flatnonzero(is_aside)


def _shares(counts: Sequence[int], wanted: int) -> list[int]:
    """How many of each class: in proportion, by largest remainder, and never all of a class."""
    exact = np.array(counts) * wanted / sum(counts)
    most = np.array(counts) - 1
    taken = np.minimum(exact.astype(np.int64), most)
    for k in np.argsort(taken - exact, kind="stable"):
        if taken.sum() < wanted and taken[k] < most[k]:
            taken[k] += 1
    # Where most classes have a single image, the others give more.
    while taken.sum() < wanted and (taken < most).any():
        taken[np.argmax(most - taken)] += 1
    return [int(number) for number in taken]


def is_mnist(labels: Indices) -> bool:
    """Whether these are the labels of MNIST's 60,000 training images, whatever the file."""
    if len(labels) != 60_000 or labels.max() > 9:
        return False
    return hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() == MNIST_LABELS
