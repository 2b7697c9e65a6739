"""nbconv eval, predict and inspect."""

from pathlib import Path

import click

from .group import JSON, announce_compilation, backend_options, percent, print_json

WEIGHTS = click.option(
    "--weights",
    type=click.Choice(("best", "last")),
    default="best",
    show_default=True,
    help="Those with the best validation accuracy (the last ones, without validation), or the last ones.",
)
DATA = click.option("--data", help="digits, mnist or a path.  [default: what it was trained on]")
SPLIT = click.option(
    "--split",
    type=click.Choice(("train", "validation", "test")),
    default="test",
    show_default=True,
    help="Which part of the data.",
)
CHECKPOINT = click.argument("checkpoint", type=click.Path(path_type=Path))


@click.command("eval")
@CHECKPOINT
@DATA
@SPLIT
@WEIGHTS
@backend_options
@JSON
def evaluate(
    checkpoint: Path, data: str | None, split: str, weights: str, backend: str, as_json: bool
) -> None:
    """Evaluate a checkpoint: cost and accuracy."""
    from nbconv import Network
    from nbconv.errors import printable
    from nbconv.runs.run import images_for

    announce_compilation()
    network = Network.load(checkpoint, backend=backend, weights=weights)
    data, dataset = images_for(network, data, split, checkpoint)
    result = network.evaluate(dataset)
    epoch = (
        network.state.best.epoch
        if weights == "best" and network.state.best
        else network.state.epoch
    )
    if as_json:
        print_json({**result, "data": data, "split": split, "epoch": epoch})
    else:
        right = f"{percent(result['accuracy'])} right: {result['correct']} of {result['total']}"
        cost = f"cost {result['cost']:.4f} (weights of epoch {epoch})"
        click.echo(printable(f"{right} {split} images of {data}, {cost}"))


@click.command()
@CHECKPOINT
@click.argument("images", type=click.Path(path_type=Path))
@WEIGHTS
@backend_options
@JSON
def predict(checkpoint: Path, images: Path, weights: str, backend: str, as_json: bool) -> None:
    """Predict the labels of images.

    IMAGES is an .npy, .npz or IDX file, a picture, or a dataset, whose test images are taken.
    Pictures need Pillow and the network's size; digits are white on black. Prints each image's
    label and its probability.
    """
    from nbconv import Network
    from nbconv.data.sources import load_images
    from nbconv.tables import aligned

    announce_compilation()
    network = Network.load(checkpoint, backend=backend, weights=weights)
    channels = network.input_shape[0] if len(network.input_shape) == 3 else 1
    probabilities = network.predict_proba(load_images(images, channels))
    labels = probabilities.argmax(axis=1)
    rows = [
        (index, int(label), float(probabilities[index, label]))
        for index, label in enumerate(labels)
    ]
    if as_json:
        print_json(
            [
                {"image": index, "label": label, "probability": chance}
                for index, label, chance in rows
            ]
        )
        return
    cells = [(str(index), str(label), f"{chance:.4f}") for index, label, chance in rows]
    click.echo(aligned([("image", "label", "probability"), *cells], ">>>"))


@click.command()
@CHECKPOINT
@JSON
def inspect(checkpoint: Path, as_json: bool) -> None:
    """Show a network, its settings and history."""
    from nbconv import Network
    from nbconv.errors import printable

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
    if settings:
        shown = [
            f"{name} {value}" for name, value in settings.items() if value not in (None, False)
        ]
        click.echo(f"\n{printable(', '.join(shown))}")
    metrics = [name for name in ("cost", "training_accuracy", "validation_accuracy", "test_accuracy", "seconds")
               if name in state.history]  # fmt: skip
    if metrics:
        click.echo("\nepoch  " + "  ".join(metrics))
    for epoch in range(state.epoch):
        numbers = [f"{state.history[name][epoch]:{len(name)}.4f}" for name in metrics]
        mark = "  best" if state.best and state.best.epoch == epoch + 1 else ""
        click.echo(f"{epoch + 1:5}  " + "  ".join(numbers) + mark)
