"""nbconv plot and report."""

from pathlib import Path

import click

from .group import announce_compilation
from .use import CHECKPOINT, DATA, SPLIT, WEIGHTS

KINDS = ("curves", "filters", "feature-maps", "errors", "confusion", "speeds", "digits")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@CHECKPOINT
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help=".png, .svg or .pdf.  [default: CHECKPOINT-KIND.png]",
)
@DATA
@SPLIT
@click.option(
    "--layer", type=int, default=1, show_default=True, help="Of filters: which convolution."
)
@click.option(
    "--digit",
    type=int,
    default=0,
    show_default=True,
    help="Of feature-maps: which image of the split.",
)
@WEIGHTS
def plot(
    kind: str,
    checkpoint: Path,
    out: Path | None,
    data: str | None,
    split: str,
    layer: int,
    digit: int,
    weights: str,
) -> None:
    r"""A picture of a checkpoint's network, and the file's name on standard output.

    \b
    curves        cost and accuracy over the epochs
    filters       what a convolution looks for
    feature-maps  what each layer makes of an image
    errors        the misclassified images, with right and given label
    confusion     which classes are taken for which
    speeds        how fast each layer learned (after nbconv train --monitor-layers)
    digits        images that it was trained for
    """
    from nbconv import Network, plots

    out = out or checkpoint.with_name(f"{checkpoint.stem}-{kind}.png")
    announce_compilation()
    network = Network.load(checkpoint, weights=weights)
    plots.save(plots.Figures(network, data, split, layer, digit).draw(kind), out)
    click.echo(out)


@click.command()
@CHECKPOINT
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="An .html file.  [default: CHECKPOINT-report.html]",
)
@DATA
@SPLIT
@click.option(
    "--digit",
    type=int,
    default=0,
    show_default=True,
    help="The image whose feature maps are shown.",
)
@WEIGHTS
def report(
    checkpoint: Path, out: Path | None, data: str | None, split: str, digit: int, weights: str
) -> None:
    """All about a checkpoint on one HTML page that needs nothing else, and the file's name on standard output."""
    from nbconv.report.report import write_report

    out = out or checkpoint.with_name(f"{checkpoint.stem}-report.html")
    announce_compilation()
    write_report(checkpoint, out, data=data, split=split, digit=digit, weights=weights)
    click.echo(out)
