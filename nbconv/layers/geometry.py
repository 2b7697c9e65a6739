"""Sizes of convolutions and poolings, and the tables that kernels read.

Checked once, when a network is built.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape, show
from ..errors import SettingError


def feature_maps(shape: Shape) -> tuple[int, int, int]:
    """(channels, rows, columns) of a layer's input. Raises SettingError if it is flat."""
    if len(shape) != 3:
        raise SettingError(
            f"it was given {show(shape)} neurons: expected (channels, rows, columns); "
            "put it before the dense layers and give the network a three-part input_shape"
        )
    return shape[0], shape[1], shape[2]


def _output_size(size: int, window: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - window) // stride + 1


@dataclass(frozen=True)
class ConvGeometry:
    """A convolution's sizes. All pairs are (rows, columns)."""

    channels: int
    size: tuple[int, int]
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def __post_init__(self) -> None:
        for side, name in enumerate(("rows", "columns")):
            room = self.size[side] + 2 * self.padding[side]
            if self.kernel[side] > room:
                raise SettingError(
                    f"a {show(self.kernel)} kernel does not fit its {show(self.size)} input: "
                    f"{self.kernel[side]} {name} "
                    f"in {room} (padding included); use a smaller kernel or more padding"
                )

    @property
    def output(self) -> tuple[int, int, int]:
        """(filters, rows, columns) of the output."""
        rows, columns = (
            _output_size(self.size[s], self.kernel[s], self.stride[s], self.padding[s])
            for s in range(2)
        )
        return self.filters, rows, columns

    @property
    def is_plain(self) -> bool:
        """Whether the layer's input can be read as it is: no padding, and column stride 1."""
        return self.padding == (0, 0) and self.stride[1] == 1

    @property
    def padded(self) -> tuple[int, int, int, int]:
        """(channels, rows, phases, columns) of the input as the kernels read it.

        See kernels/reference/conv.py.
        """
        rows, columns = (self.size[s] + 2 * self.padding[s] for s in range(2))
        phases = self.stride[1]
        return self.channels, rows, phases, -(-columns // phases)

    @property
    def taps(self) -> NDArray[np.uint64]:
        """Offset of tap (channel, i, j) of the first output in one image of the padded input."""
        channels, rows, phases, columns = self.padded
        c, i, j = np.ogrid[:channels, : self.kernel[0], : self.kernel[1]]
        line = (c * rows + i) * phases + j % phases
        taps: NDArray[np.uint64] = (line * columns + j // phases).ravel().astype(np.uint64)
        return taps

    @property
    def row_step(self) -> int:
        """Offset between the inputs of neighbouring output rows, in numbers of one padded image."""
        _, _, phases, columns = self.padded
        return self.stride[0] * phases * columns


@dataclass(frozen=True)
class PoolGeometry:
    """A pooling's sizes. Windows that extend past the edge are left out.

    All pairs are (rows, columns).
    """

    channels: int
    input: tuple[int, int]
    size: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        if self.size[0] > self.input[0] or self.size[1] > self.input[1]:
            raise SettingError(
                f"a {show(self.size)} pooling window does not fit its {show(self.input)} feature "
                "map; use a smaller one"
            )

    @property
    def output(self) -> tuple[int, int, int]:
        """(channels, rows, columns) of the output."""
        rows, columns = (
            _output_size(self.input[s], self.size[s], self.stride[s], 0) for s in range(2)
        )
        return self.channels, rows, columns

    @property
    def window(self) -> tuple[int, int, int, int]:
        """(rows, columns, row stride, column stride), the arguments of the pooling kernels."""
        return *self.size, *self.stride


class ConvPoolTables(NamedTuple):
    """Offsets of a window's maximum, for `conv2d_max_pool_backward`."""

    windows: NDArray[np.uint64]  # of each window's first output of the convolution
    places: NDArray[np.uint64]  # from there to each place of the window
    inputs: NDArray[np.uint64]  # of each output's first tap in the padded input, channels last
    max_gradients: np.uint64  # that an output can receive: one for each filter and window it is in
    window_rows: int
    window_columns: int
    window_stride_y: int
    window_stride_x: int
    stride_y: int  # the convolution's
    stride_x: int
    rows: int  # of its output
    columns: int


def conv_pool_tables(conv: ConvGeometry, pool: PoolGeometry) -> ConvPoolTables:
    """The tables of a convolution that is followed by max pooling."""
    _, rows, columns = conv.output
    outputs = np.arange(rows * columns, dtype=np.uint64).reshape(rows, columns)
    _, pooled_rows, pooled_columns = pool.output
    windows = outputs[:: pool.stride[0], :: pool.stride[1]][:pooled_rows, :pooled_columns]
    places = outputs[: pool.size[0], : pool.size[1]]
    y, x = np.ogrid[:rows, :columns]
    padded_columns = conv.size[1] + 2 * conv.padding[1]
    inputs = (y * conv.stride[0] * padded_columns + x * conv.stride[1]) * conv.channels
    overlap = math.prod(
        -(-size // stride) for size, stride in zip(pool.size, pool.stride, strict=True)
    )
    return ConvPoolTables(
        windows.ravel(),
        places.ravel(),
        inputs.ravel().astype(np.uint64),
        np.uint64(conv.filters * overlap),
        *pool.window,
        *conv.stride,
        rows,
        columns,
    )
