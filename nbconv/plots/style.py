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

from ..errors import SettingError
from ..files import write

DPI = 150
INK = "#222222"
GREY = "#666666"
RULE = "#dddddd"
FRAME = "#c3d2e2"
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
    """A figure of this size in inches, on white, that notebooks show by themselves."""

    def __init__(self, width: float, height: float):
        super().__init__((width, height), DPI, facecolor="white", layout=Layout())

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")


def single_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The given axes, or those of a new picture of this size in inches."""
    return Picture(width, height).subplots() if ax is None else ax


def multiple_axes(
    axes: Sequence[Axes] | None, count: int, width: float, height: float, **layout: Any
) -> list[Axes]:
    """The given axes, or `count` axes of a new picture of this size in inches.

    layout: for `Figure.subplots`. Raises SettingError if the number of given axes is not `count`.
    """
    grid = Picture(width, height).subplots(**layout) if axes is None else axes
    every: list[Axes] = np.ravel(np.array(grid, object)).tolist()
    if axes is not None and len(every) != count:
        raise SettingError(
            f"axes are {len(every)}: expected {count}, one for each part of the picture"
        )
    for ax in every[count:]:
        ax.remove()
    return every[:count]


def add_title(ax: Axes, title: str) -> None:
    """A title above the left edge."""
    ax.set_title(title, loc="left", fontsize=10, color=INK)


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
