"""The pictures of a network by name, as `nbconv plot` and `nbconv report` draw them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from .. import checks
from ..data.dataset import Dataset
from ..errors import SettingError
from ..network import Network
from ..runs.run import SPLITS, images_for
from . import charts, images


@dataclass
class Figures:
    """A network and the images that its pictures are of.

    data: "digits", "mnist" or a path; by default what `nbconv train` trained the network on. split:
    "train", "validation" or "test". layer: the convolution whose filters are shown, 1 being the
    first. digit: the index of the image whose feature maps are shown. Raises SettingError.
    """

    network: Network
    data: str | None = None
    split: str = "test"
    layer: int = 1
    digit: int = 0

    def __post_init__(self) -> None:
        checks.choice("split", self.split, SPLITS)
        self.data = self.data or self.network.state.run.get("data")

    @cached_property
    def dataset(self) -> Dataset:
        """The images of the split. Raises DataError; SettingError if the data is not known."""
        return images_for(self.network, self.data, self.split, "the checkpoint")[1]

    @cached_property
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


KINDS: dict[str, Callable[[Figures], Axes | list[Axes]]] = {
    "curves": _curves,
    "filters": lambda of: images.filters(of.network, of.layer),
    "feature-maps": lambda of: images.feature_maps(of.network, of.dataset.images[of.index]),
    "errors": lambda of: images.errors(of.dataset.images, of.dataset.labels, of.predictions),
    "confusion": lambda of: charts.confusion(of.dataset.labels, of.predictions),
    "speeds": lambda of: charts.speeds(of.network.history),
    "digits": lambda of: images.digits(of.dataset.images, of.dataset.labels),
}
