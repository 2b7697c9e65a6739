"""nbconv eval, predict, inspect and export."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..names import DATASETS, SPLITS
from .group import JSON, Suggesting, announce_compilation, backend_options, percent, print_json

WEIGHTS = click.option(
    "--weights",
    type=click.Choice(("best", "last")),
    default="best",
    show_default=True,
    help="Those with the best validation accuracy (the last ones, without validation), "
    "or the last ones.",
)
DATA = click.option(
    "--data",
    type=Suggesting(DATASETS, has_files=True),
    help="A data set's name or path.  [default: what it was trained on]",
)
SPLIT = click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="Which part of the data.  [default: test, or all of data that has one part]",
)
CHECKPOINT = click.argument("checkpoint", type=click.Path(path_type=Path))


ARRAYS = click.option(
    "--arrays",
    help="Arrays of an .npz or .h5 file by their role: test_images=NAME,test_labels=NAME,...",
)


def out_option(ending: str) -> Callable[..., Any]:
    """--out, for a command that writes a file of this kind."""
    return click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path),
        help=f"An {ending} file.  [default: beside CHECKPOINT]",
    )


@click.command("eval")
@CHECKPOINT
@DATA
@SPLIT
@ARRAYS
@WEIGHTS
@click.option(
    "--per-class",
    is_flag=True,
    help="Precision, recall and F1 of each class, the worst confusions.",
)
@backend_options
@JSON
def evaluate(
    checkpoint: Path,
    data: str | None,
    split: str | None,
    arrays: str | None,
    weights: str,
    per_class: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Evaluate a checkpoint: cost and accuracy."""
    from nbconv import Network
    from nbconv.errors import printable
    from nbconv.runs.run import images_for

    announce_compilation()
    network = Network.load(checkpoint, backend=backend, weights=weights)
    data, split, dataset = images_for(network, data, split, checkpoint, arrays)
    result = network.evaluate(dataset, per_class=per_class)
    epoch = (
        network.state.best.epoch
        if weights == "best" and network.state.best
        else network.state.epoch
    )
    names = [network.name_of(k) for k in range(network.classes)]
    if as_json:
        listed = {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in result.items()
        }
        classes = {"classes": names} if per_class else {}
        print_json({**listed, **classes, "data": data, "split": split, "epoch": epoch})
        return
    right = f"{percent(result['accuracy'])} right: {result['correct']} of {result['total']}"
    which = "" if split == "all" else f"{split} "
    cost = f"cost {result['cost']:.4f} (weights of epoch {epoch})"
    click.echo(printable(f"{right} {which}images of {data}, {cost}"))
    if per_class:
        click.echo(f"\n{_by_class(result, names)}")


def _by_class(result: dict[str, Any], names: list[str]) -> str:
    """A table of the classes, and the worst confusions."""
    from nbconv.errors import printable
    from nbconv.tables import aligned

    confusion = result["confusion"]
    rows: list[tuple[str, ...]] = [("class", "images", "precision", "recall", "F1")]
    for k, name in enumerate(names):
        scores = (result[score][k] for score in ("precision", "recall", "f1"))
        shown = ["-" if score != score else percent(score) for score in scores]
        rows.append((printable(name), str(confusion[k].sum()), *shown))
    lines = [aligned(rows, "<>>>>")]
    worst = sorted(
        (
            (int(confusion[j, k]), j, k)
            for j in range(len(names))
            for k in range(len(names))
            if j != k and confusion[j, k]
        ),
        key=lambda each: -each[0],
    )
    lines += [
        printable(f"{count} of {confusion[j].sum()} images of {names[j]} are taken for {names[k]}")
        for count, j, k in worst[:5]
    ]
    return "\n".join([lines[0], "", *lines[1:]] if worst else lines)


@click.command()
@CHECKPOINT
@click.argument("images", nargs=-1, required=True, type=Suggesting(DATASETS, has_files=True))
@click.option("--top", type=click.IntRange(1), default=1, help="How many classes of each picture.")
@click.option("--as-is", is_flag=True, help="Take pictures of the network's size as they are.")
@SPLIT
@ARRAYS
@WEIGHTS
@backend_options
@JSON
def predict(
    checkpoint: Path,
    images: tuple[str, ...],
    top: int,
    as_is: bool,
    split: str | None,
    arrays: str | None,
    weights: str,
    backend: str,
    as_json: bool,
) -> None:
    """Predict what pictures show.

    IMAGES are pictures of any size, folders of them, files of images (.npy, .npz, .h5, IDX, ...),
    or data sets. Each is made like those that the network was trained on: turned upright, resized,
    centred and inverted where that is needed; its row says what was done, and where it is still
    unlike them.
    """
    from nbconv import Network
    from nbconv.errors import printable
    from nbconv.runs.using import answers
    from nbconv.tables import aligned

    announce_compilation()
    network = Network.load(checkpoint, backend=backend, weights=weights)
    top = min(top, network.classes)

    def classes(answer: Any) -> list[dict[str, Any]]:
        return [
            {"label": k, "class": network.name_of(k), "probability": chance}
            for k, chance in answer.best(top)
        ]

    if as_json:
        print_json(
            [
                {
                    "image": number,
                    "name": answer.name,
                    **classes(answer)[0],
                    "top": classes(answer),
                    "done": answer.done,
                    "doubt": answer.doubt or None,
                }
                for number, answer in enumerate(answers(network, images, split, as_is, arrays))
            ]
        )
        return
    rows = []
    for answer in answers(network, images, split, as_is, arrays):
        best = [
            cell for k, chance in answer.best(top) for cell in (network.name_of(k), f"{chance:.4f}")
        ]
        note = "; ".join([*([answer.doubt] if answer.doubt else []), *answer.done])
        rows.append([printable(cell) for cell in (answer.name, *best, note)])
    head = ["image", *["class", "probability"] * top, "note"]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    click.echo(aligned([head, *rows], "<" + "<>" * top + "<" * (len(head) - 1 - 2 * top)))


@click.command()
@CHECKPOINT
@JSON
def inspect(checkpoint: Path, as_json: bool) -> None:
    """Show a network, its settings and history.

    Of the settings, those that are not the defaults; of the metrics, the main ones. --json has all.
    """
    from nbconv import Network
    from nbconv.errors import printable
    from nbconv.runs.settings import changed
    from nbconv.tables import aligned

    network = Network.load(checkpoint, backend="cpu")
    state = network.state
    settings = state.run or (state.settings.to_dict() if state.settings else {})
    if as_json:
        best = state.best and {
            "epoch": state.best.epoch,
            "validation_accuracy": state.best.validation_accuracy,
            "test_accuracy": state.best.test_accuracy,
        }
        print_json(
            {
                "network": network.notation,
                "input_shape": list(network.input_shape),
                "cost": network.cost,
                "parameters": network.engine.count,
                "dtype": network.dtype,
                "class_names": network.class_names,
                "preparation": network.preparation and network.preparation.to_dict(),
                "seed": network.seed,
                "epoch": state.epoch,
                "step": state.step,
                "settings": settings,
                "best": best,
                "history": dict(state.history),
            }
        )
        return
    click.echo(network.summary())
    if network.class_names:
        names = f"classes: {printable(', '.join(network.class_names))}"
        click.echo(f"\n{click.wrap_text(names, shutil.get_terminal_size().columns)}")
    if state.settings or settings:
        rows = [
            (name, f"{value:g}" if isinstance(value, float) else printable(str(value)))
            for name, value in changed(settings).items()
        ]
        click.echo(f"\n{aligned(rows, '<<')}\n(all other settings have their defaults)")
    if state.epoch:
        click.echo(f"\n{_epochs(state)}")
    if layers := _monitored(network):
        click.echo(f"\nafter epoch {state.epoch}, each layer with parameters:\n{layers}")


def _epochs(state: Any) -> str:
    """A table of the history: a row for each epoch."""
    from nbconv.tables import aligned
    from nbconv.training.history import labels

    shown: dict[str, tuple[str, Callable[[float], str]]] = {
        "cost": ("cost", lambda value: f"{value:.4f}"),
        "training_accuracy": ("training", percent),
        "validation_accuracy": ("validation", percent),
        "test_accuracy": (labels(state.history)["test"], percent),
        "seconds": ("seconds", lambda value: f"{value:.1f}"),
    }
    columns = [(state.history[name], *how) for name, how in shown.items() if name in state.history]
    rows = [["epoch", *(head for _, head, _ in columns), ""]]
    for k in range(state.epoch):
        cells = ["-" if math.isnan(each[k]) else show(each[k]) for each, _, show in columns]
        is_best = state.best and state.best.epoch == k + 1
        rows.append([str(k + 1), *cells, "best" if is_best else ""])
    return aligned(rows, ">" * (len(columns) + 1) + "<")


def _monitored(network: Any) -> str:
    """A table of what --monitor-layers recorded in the last epoch; "" without it."""
    from nbconv.tables import aligned

    history = network.state.history
    shown = {
        "speed": "speed |dC/db|",
        "gradient_norm": "|dC/dw|",
        "weight_norm": "|w|",
        "saturated": "saturated",
        "dead": "dead",
    }
    kinds = [kind for kind in shown if any(name.startswith(f"{kind}_") for name in history)]
    if not kinds:
        return ""
    rows = [["layer", *(shown[kind] for kind in kinds)]]
    for k, spec in enumerate(network.specs_with_parameters, 1):
        values = [(kind, history.get(f"{kind}_{k}", [math.nan])[-1]) for kind in kinds]
        cells = [
            ""
            if math.isnan(value)
            else percent(value)
            if kind in ("saturated", "dead")
            else f"{value:.4g}"
            for kind, value in values
        ]
        rows.append([f"{k}: {spec.notation}", *cells])
    return aligned(rows, "<" + ">" * len(kinds))


@click.command()
@CHECKPOINT
@out_option(".onnx")
@WEIGHTS
def export(checkpoint: Path, out: Path | None, weights: str) -> None:
    """Write a network as an ONNX file.

    With it, programs without nbconv predict. Prints the file's name.
    """
    from nbconv import Network, SettingError

    out = out or checkpoint.parent / f"{checkpoint.stem}.onnx"
    if out.resolve() == checkpoint.resolve():
        raise SettingError(f"{out} is the checkpoint: expected another name after -o")
    Network.load(checkpoint, backend="cpu", weights=weights).export(out)
    click.echo(out)
