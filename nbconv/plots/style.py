"""What all pictures share: figures without pyplot, a palette for all eyes, labels beside lines, files whole or not at all."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..errors import SettingError
from ..files import replace

DPI = 150
INK, GREY, RULE, FRAME = "#222222", "#666666", "#dddddd", "#c3d2e2"
# Colours that the colour-blind tell apart (after Okabe and Ito, darker where words in them would be pale), lines, marks.
STYLES: tuple[tuple[str, Any, str], ...] = (
    ("#0072b2", "-", "o"),
    ("#d55e00", (0, (5, 1.5)), "s"),
    ("#009e73", (0, (5, 1.5, 1, 1.5)), "^"),
    ("#aa4499", (0, (1.5, 1)), "D"),
    ("#b07c00", (0, (5, 1.5, 1, 1.5, 1, 1.5)), "v"),
    ("#000000", (0, (9, 2)), "P"),
)
MARKS = 15  # on a line, about
# No dates, no versions: the same picture is the same file.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class Picture(Figure):
    """A figure on white paper that notebooks show by themselves."""

    def __init__(self, width: float, height: float):
        super().__init__((width, height), DPI, facecolor="white", layout="constrained")

    def _repr_png_(self) -> bytes:
        return rendered(self, "png")


def only(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes given, or those of a new picture of that size in inches."""
    return Picture(width, height).subplots() if ax is None else ax


def several(
    axes: Sequence[Axes] | None, count: int, width: float, height: float, **layout: Any
) -> list[Axes]:
    """The axes given, or so many of a new picture; layout: of `Figure.subplots`. Raises SettingError for another number."""
    given = Picture(width, height).subplots(**layout) if axes is None else axes
    every: list[Axes] = np.ravel(np.array(given, object)).tolist()
    if axes is not None and len(every) != count:
        raise SettingError(
            f"axes are {len(every)}: expected {count}, one for each part of the picture"
        )
    for ax in every[count:]:
        ax.remove()
    return every[:count]


def titled(ax: Axes, title: str) -> None:
    """A title above the left edge."""
    ax.set_title(title, loc="left", fontsize=10, color=INK)


def framed(ax: Axes, x: str, y: str) -> None:
    """Two spines, quiet horizontal rules, what the axes mean."""
    ax.set_facecolor("white")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(which="both", colors=GREY, labelcolor=INK, labelsize=9)
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(x, fontsize=9, color=INK)
    ax.set_ylabel(y, fontsize=9, color=INK)


def bare(ax: Axes) -> None:
    """No spines, no ticks: the axes of a picture."""
    ax.spines[:].set_visible(False)
    ax.set(xticks=[], yticks=[])


def note(ax: Axes, text: str) -> None:
    """Words where there is nothing to draw."""
    bare(ax)
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=10, color=GREY
    )


def drawn(ax: Axes, x: Sequence[float], y: Sequence[float], style: int, label: str) -> Line2D:
    """A line with marks at some of its points and at its end, so that a single point is seen, too."""
    color, dashes, mark = STYLES[style % len(STYLES)]
    there = np.flatnonzero(np.isfinite(y))
    marks = sorted({*there[:: max(1, len(y) // MARKS)].tolist(), *there[-1:].tolist()})
    (line,) = ax.plot(
        x,
        y,
        color=color,
        linestyle=dashes,
        linewidth=1.6,
        marker=mark,
        markersize=4.5,
        markevery=marks,
        label=label,
    )
    return line


def labelled(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Each line's label to the right of its end, moved apart where they would meet; after the limits are set."""
    height = ax.get_position().height * ax.figure.get_figheight() * 72  # type: ignore[union-attr]
    space = 12 / height  # a line of text, as a share of the axes' height
    values = [np.asarray(line.get_ydata(), np.float64) for line in lines]
    ends = [y[np.isfinite(y)][-1] for y in values]
    low, high, *scaled = ax.yaxis.get_transform().transform([*ax.get_ylim(), *ends])
    ends = [(end - low) / (high - low) for end in scaled]
    for place, (line, end) in zip(_apart(ends, space), zip(lines, ends, strict=True), strict=True):
        ax.annotate(
            str(line.get_label()), (1, end), (14, (place - end) * height), xycoords="axes fraction", fontsize=9,
            textcoords="offset points", va="center", color=line.get_color(),
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4},
        )  # fmt: skip


def _apart(places: Sequence[float], space: float) -> list[float]:
    """These places moved so that neighbours are `space` apart, about where they were."""
    order = np.argsort(places, kind="stable")
    found = np.array(places, np.float64)[order]
    for _ in range(100):
        overlap = space - np.diff(found)
        if (overlap <= 1e-6).all():
            break
        for low in np.flatnonzero(overlap > 0):
            found[low] -= overlap[low] / 2
            found[low + 1] += overlap[low] / 2
    moved = np.empty(len(found))
    moved[order] = found
    return moved.tolist()


def rendered(figure: Any, kind: str) -> bytes:
    """A figure as a file of that kind, "png", "svg" or "pdf"; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "nbconv", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def save(axes: Axes | Sequence[Axes], path: str | os.PathLike[str]) -> None:
    """Write the figure of these axes, whole or not at all: .png, .svg or .pdf. Raises SettingError."""
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in METADATA:
        raise SettingError(f"{path} has no known ending: expected .{', .'.join(METADATA)}")
    first: Axes = np.ravel(np.array(axes, object))[0]
    write(path, rendered(first.figure, kind))


def write(path: Path, contents: bytes) -> None:
    """Write a file, whole or not at all. Raises SettingError; the old file is then as it was."""
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no ordinary file"
        raise SettingError(f"{path} is {kind}: expected the name of a file")
    try:
        replace(Path(os.path.realpath(path)), contents)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{path} could not be written: {getattr(error, 'strerror', None) or error}; choose another place"
        ) from error
