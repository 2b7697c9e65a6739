"""Pictures of numbers: curves, speeds of learning, bars, the sigmoid function, an answer, the confusion matrix."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike

from ..errors import DataError, SettingError
from .style import GREY, INK, RULE, STYLES, drawn, framed, labelled, note, only, several, titled

Numbers = Sequence[float]
WIDE = 20  # times the least cost: beyond, the axis is logarithmic
CUT = 4  # times the range of all epochs but the first fifth: beyond, the axis begins later
SIGMA = "\u03c3"
TEXTS = 20  # classes: with more, numbers in the picture could not be read
NAMES = {"training": "training", "validation": "validation", "test": "test, at the best"}


def _metric(history: Mapping[str, Numbers], name: str, factor: float = 1) -> list[float]:
    """A metric's numbers, NaN where one is not finite, or none at all."""
    numbers = [
        factor * number if np.isfinite(number) else np.nan for number in history.get(name, [])
    ]
    return numbers if np.isfinite(numbers).any() else []


def curves(
    history: Mapping[str, Numbers], axes: Sequence[Axes] | None = None, *, best: int | None = None
) -> list[Axes]:
    """Cost and accuracy over the epochs, in two axes, with the best epoch marked.

    history: as `Network.fit` gives it. best: the epoch to mark; left out, the first with the highest validation accuracy.
    Raises SettingError for a history without epochs.
    """
    if not any(map(len, history.values())):
        raise SettingError("the history has no epochs: expected that of a training")
    validation = _metric(history, "validation_accuracy")
    if best is None and validation:
        best = int(np.nanargmax(validation)) + 1
    costs = {label: _metric(history, f"{name}_cost") for name, label in NAMES.items()}
    accuracies = {label: _metric(history, f"{name}_accuracy", 100) for name, label in NAMES.items()}
    axes = several(axes, 2, 10, 3.8, ncols=2)
    _panel(axes[0], "cost", {**costs, "mini-batches": _metric(history, "cost")}, best)
    _panel(axes[1], "accuracy, %", accuracies, best)
    if best is not None and validation:
        titled(
            axes[1], f"epoch {best} is the best in validation: {100 * validation[best - 1]:.2f} %"
        )
    return axes


def _panel(ax: Axes, what: str, series: Mapping[str, list[float]], best: int | None) -> None:
    if not any(series.values()):
        note(ax, f"no {what.partition(',')[0]} was recorded")
        return
    framed(ax, "epoch", what)
    _whole(ax)
    lines = []
    for style, (label, numbers) in enumerate(series.items()):
        if numbers:
            lines.append(drawn(ax, range(1, len(numbers) + 1), numbers, style, label))
            lines[-1].set_drawstyle("steps-post" if label == NAMES["test"] else "default")
    if best is not None:
        ax.axvline(best, color=GREY, linewidth=0.8, zorder=0)
    given = [numbers for numbers in series.values() if numbers]
    low, high = (float(limit(np.concatenate(given))) for limit in (np.nanmin, np.nanmax))
    if what == "cost" and high > WIDE * low > 0:
        _logarithmic(ax)
    # An accuracy's first epochs would leave no room for the others.
    later = np.concatenate([numbers[len(numbers) // 5 :] for numbers in given])
    least = float(np.nanmin([*later, high]))
    if what != "cost" and high - low > CUT * (high - least) > 0:
        bottom = least - 0.1 * (high - least)
        ax.set_ylim(bottom, high + 0.1 * (high - least))
        ax.set_ylabel(f"{what}, from {bottom:.1f} on", fontsize=9, color=INK)
    labelled(ax, lines)


def _whole(ax: Axes) -> None:
    """Whole numbers along x."""
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def _logarithmic(ax: Axes) -> None:
    """A logarithmic y with plain numbers."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")


def course(
    series: Sequence[Numbers],
    points: Mapping[int, Numbers] | None = None,
    title: str = "",
    ax: Axes | None = None,
    *,
    first: int = 0,
) -> Axes:
    """How fast each layer learns: the length of dC/db over the epochs, on a logarithmic axis.

    series: of each layer its speeds from epoch `first` on. points: the book's to compare with, {epoch: (each layer's, ...)},
    drawn as hollow marks in the layers' colours.
    """
    ax = only(ax, 7, 4.2)
    framed(ax, "epoch", "speed of learning, |dC/db|")
    titled(ax, title)
    lines = []
    for k, speeds in enumerate(series):
        positive = np.where(np.asarray(speeds, np.float64) > 0, speeds, np.nan)
        if np.isfinite(positive).any():
            lines.append(
                drawn(ax, range(first, first + len(speeds)), positive.tolist(), k, f"layer {k + 1}")
            )
        if points:
            given = [values[k] for values in points.values()]
            ax.plot(list(points), given, STYLES[k % len(STYLES)][2], color=STYLES[k % len(STYLES)][0],
                    markerfacecolor="white", markersize=8, markeredgewidth=1.4, zorder=1.9)  # fmt: skip
    _whole(ax)
    _logarithmic(ax)
    if points:
        hollow = Line2D(
            [], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", markersize=8
        )
        filled = Line2D([], [], color=GREY, marker="o", markersize=4.5)
        ax.legend(
            [filled, hollow],
            ["ours", "the book's figure"],
            frameon=False,
            fontsize=9,
            labelcolor=INK,
        )
    labelled(ax, lines)
    return ax


def speeds(history: Mapping[str, Numbers], ax: Axes | None = None) -> Axes:
    """How fast each layer with parameters learned, epoch by epoch. Raises SettingError if the history does not say."""
    series: list[Numbers] = []
    while f"speed_{len(series) + 1}" in history:
        series.append(history[f"speed_{len(series) + 1}"])
    if not series:
        raise SettingError(
            "the history has no speeds of learning: expected a training with --monitor-layers (fit's monitor_layers=True)"
        )
    return course(series, ax=ax, first=1)


def courses(
    named: Mapping[str, Sequence[Numbers]], axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """`course` for several networks side by side, by name."""
    columns = min(3, len(named))
    rows = -(-len(named) // columns)
    layout = {"nrows": rows, "ncols": columns, "sharex": True, "sharey": True}
    axes = several(axes, len(named), 3.6 * columns, 2.9 * rows, **layout)
    positive = [
        speed for series in named.values() for speeds in series for speed in speeds if speed > 0
    ] or [1.0]
    for ax, (name, series) in zip(axes, named.items(), strict=True):
        ax.set_ylim(min(positive) / 1.5, max(positive) * 1.5)
        course(series, title=name, ax=ax)
        ax.label_outer()
    for ax in axes[-columns:]:  # nothing stands below them
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("epoch")
    return axes


def bars(layers: Sequence[ArrayLike], ax: Axes | None = None) -> Axes:
    """dC/db of some neurons of each hidden layer, as bars side by side."""
    ax = only(ax, 7, 3.6)
    framed(ax, "neuron", "dC/db")
    ticks, begin = [], 0
    for k, values in enumerate(map(np.asarray, layers)):
        places = begin + np.arange(len(values))
        ax.bar(places, values, 0.7, color=STYLES[k % len(STYLES)][0])
        ax.text(places.mean(), 1.02, f"hidden layer {k + 1}", transform=ax.get_xaxis_transform(), ha="center", va="bottom",
                fontsize=10, color=INK)  # fmt: skip
        ticks += [(place, str(number)) for number, place in enumerate(places, 1)]
        begin += len(values) + 1
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set_xticks(*zip(*ticks, strict=True))
    return ax


def sigma(ax: Axes | None = None) -> Axes:
    """The sigmoid function and its derivative, which is nowhere above 1/4."""
    ax = only(ax, 6, 3.8)
    framed(ax, "z", "")
    z = np.linspace(-6, 6, 241)
    a = 1 / (1 + np.exp(-z))
    for style, (label, values) in enumerate(
        {f"{SIGMA}(z)": a, f"{SIGMA}'(z)": a * (1 - a)}.items()
    ):
        color, dashes, _ = STYLES[style]
        ax.plot(z, values, color=color, linestyle=dashes, linewidth=2, label=label)
    ax.annotate(
        f"{SIGMA}'(0) = 1/4",
        (0, 0.25),
        (8, 6),
        textcoords="offset points",
        fontsize=9,
        color=STYLES[1][0],
    )
    labelled(ax, ax.get_lines())
    return ax


def answer(activations: ArrayLike, ax: Axes | None = None) -> Axes:
    """The last layer's activations of one image, (classes,), behind Softmax probabilities, as bars with their numbers."""
    values = np.asarray(activations)
    ax = only(ax, 7, 2)
    framed(ax, "class", "activation")
    largest = int(values.argmax())
    for k, value in enumerate(values):
        ax.bar(
            k,
            value,
            0.7,
            color=STYLES[0][0] if k == largest else RULE,
            edgecolor=GREY,
            linewidth=0.6,
        )
        if len(values) <= TEXTS and abs(value) >= 5e-4:
            ax.text(
                k, max(value, 0), f"{value:.3f}", ha="center", va="bottom", fontsize=8, color=INK
            )
    ax.margins(y=0.25)
    if len(values) <= TEXTS:
        ax.set_xticks(range(len(values)))
    return ax


def confusion(labels: ArrayLike, given: ArrayLike, ax: Axes | None = None) -> Axes:
    """How many images of each class were given each label; the shades count the errors alone, the right answers stand in grey.

    labels, given: (n,), such as a dataset's and `Network.predict`'s. Raises DataError.
    """
    right, answers = np.asarray(labels), np.asarray(given)
    if right.shape != answers.shape or not right.size:
        raise DataError(
            f"{right.size} labels and {answers.size} given ones: expected as many, and at least one"
        )
    classes = int(max(right.max(), answers.max())) + 1
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (right, answers), 1)
    wrong = counts - np.diag(np.diag(counts))
    ax = only(ax, 6.6, 6)
    ax.imshow(np.where(np.eye(classes), np.nan, wrong), "Blues", vmin=0, vmax=max(1, wrong.max()))
    ax.set_facecolor("#f2f2f2")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=9, labelcolor=INK)
    ax.set_xlabel("label given", fontsize=9, color=INK)
    ax.set_ylabel("right label", fontsize=9, color=INK)
    titled(
        ax, f"{right.size - wrong.sum():,} of {right.size:,} right, {wrong.sum():,} misclassified"
    )
    if classes > TEXTS:
        return ax
    ax.set(xticks=range(classes), yticks=range(classes))
    for row, column in np.argwhere(counts):
        count, is_dark = counts[row, column], wrong[row, column] > 0.6 * wrong.max()
        color = GREY if row == column else "white" if is_dark else INK
        ax.text(column, row, f"{count:,}", ha="center", va="center", fontsize=9, color=color)
    for row in np.flatnonzero(counts.any(axis=1)).tolist():
        share = counts[row, row] / counts[row].sum()
        ax.text(classes - 0.3, row, f"{100 * share:.1f} %", va="center", fontsize=9, color=GREY)
    ax.text(classes - 0.3, -0.6, "right", va="bottom", fontsize=9, color=GREY)
    return ax
