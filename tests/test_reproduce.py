"""The chapters again: what can be known of them without hours of training."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import POSIX

import nbconv
from nbconv.book.experiments import EXPERIMENTS
from nbconv.reproduce import chapter5, chapter6, chosen, reproduce
from nbconv.reproduce.tables import Table, merged, statistics


@pytest.fixture(scope="module")
def targets():
    """The book's numbers with their settings, if they are at hand: beside the folder of MNIST."""
    file = Path(os.environ.get("NBCONV_DATA", ""), "..", "book", "targets.json")
    if not os.environ.get("NBCONV_DATA") or not file.exists():
        pytest.skip(
            "needs targets.json of the book's numbers, in ../book beside the folder that "
            "NBCONV_DATA names"
        )
    return json.loads(file.read_text())


def results(out):
    return {result["name"]: result for result in json.loads((out / "results.json").read_text())}


def test_the_book_s_numbers_are_the_book_s(targets):
    five, six = targets["chapter5"], targets["chapter6"]
    for entry in five["accuracy"]:
        hidden = len(entry["sizes"]) - 2
        assert chapter5.NAMES[hidden] == "-".join(map(str, entry["sizes"]))
        assert chapter5.ACCURACIES[hidden] == entry["accuracy"]
    for entry in five["learning_speed"]["at_start"]:
        assert list(chapter5.SPEEDS[len(entry["sizes"]) - 2]) == entry["norms"]
    for name in ("epochs", "mini_batch_size", "eta", "lmbda"):
        assert chapter5.SETTINGS[name] == five["setting"][name]
    assert list(chapter6.PARAMETERS.values()) == list(six["parameters"].values())
    for entry in six["experiments"][:-1]:
        settings = EXPERIMENTS[entry["name"]]
        assert settings["net"] == entry["layers"]
        assert settings["activation"] == entry["activation"]
        assert settings["epochs"] == entry["epochs"]
        assert settings.get("expand", False) == (entry["data"] == 250_000)
        assert chapter6.ACCURACIES[entry["name"]] == entry["accuracy"]
        if entry["eta"] is not None:
            # The book's lmbda is over the number of mini-batches of 10, ours over the number of
            # images.
            assert (settings["eta"], settings["lmbda"]) == (entry["eta"], 10 * entry["lmbda"])
    assert six["experiments"][-1]["correct"] == chapter6.ENSEMBLE


@pytest.mark.parametrize("hidden", [2, 3, 4])
def test_the_book_s_curves_are_the_book_s(targets, hidden):
    file = Path(
        os.environ["NBCONV_DATA"],
        "..",
        "book",
        "figures",
        f"norms_during_training_{hidden}_layers.json",
    )
    recorded = json.loads(file.read_text())
    for epoch, speeds in chapter5.CURVES[hidden].items():
        assert speeds == pytest.approx(recorded[epoch], rel=0.06)


def test_names():
    assert chosen(["ch5"]) == ["accuracy", "speeds", "curves", "bars", "sigma", "chain", "remedies"]
    assert chosen(["dropout", "sigma", "ch5"])[-1] == "dropout"
    assert set(chosen(["ch6"])) == {
        "digits",
        "parameters",
        "ensemble",
        "beyond-ensemble",
        "filters",
        *EXPERIMENTS,
    }
    with pytest.raises(
        nbconv.SettingError,
        match=r"con cannot be reproduced: did you mean conv or .* Expected ch5, ch6, accuracy",
    ):
        chosen(["con", "conv"])


def test_the_chain_of_neurons(tmp_path):
    """The product of terms is the gradient; terms of less than 1/4 vanish, terms of 25 explode."""
    (result,) = reproduce(["chain"], tmp_path)
    vanishing, exploding = result.tables[0].rows
    for row in (vanishing, exploding):
        assert row[2] == pytest.approx(row[3], rel=1e-10)
        assert row[2] == pytest.approx(row[4], rel=1e-4)
    assert all(abs(float(term)) < 0.25 for term in vanishing[1].split())
    assert vanishing[5] > 16
    assert exploding[1] == "25 25 25"
    assert exploding[5] == pytest.approx(1 / 25**2)


def test_parameters(tmp_path):
    (result,) = reproduce(["parameters"], tmp_path)
    for _, book, ours in result.tables[0].rows:
        assert ours == book


def test_parts_add_up_and_are_written(tmp_path):
    lines = []
    list(reproduce(["parameters"], tmp_path))
    list(reproduce(["chain", "parameters"], tmp_path, on_line=lines.append))
    assert lines == ["Part 1 of 2: chain", "Part 2 of 2: parameters"]
    assert list(results(tmp_path)) == ["chain", "parameters"]
    text = (tmp_path / "results.md").read_text()
    assert "| one feature map of 5x5 | 26 | 26 |" in text
    assert "`nbconv reproduce chain --runs 3 --seed 0`" in text
    assert "numba" in results(tmp_path)["chain"]["environment"]


def test_tables():
    one, other = (
        Table("T", {"x|y": "", "n": ".2f"}, [[name, value]])
        for name, value in (("a", 1.234), ("b", None))
    )
    assert one.text() == "T\nx|y     n\na    1.23"
    assert one.markdown() == "**T**\n\n| x\\|y | n |\n| --- | ---: |\n| a | 1.23 |"

    class Both:
        tables = [one, other]  # noqa: RUF012 -- read alone

    assert merged([Both])[0].rows == [["a", 1.234], ["b", None]]
    wide = Table(
        "A title of some length", {"name": "", "n": "d", "m": "d", "l": "d"}, [["a"] + [1] * 3]
    )
    assert wide.text(12) == ("A title of\nsome length\nname  n  m\na     1  1\n\nname  l\na     1")
    assert wide.text(80) == wide.text()
    assert statistics([1.0, 3.0]) == {"best": 3.0, "mean": 2.0, "spread": pytest.approx(2**0.5)}
    assert statistics([1.0])["spread"] is None


def test_speeds_at_the_start(mnist, tmp_path):
    """Of twenty seeds: their range has the book's value.

    The first of four layers is about a hundred times slower than the last.
    """
    (result,) = reproduce(["speeds"], tmp_path)
    for _, _, book, mean, least, most in result.tables[0].rows:
        assert least <= book <= most
        assert least < mean < most
    assert 50 < result.tables[0].rows[-1][3] < 200


@pytest.mark.slow
@POSIX
def test_an_interrupted_part_goes_on(mnist, tmp_path):
    """Ctrl-C in the first training: exit 130, a checkpoint; the same command ends it.

    A second time it is there at once.
    """
    pytest.importorskip("matplotlib", reason="needs matplotlib, of the extra plot")
    command = [sys.executable, "-m", "nbconv", "reproduce", "fc", "--quick", "--out", str(tmp_path)]
    checkpoint = tmp_path / "quick" / "runs" / "fc-0.h5"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert not (tmp_path / "quick" / "results.md").exists()
    assert 0 < nbconv.Network.load(checkpoint).state.epoch < 10
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "fc" in done.stdout
    assert "97.80" in done.stdout
    told = [line for line in done.stderr.splitlines() if line.startswith("fc-0: epoch")]
    assert all(len(line) <= 80 for line in told)
    assert all(" left" in line for line in told[:-1])
    assert f"All results so far: {tmp_path / 'quick' / 'results.md'}" in done.stderr
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout
    assert "epoch" not in again.stderr
    text = (tmp_path / "quick" / "results.md").read_text()
    assert "fall short" in text
    assert "(quick)" in text


@pytest.mark.slow
def test_jobs_with_a_seed_each_share_a_folder(mnist, tmp_path):
    """They run at the same time; the part afterwards finds all trainings done."""
    part = [sys.executable, "-m", "nbconv", "reproduce", "fc", "--quick"]
    jobs = [
        subprocess.Popen(
            [*part, "--runs", "1", "--seed", str(seed)], cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        for seed in (0, 1)
    ]
    assert [job.wait() for job in jobs] == [0, 0]
    runs = tmp_path / "reproduced" / "quick" / "runs"
    before = {path.name: path.read_bytes() for path in runs.glob("*.h5")}
    assert sorted(before) == ["fc-0.h5", "fc-1.h5"]
    for seed in 0, 1:
        subprocess.run([*part, "--seed", str(seed)], cwd=tmp_path, check=True)
    assert {path.name: path.read_bytes() for path in runs.glob("*.h5")} == before


def test_wrong_use(invoke):
    assert (
        "Error: ch7 cannot be reproduced: expected ch5, ch6"
        in invoke("reproduce", "ch7", code=1).stderr
    )
    assert "Missing argument" in invoke("reproduce", code=2).stderr
