"""What notebooks show of nbconv's objects: HTML with tables, curves and pictures.

It needs neither matplotlib nor Pillow. Text and axes have the page's own colour, so they can be
read on light and on dark pages.
"""

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of the lines of a chart: colour, and dashes. Each is readable on white and on black.
STYLES = (("#3b87d0", ""), ("#d9730d", "6 2"), ("#2a9d6f", "6 2 1 2"), ("#b565a7", "2 2"))
WIDTH, HEIGHT = 300, 170  # of a chart, in pixels
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 22  # its margins
PICTURE_SIDE = 64  # pixels of a picture's longer side, at most; larger ones are thinned out
SHOWN_SIDE = 56  # as which it is shown


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table, the first column to the left and the others to the right."""

    def row(cells: Sequence[str], tag: str) -> str:
        sides = ["left", *["right"] * (len(cells) - 1)]
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, sides, strict=True)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return (
        f"<table><thead><tr>{row(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"
        f"<div>{escape(caption)}</div>"
    )


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of levels (rows, columns), grey, or (rows, columns, 3)."""
    rows, columns = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    lines = np.zeros((rows, 1 + pixels[0].size), np.uint8)  # the first byte: no filter
    lines[:, 1:] = pixels.reshape(rows, -1)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0),
        b"IDAT": zlib.compress(lines.tobytes()),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def strip(images: NDArray[Any], captions: Sequence[str]) -> str:
    """Pictures side by side, each with its caption. images: (n, channels, rows, columns)."""
    return "".join(
        '<span style="display:inline-block;margin:2px;text-align:center;vertical-align:top">'
        f'{_picture(image)}<br><small style="display:inline-block;max-width:{SHOWN_SIDE}px;'
        f'overflow:hidden;text-overflow:ellipsis;white-space:nowrap" title="{escape(caption)}">'
        f"{escape(caption)}</small></span>"
        for image, caption in zip(images, captions, strict=True)
    )


def _picture(image: NDArray[Any]) -> str:
    """An image (channels, rows, columns) in [0, 1]: three channels as colours, else their mean.

    Rows of pixels become square if they fill a square.
    """
    channels, rows, columns = image.shape
    side = math.isqrt(columns) if rows == 1 else 0
    if side**2 == columns:
        image = image.reshape(channels, side, side)
    step = -(-max(image.shape[1:]) // PICTURE_SIDE)
    image = image[:, ::step, ::step]
    levels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    pixels = np.moveaxis(levels, 0, 2) if channels == 3 else levels.mean(axis=0).astype(np.uint8)
    data = base64.b64encode(png(pixels)).decode()
    longer = "width" if pixels.shape[1] >= pixels.shape[0] else "height"
    return (
        f'<img src="data:image/png;base64,{data}" alt="" '
        f'style="{longer}:{SHOWN_SIDE}px;image-rendering:pixelated">'
    )


def chart(title: str, lines: Mapping[str, Sequence[float]]) -> str:
    """Lines over the epochs 1, 2, ..., each with its last number; NaN and infinity are left out."""
    shown = {
        name: [(k, y) for k, y in enumerate(numbers, 1) if math.isfinite(y)]
        for name, numbers in lines.items()
    }
    styled = [
        (name, points, *style)
        for (name, points), style in zip(shown.items(), STYLES, strict=False)
        if points
    ]
    if not styled:
        return ""
    values = [y for _, points, *_ in styled for _, y in points]
    ticks = _ticks(min(values), max(values))
    low, high = min(*values, *ticks), max(*values, *ticks)
    epochs = max(k for _, points, *_ in styled for k, _ in points)

    def x(epoch: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(1, epochs - 1):.1f}"

    def y(value: float) -> str:
        return f"{TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / ((high - low) or 1):.1f}"

    parts = [
        f'<path d="M{LEFT} {y(tick)}H{WIDTH - RIGHT}" stroke="currentColor" opacity="0.2"/>'
        f'<text x="{LEFT - 6}" y="{y(tick)}" text-anchor="end" dominant-baseline="middle">'
        f"{tick:g}</text>"
        for tick in ticks
    ]
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">epoch 1</text>')
    if epochs > 1:
        right = f'x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end"'
        parts.append(f"<text {right}>{epochs}</text>")
    legend = [f"<b>{escape(title)}</b>"]
    for name, points, colour, dashes in styled:
        path = " ".join(f"{x(k)},{y(value)}" for k, value in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/>'
            f'<circle cx="{x(points[-1][0])}" cy="{y(points[-1][1])}" r="3" fill="{colour}"/>'
        )
        legend.append(f'<span style="color:{colour}">{escape(name)} {points[-1][1]:.4g}</span>')
    return (
        f'<div style="display:inline-block;width:{WIDTH}px;margin-right:16px;'
        'vertical-align:bottom">'
        f"<div>{' &nbsp; '.join(legend)}</div>"
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)} over {epochs} epochs" font-size="11" fill="currentColor">'
        f"{''.join(parts)}</svg></div>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """A few round numbers between low and high; low alone if they are equal."""
    if not low < high:
        return [low]
    size = (high - low) / 4
    power = 10 ** math.floor(math.log10(size))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= size)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def bar(done: float) -> str:
    """A bar that shows which share is done."""
    return f'<progress max="1" value="{done:.3f}" style="width:{WIDTH}px"></progress>'
