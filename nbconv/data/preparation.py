"""Pictures of any kind made like those that a network was trained on, or said to be unlike them.

MNIST's digits are light ink on black, scaled to fit a box of 20 x 20 pixels and shifted so that the
ink's centre of mass is in the middle of 28 x 28. Whether a network's training images are made in
such a way is measured on them; nothing here is particular to MNIST.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import Shape, show
from ..errors import DataError
from . import pictures
from .dataset import Dataset, has_channels_last, image_store
from .ink import STROKE, box_of, large_parts, separated, spread, stroke_width, without_frame
from .levels import BYTE
from .pictures import border

Array = NDArray[Any]
SAMPLE = 1000  # training images that are measured
INK = 0.2  # difference from the background, of the whole range, from which a pixel is ink
USUAL = (0.1, 99.9)  # percentiles between which the training images' mean and border lie
MARGIN = 0.1  # by which a picture may lie outside of them
FLAT_BACKGROUND = 0.15  # spread of the border among images that have one background
ALL_ALONG = 0.5  # of the border that has ink, as grain, rasters and squared paper do
THIN = 0.75  # of the training images' width of strokes, below which strokes are thin
ANALYSIS = 512  # pixels, of the longer side of what is searched for ink
BOX_SLACK = 1.0  # pixels by which boxes and centres may differ among images that were normalised
NORMALISED_SHARE = 0.9  # of the training images that must have the same box


@dataclass(frozen=True)
class Ink:
    """How the training images' ink lies in them.

    box: pixels of the longer side of the box around it. centre: "mass" if its centre of mass is
    always at the same place, "box" if the box's middle is. place: where, (row, column): MNIST's
    digits have it at (14, 14), half a pixel below and to the right of the middle. background: level
    of the paper. stroke: the strokes' width in pixels.
    """

    box: int
    centre: str
    place: tuple[float, float]
    background: float
    stroke: float = 0.0


@dataclass(frozen=True)
class Preparation:
    """What a network's training images have in common.

    level: the whole number that stood for 1, also in deep pictures. mean, border: the range of the
    images' mean levels and of the means of their outermost pixels, in [0, 1]. ink: None unless they
    are ink on one background, normalised in size and place. shape: (channels, rows, columns), None
    in older files.
    """

    level: int
    mean: tuple[float, float]
    border: tuple[float, float]
    ink: Ink | None = None
    shape: Shape | None = None

    @classmethod
    def of(cls, data: Dataset) -> "Preparation":
        """The preparation of a dataset's images, measured on up to 1,000 of them."""
        count = len(data)
        chosen = np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64))
        images = _squared(data.images[chosen])
        means = images.mean(axis=(1, 2, 3))
        borders = border(images).mean(axis=(1, 2))
        return cls(
            data.level,
            _range(means),
            _range(borders),
            _ink_of(images) if images.shape[1] == 1 else None,
            images.shape[1:],
        )

    def to_dict(self) -> dict[str, Any]:
        """The preparation as JSON."""
        described = asdict(self)
        if self.shape is None:
            del described["shape"]
        return described

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Preparation":
        """The preparation that `to_dict` described. Raises DataError, TypeError, KeyError."""
        ink = stored["ink"]
        low_high = {}
        for name in ("mean", "border"):
            low, high = map(float, stored[name])
            if not 0 <= low <= high <= 1:
                raise DataError(f"its {name} goes from {low} to {high}: expected numbers in [0, 1]")
            low_high[name] = (low, high)
        if ink is not None:
            row, column = map(float, ink["place"])
            numbers = float(ink["background"]), float(ink["stroke"])
            ink = Ink(int(ink["box"]), str(ink["centre"]), (row, column), *numbers)
            is_known = ink.box > 0 and ink.centre in ("mass", "box") and 0 <= ink.background <= 1
            is_known = is_known and 0 <= ink.stroke < 2**16
            if not (is_known and 0 <= row < 2**16 and 0 <= column < 2**16):
                raise DataError(f"its ink is {ink}: expected a box, a centre and a background")
        level = int(stored["level"])
        if not 1 <= level <= 2**16:
            raise DataError(f"its level is {level}: expected 1 to 65535")
        shape = stored.get("shape")
        if shape is not None:
            channels, rows, columns = shape = tuple(map(int, shape))
            if min(channels, rows, columns) < 1:
                raise DataError(f"its pictures are {shape}: expected channels, rows and columns")
        return cls(level, low_high["mean"], low_high["border"], ink, shape)

    def unlike(self, images: Array) -> list[str]:
        """Why each image (n, channels, rows, columns) is unlike the training images, or ""."""
        return [self._unlike(image) for image in _squared(images)]

    def _unlike(self, image: Array) -> str:
        if image.max() - image.min() < 0.02:
            return "one colour: nothing to be seen"
        for name, value, (low, high) in (
            ("border", float(border(image).mean()), self.border),
            ("mean", float(image.mean()), self.mean),
        ):
            if not low - MARGIN <= value <= high + MARGIN:
                return (
                    f"unlike the training images: {name} {value:.2f}, "
                    f"theirs {low:.2f} to {high:.2f}"
                )
        return ""


def _range(values: Array) -> tuple[float, float]:
    low, high = np.percentile(values, USUAL)
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def _squared(images: Array) -> Array:
    """Flat images (n, 1, 1, pixels) as squares, if they fill one."""
    count, channels, rows, columns = images.shape
    side = math.isqrt(columns)
    return (
        images.reshape(count, channels, side, side) if rows == 1 and side**2 == columns else images
    )


def _ink_of(images: Array) -> Ink | None:
    """How the ink lies in training images (n, 1, rows, columns); None if they are unlike that."""
    if min(images.shape[2:]) < 4:
        return None
    levels = np.median(border(images[:, 0]), axis=1)
    background = float(np.median(levels))
    if min(background, 1 - background) > FLAT_BACKGROUND:
        return None
    if np.mean(np.abs(levels - background) <= FLAT_BACKGROUND) < NORMALISED_SHARE:
        return None
    inks = (_place(np.abs(image[0] - background)) for image in images)
    found = np.array([place for place in inks if place is not None])
    if len(found) < NORMALISED_SHARE * len(images):
        return None
    box = int(np.median(found[:, 0]))
    places = {"mass": found[:, 1:3], "box": found[:, 3:5]}
    middles = {name: np.median(centres, axis=0) for name, centres in places.items()}
    distances = {name: np.abs(places[name] - middles[name]).max(axis=1) for name in places}
    centre = min(distances, key=lambda name: float(np.percentile(distances[name], 90)))
    fits = (np.abs(found[:, 0] - box) <= BOX_SLACK) & (distances[centre] <= BOX_SLACK)
    if fits.mean() < NORMALISED_SHARE:
        return None
    row, column = (round(float(each), 3) for each in middles[centre])
    widths = [stroke_width(np.abs(image[0] - background)) for image in images]
    return Ink(box, centre, (row, column), round(background, 3), round(float(np.median(widths)), 3))


def _place(ink: Array) -> tuple[float, ...] | None:
    """(longer side of the box, centre of mass, centre of the box) of ink (rows, columns)."""
    box = box_of(ink > INK)
    if box is None:
        return None
    top, bottom, left, right = box
    return (
        max(bottom - top, right - left),
        *_centre_of_mass(ink),
        (top + bottom - 1) / 2,
        (left + right - 1) / 2,
    )


def _centre_of_mass(ink: Array) -> tuple[float, float]:
    total = ink.sum()
    rows, columns = np.arange(ink.shape[0]), np.arange(ink.shape[1])
    return float(ink.sum(axis=1) @ rows / total), float(ink.sum(axis=0) @ columns / total)


# Pictures


@dataclass
class Prepared:
    """A picture for a network: name, image (channels, rows, columns) in [0, 1], what was done."""

    name: str
    image: Array
    done: list[str]


def prepare(
    items: Iterable[tuple[str, Any]], shape: Shape, like: Preparation | None
) -> Iterator[Prepared]:
    """Pictures made like the training images, one by one.

    items: (name, picture): a path, a file's content, a PIL picture, or an array (rows, columns),
    (channels, rows, columns) or (rows, columns, channels) of levels or values in [0, 1]. shape: the
    network's input (channels, rows, columns). like: None to resize them only. Raises DataError.
    """
    for name, item in items:
        try:
            done: list[str] = []
            with pictures.quiet():
                level = like.level if like else BYTE
                image = _one(_opened(item, level, done), shape, like, done)
        except DataError as error:
            text = str(error)
            raise DataError(text if text.startswith(name) else f"{name}: {text}") from error
        yield Prepared(name, image, done)


def _one(item: Any, shape: Shape, like: Preparation | None, done: list[str]) -> Array:
    picture = _picture(item, like.level if like else BYTE, done)
    fits = (picture.height, picture.width) == shape[1:]
    exact = _as_array(picture)
    if exact.shape != shape:
        exact = pictures.fitted(picture, *shape) / np.float32(BYTE)
    ink = like.ink if like and shape[0] == 1 else None
    if ink and not (fits and _conforms(exact[0], ink)):
        if not (fits and _conforms(1 - exact[0], ink)):
            return _normalised(picture, shape, ink, done)
        done.append("inverted")
        return 1 - exact
    if not fits:
        done.append(f"resized from {picture.height}x{picture.width}")
    if like and shape[1] > 1 and _is_inverse(exact, like):  # a row is no picture
        done.append("inverted")
        exact = 1 - exact
    return exact


def _opened(item: Any, level: int, done: list[str]) -> Any:
    """A path, a file's content or a PIL picture as a decoded one; an array as it is."""
    if isinstance(item, (str, os.PathLike)):
        item = Path(item)
    if isinstance(item, (Path, bytes)):
        with pictures.opened(item) as opened:
            return pictures.decoded(opened, done, level)
    if isinstance(item, pictures.pillow().Image):
        return pictures.decoded(item, done, level)
    return item


def _picture(item: Any, level: int, done: list[str]) -> Any:
    """A decoded picture or an array as a PIL picture of the mode L, RGB or F."""
    image = pictures.pillow()
    if isinstance(item, image.Image):
        return item
    array = np.asarray(item)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        raise DataError(
            f"the picture has the shape {show(array.shape) or 'of a single number'}: expected "
            "(rows, columns), (channels, rows, columns) or (rows, columns, channels)"
        )
    if array.dtype == np.uint8 and level > BYTE:
        done.append(f"levels divided by {level}, as those of the training images")
    one = array[None]
    pixels = image_store(np.moveaxis(one, 3, 1) if has_channels_last(one.shape) else one, level)[0]
    if pixels.dtype != np.uint8:
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise DataError(
                f"its values range from {pixels.min():g} to {pixels.max():g}: expected levels or "
                "values in [0, 1]"
            )
        if len(pixels) == 1:
            return image.fromarray(pixels[0].astype(np.float32) * BYTE)
        pixels = np.rint(pixels * BYTE).astype(np.uint8)
    if len(pixels) == 1:
        return image.fromarray(pixels[0])
    if len(pixels) not in (3, 4):
        raise DataError(f"the picture has {len(pixels)} channels: expected 1, 3 or 4")
    return pictures.decoded(image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))))


def _as_array(picture: Any) -> Array:
    """A decoded picture as it is: (channels, rows, columns) in [0, 1]."""
    pixels = np.asarray(picture, np.float32) / np.float32(BYTE)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _conforms(image: Array, ink: Ink) -> bool:
    """Whether an image (rows, columns) already has its ink in place, on the right background."""
    if abs(float(np.median(border(image))) - ink.background) > FLAT_BACKGROUND:
        return False
    place = _place(np.abs(image - ink.background))
    if place is None:
        return True  # a blank one: nothing can be done
    size, *centres = place
    centre = np.array(centres[:2] if ink.centre == "mass" else centres[2:])
    return abs(size - ink.box) <= 2 * BOX_SLACK and bool(
        (np.abs(centre - ink.place) <= 2 * BOX_SLACK).all()
    )


def _is_inverse(image: Array, like: Preparation) -> bool:
    """Whether border and mean are unlike the training images', and the inverse's are like them."""
    (low, high), (least, largest) = like.border, like.mean
    if high - low > 0.5:  # pictures with every kind of border
        return False
    at_border, mean = float(border(image).mean()), float(image.mean())

    def is_usual(edge: float, inside: float) -> bool:
        return (
            low - MARGIN <= edge <= high + MARGIN and least - MARGIN <= inside <= largest + MARGIN
        )

    return not is_usual(at_border, mean) and is_usual(1 - at_border, 1 - mean)


def _normalised(picture: Any, shape: Shape, ink: Ink, done: list[str]) -> Array:
    """A picture's ink on the training images' background, in the size and place that theirs has."""
    image = pictures.pillow()
    rows, columns = shape[1:]
    longer = max(picture.size)
    if longer > ANALYSIS:
        done.append(f"resized from {picture.height}x{picture.width}")
        size = tuple(max(1, round(side * ANALYSIS / longer)) for side in picture.size)
        picture = picture.resize(size, image.Resampling.BOX, reducing_gap=3.0)
    grey = np.asarray(picture if picture.mode in ("L", "F") else picture.convert("L"), np.float32)
    grey = without_frame(grey / np.float32(BYTE), done)
    strength, is_dark = separated(grey)
    if strength is None:
        done.append("no ink was found")
        flat = image.fromarray(np.rint(grey * BYTE).astype(np.uint8))
        return pictures.fitted(flat, 1, rows, columns) / np.float32(BYTE)
    if is_dark != (ink.background > 0.5):
        done.append("inverted")
    strong = strength > STROKE
    kept = large_parts(strong)
    top, bottom, left, right = box_of(kept & strong) or (0, grey.shape[0], 0, grey.shape[1])
    crop = np.where(kept, strength, 0)[top:bottom, left:right]
    done.append(f"ink of {bottom - top}x{right - left} moved and scaled")
    if border(kept).mean() > ALL_ALONG:
        done.append("marks all along the edges, where plain paper is expected")
    small = _scaled(crop, ink.box)
    width = stroke_width(small)
    if ink.stroke and width < THIN * ink.stroke:
        radius = (ink.stroke - width) / 2 * max(crop.shape) / ink.box
        crop = spread(np.pad(crop, math.ceil(radius)), 2 * round(radius) + 1, np.max)
        small = _scaled(crop, ink.box)
        done.append("thin strokes made thicker")
    placed = _placed(small, rows, columns, ink)
    result: Array = placed if ink.background <= 0.5 else 1 - placed
    return result[None].astype(np.float32)


def _scaled(strength: Array, box: int) -> Array:
    """Ink with a longer side of `box` pixels."""
    image = pictures.pillow()
    scale = box / max(strength.shape)
    size = tuple(max(1, round(side * scale)) for side in strength.shape[::-1])
    picture = image.fromarray(strength).resize(size, image.Resampling.BICUBIC)
    small: Array = np.asarray(picture).clip(0, 1)
    peak = np.percentile(small[small > INK], 90) if (small > INK).any() else 1.0
    return (small / max(peak, INK)).clip(0, 1)  # thin strokes fade when they are made smaller


def _placed(small: Array, rows: int, columns: int, ink: Ink) -> Array:
    """The ink at its place in an image (rows, columns) of zeros."""
    height, width = small.shape
    if ink.centre == "mass":
        y, x = _centre_of_mass(small)
    else:
        y, x = (height - 1) / 2, (width - 1) / 2
    top = int(np.clip(round(ink.place[0] - y), 0, max(0, rows - height)))
    left = int(np.clip(round(ink.place[1] - x), 0, max(0, columns - width)))
    image = np.zeros((rows, columns), np.float32)
    image[top : top + height, left : left + width] = small[: rows - top, : columns - left]
    return image
