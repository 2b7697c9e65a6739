"""The command line.

Commands parse, call the library and print; what they need is imported when they run.
"""

import click

from .. import __version__
from .check import doctor, gradcheck, parity
from .ensemble import ensemble
from .group import VERBOSE, Group
from .plot import demo, plot, report
from .reproduce import reproduce
from .train import train
from .use import evaluate, export, inspect, predict


@click.group(
    cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__)
@VERBOSE
def main() -> None:
    """Train and use the convolutional networks of Michael Nielsen's book.

    \b
    nbconv train              train on the embedded digits
    nbconv train --net conv   train a network of the book
    nbconv eval run.h5        evaluate on the test images

    Each command has its own --help.

    \b
    Completion in bash (or zsh_source, fish_source):
    eval "$(_NBCONV_COMPLETE=bash_source nbconv)"
    """


for command in (
    train,
    evaluate,
    predict,
    inspect,
    export,
    plot,
    report,
    demo,
    reproduce,
    ensemble,
    gradcheck,
    parity,
    doctor,
):
    main.add_command(command)
