"""A report on a checkpoint, as one HTML page: its network, settings, results and pictures."""

import math
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
from ..plots.style import Picture
from ..runs.settings import changed
from . import html as page

CURVE = 5.2, 3.6  # inches of each diagram over the epochs
METRICS = {
    **{
        f"{split}_{what}": f"{split} {what}"
        for what in ("accuracy", "cost")
        for split in ("test", "validation", "training")
    },
    "cost": "cost of the mini-batches",
    "seconds": "seconds",
}


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
        "Results": _results(network),
        "Curves": _curves(figures),
        **_answers(figures, epoch),
        "Network": _layers(network),
        **_feature_maps(figures, path),
        "Filters": _filters(network, epoch),
        "Speed of learning": _speeds(figures),
        "Settings": _settings(path, network),
        "Environment": _environment(path, network),
    }
    about = f"{path.name}, a network with the weights of epoch {epoch}"
    text = page.page(network.notation, about, _facts(network), sections)
    files.write(out, text.encode(errors="backslashreplace"))  # file names need not be UTF-8


def _facts(network: Network) -> dict[str, str]:
    """The facts at the top of the page."""
    history, best = network.state.history, network.state.best
    facts = {}
    if best:
        facts["test accuracy"] = _text("accuracy", best.test_accuracy)
        facts["validation accuracy"] = _text("accuracy", best.validation_accuracy)
        facts["best epoch"] = str(best.epoch)
    elif "test_accuracy" in history and "validation_accuracy" not in history:
        facts["test accuracy"] = _text("accuracy", history["test_accuracy"][-1])
    facts["epochs"] = str(network.state.epoch)
    facts["training time"] = _text("seconds", sum(history.get("seconds", [])))
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
    head, *rows = network.layer_table()
    total = network.summary().splitlines()[-1]
    return page.table(head, rows, total, numeric=True)


def _settings(path: Path, network: Network) -> str:
    """The settings of the training that are not the defaults, and the command with them."""
    state = network.state
    settings = changed(state.run or (state.settings.to_dict() if state.settings else {}))
    if not state.settings:
        return page.paragraph("The network has not been trained.")
    rows = [
        [name, f"{value:g}" if isinstance(value, float) else str(value)]
        for name, value in settings.items()
    ]
    html = page.table(["setting", "value"], rows, "All others have their defaults.") if rows else ""
    if state.run:
        command = shlex.join(["nbconv", "train", *_options(settings), "--out", path.name])
        html += page.paragraph("The command that trains it:") + page.code(command)
    return html or page.paragraph("All settings have their defaults.")


def _results(network: Network) -> str:
    """The metrics of the best epoch and of the last."""
    history, best = network.state.history, network.state.best
    last = network.state.epoch
    epochs = {f"epoch {best.epoch}, the best": best.epoch} if best else {}
    if last not in epochs.values():
        epochs[f"epoch {last}, the last"] = last
    rows = []
    for metric, name in METRICS.items():
        if metric in history:
            # The test images are looked at in the best epochs alone.
            is_known = {k: not metric.startswith("test") or k != last for k in epochs.values()}
            if not best or best.epoch == last:
                is_known[last] = True
            cells = (
                _text(metric, history[metric][k - 1]) if known else ""
                for k, known in is_known.items()
            )
            rows.append([name, *cells])
    if not rows:
        return ""
    note = (
        f"{METRICS['cost']}: the mean over the epoch, each mini-batch before its update; the only "
        "cost with class_weights and label_smoothing."
    )
    return page.table(["", *epochs], rows, note, numeric=True)


def _figure(draw: Callable[[], Any], caption: str, alternative: str, kind: str = "images") -> str:
    """A picture, or the reason why it cannot be drawn. kind: see `html.figure`."""
    try:
        axes = draw()
    except (NbconvError, OSError) as error:
        return page.paragraph(f"Not shown: {error}.")
    figure = np.ravel(axes)[0].figure
    svg = plots.rendered(figure, "svg")
    return page.figure(svg, figure.get_figwidth(), caption, alternative, kind)


def _curves(figures: plots.Figures) -> str:
    """Cost and accuracy over the epochs; nothing if there are none."""
    state = figures.network.state
    if not state.epoch:
        return ""
    axes = [Picture(*CURVE).subplots() for _ in range(2)]
    plots.curves(state.history, axes, best=state.best.epoch if state.best else None)
    both = zip(("Cost", "Accuracy"), axes, strict=True)
    return page.row(
        *(
            _figure(partial(np.ravel, [ax]), "", f"Diagram: {what} over the epochs.", "chart")
            for what, ax in both
        )
    )


def _speeds(figures: plots.Figures) -> str:
    """The speeds of learning over the epochs; nothing if they were not monitored."""
    if "speed_1" not in figures.network.history:
        return ""
    return _figure(
        partial(figures.draw, "speeds"),
        "The speed of learning of each layer with parameters: the length of dC/db, over up to "
        "1,000 training images.",
        "Diagram: each layer's speed of learning over the epochs.",
        "chart",
    )


def _answers(figures: plots.Figures, epoch: int) -> dict[str, str]:
    """What the network answers for the images, or the reason why that is not known."""
    try:
        labels, predictions = figures.dataset.labels, figures.predictions
    except (NbconvError, OSError) as error:
        return {"Images": page.paragraph(f"Not shown: {error}.")}
    wrong = int((labels != predictions).sum())
    images = f"{len(labels):,} {figures.split} images of {figures.data}"
    confusion = _figure(
        partial(figures.draw, "confusion"),
        f"{images}, with the weights of epoch {epoch}. The shades show the errors only.",
        f"Matrix of correct and predicted labels: {len(labels) - wrong:,} correct, {wrong:,} not.",
        "chart",
    )
    errors = _figure(
        partial(figures.draw, "errors"),
        f"{wrong:,} of {images}, with the weights of epoch {epoch}.",
        f"Small images of {wrong:,} misclassified, each with its correct and predicted label.",
    )
    return {"Confusion matrix": confusion, "Misclassified images": errors}


def _feature_maps(figures: plots.Figures, path: Path) -> dict[str, str]:
    """The activations for one image; nothing if there are no images."""
    try:
        labels, predictions = figures.dataset.labels, figures.predictions
    except (NbconvError, OSError):
        return {}
    label = figures.network.name_of(int(labels[figures.index]))
    answer = figures.network.name_of(int(predictions[figures.digit]))
    other = shlex.join(["nbconv", "plot", "feature-maps", path.name, "--digit"])
    maps = _figure(
        partial(figures.draw, "feature-maps"),
        f"The activations of each layer for {figures.split} image {figures.digit} of "
        f"{figures.data}, a {label}. Those of another image: {other} NUMBER",
        f"The image, a {label}, the activations of each layer, and bars for the last one: the "
        f"answer is {answer}.",
    )
    return {"Feature maps": maps}


def _filters(network: Network, epoch: int) -> str:
    """Pictures of each convolution's filters."""
    count = sum(isinstance(spec, Conv2D) for spec in network.specs)
    return "\n".join(
        _figure(
            partial(plots.filters, network, layer),
            f"The filters of convolution {layer}, with the weights of epoch {epoch}: positive "
            "weights are red, negative ones blue.",
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
    return html + page.table(["this page", ""], list(versions.items()))


def _options(settings: Mapping[str, Any]) -> Iterator[str]:
    """The options of `nbconv train` that give these settings."""
    for name, value in settings.items():
        option = name.replace("_", "-")
        yield f"--no-{option}" if value is False else f"--{option}"
        if not isinstance(value, bool):
            yield str(value)
