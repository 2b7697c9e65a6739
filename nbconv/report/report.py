"""A report on a checkpoint, as one HTML page: its network, settings, results and pictures."""

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .. import files, plots
from ..checkpoint import file as checkpoint
from ..doctor import environment
from ..errors import NbconvError, SettingError
from ..layers import Conv2D
from ..network import Network
from ..runs.settings import DEFAULTS
from . import html as page


def write_report(
    path: Path,
    out: Path,
    *,
    data: str | None = None,
    split: str | None = None,
    digit: int = 0,
    weights: str = "best",
) -> None:
    """Write the report on the checkpoint at `path` atomically to `out`, an .html file.

    data, split, digit: as for `plots.Figures`; sections for which the data is missing say so.
    weights: "best" for those of the best epoch, or "last". Raises CheckpointError, SettingError.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{out} has an unknown extension: expected .html")
    network = Network.load(path, weights=weights)
    figures = plots.Figures(network, data, split, digit=digit)
    best = network.state.best
    epoch = best.epoch if best and weights == "best" else network.state.epoch
    sections = {
        "Network": _layers(network),
        "Settings": _settings(network),
        "Results": _results(network),
        "Curves": _curves(figures),
        **_image_sections(figures, epoch),
        "Filters": _filters(network, epoch),
        "Speed of learning": _speeds(figures),
        "Environment": _environment(path, network),
    }
    about = f"{path.name}, a network with the weights of epoch {epoch}"
    files.write(out, page.page(network.notation, about, _facts(network), sections).encode())


def _facts(network: Network) -> dict[str, str]:
    """The facts at the top of the page."""
    best = network.state.best
    facts = {}
    if best:
        facts["test accuracy"] = _text("accuracy", best.test_accuracy)
        facts["validation accuracy"] = _text("accuracy", best.validation_accuracy)
        facts["at the best epoch"] = str(best.epoch)
    facts["epochs"] = str(network.state.epoch)
    facts["training time"] = _text("seconds", sum(network.state.history.get("seconds", [])))
    facts["parameters"] = f"{network.engine.count:,}"
    return {name: fact for name, fact in facts.items() if fact}


def _text(metric: str, value: float) -> str:
    """A metric's value with its unit; "" for NaN."""
    if math.isnan(value):
        return ""
    if metric.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    if metric == "seconds":
        return f"{value:.1f} s" if value < 600 else f"{value / 60:.0f} min"
    return f"{value:.4g}"


def _layers(network: Network) -> str:
    *lines, total = network.summary().splitlines()
    head, image, *rows = (re.split(r"\s{2,}", line) for line in lines)
    return page.table(head, [[*image, ""], *rows], total, numeric=True)


def _settings(network: Network) -> str:
    """The settings of the training that are not off."""
    state = network.state
    settings = state.run or (state.settings.to_dict() if state.settings else {})
    rows = [
        [name, f"{value:g}" if isinstance(value, float) else str(value)]
        for name, value in settings.items()
        if value is not None and value is not False
    ]
    if not rows:
        return page.paragraph("The network has not been trained.")
    return page.table(["setting", "value"], rows)


def _results(network: Network) -> str:
    """The metrics of the best epoch and of the last."""
    history, best = network.state.history, network.state.best
    epochs = {f"epoch {best.epoch}, the best": best.epoch} if best else {}
    if network.state.epoch not in epochs.values():
        epochs[f"epoch {network.state.epoch}, the last"] = network.state.epoch
    splits = ("training", "validation", "test")
    names = [f"{split}_{what}" for what in ("accuracy", "cost") for split in splits]
    rows = [
        [name.replace("_", " "), *(_text(name, history[name][k - 1]) for k in epochs.values())]
        for name in (*names, "cost", "seconds")
        if name in history
    ]
    if not rows:
        return ""
    note = (
        'The row "cost" is the mean over the epoch\'s mini-batches, each before its update, and '
        "the only one with class_weights and label_smoothing."
    )
    return page.table(["", *epochs], rows, note, numeric=True)


def _figure(draw: Callable[[], Any], caption: str, alternative: str) -> str:
    """A picture, or the reason why it cannot be drawn."""
    try:
        axes = draw()
    except (NbconvError, OSError) as error:
        return page.paragraph(f"Not shown: {error}.")
    figure = np.ravel(axes)[0].figure
    return page.figure(plots.rendered(figure, "svg"), figure.get_figwidth(), caption, alternative)


def _curves(figures: plots.Figures) -> str:
    """Cost and accuracy over the epochs; nothing if there are none."""
    if not figures.network.state.epoch:
        return ""
    epochs = f"over {figures.network.state.epoch} epochs"
    return _figure(
        partial(figures.draw, "curves"),
        f"Cost and accuracy {epochs}; the best epoch in validation is marked.",
        f"Two diagrams: cost and accuracy {epochs}.",
    )


def _speeds(figures: plots.Figures) -> str:
    """The speeds of learning over the epochs."""
    return _figure(
        partial(figures.draw, "speeds"),
        "The speed of learning of each layer with parameters: the length of dC/db, over up to "
        "1,000 training images.",
        "Diagram: each layer's speed of learning over the epochs.",
    )


def _image_sections(figures: plots.Figures, epoch: int) -> dict[str, str]:
    """The sections that need images, or the reason why they are missing."""
    names = "Confusion matrix", "Misclassified images", "Feature maps"
    try:
        labels, predictions = figures.dataset.labels, figures.predictions
    except (NbconvError, OSError) as error:
        return dict.fromkeys(names, page.paragraph(f"Not shown: {error}."))
    label = figures.network.name_of(int(labels[figures.index]))
    answer = figures.network.name_of(int(predictions[figures.digit]))
    wrong = int((labels != predictions).sum())
    images = f"{len(labels):,} {figures.split} images of {figures.data}"
    confusion = _figure(
        partial(figures.draw, "confusion"),
        f"{images}, with the weights of epoch {epoch}. The shades show the errors only.",
        f"Matrix of correct and predicted labels: {len(labels) - wrong:,} correct, {wrong:,} not.",
    )
    errors = _figure(
        partial(figures.draw, "errors"),
        f"{wrong:,} of {images}, with the weights of epoch {epoch}: correct and predicted label.",
        f"Small images of {wrong:,} misclassified, each with its correct and predicted label.",
    )
    maps = _figure(
        partial(figures.draw, "feature-maps"),
        f"The activations of each layer for {figures.split} image {figures.digit} of "
        f"{figures.data}, a {label}.",
        f"The image, a {label}, the activations of each layer, and bars for the last one: the "
        f"answer is {answer}.",
    )
    return dict(zip(names, (confusion, errors, maps), strict=True))


def _filters(network: Network, epoch: int) -> str:
    """Pictures of each convolution's filters."""
    count = sum(isinstance(spec, Conv2D) for spec in network.specs)
    return "\n".join(
        _figure(
            partial(plots.filters, network, layer),
            f"The filters of convolution {layer}, with the weights of epoch {epoch}. Darker is "
            "larger.",
            f"Small images: the weights of each filter of convolution {layer}.",
        )
        for layer in range(1, count + 1)
    )


def _environment(path: Path, network: Network) -> str:
    """How the checkpoint was made, and this page."""
    attributes = checkpoint.load(path).attributes[""]
    facts = {
        "file": path.name,
        "written by": f"nbconv {attributes['nbconv_version']}",
        "SHA-256": str(attributes["digest"]),
        "seed": str(network.seed),
    }
    versions = environment(network.backend) | {"matplotlib": metadata.version("matplotlib")}
    html = page.table(["the checkpoint", ""], list(facts.items()))
    html += page.table(["this page", ""], list(versions.items()))
    if network.state.run:
        command = shlex.join(["nbconv", "train", *_options(network.state.run), "--out", path.name])
        html += page.paragraph("The command that trains it:") + page.code(command)
    return html


def _options(run: Mapping[str, Any]) -> Iterator[str]:
    """The options of `nbconv train` that give these settings."""
    for name, default in DEFAULTS.items():
        value = run.get(name, default)
        if name in ("net", "data") or value != default:
            yield f"--{name.replace('_', '-')}"
            if value is not True:
                yield str(value)
