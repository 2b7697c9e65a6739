"""The command line. Commands parse, call the library and print; what they need is imported when they run."""

import click

from .check import doctor, gradcheck, parity
from .ensemble import ensemble
from .group import Group
from .plot import plot, report
from .reproduce import reproduce
from .train import train
from .use import evaluate, inspect, predict


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="nbconv")
def main() -> None:
    r"""Train and use the convolutional networks of Michael Nielsen's book.

    \b
    nbconv train                              a network on the embedded digits
    nbconv train --net conv --out conv.h5     an experiment of the book, on MNIST
    nbconv eval conv.h5                       its accuracy on the test images

    Shell completion: eval "$(_NBCONV_COMPLETE=bash_source nbconv)" in bash; zsh_source and fish_source likewise.
    """


for command in (
    train,
    evaluate,
    predict,
    inspect,
    plot,
    report,
    reproduce,
    ensemble,
    gradcheck,
    parity,
    doctor,
):
    main.add_command(command)
