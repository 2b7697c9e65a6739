"""The help of every command: at each width it fits, keeps its lines and cuts nothing off.

And what the command line says to a wrong word, and suggests to a shell.
"""

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from nbconv.cli import main

from nbconv.data import sources
from nbconv.names import DATASETS, SCHEDULES, SYNONYMS
from nbconv.reproduce import CHAPTERS, PARTS
from nbconv.runs.settings import DEFAULTS, NAMED
from nbconv.training import schedules


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


def completed(*words):
    """What a shell is told to suggest for the last of these words behind nbconv, and what loads."""
    script = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
        "from nbconv.__main__ import run; run()"
    )
    shell = {
        "_NBCONV_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["nbconv", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **shell}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not {"numba", "h5py", "numpy"} & set(done.stderr.split())
    return [line.split(",") for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        (("train", "--net", "conv-conv"), {"conv-conv", "conv-conv-tanh", "conv-conv-relu"}),
        (("train", "--data", "emnist-b"), {"emnist-balanced", "emnist-byclass", "emnist-bymerge"}),
        (("ensemble", "train", "--initialiser", "g"), {"glorot"}),
        (("train", "--schedule", "one"), {"one-cycle"}),
        (("train", "--activation", "leaky"), {"leaky_relu"}),
        (("eval", "run.h5", "--data", "fash"), {"fashion-mnist"}),
        (("reproduce", "expanded"), {"expanded-100", "expanded-300", "expanded-1000"}),
        (("reproduce", "fc", "ch"), {"ch5", "ch6", "chain"}),
        (("plot", "f"), {"filters", "feature-maps"}),
    ],
)
def test_completion(words, suggested):
    found = completed(*words)
    assert {word for _, word in found} == suggested
    assert {kind for kind, _ in found} == {"plain"}


@pytest.mark.parametrize(
    "words", [("train", "--data", "pho"), ("eval", "ru"), ("plot", "curves", "r")]
)
def test_completion_of_files(words):
    assert completed(*words) == [["file", words[-1]]]


def test_the_suggested_names_are_those_that_are_known():
    assert (sources.DIGITS, *sources.named.NAMES) == DATASETS
    for schedule in SCHEDULES:
        schedules.check("schedule", schedule)
    names = next(each for each in main.commands["reproduce"].params if each.name == "names")
    assert sorted(names.type.names) == sorted([*CHAPTERS, *PARTS])
    options = {name for each in main.commands["train"].params for name in each.opts}
    ours = {f"--{name.replace('_', '-')}" for name in SYNONYMS.values()}
    assert ours <= options
    assert not {f"--{name.replace('_', '-')}" for name in SYNONYMS} & options
    assert not set(SYNONYMS) & set(DEFAULTS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--lr", "0.1"), "Did you mean '--eta'?"),
        (("train", "--learning-rate=0.1"), "Did you mean '--eta'?"),
        (("ensemble", "train", "--lr", "0.1"), "Did you mean '--eta'?"),
        (("train", "--optimizer", "adam"), "Did you mean '--optimiser'?"),
        (("train", "--batch-size", "10"), "Did you mean '--mini-batch-size'?"),
        (("train", "--mini_batch_size", "10"), "Did you mean '--mini-batch-size'?"),
        (("train", "--weight-decay", "1"), "Did you mean '--lmbda'?"),
        (("train", "--model", "conv"), "Did you mean '--net'?"),
        (("eval", "run.h5", "--device", "cpu"), "Did you mean '--backend'?"),
        (("trian",), "Did you mean 'train'?"),
        (("plot", "curve", "run.h5"), "'curve' is not one of 'curves', 'filters'"),
    ],
)
def test_what_another_tool_calls_so(invoke, arguments, said):
    """Click of other versions quotes otherwise."""
    error = invoke(*arguments, code=2).stderr
    assert said.replace("'", "") in error.replace("'", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "--net", "conv2"), "did you mean conv or conv-only or conv-conv? Expected"),
        (("train", "--net", "Conv_Conv_ReLU"), "did you mean conv-conv-relu? Expected"),
        (("train", "--net", "20c5-mp2-10n"), "did you mean 20C5-MP2-10N? Expected"),
        (("train", "--net", "20c5S2,mp3s2 n"), "did you mean 20C5s2-MP3s2-N? Expected"),
        (("train", "--net", "784,30,10"), "did you mean 784-30-10? Expected"),
        (("train", "--net", "20Q5"), "not a layer: expected"),
        (("train", "--data", "mnst"), "mnst does not exist: did you mean mnist? Expected digits"),
        (("train", "--activation", "rleu"), "did you mean relu? Expected sigmoid, tanh"),
        (("train", "--schedule", "cosin"), "did you mean cosine? Expected constant"),
        (("train", "--schedule", "halve"), "'halve': expected constant"),
        (("reproduce", "con"), "did you mean conv or conv-only or conv-conv? Expected ch5"),
    ],
)
def test_what_may_have_been_meant(invoke, arguments, said):
    assert said in invoke(*arguments, code=1).stderr
