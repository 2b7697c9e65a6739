"""Pictures of images: digits, misclassified images, filters and feature maps.

Darker is larger; where there are negative numbers, blue is negative, red positive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from numpy.typing import ArrayLike, NDArray

from .. import inputs
from ..checks import show
from ..data.dataset import Images, class_name, image_store
from ..errors import DataError, SettingError
from ..layers import Conv2D
from .charts import answer
from .style import (
    AS_IT_IS,
    FRAME,
    GREY,
    INK,
    RULE,
    add_note,
    add_title,
    hide_axes,
    shortened,
    single_axes,
    stacked_axes,
)

if TYPE_CHECKING:
    from ..network import Network

Array = NDArray[Any]
MAX_IMAGES = 100  # in one picture
NAME_LETTERS = 11  # of a name below an image
NAMED_PER_ROW = 10  # images, where names stand below them
PAGE_WIDTH = 9.0  # inches
MAPS_PER_ROW = 20
NEURONS_PER_ROW = 50
IMAGE_WIDTH = 0.5  # inches
TITLE_WIDTH = 5.0  # inches
MAP_WIDTH = 0.7  # inches, at most
MIN_TILE_PIXELS = 24  # of a tile's height, so that frames are thin
SCALE_SHARE = 0.995  # of the weights within the scale, so that a few large ones do not set it
GAP = 0.08  # of a tile's height
CAPTION = 0.4  # of a tile's width, for each line, of MAPS_PER_ROW tiles in a row
SIGNED = "RdBu_r"  # blue, white at 0, red: also for the colour-blind
LABELS = 0.5, 0.6  # inches beside and below the bars of the feature maps' picture
BARS = 1.1  # inches


@dataclass
class _Panel:
    """A layer's part of a picture: tiles (n, rows, columns, 3), and its size in inches."""

    title: str
    tiles: Array
    columns: int
    width: float
    captions: Sequence[str] = ()

    @property
    def height(self) -> float:
        """The height that belongs to the width."""
        rows, columns, _ = _mosaic(self.tiles, self.columns, self.captions, FRAME, CAPTION)[0].shape
        return float(self.width * rows / columns)


def _images(images: ArrayLike | Images) -> Images:
    return images if isinstance(images, Images) else Images(image_store(images))


def _shades(images: Array) -> Array:
    """Images (n, channels, rows, columns) as tiles (n, rows, columns, 3).

    Three channels give colours, others the mean as dark on light. Flat images become square if
    possible.
    """
    count, channels, rows, columns = images.shape
    if channels == 3:
        return np.moveaxis(images, 1, -1).clip(0, 1)
    side = math.isqrt(columns) if rows == 1 else 0
    shape = (side, side) if side**2 == columns else (rows, columns)
    return _grey(images.mean(axis=1).reshape(count, *shape), 0, 1)


def _grey(values: Array, low: float, high: float) -> Array:
    """Values as colours (..., 3), from white for `low` to black for `high`."""
    shade = 1 - ((values - low) / (high - low)).clip(0, 1)
    return np.repeat(shade[..., None], 3, axis=-1)


def _signed(values: Array, limit: float) -> Array:
    """Values as colours (..., 3), from blue for -limit over white for 0 to red for `limit`."""
    colours: Array = matplotlib.colormaps[SIGNED](0.5 + 0.5 * np.asarray(values) / limit)
    return colours[..., :3]


def _mosaic(
    tiles: Array, columns: int, captions: Sequence[str], frame: str, line: float
) -> tuple[Array, list[tuple[float, float]], float]:
    """Tiles (n, rows, columns, 3) in rows of `columns`: the picture, centres (x, y), their height.

    frame: the colour of each tile's frame. captions: below each tile there is room for its own,
    for each line that share of the tile's width.
    """
    zoom = max(1, MIN_TILE_PIXELS // tiles.shape[1])
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = tiles.shape
    gap = max(1, round(GAP * height))
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    row_step = height + gap + round(lines * line * width)
    column_step = width + gap
    rows = -(-count // columns)
    mosaic = np.ones((rows * row_step + gap, columns * column_step + gap, 3))
    centres = []
    for k, tile in enumerate(tiles):
        top = gap + k // columns * row_step
        left = gap + k % columns * column_step
        mosaic[top - gap : top + height + gap, left - gap : left + width + gap] = to_rgb(frame)
        mosaic[top : top + height, left : left + width] = tile
        centres.append((left + (width - 1) / 2, top + (height - 1) / 2))
    return mosaic, centres, height


def _tiled(
    ax: Axes,
    tiles: Array,
    columns: int,
    captions: Sequence[str] = (),
    frame: str = "white",
    line: float = CAPTION,
) -> list[tuple[float, float]]:
    """Draw tiles (n, rows, columns, 3) in rows of `columns`, and return their centres (x, y).

    frame: the colour of each tile's frame. captions: one below each tile; line: see `_mosaic`.
    """
    mosaic, centres, height = _mosaic(tiles, columns, captions, frame, line)
    text = {"ha": "center", "va": "top", "fontsize": 8, "color": INK, "linespacing": 1.15}
    for (x, y), caption in zip(centres, captions, strict=False):
        ax.text(x, y + (0.5 + 1.5 * GAP) * height, caption, text, **AS_IT_IS)
    hide_axes(ax)
    ax.set_anchor("NW")
    ax.imshow(mosaic, interpolation="none")
    return centres


def _new_axes(shades: Array, lines: int, margin: float, per_row: int) -> Axes:
    """The axes of a new picture for these tiles, with a margin in inches above them.

    lines: of the captions; with few tiles in a row they are wider.
    """
    columns = min(len(shades), per_row)
    width = IMAGE_WIDTH * MAPS_PER_ROW / per_row
    rows = -(-len(shades) // columns)
    _, tile_rows, tile_columns, _ = shades.shape
    row_height = (tile_rows / tile_columns + lines * _line(per_row) / (1 + GAP)) * width
    return single_axes(None, max(TITLE_WIDTH, width * columns), rows * row_height + margin)


def _line(per_row: int) -> float:
    """The share of a tile's width for a line below it, with so many in a row."""
    return CAPTION * per_row / MAPS_PER_ROW


def digits(
    images: ArrayLike | Images,
    labels: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """The first hundred images, with their labels if there are any.

    images: as `Dataset` takes them. labels: (n,). class_names: shown in place of labels. Raises
    DataError.
    """
    shades = _shades(_images(images)[:MAX_IMAGES])
    per_row, captions = MAPS_PER_ROW, []
    if labels is not None:
        given = [int(label) for label in np.asarray(labels)[:MAX_IMAGES]]
        captions = [shortened(class_name(class_names, label), NAME_LETTERS) for label in given]
        per_row = MAPS_PER_ROW if class_names is None else NAMED_PER_ROW
    ax = ax or _new_axes(shades, lines=bool(captions), margin=0.4, per_row=per_row)
    frame = "white" if captions else FRAME
    _tiled(ax, shades, min(len(shades), per_row), captions, frame, _line(per_row))
    count = len(_images(images))
    which = f"the first {len(shades)} of {count:,} images" if count > len(shades) else "images"
    add_title(ax, which + (", the correct label below each" if captions else ""))
    return ax


def errors(
    images: ArrayLike | Images,
    labels: ArrayLike,
    predictions: ArrayLike,
    ax: Axes | None = None,
    *,
    probabilities: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
) -> Axes:
    """A hundred misclassified images: below each "correct → predicted" and the image's number.

    images: as `Dataset` takes them. labels, predictions: (n,), such as a dataset's and those of
    `Network.predict` or `Ensemble.predict`. probabilities: (n, classes), or a last layer's other
    outputs; with them each image has that of the wrong answer, and the largest come first.
    class_names: shown in place of labels; files: in place of numbers. Raises DataError.
    """
    correct, predicted = np.asarray(labels), np.asarray(predictions)
    if correct.shape != predicted.shape:
        raise DataError(
            f"{correct.size} labels and {predicted.size} predictions were given: expected one of "
            "each for each image"
        )
    wrong = np.flatnonzero(correct != predicted)
    if not len(wrong):
        ax = single_axes(ax, 4, 1)
        add_note(ax, f"none of {len(correct):,} is misclassified")
        return ax
    order, certainty = "the first", None
    if probabilities is not None:
        certainty = np.asarray(probabilities)[np.arange(len(predicted)), predicted]
        wrong = wrong[np.argsort(-certainty[wrong], kind="stable")]
        order = "the most certain"
    shown = wrong[:MAX_IMAGES]
    shades = _shades(_images(images)[shown])

    def caption(k: int) -> str:
        of, taken_for = (
            shortened(class_name(class_names, int(label)), NAME_LETTERS)
            for label in (correct[k], predicted[k])
        )
        lines = [f"{of}→{taken_for}"] if class_names is None else [of, f"→ {taken_for}"]
        lines += [] if certainty is None else [f"{certainty[k]:.3f}"]
        # The end of a file's name is what tells it from its neighbours.
        name = "" if files is None else PurePath(files[k]).name
        lines.append(f"#{k}" if files is None else shortened(name[::-1], NAME_LETTERS)[::-1])
        return "\n".join(lines)

    captions = [caption(int(k)) for k in shown]
    per_row = MAPS_PER_ROW if class_names is None and files is None else NAMED_PER_ROW
    ax = ax or _new_axes(shades, lines=captions[0].count("\n") + 1, margin=0.7, per_row=per_row)
    _tiled(ax, shades, min(len(shades), per_row), captions, line=_line(per_row))
    first = f", {order} {MAX_IMAGES}" if len(wrong) > MAX_IMAGES else ""
    below = ["correct → predicted", "image number" if files is None else "file"]
    if probabilities is not None:
        is_probability = np.allclose(np.sum(probabilities, axis=1), 1, atol=1e-3)
        below.insert(1, "its probability" if is_probability else "the output for it")
    title = f"{len(wrong):,} of {len(correct):,} misclassified{first}"
    add_title(ax, f"{title}\nbelow each: {', '.join(below)}")
    return ax


def filters(network: "Network", layer: int = 1, ax: Axes | None = None) -> Axes:
    """The filters of a convolution: weights from blue (negative) over white to red (positive).

    layer: which convolution, 1 being the first. With several channels, each column is a filter and
    each row a channel. Raises SettingError.
    """
    both = zip(network.specs_with_parameters, network.parameters(), strict=True)
    convolutions = [
        (spec, parameters["weights"]) for spec, parameters in both if isinstance(spec, Conv2D)
    ]
    if not convolutions:
        raise SettingError(
            f"{network.notation} has no filters: expected a network with a convolution, such as "
            "20C5-MP2-10N"
        )
    if not 1 <= layer <= len(convolutions):
        raise SettingError(
            f"layer is {layer}: expected 1 to {len(convolutions)}, the convolutions of "
            f"{network.notation}"
        )
    spec, weights = convolutions[layer - 1]
    count, channels, rows, columns = weights.shape
    limit = float(np.quantile(np.abs(weights), SCALE_SHARE)) or 1.0
    tile_columns = _columns(count) if channels == 1 else count
    tile_rows = -(-count * channels // tile_columns)
    side = min(0.8, max(0.2, PAGE_WIDTH / tile_columns))  # inches
    width = max(side * tile_columns, 3) + 1.4
    captions = [str(k) for k in range(1, count + 1)] if channels == 1 else []
    row_height = rows / columns + (CAPTION if captions else 0)
    ax = single_axes(ax, width, side * tile_rows * row_height + 0.7)
    tiles = _signed(weights.swapaxes(0, 1).reshape(-1, rows, columns), limit)
    centres = _tiled(ax, tiles, tile_columns, captions, RULE)
    before = "feature maps" if layer > 1 else "channels"
    on_maps = f" on {channels} {before}" if channels > 1 else ""
    add_title(ax, f"{spec.notation}: {count} filters of {rows}x{columns}{on_maps}")
    if channels > 1:
        row = "feature map of the layer before" if layer > 1 else "channel of the image"
        _numbered(ax.xaxis, "filter", [x for x, _ in centres[:count]])
        _numbered(ax.yaxis, row, [y for _, y in centres[::count]])
    _weight_scale(ax, limit)
    return ax


def _weight_scale(ax: Axes, limit: float) -> None:
    """A colour bar from -limit to limit."""
    scale = ScalarMappable(Normalize(-limit, limit), SIGNED)
    bar = ax.figure.colorbar(
        scale, ax=ax, shrink=0.6, aspect=12, ticks=[-limit, 0, limit], format="%.2g", extend="both"
    )
    bar.set_label("weight", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, labelcolor=INK, color=GREY)
    bar.outline.set_edgecolor(GREY)


def _numbered(axis: Axis, name: str, positions: Sequence[float]) -> None:
    """Number rows or columns of tiles; of more than ten only the first and every fifth."""
    step = 1 if len(positions) <= 10 else 5
    numbers = [k for k in range(1, len(positions) + 1) if k == 1 or k % step == 0]
    axis.set_ticks([positions[k - 1] for k in numbers], [str(k) for k in numbers])
    axis.set_tick_params(length=0, labelsize=8, labelcolor=INK)
    axis.set_label_text(name, fontsize=9, color=INK)


def _columns(count: int) -> int:
    """A divisor of count such that there are about half as many rows as columns."""
    ideal = math.sqrt(1.6 * count)
    divisors = [
        columns
        for columns in range(1, count + 1)
        if count % columns == 0 and 0.6 * ideal < columns < 1.7 * ideal
    ]
    return min(divisors, key=lambda columns: abs(columns - ideal), default=math.ceil(ideal))


def feature_maps(
    network: "Network", image: ArrayLike, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """An image and the activations of each layer: feature maps, neurons, and the last as bars.

    image: one image as `Network.predict` takes them, with or without the first axis. axes: one for
    the image and one for each layer. Raises DataError.
    """
    single = np.asarray(image)
    images = Images(inputs.store(network, single if single.ndim == 4 else single[None]))
    if len(images) != 1:
        raise DataError(f"{len(images)} images were given: expected one")
    *hidden, (last, outputs) = network.activations(images, each_layer=True)
    panels = [_Panel(f"image, {show(network.input_shape)}", _shades(images[:]), 1, 1.2)]
    panels += [_panel(name, a) for name, (a,) in hidden]
    sizes = [*((panel.width, panel.height) for panel in panels), (PAGE_WIDTH, BARS)]
    axes = stacked_axes(axes, sizes, *LABELS)
    for ax, panel in zip(axes, panels, strict=False):
        _tiled(ax, panel.tiles, panel.columns, panel.captions, FRAME)
        add_title(ax, panel.title)
    answer(outputs[0], axes[-1], class_names=network.class_names)
    add_title(axes[-1], f"{last}: the answer is {network.name_of(int(outputs[0].argmax()))}")
    return axes


def _panel(name: str, a: Array) -> _Panel:
    """The activations of a hidden layer for one image: (channels, rows, columns) or (neurons,)."""
    is_maps = a.ndim == 3
    tiles = a if is_maps else a[:, None, None]
    low, high = float(a.min()), float(a.max())
    if low < 0:
        limit = max(-low, high)
        colours, scale = _signed(tiles, limit), f"blue {-limit:.2g}, white 0, red {limit:.2g}"
    else:
        colours = _grey(tiles, 0.0, high or 1.0)
        scale = f"white 0, black {high:.2g}" if high else "all 0"
    if not is_maps:
        columns = min(len(a), NEURONS_PER_ROW)
        title = f"{name}: {len(a)} neurons; {scale}"
        return _Panel(title, colours, columns, PAGE_WIDTH * columns / NEURONS_PER_ROW)
    columns = min(len(a), MAPS_PER_ROW)
    title = f"{name}: {len(a)} feature maps of {show(a.shape[1:])}; {scale}"
    captions = [str(k) for k in range(1, len(a) + 1)]
    return _Panel(title, colours, columns, min(PAGE_WIDTH, MAP_WIDTH * columns), captions)
