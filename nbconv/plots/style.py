"""What all pictures share: figures without pyplot, colours, labels beside lines, saving."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from ..errors import SettingError, printable
from ..files import write

DPI = 150
INK = "#222222"
GREY = "#666666"
RULE = "#dddddd"
PAD = 0.08  # inches around each part of a picture
TITLE = 0.34  # inches for a title above a part, and the room above that
FRAME = "#c3d2e2"
AS_IT_IS: dict[str, Any] = {"parse_math": False}  # of names, in which a dollar is a dollar
# (colour, dashes, marker) of each line. The colours are distinct for the colour-blind: those of
# Okabe and Ito, some of them darker so that text in them is readable.
STYLES: tuple[tuple[str, Any, str], ...] = (
    ("#0072b2", "-", "o"),
    ("#d55e00", (0, (5, 1.5)), "s"),
    ("#009e73", (0, (5, 1.5, 1, 1.5)), "^"),
    ("#aa4499", (0, (1.5, 1)), "D"),
    ("#b07c00", (0, (5, 1.5, 1, 1.5, 1, 1.5)), "v"),
    ("#000000", (0, (9, 2)), "P"),
)
MARKERS = 15  # on a line, about
LINE_POINTS = 12  # height of a line of text, in points
# Without dates and versions, equal pictures are equal files.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class Layout(ConstrainedLayoutEngine):
    """matplotlib's constrained layout, rounded: its last bits depend on addresses in memory."""

    def execute(self, fig: Figure) -> None:
        """Place the axes."""
        super().execute(fig)
        for ax in filter(Axes.get_in_layout, fig.axes):
            ax.set_position(np.round(ax.get_position(original=True).bounds, 9).tolist(), "original")
            ax.set_in_layout(True)  # which set_position ends


class Picture(Figure):
    """A figure of this size in inches, on white.

    Notebooks show it where it, its axes or the list of them is a cell's result.

    has_layout: axes, titles and labels are placed by matplotlib's layout.
    """

    def __init__(self, width: float, height: float, *, has_layout: bool = True):
        super().__init__((width, height), DPI, facecolor="white")
        self.set_layout_engine(Layout(w_pad=PAD, h_pad=PAD) if has_layout else "none")

    def new_axes(self, **layout: Any) -> "list[Axes]":
        """New axes, row by row. layout: for `Figure.subplots`."""
        grid = self.subplots(subplot_kw={"axes_class": _PictureAxes}, **layout)
        return _AxesList(np.ravel(np.array(grid, object)).tolist())

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")


class _PictureAxes(Axes):
    def _repr_png_(self) -> bytes:
        return rendered(self.figure, "png")


class _AxesList(list[Axes]):
    def _repr_png_(self) -> bytes:
        return rendered(self[0].figure, "png")


def single_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The given axes, or those of a new picture of this size in inches."""
    return Picture(width, height).new_axes()[0] if ax is None else ax


def multiple_axes(
    axes: Sequence[Axes] | None, count: int, width: float, height: float, **layout: Any
) -> list[Axes]:
    """The given axes, or `count` axes of a new picture of this size in inches.

    layout: for `Figure.subplots`. Raises SettingError if the number of given axes is not `count`.
    """
    if axes is None:
        every = Picture(width, height).new_axes(**layout)
        for ax in every[count:]:
            ax.remove()
        del every[count:]
        return every
    given: list[Axes] = np.ravel(np.array(axes, object)).tolist()
    if len(given) != count:
        raise SettingError(
            f"axes are {len(given)}: expected {count}, one for each part of the picture"
        )
    return given


def stacked_axes(
    axes: Sequence[Axes] | None, sizes: Sequence[tuple[float, float]], left: float, below: float
) -> list[Axes]:
    """The given axes, or those of a new picture, one below the other, with room for their titles.

    sizes: width and height of each. left, below: the room for labels beside all and below the last.
    All are in inches.
    """
    if axes is not None:
        return multiple_axes(axes, len(sizes), 0, 0)
    width = left + max(width for width, _ in sizes) + PAD
    height = below + sum(height + TITLE for _, height in sizes)
    picture, top = Picture(width, height, has_layout=False), height
    every = _AxesList()
    for wide, tall in sizes:
        top -= TITLE + tall
        place = (left / width, top / height, wide / width, tall / height)
        every.append(picture.add_axes(place, axes_class=_PictureAxes))
    return every


def add_title(ax: Axes, title: str) -> None:
    """A title above the left edge, printable."""
    lines = "\n".join(map(printable, title.split("\n")))
    ax.set_title(lines, loc="left", fontsize=10, color=INK, linespacing=1.4, **AS_IT_IS)


def style_axes(ax: Axes, x: str, y: str) -> None:
    """Left and bottom spines, light horizontal rules, and the labels of x and y."""
    ax.set_facecolor("white")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(which="both", colors=GREY, labelcolor=INK, labelsize=9)
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, fontsize=9, color=INK)
    ax.set_ylabel(y, fontsize=9, color=INK)


def shortened(text: str, letters: int) -> str:
    """A printable text of at most so many letters; of longer ones the end is left out."""
    text = printable(text)
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


def hide_axes(ax: Axes) -> None:
    """Remove spines and ticks."""
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[])


def add_note(ax: Axes, text: str) -> None:
    """A text instead of a picture."""
    hide_axes(ax)
    ax.text(
        0.5,
        0.5,
        text,
        ha="center",
        va="center",
        fontsize=10,
        color=GREY,
        transform=ax.transAxes,
        **AS_IT_IS,
    )


def draw_line(ax: Axes, x: Sequence[float], y: Sequence[float], style: int, label: str) -> Line2D:
    """A line in one of STYLES, with markers at some of its points and at its end.

    The marker at the end makes a single point visible. y: NaN where there is no value.
    """
    color, dashes, marker = STYLES[style % len(STYLES)]
    finite = np.flatnonzero(np.isfinite(y))
    marked = sorted({*finite[:: max(1, len(y) // MARKERS)].tolist(), *finite[-1:].tolist()})
    (line,) = ax.plot(
        x,
        y,
        color=color,
        linestyle=dashes,
        linewidth=1.6,
        marker=marker,
        markersize=4.5,
        markevery=marked,
        label=label,
    )
    return line


def label_lines(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Write each line's label to the right of its end, without overlaps.

    To be called after the limits of the axes are set.
    """
    height = ax.get_position().height * ax.figure.get_figheight() * 72  # type: ignore[union-attr]
    values = [np.asarray(line.get_ydata(), np.float64) for line in lines]
    ends = [y[np.isfinite(y)][-1] for y in values]
    low, high, *scaled = ax.yaxis.get_transform().transform([*ax.get_ylim(), *ends])
    ends = [(end - low) / (high - low) for end in scaled]  # as shares of the axes' height
    positions = _apart(ends, LINE_POINTS / height)
    for position, line, end in zip(positions, lines, ends, strict=True):
        arrow = {
            "arrowstyle": "-",
            "color": line.get_color(),
            "linewidth": 0.6,
            "shrinkA": 1,
            "shrinkB": 4,
        }
        ax.annotate(
            str(line.get_label()),
            xy=(1, end),
            xytext=(14, (position - end) * height),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=line.get_color(),
            arrowprops=arrow,
        )


def _apart(positions: Sequence[float], space: float) -> list[float]:
    """The positions, moved so that neighbours are at least `space` apart."""
    order = np.argsort(positions, kind="stable")
    ordered = np.array(positions, np.float64)[order]
    for _ in range(100):
        overlap = space - np.diff(ordered)
        if (overlap <= 1e-6).all():
            break
        for lower in np.flatnonzero(overlap > 0):
            ordered[lower] -= overlap[lower] / 2
            ordered[lower + 1] += overlap[lower] / 2
    moved = np.empty(len(ordered))
    moved[order] = ordered
    return moved.tolist()


def rendered(figure: Any, kind: str) -> bytes:
    """A figure as the content of a "png", "svg" or "pdf" file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nbconv", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def save(axes: Axes | Sequence[Axes], path: str | os.PathLike[str]) -> None:
    """Write the figure of these axes to a .png, .svg or .pdf file. Raises SettingError."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in METADATA:
        raise SettingError(f"{path} has an unknown extension: expected .{', .'.join(METADATA)}")
    first: Axes = np.ravel(np.array(axes, object))[0]
    write(path, rendered(first.figure, kind))
