"""The convolutional layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import activations, checks
from ..checks import Shape, show
from .base import Array, Layer, LayerSpec, Pair
from .geometry import ConvGeometry, conv_pool_tables, feature_maps
from .pool import MaxPoolLayer
from .recorder import Recorder

LINE_BYTES = 64  # of a cache line and of the longest vector register
MIN_GROUPS, MAX_GROUPS = (
    4,
    16,
)  # of images, whose gradients are summed separately: enough for 16 threads
GROUP_IMAGES = 8


@dataclass(frozen=True)
class Conv2D(LayerSpec):
    """`filters` feature maps with shared weights and biases, equation (125).

    kernel: one number or (rows, columns), up to the padded image. stride: one number or a pair.
    padding: zeros on each side, one number or a pair. activation: "sigmoid", "relu", ...:
    `nbconv.activations.SHOWN`. Raises SettingError.
    """

    filters: int
    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    activation: str = "sigmoid"

    def __post_init__(self) -> None:
        checks.count("Conv2D filters", self.filters)
        object.__setattr__(self, "kernel", checks.pair("Conv2D kernel", self.kernel))
        object.__setattr__(self, "stride", checks.pair("Conv2D stride", self.stride))
        object.__setattr__(self, "padding", checks.pair("Conv2D padding", self.padding, least=0))
        activations.check("Conv2D activation", self.activation)

    @property
    def notation(self) -> str:
        """Such as 20C5, or 20C5x3s2p1."""
        text = f"{self.filters}C{_sides(self.kernel)}"
        text += "" if self.stride == (1, 1) else f"s{_sides(self.stride)}"
        return text + ("" if self.padding == (0, 0) else f"p{_sides(self.padding)}")

    def build(
        self, input_shape: Shape, index: int, recorder: Recorder, dtype: np.dtype[Any]
    ) -> "ConvLayer":
        """The layer for feature maps of that shape."""
        channels, rows, columns = feature_maps(input_shape)
        kernel, stride, padding = (
            checks.pair("", value, 0) for value in (self.kernel, self.stride, self.padding)
        )
        activation = activations.parse("activation", self.activation)
        geometry = ConvGeometry(channels, (rows, columns), self.filters, kernel, stride, padding)
        return ConvLayer(geometry, activation, recorder, dtype)


def _sides(value: Any) -> str:
    return show(value) if value[0] != value[1] else str(value[0])


class ConvLayer(Layer):
    """z = convolution of x, a = sigma(z) in z's place."""

    def __init__(
        self,
        geometry: ConvGeometry,
        activation: activations.Activation,
        recorder: Recorder,
        dtype: np.dtype[Any],
    ):
        super().__init__("conv2d", geometry.output, recorder, dtype)
        self.geometry = geometry
        self.activation = activation
        area = geometry.kernel[0] * geometry.kernel[1]
        self.weights_shape = (geometry.filters, geometry.channels, *geometry.kernel)
        self.biases_shape = (geometry.filters,)
        self.fans = (geometry.channels * area, geometry.filters * area)
        self.pool: MaxPoolLayer | None = None  # the max pooling that is fused into this layer

    def attach(self, parameters: Pair, gradients: Pair) -> None:
        """Set the parameters, and build the tables that the kernels read."""
        super().attach(parameters, gradients)
        self.taps = self._copied(self.geometry.taps)
        if self.pool is not None:
            tables = conv_pool_tables(self.geometry, self.pool.geometry)
            self.tables = tuple(
                self._copied(table) if isinstance(table, np.ndarray) else table for table in tables
            )

    def _copied(self, table: Array) -> Array:
        """A copy of a table in the backend's memory."""
        backend = self.recorder.backend
        array = backend.zeros(table.shape, table.dtype)
        backend.write(array, table)
        return array

    def forward(self, x: Array, randomness: Array | None) -> Array:
        """a = sigma(convolution of x), pooled if a max pooling is fused into this layer."""
        if self.pool is None:
            return self._maps(x, self.activation)
        a = self.pool.output(x.shape[3])
        columns, window = self.output_shape[2], self.pool.geometry.window
        self.kernels.conv2d_max_pool_forward(
            a, self.pool.argmax, *self._inputs(x), columns, window, self.pool.activation
        )
        return a

    def before_pooling(self, x: Array) -> Array:
        """a = sigma(convolution of x), from which a fused max pooling takes the largest."""
        return self._maps(x, self.pool.activation if self.pool is not None else self.activation)

    def _maps(self, x: Array, activation: activations.Activation) -> Array:
        self.a = self.buffers.array("a", (*self.output_shape, x.shape[3]))
        self.kernels.conv2d_forward(self.a, *self._inputs(x))
        if activation != activations.LINEAR:
            self.kernels.activation_forward(self.a.reshape(-1), activation)
        return self.a

    def _inputs(self, x: Array) -> tuple[Array, Array, Array, Array, int]:
        """What the kernels of the forward pass read, x padded."""
        geometry = self.geometry
        self.x = x
        if geometry.is_plain:
            self.padded_x = x.reshape(*geometry.padded, x.shape[3])
        else:
            self.padded_x = self.buffers.array("padded x", (*geometry.padded, x.shape[3]))
            self.kernels.conv2d_pad(self.padded_x, x, *geometry.padding)
        return self.padded_x, self.weights, self.biases, self.taps, geometry.row_step

    def backward(self, da: Array, randomness: Array | None, needs_dx: bool) -> Array:
        """dz = da sigma'(z), then the gradients and dC/dx.

        With a fused max pooling, da is the pooling's.
        """
        if self.activation != activations.LINEAR:
            self.kernels.activation_backward(da.reshape(-1), self.a.reshape(-1), self.activation)
        self.kernels.conv2d_backward_biases(self.d_biases, da)
        if self.pool is None:
            return self._backward(da, needs_dx)
        # The kernel that visits only the maxima is worth it if a kernel row's taps fill a vector.
        if self.geometry.kernel[1] * self.geometry.channels < LINE_BYTES // da.dtype.itemsize:
            return self._backward(self.pool.unpool(da), needs_dx)
        return self._max_pool_backward(da, self.pool, needs_dx)

    def _backward(self, dz: Array, needs_dx: bool) -> Array:
        images, geometry = dz.shape[3], self.geometry
        self.kernels.conv2d_backward_weights(
            self.d_weights, dz, self.padded_x, self.taps, geometry.row_step
        )
        if not needs_dx:
            return dz
        dx = padded = self.scratch.array("dx", (*geometry.padded, images))
        self.kernels.conv2d_backward_input(padded, dz, self.weights, self.taps, geometry.stride[0])
        if geometry.is_plain:
            return dx.reshape(geometry.channels, *geometry.size, images)
        dx = self.scratch.array("unpadded dx", (geometry.channels, *geometry.size, images))
        self.kernels.conv2d_unpad(dx, padded, *geometry.padding)
        return dx

    def _max_pool_backward(self, da: Array, pool: MaxPoolLayer, needs_dx: bool) -> Array:
        images, geometry = da.shape[3], self.geometry
        filters, channels, kernel_rows, kernel_columns = self.weights.shape
        lanes = LINE_BYTES // da.dtype.itemsize
        line = -(-kernel_columns * channels // lanes) * lanes
        rows, columns = (geometry.size[s] + 2 * geometry.padding[s] for s in range(2))
        groups = min(images, max(MIN_GROUPS, min(images // GROUP_IMAGES, MAX_GROUPS)))
        buffers = (
            self.scratch.array("x last", (images, rows, columns, channels)),
            self.scratch.array("dx last", (images, rows, columns, channels)),
            self.scratch.array("w last", (kernel_rows, filters, line)),
            self.scratch.array("sums", (groups, filters, kernel_rows, line)),
        )
        dx = self.scratch.array("dx", self.x.shape)
        outputs, inputs = (self.d_weights, dx), (da, pool.argmax, self.x, self.weights)
        self.kernels.conv2d_max_pool_backward(
            *outputs, *inputs, buffers, self.tables, geometry.padding, needs_dx
        )
        return dx
