"""--log: a line of JSON for each epoch, into files, pipes and full disks."""

import json
import os
import subprocess
import sys

from conftest import LINUX, POSIX
from nbconv.cli.progress import Log

import nbconv
from nbconv import files

FAST = ("--net", "4C3-MP2-10N", "--eta", "0.05", "--epochs", "3")


def test_a_log_has_a_line_for_each_epoch(invoke, tmp_path):
    """Appended when a run goes on; that of another run is kept; NaN is null."""
    log = "--log", "run.jsonl"
    invoke("train", *FAST[:4], "--epochs", 2, *log)
    invoke("train", "--resume", "run.h5", "--epochs", 3, *log)
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    history = nbconv.Network.load(tmp_path / "run.h5").history
    for name, numbers in history.items():
        assert [line[name] for line in lines] == numbers
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert all(line["threads"] >= 1 for line in lines)
    before = (tmp_path / "run.jsonl").read_bytes()
    invoke("train", *FAST, *log, "--eta", "1e30", code=1)
    assert (tmp_path / "run.jsonl").read_bytes() == before
    said = invoke("train", *FAST, *log, "--monitor-layers").stderr
    assert "The file that was at run.jsonl is now run.jsonl.old\n" in said
    assert (tmp_path / "run.jsonl.old").read_bytes() == before
    assert "speed_2" in json.loads((tmp_path / "run.jsonl").read_text().splitlines()[2])
    Log(tmp_path / "nan.jsonl", is_new=True).epoch_done(
        {"epoch": 1.0, "threads": 0.0, "cost": float("nan"), "test_cost": float("inf")}
    )
    assert json.loads((tmp_path / "nan.jsonl").read_text()) == {
        "epoch": 1, "threads": 0, "cost": None, "test_cost": None,
    }  # fmt: skip


@POSIX
def test_places_where_no_log_can_be_written(invoke, tmp_path):
    """They are found before the training."""
    (tmp_path / "folder").mkdir()
    for place in ("no/run.jsonl", "folder"):
        error = invoke("train", *FAST, "--log", place, code=1).stderr
        assert error.startswith(f"Error: log is {place}, which cannot be written: ")
    assert "expected two files" in invoke("train", *FAST, "--log", "./run.h5", code=2).stderr
    assert os.listdir(tmp_path) == ["folder"]


def test_a_log_that_another_run_writes(invoke, tmp_path):
    with files.claimed(tmp_path / "run.jsonl", "--log"):
        error = invoke("train", *FAST, "--log", "run.jsonl", code=1).stderr
    assert "run.jsonl is being written by another run" in error
    assert error.endswith("choose another --log\n")
    invoke("train", *FAST, "--log", "run.jsonl")
    assert sorted(os.listdir(tmp_path)) == ["run.h5", "run.jsonl"]


@LINUX
def test_a_log_on_a_full_disk_does_not_end_the_training(invoke, tmp_path, monkeypatch):
    said = invoke("train", *FAST, "--log", "/dev/full").stderr
    told = "/dev/full cannot be written any more: No space left on device; the training goes on"
    assert said.count(told) == 1
    assert nbconv.Network.load(tmp_path / "run.h5").state.epoch == 3
    # A disk that takes only a part of a line: that part does not stay.
    place = tmp_path / "run.jsonl"
    log = Log(place, is_new=True)
    log.epoch_done({"epoch": 1.0, "threads": 1.0})
    first = place.read_bytes()
    script = f"""
import resource, signal
from pathlib import Path
from nbconv.cli.progress import Log
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(first) + 5}, {len(first) + 5}))
Log(Path({str(place)!r}), is_new=False).epoch_done({{"epoch": 2.0, "threads": 1.0}})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "run.jsonl cannot be written any more" in done.stderr
    assert place.read_bytes() == first


@POSIX
def test_a_log_into_a_pipe(invoke, tmp_path):
    """Its reader gets all lines; without one the training goes on."""
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
    with open(tmp_path / "pipe", "w"):  # so that the reader is there before the training
        invoke("train", *FAST, "--log", "pipe")
    assert [json.loads(line)["epoch"] for line in reader.communicate()[0].splitlines()] == [1, 2, 3]
    said = invoke("train", *FAST, "--out", "two.h5", "--log", "pipe").stderr
    assert "pipe cannot be written any more: No such device or address" in said
