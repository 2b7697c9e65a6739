"""The pooling layers."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import activations, checks
from ..checks import Shape, show
from .base import Array, Layer, LayerSpec
from .geometry import PoolGeometry, feature_maps
from .recorder import Recorder


@dataclass(frozen=True)
class Pool2D(LayerSpec):
    """Windows of `size`, `stride` apart (by default their size).

    Each one number or (rows, columns). Windows may overlap. Rows and columns at the edge that no
    whole window covers are left out. Raises SettingError.
    """

    size: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None

    letters: ClassVar[str]

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "size", checks.pair(f"{name} size", self.size))
        stride = self.size if self.stride is None else checks.pair(f"{name} stride", self.stride)
        object.__setattr__(self, "stride", stride)

    @property
    def notation(self) -> str:
        """Such as MP2, or MP3s2."""
        sides = [show(pair) if pair[0] != pair[1] else str(pair[0]) for pair in self._pairs]
        return self.letters + (sides[0] if sides[0] == sides[1] else "s".join(sides))

    @property
    def _pairs(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return checks.pair("size", self.size), checks.pair("stride", self.stride)

    def geometry(self, input_shape: Shape) -> PoolGeometry:
        """The sizes for feature maps of that shape."""
        channels, rows, columns = feature_maps(input_shape)
        return PoolGeometry(channels, (rows, columns), *self._pairs)


@dataclass(frozen=True)
class MaxPool2D(Pool2D):
    """The largest activation of each window.

    Of equal ones the first, row by row, gets the gradient.
    """

    letters = "MP"

    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> "MaxPoolLayer":
        """The layer for feature maps of that shape."""
        return MaxPoolLayer(self.geometry(input_shape), recorder, dtype)


@dataclass(frozen=True)
class L2Pool2D(Pool2D):
    """The square root of the sum of the squares of each window."""

    letters = "L2P"

    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> "L2PoolLayer":
        """The layer for feature maps of that shape."""
        return L2PoolLayer("l2_pool2d", self.geometry(input_shape), recorder, dtype)


@dataclass(frozen=True)
class AvgPool2D(Pool2D):
    """The mean of each window."""

    letters = "AP"

    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> "AvgPoolLayer":
        """The layer for feature maps of that shape."""
        return AvgPoolLayer("avg_pool2d", self.geometry(input_shape), recorder, dtype)


class _PoolLayer(Layer):
    def __init__(self, name: str, geometry: PoolGeometry, recorder: Recorder, dtype: np.dtype[Any]):
        super().__init__(name, geometry.output, recorder, dtype)
        self.geometry = geometry

    def output(self, images: int) -> Array:
        """The buffer for the activations of that many images."""
        self.a = self.buffers.array("a", (*self.output_shape, images))
        return self.a

    def _output(self, x: Array) -> Array:
        self.x = x
        return self.output(x.shape[3])

    def _delta(self, images: int) -> Array:
        return self.scratch.array("dx", (self.geometry.channels, *self.geometry.input, images))


class MaxPoolLayer(_PoolLayer):
    """Max pooling.

    Behind a convolution it is fused into it: the convolution's kernel pools and activates. All
    activations are monotone, so sigma(max z) = max sigma(z): a quarter of the work for 2x2 windows.
    """

    def __init__(self, geometry: PoolGeometry, recorder: Recorder, dtype: np.dtype[Any]):
        super().__init__("max_pool2d", geometry, recorder, dtype)
        self.activation = activations.LINEAR
        self.is_fused = False  # into the convolution before it

    def output(self, images: int) -> Array:
        """Buffers for the activations of that many images, and for the places of the maxima."""
        a = super().output(images)
        self.argmax = self.buffers.array("argmax", a.shape, np.int32)
        return a

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = sigma(max over the window of x)."""
        if self.is_fused:
            return x
        a = self._output(x)
        self.kernels.max_pool2d_forward(a, self.argmax, x, *self.geometry.window)
        return a

    def backward(self, da: Array, randomness: Array | None, needs_dx: bool) -> Array:
        """dC/dx is da at each window's maximum. A fused convolution takes da as it is."""
        if not needs_dx:
            return da
        if self.activation != activations.LINEAR:
            self.kernels.activation_backward(da.reshape(-1), self.a.reshape(-1), self.activation)
        return da if self.is_fused else self.unpool(da)

    def unpool(self, da: Array) -> Array:
        """dC/dx: each window's da at its maximum, elsewhere 0."""
        dx = self._delta(da.shape[3])
        self.kernels.max_pool2d_backward(dx, da, self.argmax, *self.geometry.window)
        return dx


class L2PoolLayer(_PoolLayer):
    """L2 pooling."""

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = sqrt(sum over the window of x^2)."""
        a = self._output(x)
        self.kernels.l2_pool2d_forward(a, x, *self.geometry.window)
        return a

    def backward(self, da: Array, randomness: Array | None, needs_dx: bool) -> Array:
        """dC/dx = da x / a."""
        if not needs_dx:
            return da
        dx = self._delta(da.shape[3])
        self.kernels.l2_pool2d_backward(dx, da, self.a, self.x, *self.geometry.window)
        return dx


class AvgPoolLayer(_PoolLayer):
    """Average pooling."""

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = mean over the window of x."""
        a = self._output(x)
        self.kernels.avg_pool2d_forward(a, x, *self.geometry.window)
        return a

    def backward(self, da: Array, randomness: Array | None, needs_dx: bool) -> Array:
        """dC/dx = da / (window size), for every number of the window."""
        if not needs_dx:
            return da
        dx = self._delta(da.shape[3])
        self.kernels.avg_pool2d_backward(dx, da, *self.geometry.window)
        return dx
