"""What a network accepts: images as callers have them, and the data that fit its classes."""

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .checks import Shape, show
from .data.dataset import Dataset, Images, as_array, check_pixels, image_store, tell_dark
from .data.levels import BYTE
from .data.stores import Store
from .errors import DataError, say

if TYPE_CHECKING:
    from .network import Network

MANY = 32  # images, some of which are looked at


def level_of(network: "Network") -> int:
    """The whole number that stood for 1 in the network's training images."""
    return network.preparation.level if network.preparation else BYTE


def store(network: "Network", images: ArrayLike | Images) -> Store:
    """Images of the network's input shape, as `Network.predict` takes them. Raises DataError."""
    if isinstance(images, Dataset):
        raise DataError("images are a Dataset: expected its images; pass dataset.images")
    if isinstance(images, Images):
        found = images.store
    else:
        array = as_array(images, "images")
        shape = network.picture_shape
        if array.shape in (network.input_shape, shape, shape[1:]):
            array = array[None]  # one image
        has_channels_last = array.ndim == 4 and (array.shape[3], *array.shape[1:3]) == shape
        if array.shape[1:] != network.input_shape and has_channels_last:
            array = np.moveaxis(array, 3, 1)
        level = level_of(network)
        found = image_store(array, level)
        if array.dtype == np.uint8 and level > BYTE:
            say(
                f"images: levels are divided by {level}, as those of the training images: pass "
                "images / 255 if 255 is white"
            )
        if found.dtype == np.uint8 and 0 < (high := int(found.max())) <= BYTE // 2:
            say(
                f"images: the largest level is {high}, and levels are divided by 255, as those "
                f"of the training images: pass images / {high} if {high} is white"
            )
        if found.dtype != np.uint8 and len(found) > MANY:
            tell_dark(float(found[:MANY].max()))
    _check_shape(network, tuple(found.shape[1:]), "images")
    return found


def pixels(network: "Network", images: ArrayLike | Images) -> Store:
    """The same, all in [0, 1]. Raises DataError."""
    found = store(network, images)
    check_pixels(found)
    return found


def check_data(
    network: "Network", data: Dataset | None, name: str, like: Dataset | None = None
) -> None:
    """Raise DataError unless data are a Dataset that the network can use.

    name: of the data, for the error. like: training data whose class names and levels they should
    have; left out, those of the network's last training.
    """
    if not isinstance(data, Dataset):
        raise DataError(
            f"{name} is a {type(data).__name__}: expected a Dataset, such as "
            "nbconv.Dataset(images, labels)"
        )
    _check_shape(network, data.shape, name)
    _check_names(network, data, name, like)
    if data.classes > network.classes:
        raise DataError(
            f"{name}: the largest label is {data.classes - 1} and the network has "
            f"{network.classes} classes: "
            f"expected labels 0 to {network.classes - 1}, or a last layer of {data.classes}"
        )
    preparation = network.preparation
    level = like.level if like else preparation.level if preparation else data.level
    if data.level not in (level, BYTE):
        say(
            f"{name}: levels are divided by {data.level}, and those of the training images "
            f"were by {level}: if both go to {level}, make a Dataset of images / {level}"
        )


def _check_shape(network: "Network", shape: Shape, name: str) -> None:
    expected = network.input_shape
    is_flat = len(expected) == 1 or shape[:2] == (1, 1)
    if shape != expected and not (is_flat and math.prod(shape) == math.prod(expected)):
        raise DataError(
            f"{name}: images are {show(shape)}: expected {show(expected)}, the network's input "
            "shape"
        )


def _check_names(network: "Network", data: Dataset, name: str, like: Dataset | None) -> None:
    """Raise DataError unless the classes that have names have the same ones."""
    names, others = like.class_names if like else network.class_names, data.class_names
    if names is None and (like or network.state.step) and others:
        if all(other.isdecimal() for other in others):
            names = tuple(map(str, range(network.classes)))
        else:
            say(
                f"{name}: the network's classes have no names, and {', '.join(others)[:100]} "
                f"are taken for 0 to {len(others) - 1}"
            )
    if names and not others and names != tuple(map(str, range(len(names)))):
        say(
            f"{name}: labels 0, 1, ... are taken for the classes {', '.join(names)[:100]}, in this "
            "order; Dataset(images, labels, class_names=...) has names"
        )
    if names and others and names[: data.classes] != others[: data.classes]:
        raise DataError(
            f"{name}: the classes are {', '.join(others)[:100]}, and the network's "
            f"{', '.join(names)[:100]}: expected the same; Dataset(images, labels, "
            "class_names=net.class_names) numbers labels by name as the network does"
        )
