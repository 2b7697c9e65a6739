"""Pictures of images: digits, the misclassified ones, a network's filters and feature maps. Darker is larger."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from numpy.typing import ArrayLike, NDArray

from ..data.dataset import Images, image_store
from ..errors import DataError, SettingError
from ..layers import Conv2D, Dense
from ..layers.geometry import show
from .charts import answer
from .style import FRAME, GREY, INK, bare, note, only, several, titled

if TYPE_CHECKING:
    from ..network import Network

Array = NDArray[Any]
MOST = 100  # images in one picture
WIDTH = 9.0  # inches, of what goes across a page
ROW = 20  # feature maps beside each other
STRIP = 50  # neurons beside each other
SIDE = 0.5  # inches, of an image
ZOOMED = 24  # pixels of a tile's height at least, so that frames are thin
SHARE = (
    0.995  # of the weights within the scale, which a few large ones would else take for themselves
)
GAP = 0.08  # of a tile's height
CAPTION = 0.4  # of a tile's height


def _images(images: ArrayLike | Images) -> Images:
    return images if isinstance(images, Images) else Images(image_store(images))


def _shades(images: Array) -> Array:
    """Images (n, channels, rows, columns) as (n, rows, columns, 3): dark on light, or in colour; flat ones square if possible."""
    count, channels, rows, columns = images.shape
    if channels == 3:
        return np.moveaxis(images, 1, -1).clip(0, 1)
    side = math.isqrt(columns) if rows == 1 else 0
    return _grey(
        images.mean(axis=1).reshape(
            count, *((side, side) if side**2 == columns else (rows, columns))
        ),
        0,
        1,
    )


def _grey(values: Array, low: float, high: float) -> Array:
    """White for `low` to black for `high`, as (..., 3)."""
    shade = 1 - ((values - low) / (high - low)).clip(0, 1)
    return np.repeat(shade[..., None], 3, axis=-1)


def _tiled(
    ax: Axes, tiles: Array, columns: int, captions: Sequence[str] = ()
) -> list[tuple[float, float]]:
    """Draw tiles (n, rows, columns, 3) in rows, framed or with a caption under each, and give their centres (x, y)."""
    zoom = max(1, ZOOMED // tiles.shape[1])
    tiles = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = tiles.shape
    gap = max(1, round(GAP * height))
    down, across = height + (round(CAPTION * height) if captions else gap), width + gap
    whole = np.ones((-(-count // columns) * down + gap, columns * across + gap, 3))
    centres = []
    for k, tile in enumerate(tiles):
        top, left = gap + k // columns * down, gap + k % columns * across
        if not captions:
            whole[top - gap : top + height + gap, left - gap : left + width + gap] = to_rgb(FRAME)
        whole[top : top + height, left : left + width] = tile
        centres.append((left + (width - 1) / 2, top + (height - 1) / 2))
    for (x, y), caption in zip(centres, captions, strict=False):
        ax.text(
            x,
            y + (1 + CAPTION) / 2 * height,
            caption,
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
        )
    bare(ax)
    ax.set_anchor("NW")
    ax.imshow(whole, interpolation="none")
    return centres


def _paper(shades: Array, has_captions: bool, head: float = 0.1) -> Axes:
    """The axes of a new picture for these tiles, with so many inches above them."""
    columns = min(len(shades), ROW)
    side = (
        shades.shape[1]
        / shades.shape[2]
        * (1 + (CAPTION if has_captions else GAP))
        / (1 + GAP)
        * SIDE
    )
    return only(None, max(4, SIDE * columns), -(-len(shades) // columns) * side + head)


def digits(
    images: ArrayLike | Images, labels: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """The first hundred images, with their labels if these are given. images: as `Dataset` takes them. Raises DataError."""
    shades = _shades(_images(images)[:MOST])
    captions = [] if labels is None else [str(label) for label in np.asarray(labels)[:MOST]]
    ax = ax or _paper(shades, bool(captions))
    _tiled(ax, shades, min(len(shades), ROW), captions)
    return ax


def errors(
    images: ArrayLike | Images, labels: ArrayLike, given: ArrayLike, ax: Axes | None = None
) -> Axes:
    """The images whose label is not the one given to them, under each "right → given"; of many the first hundred.

    images: as `Dataset` takes them. labels, given: (n,), such as `Network.predict` or `Ensemble.predict` gives. Raises DataError.
    """
    right, answers = np.asarray(labels), np.asarray(given)
    if right.shape != answers.shape:
        raise DataError(
            f"{right.size} labels and {answers.size} given ones: expected one of each for each image"
        )
    wrong = np.flatnonzero(right != answers)
    if not len(wrong):
        ax = only(ax, 4, 1)
        note(ax, f"none of {len(right):,} is misclassified")
        return ax
    shades = _shades(_images(images)[wrong[:MOST]])
    ax = ax or _paper(shades, True, head=0.4)
    _tiled(ax, shades, min(len(shades), ROW), [f"{right[k]}→{answers[k]}" for k in wrong[:MOST]])
    first = f", the first {MOST}" if len(wrong) > MOST else ""
    titled(ax, f"{len(wrong):,} misclassified{first}: right → given")
    return ax


def filters(network: "Network", layer: int = 1, ax: Axes | None = None) -> Axes:
    """The filters of a convolution, 1 being the first: weights from white (negative) to black (positive).

    Filters on one channel stand side by side; of others each is a column, with a row for each channel. Raises SettingError.
    """
    weighted = [spec for spec in network.specs if isinstance(spec, Conv2D | Dense)]
    pairs = zip(weighted, network.parameters(), strict=True)
    found = [
        (spec, parameters["weights"]) for spec, parameters in pairs if isinstance(spec, Conv2D)
    ]
    if not found:
        raise SettingError(
            f"{network.notation} has no filters: expected a network with a convolution, such as 20C5-MP2-10N"
        )
    if not 1 <= layer <= len(found):
        raise SettingError(
            f"layer is {layer}: expected 1 to {len(found)}, the convolutions of {network.notation}"
        )
    spec, weights = found[layer - 1]
    count, channels, rows, columns = weights.shape
    most = float(np.quantile(np.abs(weights), SHARE)) or 1.0
    across = _columns(count) if channels == 1 else count
    down = -(-count * channels // across)
    size = min(0.8, max(0.2, WIDTH / across))
    ax = only(ax, max(size * across, 3) + 1.4, size * down * rows / columns + 0.7)
    centres = _tiled(
        ax, _grey(weights.swapaxes(0, 1).reshape(-1, rows, columns), -most, most), across
    )
    titled(
        ax,
        f"{spec.notation}: {count} filters of {rows}x{columns}"
        + f" on {channels} feature maps" * (channels > 1),
    )
    if channels > 1:
        _numbered(ax.xaxis, "filter", [x for x, _ in centres[:count]])
        _numbered(ax.yaxis, "feature map of the layer before", [y for _, y in centres[::count]])
    scale = ScalarMappable(Normalize(-most, most), "gray_r")
    bar = ax.figure.colorbar(
        scale, ax=ax, shrink=0.6, aspect=12, ticks=[-most, 0, most], format="%.2g", extend="both"
    )
    bar.set_label("weight", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, labelcolor=INK, color=GREY)
    bar.outline.set_edgecolor(GREY)
    return ax


def _numbered(axis: Axis, name: str, places: Sequence[float]) -> None:
    """Numbers along rows or columns of tiles, of more than ten every fifth."""
    step = 1 if len(places) <= 10 else 5
    numbers = [k for k in range(1, len(places) + 1) if k == 1 or k % step == 0]
    axis.set_ticks([places[k - 1] for k in numbers], [str(k) for k in numbers])
    axis.set_tick_params(length=0, labelsize=8, labelcolor=INK)
    axis.set_label_text(name, fontsize=9, color=INK)


def _columns(count: int) -> int:
    """A divisor of the count that makes rows of it about half as many as columns."""
    wanted = math.sqrt(1.6 * count)
    divisors = [
        columns
        for columns in range(1, count + 1)
        if count % columns == 0 and 0.6 * wanted < columns < 1.7 * wanted
    ]
    return min(divisors, key=lambda columns: abs(columns - wanted), default=math.ceil(wanted))


def feature_maps(
    network: "Network", image: ArrayLike, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """What each layer makes of an image, in axes of their own: the image, feature maps, neurons, and the last layer's answer.

    image: as the network takes it, without the axis of images or with it. Raises DataError.
    """
    single = np.asarray(image)
    images = _images(single if single.ndim == 4 else single[None])
    if len(images) != 1:
        raise DataError(f"{len(images)} images were given: expected one")
    *hidden, (last, answers) = network.activations(images)
    panels = [
        (f"image, {show(images.shape[1:])}", _shades(images[:]), 1, 1.0)
    ]  # title, tiles, columns, inches
    for name, (a,) in hidden:
        low, high = min(0.0, float(a.min())), float(a.max())
        tiles = _grey(a if a.ndim == 3 else a[:, None, None], low, high if high > low else low + 1)
        kind = f"feature maps of {show(a.shape[1:])}" if a.ndim == 3 else "neurons"
        columns, side = (
            min(len(a), ROW if a.ndim == 3 else STRIP),
            0.7 if a.ndim == 3 else WIDTH / STRIP,
        )
        title = f"{name}: {len(a)} {kind}, white {low:.2g} to black {high:.2g}"
        panels.append((title, tiles, columns, -(-len(a) // columns) * min(side, WIDTH / columns)))
    heights = [*(inches for _, _, _, inches in panels), 1.0]
    whole = sum(heights) + 0.4 * len(heights) + 0.2
    axes = several(axes, len(heights), WIDTH, whole, nrows=len(heights), height_ratios=heights)
    for ax, (title, tiles, columns, _) in zip(axes, panels, strict=False):
        _tiled(ax, tiles, columns)
        titled(ax, title)
    answer(answers[0], axes[-1])
    titled(axes[-1], f"{last}: the answer is {int(answers[0].argmax())}")
    return axes
