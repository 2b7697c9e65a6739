"""What `nbconv predict` does: pictures, folders and files of images, each prepared and answered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import inputs
from ..checks import show
from ..data import folders, pictures, sources
from ..data.found import ALL
from ..data.levels import BYTE
from ..errors import DataError, SettingError, say
from ..network import Network

Array = NDArray[Any]
AT_ONCE = 256  # pictures that are prepared and answered together


@dataclass
class Answer:
    """What a network says of a picture.

    label: the class. outputs: (classes,). done: what was done to the picture. doubt: why to doubt
    the answer.
    """

    name: str
    label: int
    outputs: Array
    done: list[str]
    doubt: str

    def best(self, count: int) -> list[tuple[int, float]]:
        """The `count` classes with the largest outputs, (class, output), the answer first.

        Of equal outputs, as saturated neurons have them, the answer is the one with the largest z.
        """
        others = np.arange(len(self.outputs)) != self.label
        order = np.lexsort((others, -self.outputs))[:count]
        return [(int(k), float(self.outputs[k])) for k in order]


def answers(
    network: Network,
    sources_of_images: Sequence[str],
    split: str | None = None,
    as_is: bool = False,
    arrays: str | None = None,
) -> Iterator[Answer]:
    """The network's answer about each picture.

    sources_of_images: pictures, folders of them, files of images, or data sets by name or path, of
    which `split` chooses a set. as_is: pictures are not prepared, and must have the network's size.
    Raises DataError, SettingError.
    """
    if network.preparation is None and not as_is:
        say(
            "This network's file does not say what its training images were like (it is of an "
            "older version, or was never trained): pictures are resized only, whatever they "
            "look like"
        )
    named: list[tuple[str, Any]] = []
    for source in sources_of_images:
        for item in _items(network, source, split, arrays):
            named.append(item)
            if len(named) == AT_ONCE:
                yield from _answered(network, named, as_is)
                named = []
    if named:
        yield from _answered(network, named, as_is)


def _answered(network: Network, named: list[tuple[str, Any]], as_is: bool) -> Iterator[Answer]:
    if as_is:
        images = [_as_is(network, name, item) for name, item in named]
        done: list[list[str]] = [[] for _ in named]
    else:
        prepared = list(network.prepared(named))
        images, done = [each.image for each in prepared], [each.done for each in prepared]
    stacked = np.stack(images)
    labels, outputs = network.predict(stacked), network.predict_proba(stacked)
    doubts = network.preparation.unlike(stacked) if network.preparation else [""] * len(named)
    answered = zip(named, labels, outputs, done, doubts, strict=True)
    for (name, _), label, output, what, doubt in answered:
        yield Answer(name, int(label), output, what, doubt)


def _as_is(network: Network, name: str, item: Any) -> Array:
    """A picture as it is: (channels, rows, columns) in [0, 1]. Raises DataError for other sizes."""
    shape = network.picture_shape
    if isinstance(item, Path):
        with pictures.opened(item) as opened:
            picture = pictures.decoded(opened, level=inputs.level_of(network))
            if (picture.height, picture.width) != shape[1:]:
                raise DataError(
                    f"{name} has {picture.height}x{picture.width} pixels: expected "
                    f"{shape[1]}x{shape[2]}, the network's; without --as-is it is resized"
                )
            image: Array = pictures.fitted(picture, *shape) / np.float32(BYTE)
            return image
    image = np.asarray(item, np.float32)
    if image.size != np.prod(shape):
        raise DataError(
            f"{name} has the shape {show(image.shape)}: expected {show(shape)}, the network's"
        )
    return image.reshape(shape)


def _items(
    network: Network, source: str, split: str | None, arrays: str | None
) -> Iterator[tuple[str, Any]]:
    """(name, picture) of what a path or name stands for: paths, or arrays of levels or values."""
    images, names = None, None
    if not sources.is_name(source):
        path = sources.as_path(source)
        if path.is_dir():
            if split is None and (files := folders.pictures_in(path)):
                yield from ((str(file), file) for file in files)
                return
        elif pictures.is_picture(path.name):
            if split or arrays:
                raise SettingError(
                    f"{source} is one picture: expected no split and no arrays, which are of a "
                    "data set"
                )
            yield source, path
            return
        images = sources.load_images(path, network.picture_shape, inputs.level_of(network), arrays)
    if images is None:
        how = sources.options(
            arrays=arrays, like=network.picture_shape, level=inputs.level_of(network)
        )
        which, data = sources.split(source, split, how)
        images, names = data.images, data.files
        source = source if which == ALL else f"{source} {which}"
    for k in range(len(images)):
        yield (names[k] if names else f"{source}[{k}]"), images[k]
