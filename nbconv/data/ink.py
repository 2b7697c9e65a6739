"""The ink in a grey picture: apart from paper, shadows, frames and specks.

Nothing here is particular to a network: `preparation` moves and scales what is found.
nbconv/demo/ink.js does the same on the page.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import pictures

Array = NDArray[Any]
Box = tuple[int, int, int, int]  # top, bottom, left, right; the ends exclusive
STROKE = 0.4  # of the ink's strength, from which a pixel belongs to a stroke
GRAIN = 0.12  # of the ink's strength, below which it is the paper's grain
FAINT = 0.08  # difference from the paper, below which nothing is ink
PARTS = 64  # pixels of the longer side in which separate parts are told
WHOLE = 0.8  # of the edges of a part's box that a frame has
MAX_PARTS = 40  # that are looked at
SMALL_PART = 0.06  # of the largest part's area
NEARLY_INK, SHADOW_SHARE = 0.7, 0.12  # of the ink's strength; of the border that may be in shadow
PAPER = 96  # pixels of the longer side in which the paper's level is looked for
WIDEST_STROKE = 0.25  # of a picture's longer side
FRAME = 0.3  # difference from the paper, from which a line along an edge is a frame's
WIDEST_FRAME = 0.1  # of a picture's side


def box_of(is_ink: Array) -> Box | None:
    """The box around what is true; None if nothing is."""
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def without_frame(grey: Array, done: list[str]) -> Array:
    """A picture without what runs along all four of its edges, as the dark rim of a scan does."""
    paper = np.median(grey.reshape(-1)[::8])  # of some pixels, for the page does it in a frame

    def depth(lines: Array) -> int:
        differs = np.abs(np.median(lines, axis=1) - paper) > FRAME
        return len(lines) if differs.all() else int(np.argmin(differs))

    rows, columns = grey.shape
    top, bottom, left, right = map(depth, (grey, grey[::-1], grey.T, grey.T[::-1]))
    is_narrow = max(top, bottom) <= WIDEST_FRAME * rows and max(left, right) <= (
        WIDEST_FRAME * columns
    )
    if not (min(top, bottom, left, right) and is_narrow):
        return grey
    done.append("a frame cut away")
    return grey[top + 1 : rows - bottom - 1, left + 1 : columns - right - 1]  # and where it fades


def separated(grey: Array) -> tuple[Array | None, bool]:
    """(the strength of the ink in [0, 1] of each pixel, whether it is darker than the paper).

    None if nothing differs from the paper.
    """
    plane, errors = _plane(grey)
    difference = grey - plane
    smooth = _smoothed(difference) if min(grey.shape) >= 64 else difference
    is_dark = float(-smooth.min()) > float(smooth.max())
    # At the border a shadow is between paper and ink; strokes that touch it are ink.
    shares = errors / max(float(np.abs(smooth).max()), FAINT)
    is_flat = np.mean((shares > GRAIN) & (shares < NEARLY_INK)) < SHADOW_SHARE
    light = 1 - grey if is_dark else grey
    paper = (1 - plane if is_dark else plane) if is_flat else _paper(light)
    ink = np.maximum(light - paper, 0)
    smooth = _smoothed(ink) if min(grey.shape) >= 64 else ink
    peak = float(smooth.max())
    if peak < FAINT:
        return None, is_dark
    strong = ink[ink > peak / 2]
    strength = (ink / float(np.median(strong))).clip(0, 1)
    # Grain, ruled lines and shadows are weak, and not where strokes are.
    reach = 2 * (max(grey.shape) // 64) + 1
    near = spread((strength > STROKE).astype(np.float32), reach, np.max) > 0
    strength[~near | (strength < GRAIN)] = 0
    return strength.astype(np.float32), is_dark


def _plane(grey: Array) -> tuple[Array, Array]:
    """(the paper's level as a plane through most of the border, how far the border is from it).

    Light from a side gives such a plane; a shadow on the paper does not.
    """
    rows, columns = grey.shape
    y, x = np.mgrid[0:rows, 0:columns]
    depth = max(1, min(rows, columns) // 20)
    edge = np.ones(grey.shape, bool)
    edge[depth:-depth, depth:-depth] = False
    levels = grey[edge].astype(np.float64)
    terms = np.stack([np.ones(len(levels)), y[edge] / rows, x[edge] / columns], axis=1)
    fits = np.abs(levels - np.median(levels)) <= 0.25
    for _ in range(3):
        plane, *_ = np.linalg.lstsq(terms[fits], levels[fits], rcond=None)
        errors = np.abs(terms @ plane - levels)
        fits = errors <= max(0.02, 2.5 * float(np.median(errors[fits])))
    level: Array = plane[0] + plane[1] * y / rows + plane[2] * x / columns
    return level.astype(np.float32), errors


def _paper(light: Array) -> Array:
    """The paper's level at each pixel, where ink is lighter: what remains without lines of ink.

    A morphological opening: the least level around each pixel, then the largest of those. Shadows
    are wider than strokes and stay.
    """
    image = pictures.pillow()
    rows, columns = light.shape
    scale = min(1.0, PAPER / max(rows, columns))
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = np.asarray(image.fromarray(light).resize(size, image.Resampling.BOX))
    reach = 2 * round(max(small.shape) * WIDEST_STROKE / 2) + 1
    opened = spread(spread(small, reach, np.min), reach, np.max)
    paper = image.fromarray(opened).resize((columns, rows), image.Resampling.BILINEAR)
    return np.asarray(paper)


def spread(values: Array, reach: int, choose: Any) -> Array:
    """The least or largest (choose) of `reach` x `reach` values around each."""
    for axis in (0, 1):
        edges = [(0, 0), (0, 0)]
        edges[axis] = (reach // 2, reach // 2)
        padded = np.pad(values, edges, mode="edge")
        values = choose(np.lib.stride_tricks.sliding_window_view(padded, reach, axis=axis), axis=-1)
    return np.ascontiguousarray(values)


def _smoothed(values: Array) -> Array:
    """The mean of 3 x 3 pixels, so that a single one decides nothing."""
    padded = np.pad(values, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    mean: Array = windows.mean(axis=(2, 3))
    return mean


def large_parts(is_ink: Array) -> Array:
    """Where ink is or is near, without parts that are small beside the largest: specks, edges."""
    image = pictures.pillow()
    rows, columns = is_ink.shape
    scale = min(1.0, PARTS / max(rows, columns))
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    levels = np.asarray(
        image.fromarray(is_ink.astype(np.float32)).resize(size, image.Resampling.BOX)
    )
    parts = _parts(levels)
    if not parts:
        return is_ink
    largest = max(area for area, _ in parts)
    large = [part for area, part in parts if area >= SMALL_PART * largest]
    boxes = [box_of(part) or (0, 0, 0, 0) for part in large]
    kept = np.any(
        [part for part, box in zip(large, boxes, strict=True) if not _is_frame(part, box, boxes)],
        axis=0,
    )
    near = spread(kept.astype(np.float32), 3, np.max)
    wide = image.fromarray(near).resize((columns, rows), image.Resampling.NEAREST)
    return np.asarray(wide) > 0


def _parts(levels: Array) -> list[tuple[float, Array]]:
    """(the sum of its levels, where it is) of each connected part, from the strongest pixel on."""
    padded = np.pad(levels, 1)
    width = padded.shape[1]
    left = set(np.flatnonzero(padded).tolist())
    around = [row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1)]
    parts: list[tuple[float, Array]] = []
    for first in np.argsort(-padded, axis=None, kind="stable")[: len(left)].tolist():
        if len(parts) == MAX_PARTS:
            break
        if first not in left:
            continue
        part, waiting = np.zeros(padded.size, bool), {first}
        while waiting:
            left -= waiting
            part[list(waiting)] = True
            waiting = {pixel + step for pixel in waiting for step in around} & left
        inner = part.reshape(padded.shape)[1:-1, 1:-1]
        parts.append((float(levels[inner].sum()), inner))
    return parts


def _is_frame(part: Array, box: Box, boxes: list[Box]) -> bool:
    """Whether a part runs along all edges of its box (top, bottom, left, right) around another."""
    top, bottom, left, right = box
    inner = part[top:bottom, left:right]
    edges = inner[:2].any(axis=0), inner[-2:].any(axis=0), inner[:, :2].any(axis=1)
    is_whole = all(edge.mean() >= WHOLE for edge in (*edges, inner[:, -2:].any(axis=1)))
    return is_whole and any(
        top < up and down < bottom and left < first and last < right
        for up, down, first, last in boxes
    )


def stroke_width(ink: Array) -> float:
    """The mean width of strokes (rows, columns) in pixels: twice their area over their outline."""
    padded = np.pad(ink, 1)
    outline = np.hypot(np.diff(padded, axis=0)[:, :-1], np.diff(padded, axis=1)[:-1]).sum()
    return float(2 * ink.sum() / max(outline, 1e-6))
