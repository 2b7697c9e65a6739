"""The pictures of a network by name, as `nbconv plot` and `nbconv report` draw them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from .. import checks
from ..data.dataset import Dataset
from ..errors import SettingError
from ..names import SPLITS
from ..network import Network
from ..runs.run import images_for
from . import charts, images


@dataclass
class Figures:
    """A network and the images that its pictures are of.

    data: a data set's name or path; by default what `nbconv train` trained the network on. split:
    "train", "validation", "test" or, of data of a single set, "all"; by default as for
    `nbconv eval`. layer: the convolution whose filters are shown, 1 being the first. digit: the
    index of the image whose feature maps are shown. Raises SettingError.
    """

    network: Network
    data: str | None = None
    split: str | None = None
    layer: int = 1
    digit: int = 0

    def __post_init__(self) -> None:
        if self.split is not None:
            checks.choice("split", self.split, SPLITS)
        self.data = self.data or self.network.state.run.get("data")

    @cached_property
    def dataset(self) -> Dataset:
        """The images of the split. Raises DataError; SettingError if the data is not known."""
        found = images_for(self.network, self.data, self.split, "the checkpoint")
        self.data, self.split, dataset = found
        return dataset

    @cached_property
    def probabilities(self) -> NDArray[np.floating[Any]]:
        """The network's outputs for these images, (n, classes)."""
        return self.network.predict_proba(self.dataset.images)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The labels that the network predicts for these images, (n,)."""
        return self.network.predict(self.dataset.images)

    @property
    def index(self) -> int:
        """The index of the image whose feature maps are shown. Raises SettingError."""
        if not 0 <= self.digit < len(self.dataset):
            raise SettingError(
                f"digit is {self.digit}: expected 0 to {len(self.dataset) - 1}, one of the "
                f"{self.split} images of {self.data}"
            )
        return self.digit

    def draw(self, kind: str) -> Axes | list[Axes]:
        """Draw one of `KINDS`. Raises SettingError, DataError."""
        return KINDS[checks.choice("kind", kind, tuple(KINDS))](self)


def _curves(of: Figures) -> list[Axes]:
    best = of.network.state.best
    return charts.curves(of.network.history, best=best.epoch if best else None)


def _speeds(of: Figures) -> Axes:
    names = [spec.notation for spec in of.network.specs_with_parameters]
    return charts.speeds(of.network.history, names=names)


KINDS: dict[str, Callable[[Figures], Axes | list[Axes]]] = {
    "curves": _curves,
    "filters": lambda of: images.filters(of.network, of.layer),
    "feature-maps": lambda of: images.feature_maps(of.network, of.dataset.images[of.index]),
    "errors": lambda of: images.errors(
        of.dataset.images,
        of.dataset.labels,
        of.predictions,
        probabilities=of.probabilities,
        class_names=of.network.class_names,
        files=of.dataset.files,
    ),
    "confusion": lambda of: charts.confusion(
        of.dataset.labels, of.predictions, class_names=of.network.class_names
    ),
    "speeds": _speeds,
    "digits": lambda of: images.digits(
        of.dataset.images, of.dataset.labels, class_names=of.network.class_names
    ),
}
