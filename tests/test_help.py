"""The help of every command: at each width it fits, keeps its lines and cuts nothing off."""

import re

import click
import pytest
from click.testing import CliRunner
from nbconv.cli import main

from nbconv.reproduce import PARTS
from nbconv.runs.settings import NAMED


def paths(command, path=()):
    """The words that call each command."""
    yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from paths(child, (*path, name))


def text(*path, columns=80):
    """A command's help in a terminal of that width. Click leaves the last two columns free."""
    result = CliRunner().invoke(
        main, [*path, "--help"], prog_name="nbconv", terminal_width=columns - 2
    )
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("path", list(paths(main)), ids=lambda path: " ".join(path) or "nbconv")
def test_help_reads_well(path, columns):
    shown = text(*path, columns=columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert "\\b" not in shown
    assert "\b" not in shown
    assert not re.search(r"\w-$", shown, re.MULTILINE), "a name is broken in two"
    assert "..." not in shown.partition("Commands:")[2], "a summary is cut off"


def test_lines_are_kept():
    assert "\n  nbconv train --net conv   train a network of the book\n" in text()
    assert "\n  errors        misclassified images and their labels\n" in text("plot")
    assert "\n    double-1000, dropout, ensemble, filters\n" in text("reproduce")


def test_every_name_is_listed():
    assert set(NAMED) <= set(re.split(r"[\s,]+", text("train")))
    assert set(NAMED) <= set(re.split(r"[\s,]+", text("ensemble", "train")))
    assert set(PARTS) <= set(re.split(r"[\s,]+", text("reproduce")))
