"""Diagrams: metrics and speeds of learning over the epochs, bars, sigma, the confusion matrix."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import ArrayLike

from ..data.dataset import class_name
from ..data.labels import confusion_matrix
from ..errors import DataError, SettingError
from ..training.history import OF_BEST, labels
from .style import (
    AS_IT_IS,
    GREY,
    INK,
    RULE,
    STYLES,
    add_note,
    add_title,
    draw_line,
    label_lines,
    multiple_axes,
    shortened,
    single_axes,
    style_axes,
)

Numbers = Sequence[float]
LOG_RATIO = 20  # of the largest to the smallest cost: the axis is logarithmic above
CUT_RATIO = 4  # of the range of all epochs to that without the first fifth: the axis is cut above
SIGMA = "\u03c3"
MAX_CLASSES = 20  # numbers in the picture would be too small to read for more


def _metric(history: Mapping[str, Numbers], name: str, factor: float = 1) -> list[float]:
    """A metric's numbers times factor, NaN if not finite; empty if none is finite."""
    numbers = [
        factor * number if np.isfinite(number) else np.nan for number in history.get(name, [])
    ]
    return numbers if np.isfinite(numbers).any() else []


def curves(
    history: Mapping[str, Numbers], axes: Sequence[Axes] | None = None, *, best: int | None = None
) -> list[Axes]:
    """Cost and accuracy over the epochs, in two axes, with the best epoch marked.

    history: as `Network.fit` returns it. best: the epoch to mark, 1 being the first; by default the
    first with the highest validation accuracy. Raises SettingError for a history without epochs.
    """
    if not any(map(len, history.values())):
        raise SettingError("the history has no epochs: expected that of a training")
    validation = _metric(history, "validation_accuracy")
    if best is None and validation:
        best = int(np.nanargmax(validation)) + 1
    sets = labels(history).items()
    costs = {label: _metric(history, f"{name}_cost") for name, label in sets}
    accuracies = {label: _metric(history, f"{name}_accuracy", 100) for name, label in sets}
    axes = multiple_axes(axes, 2, 10, 3.8, ncols=2)
    _panel(axes[0], "cost", {**costs, "mini-batches": _metric(history, "cost")}, best)
    _panel(axes[1], "accuracy, %", accuracies, best)
    if best is not None and validation:
        accuracy = f"{100 * validation[best - 1]:.2f} %"
        add_title(axes[0], f"grey line: epoch {best}")
        add_title(axes[1], f"epoch {best} is the best in validation: {accuracy}")
    return axes


def _panel(ax: Axes, what: str, series: Mapping[str, list[float]], best: int | None) -> None:
    """One metric of several data sets over the epochs. series: numbers by label."""
    if not any(series.values()):
        add_note(ax, f"no {what.partition(',')[0]} was recorded")
        return
    style_axes(ax, "epoch", what)
    _integer_x(ax)
    lines = []
    for style, (label, numbers) in enumerate(series.items()):
        if numbers:
            lines.append(draw_line(ax, range(1, len(numbers) + 1), numbers, style, label))
            lines[-1].set_drawstyle("steps-post" if label == OF_BEST else "default")
    if best is not None:
        ax.axvline(best, color=GREY, linewidth=0.8, zorder=0)
    drawn = [numbers for numbers in series.values() if numbers]
    low = float(np.nanmin(np.concatenate(drawn)))
    high = float(np.nanmax(np.concatenate(drawn)))
    if what == "cost" and high > LOG_RATIO * low > 0:
        _logarithmic_y(ax)
    # The low accuracies of the first epochs would leave no room for the others.
    later = np.concatenate([numbers[len(numbers) // 5 :] for numbers in drawn])
    later_low = float(np.nanmin([*later, high]))
    if what != "cost" and high - low > CUT_RATIO * (high - later_low) > 0:
        margin = 0.1 * (high - later_low)
        bottom = later_low - margin
        ax.set_ylim(bottom, high + margin)
        ax.set_ylabel(f"{what}, from {bottom:.1f} on", fontsize=9, color=INK)
    label_lines(ax, lines)


def _integer_x(ax: Axes) -> None:
    """Ticks at whole numbers only."""
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def _logarithmic_y(ax: Axes) -> None:
    """A logarithmic axis labelled with plain numbers."""
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
    names: Sequence[str] | None = None,
) -> Axes:
    """The speed of learning of each layer, |dC/db|, over the epochs, on a logarithmic axis.

    series: the speeds of each layer from epoch `first` on. points: the book's, by epoch, one for
    each layer; drawn as hollow markers in the layers' colours. names: of the layers, such as 20C5.
    """
    ax = single_axes(ax, 7, 4.2)
    style_axes(ax, "epoch", "speed of learning, |dC/db|")
    add_title(ax, title)
    lines = []
    for k, speeds in enumerate(series):
        positive = np.where(np.asarray(speeds, np.float64) > 0, speeds, np.nan)
        epochs = range(first, first + len(speeds))
        if np.isfinite(positive).any():
            name = f"{k + 1}: {names[k]}" if names else f"layer {k + 1}"
            lines.append(draw_line(ax, epochs, positive.tolist(), k, name))
        if points:
            color, _, marker = STYLES[k % len(STYLES)]
            ax.plot(
                list(points),
                [values[k] for values in points.values()],
                marker,
                color=color,
                markerfacecolor="white",
                markersize=8,
                markeredgewidth=1.4,
                zorder=1.9,
            )
    _integer_x(ax)
    _logarithmic_y(ax)
    if points:
        filled = Line2D([], [], color=GREY, marker="o", markersize=4.5)
        hollow = Line2D(
            [], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", markersize=8
        )
        labels = ["ours", "the book's figure"]
        ax.legend([filled, hollow], labels, frameon=False, fontsize=9, labelcolor=INK)
    label_lines(ax, lines)
    return ax


def speeds(
    history: Mapping[str, Numbers], ax: Axes | None = None, *, names: Sequence[str] | None = None
) -> Axes:
    """The speed of learning of each layer with parameters, after each epoch.

    history: as `Network.fit` returns it. names: of these layers, such as 20C5; left out, they are
    numbered. Raises SettingError if it was not monitored.
    """
    series: list[Numbers] = []
    while f"speed_{len(series) + 1}" in history:
        series.append(history[f"speed_{len(series) + 1}"])
    if not series:
        raise SettingError(
            "the history has no speeds of learning: expected a training with --monitor-layers "
            "(fit's monitor_layers=True)"
        )
    return course(series, ax=ax, first=1, names=names)


def etas(found: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """The cost that short trainings reached with each eta, and the one that is good.

    found: as `Network.find_eta` returns it.
    """
    ax = single_axes(ax, 6, 3.6)
    costs = np.asarray(found["costs"], np.float64)
    high = 2 * costs[0]  # a cost beyond it says only that eta is too large
    style_axes(ax, "eta", "cost of a short training")
    ax.set_xscale("log")
    ax.axvline(found["eta"], color=GREY, linewidth=1)
    draw_line(ax, found["etas"], np.minimum(costs, high).tolist(), 0, "cost")
    ax.set_ylim(0, 1.05 * high)
    ax.annotate(
        f"eta {found['eta']:g}",
        xy=(found["eta"], 0),
        xytext=(5, 6),
        textcoords="offset points",
        fontsize=9,
        color=INK,
    )
    return ax


def courses(
    named: Mapping[str, Sequence[Numbers]], axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """`course` for several networks side by side. named: the series of each, by name."""
    columns = min(3, len(named))
    rows = -(-len(named) // columns)
    layout = {"nrows": rows, "ncols": columns, "sharex": True, "sharey": True}
    axes = multiple_axes(axes, len(named), 3.6 * columns, 2.9 * rows, **layout)
    every = [speed for series in named.values() for speeds in series for speed in speeds]
    positive = [speed for speed in every if speed > 0] or [1.0]
    for ax, (name, series) in zip(axes, named.items(), strict=True):
        ax.set_ylim(min(positive) / 1.5, max(positive) * 1.5)
        course(series, title=name, ax=ax)
        ax.label_outer()
    for ax in axes[-columns:]:  # the lowest in each column
        ax.tick_params(labelbottom=True)
        ax.set_xlabel("epoch")
    return axes


def bars(layers: Sequence[ArrayLike], ax: Axes | None = None) -> Axes:
    """dC/db of some neurons of each hidden layer, (neurons,), as bars side by side."""
    ax = single_axes(ax, 7, 3.6)
    style_axes(ax, "neuron", "dC/db")
    ticks = []
    first = 0
    for k, values in enumerate(map(np.asarray, layers)):
        x = first + np.arange(len(values))
        ax.bar(x, values, 0.7, color=STYLES[k % len(STYLES)][0])
        ax.text(
            x.mean(),
            1.02,
            f"hidden layer {k + 1}",
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=10,
            color=INK,
        )
        ticks += [(position, str(number)) for number, position in enumerate(x, 1)]
        first += len(values) + 1
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set_xticks(*zip(*ticks, strict=True))
    return ax


def sigma(ax: Axes | None = None) -> Axes:
    """The sigmoid function and its derivative, which is at most 1/4."""
    ax = single_axes(ax, 6, 3.8)
    style_axes(ax, "z", "")
    z = np.linspace(-6, 6, 241)
    a = 1 / (1 + np.exp(-z))
    functions = {f"{SIGMA}(z)": a, f"{SIGMA}'(z)": a * (1 - a)}
    for (label, values), (color, dashes, _) in zip(functions.items(), STYLES, strict=False):
        ax.plot(z, values, color=color, linestyle=dashes, linewidth=2, label=label)
    ax.annotate(
        f"{SIGMA}'(0) = 1/4",
        xy=(0, 0.25),
        xytext=(8, 6),
        textcoords="offset points",
        fontsize=9,
        color=STYLES[1][0],
    )
    label_lines(ax, ax.get_lines())
    return ax


def answer(
    activations: ArrayLike, ax: Axes | None = None, *, class_names: Sequence[str] | None = None
) -> Axes:
    """The last layer's activations for one image, (classes,), as bars with their numbers."""
    values = np.asarray(activations)
    ax = single_axes(ax, 7, 2)
    style_axes(ax, "class", "activation")
    largest = int(values.argmax())
    for k, value in enumerate(values):
        color = STYLES[0][0] if k == largest else RULE
        ax.bar(k, value, 0.7, color=color, edgecolor=GREY, linewidth=0.6)
        if len(values) <= MAX_CLASSES and abs(value) >= 5e-4:
            y = max(value, 0)
            ax.text(k, y, f"{value:.3f}", ha="center", va="bottom", fontsize=8, color=INK)
    ax.margins(y=0.25)
    if len(values) <= MAX_CLASSES:
        ax.set_xticks(range(len(values)), _names(class_names, len(values)), **AS_IT_IS)
    return ax


def _names(class_names: Sequence[str] | None, classes: int) -> list[str]:
    """What stands at an axis for each class."""
    return [shortened(class_name(class_names, k), 12) for k in range(classes)]


def confusion(
    labels: ArrayLike,
    predictions: ArrayLike,
    ax: Axes | None = None,
    *,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """The confusion matrix: how many images of each class were predicted to be of each class.

    The shades show the errors; correct predictions are grey. labels, predictions: (n,), such as a
    dataset's and `Network.predict`'s. class_names: shown in place of labels. Raises DataError.
    """
    correct, predicted = np.asarray(labels), np.asarray(predictions)
    if correct.shape != predicted.shape or not correct.size:
        raise DataError(
            f"{correct.size} labels and {predicted.size} predictions were given: expected one of "
            "each for each image, and at least one image"
        )
    classes = int(max(correct.max(), predicted.max())) + 1
    counts = confusion_matrix(correct, predicted, classes)
    errors = counts - np.diag(np.diag(counts))
    ax = single_axes(ax, 6.6, 6)
    shades = np.where(np.eye(classes), np.nan, errors)
    ax.imshow(shades, "Blues", vmin=0, vmax=max(1, errors.max()))
    ax.set_facecolor("#f2f2f2")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, labelsize=9, labelcolor=INK)
    ax.set_xlabel("predicted label", fontsize=9, color=INK)
    ax.set_ylabel("correct label", fontsize=9, color=INK)
    total, wrong = correct.size, errors.sum()
    add_title(ax, f"{total - wrong:,} of {total:,} correct, {wrong:,} misclassified")
    if classes > MAX_CLASSES:
        return ax
    names = _names(class_names, classes)
    ax.set_yticks(range(classes), names, **AS_IT_IS)
    rotation = 90 if max(map(len, names)) > 3 else 0
    ax.set_xticks(range(classes), names, rotation=rotation, **AS_IT_IS)
    for row, column in np.argwhere(counts):
        is_dark = errors[row, column] > 0.6 * errors.max()
        color = GREY if row == column else "white" if is_dark else INK
        count = f"{counts[row, column]:,}"
        ax.text(column, row, count, ha="center", va="center", fontsize=9, color=color)
    right_of_matrix = classes - 0.3
    for row in np.flatnonzero(counts.any(axis=1)).tolist():
        share = f"{100 * counts[row, row] / counts[row].sum():.1f} %"
        ax.text(right_of_matrix, row, share, va="center", fontsize=9, color=GREY)
    ax.annotate(
        "correct",
        xy=(right_of_matrix, 1),
        xytext=(0, 6),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        fontsize=9,
        color=GREY,
    )
    return ax
