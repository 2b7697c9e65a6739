"""All about a checkpoint on one HTML page: its network, settings, results and pictures."""

import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from .. import plots
from ..checkpoint import file as checkpoint
from ..doctor import environment
from ..errors import NbconvError, SettingError
from ..layers import Conv2D
from ..network import Network
from ..runs import run as runs
from . import html as page


def write_report(
    path: Path,
    out: Path,
    *,
    data: str | None = None,
    split: str = "test",
    digit: int = 0,
    weights: str = "best",
) -> None:
    """Write the page about the checkpoint at `path`, whole or not at all.

    data, split: the images to look at, as `plots.Figures` takes them; what cannot be shown without them says why. digit: the
    image whose feature maps are shown. weights: "best" or "last". Raises CheckpointError, SettingError.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{out} has no known ending: expected .html")
    network = Network.load(path, weights=weights)
    figures = plots.Figures(network, data, split, digit=digit)
    best = network.state.best
    epoch = best.epoch if best and weights == "best" else network.state.epoch
    sections = {
        "Network": _layers(network),
        "Settings": _settings(network),
        "Results": _results(network),
        "Curves": _curves(figures),
        **_of_images(figures, epoch),
        "Filters": _filters(network, epoch),
        "Speed of learning": _speeds(figures),
        "Environment": _environment(path, network),
    }
    about = f"{path.name}, a network with the weights of epoch {epoch}"
    plots.write(out, page.page(network.notation, about, _facts(network), sections).encode())


def _facts(network: Network) -> dict[str, str]:
    """What a reader looks for first."""
    best, seconds = network.state.best, sum(network.state.history.get("seconds", []))
    facts = {}
    if best:
        facts["test accuracy"] = _text("accuracy", best.test_accuracy)
        facts["validation accuracy"] = _text("accuracy", best.validation_accuracy)
        facts["at the best epoch"] = str(best.epoch)
    facts |= {"epochs": str(network.state.epoch), "training time": _text("seconds", seconds)}
    return {name: fact for name, fact in facts.items() if fact} | {
        "parameters": f"{network.engine.count:,}"
    }


def _text(metric: str, value: float) -> str:
    """A metric's number as people read it, nothing for NaN."""
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
    state = network.state
    settings = state.run or (state.settings.to_dict() if state.settings else {})
    rows = [[name, f"{value:g}" if isinstance(value, float) else str(value)]
            for name, value in settings.items() if value is not None and value is not False]  # fmt: skip
    return (
        page.table(["setting", "value"], rows)
        if rows
        else page.paragraph("It has not been trained.")
    )


def _results(network: Network) -> str:
    """Of the best epoch and of the last."""
    history, best = network.state.history, network.state.best
    epochs = {f"epoch {best.epoch}, the best": best.epoch} if best else {}
    if network.state.epoch not in epochs.values():
        epochs[f"epoch {network.state.epoch}, the last"] = network.state.epoch
    names = [
        f"{data}_{what}"
        for what in ("accuracy", "cost")
        for data in ("training", "validation", "test")
    ]
    rows = [[name.replace("_", " "), *(_text(name, history[name][epoch - 1]) for epoch in epochs.values())]
            for name in (*names, "cost", "seconds") if name in history]  # fmt: skip
    if not rows:
        return ""
    note = "Cost alone is the mean over the epoch's mini-batches, before each one's update."
    return page.table(["", *epochs], rows, note, numeric=True)


def _figure(draw: Callable[[], Any], caption: str, alternative: str) -> str:
    """A picture, or why there is none."""
    try:
        axes = draw()
    except (NbconvError, OSError) as error:
        return page.paragraph(f"Not shown: {error}.")
    figure = np.ravel(axes)[0].figure
    return page.figure(plots.rendered(figure, "svg"), figure.get_figwidth(), caption, alternative)


def _curves(figures: plots.Figures) -> str:
    if not figures.network.state.epoch:
        return ""
    epochs = f"over {figures.network.state.epoch} epochs"
    return _figure(partial(figures.draw, "curves"), f"Cost and accuracy {epochs}; the best in validation is marked.",
                   f"Two diagrams: cost and accuracy {epochs}.")  # fmt: skip


def _speeds(figures: plots.Figures) -> str:
    caption = "How fast each layer with parameters learned: the length of dC/db, over up to 1,000 training images."
    return _figure(
        partial(figures.draw, "speeds"),
        caption,
        "Diagram: each layer's speed of learning over the epochs.",
    )


def _of_images(figures: plots.Figures, epoch: int) -> dict[str, str]:
    """The sections that need images, or why there are none."""
    names = "Confusion matrix", "Misclassified images", "Feature maps"
    try:
        labels, given = figures.dataset.labels, figures.given
    except (NbconvError, OSError) as error:
        return dict.fromkeys(names, page.paragraph(f"Not shown: {error}."))
    label, answer = int(labels[figures.index]), int(given[figures.digit])
    wrong, of = (
        int((labels != given).sum()),
        f"{len(labels):,} {figures.split} images of {figures.data}",
    )
    alternatives = (
        f"Matrix of right labels and given ones: {len(labels) - wrong:,} right, {wrong:,} not.",
        f"Small images of {wrong:,} misclassified, each with its right label and the one given.",
        f"The image, a {label}, the activations of each layer, and bars of the last one's: the answer is {answer}.",
    )
    captions = (
        f"{of}, by the weights of epoch {epoch}. Shades count the errors alone.",
        f"{wrong:,} of {of}, by the weights of epoch {epoch}: the right label, and the one given.",
        f"What each layer makes of {figures.split} image {figures.digit} of {figures.data}, a {label}.",
    )
    kinds = "confusion", "errors", "feature-maps"
    return {
        name: _figure(partial(figures.draw, kind), caption, alternative)
        for name, kind, caption, alternative in zip(
            names, kinds, captions, alternatives, strict=True
        )
    }


def _filters(network: Network, epoch: int) -> str:
    """Of each convolution; nothing for a network without."""
    count = sum(isinstance(spec, Conv2D) for spec in network.specs)
    return "\n".join(
        _figure(
            partial(plots.filters, network, layer),
            f"The filters of convolution {layer}, weights of epoch {epoch}. Darker is larger.",
            f"Small images: the weights of each filter of convolution {layer}.",
        )
        for layer in range(1, count + 1)
    )


def _environment(path: Path, network: Network) -> str:
    stored = checkpoint.load(path).attributes[""]
    facts = {"file": path.name, "written by": f"nbconv {stored['nbconv_version']}", "SHA-256": str(stored["digest"]),
             "seed": str(network.seed)}  # fmt: skip
    here = environment(network.backend) | {"matplotlib": matplotlib.__version__}
    tables = page.table(["the checkpoint", ""], list(facts.items())) + page.table(
        ["this page", ""], list(here.items())
    )
    if not network.state.run:
        return tables
    command = shlex.join(["nbconv", "train", *_options(network.state.run), "--out", path.name])
    return tables + page.paragraph("The command that trains it:") + page.code(command)


def _options(run: Mapping[str, Any]) -> Iterator[str]:
    """The options of `nbconv train` that give these settings."""
    for name, default in runs.DEFAULTS.items():
        value = run.get(name, default)
        if name in ("net", "data") or value != default:
            yield f"--{name.replace('_', '-')}"
            if value is not True:
                yield str(value)
