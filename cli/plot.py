"""nbconv plot, report and demo."""

from pathlib import Path

import click

from .group import announce_compilation
from .use import CHECKPOINT, DATA, SPLIT, WEIGHTS, out_option

KINDS = ("curves", "filters", "feature-maps", "errors", "confusion", "speeds", "digits")


class _Plot(click.Command):
    """KIND and CHECKPOINT are understood in either order."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put KIND first, as it is declared."""
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        first, second = values.get("kind"), values.get("checkpoint")
        if second in KINDS and first in args and first not in KINDS:
            args = [*args]
            one = args.index(first)
            other = args.index(second, one)
            args[one], args[other] = second, first
        return super().parse_args(ctx, args)


@click.command(cls=_Plot)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@CHECKPOINT
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="A .png, .svg or .pdf file.  [default: a .png beside CHECKPOINT]",
)
@DATA
@SPLIT
@click.option(
    "--layer", type=int, default=1, show_default=True, help="Which convolution, for filters."
)
@click.option(
    "--digit", type=int, default=0, show_default=True, help="Which image, for feature-maps."
)
@WEIGHTS
def plot(
    kind: str,
    checkpoint: Path,
    out: Path | None,
    data: str | None,
    split: str | None,
    layer: int,
    digit: int,
    weights: str,
) -> None:
    """Draw a picture of a checkpoint.

    Prints the picture's file name. KIND is one of:

    \b
    curves        cost and accuracy over the epochs
    filters       the weights of a convolution
    feature-maps  an image's activations in each layer
    errors        misclassified images and their labels
    confusion     how often each class is taken for which
    speeds        how fast each layer learned (needs
                  nbconv train --monitor-layers)
    digits        images of the data
    """
    from nbconv import Network, plots

    out = out or checkpoint.parent / f"{checkpoint.stem}-{kind}.png"
    announce_compilation()
    network = Network.load(checkpoint, weights=weights)
    plots.save(plots.Figures(network, data, split, layer, digit).draw(kind), out)
    click.echo(out)


@click.command()
@CHECKPOINT
@out_option(".html")
@DATA
@SPLIT
@click.option(
    "--digit", type=int, default=0, show_default=True, help="Which image's feature maps are shown."
)
@WEIGHTS
def report(
    checkpoint: Path,
    out: Path | None,
    data: str | None,
    split: str | None,
    digit: int,
    weights: str,
) -> None:
    """Write a checkpoint's report in HTML.

    One self-contained page. Prints its file name.
    """
    from nbconv.report.report import write_report

    out = out or checkpoint.parent / f"{checkpoint.stem}-report.html"
    announce_compilation()
    write_report(checkpoint, out, data=data, split=split, digit=digit, weights=weights)
    click.echo(out)


@click.command()
@CHECKPOINT
@out_option(".html")
@click.option(
    "--data",
    help="A data set's name or path, for the examples.  [default: what it was trained on]",
)
@WEIGHTS
def demo(checkpoint: Path, out: Path | None, data: str | None, weights: str) -> None:
    """Make a page to try a network on.

    One HTML file that needs no network and no Python: draw a digit or drop a picture, see the
    answer and every layer's feature maps, point at a neuron, and take steps of learning. Prints its
    file name.
    """
    from nbconv import Network
    from nbconv import demo as pages
    from nbconv.errors import DataError, SettingError, say
    from nbconv.runs.run import images_for

    out = out or checkpoint.parent / f"{checkpoint.stem}-demo.html"
    announce_compilation()
    network = Network.load(checkpoint, backend="cpu", weights=weights)
    examples = None
    try:
        _, _, examples = images_for(network, data, None, checkpoint)
    except (DataError, SettingError) as error:
        if data is not None:
            raise
        say(f"The page has no examples: {error}")
    pages.save(network, out, examples)
    click.echo(out)
