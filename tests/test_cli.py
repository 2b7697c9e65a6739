"""The command line: output, exit codes, resuming, bad input.

Signals, disks and the terminal as real processes.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import LINUX, POSIX
from nbconv.cli import main

import nbconv
from nbconv import child, files
from nbconv.runs import run as runs
from nbconv.training import history

FAST = ("--net", "4C3-MP2-10N", "--eta", "0.05", "--epochs", "3")
FULL = (
    "--net", "4C3-MP2-20N-10N", "--activation", "relu", "--eta", "0.02", "--dropout", "0.2",
    "--momentum", "0.5", "--nesterov", "--expand", "--lmbda", "0.1", "--schedule", "cosine:5",
    "--mini-batch-size", "7",
)  # fmt: skip


def weights(path):
    """Everything that training made: the arrays of a checkpoint, times left out."""
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: arrays.update(
                {name: item[()]} if isinstance(item, h5py.Dataset) else {}
            )
        )
    return {name: array for name, array in arrays.items() if name != "history/seconds"}


def same(one, other):
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name], equal_nan=True) for name in one
    )


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    """The checkpoint of `nbconv train` with FAST."""
    path = tmp_path_factory.mktemp("fast") / "run.h5"
    runs.begin({"net": FAST[1], "eta": 0.05, "epochs": 3}, path).go()
    return path


@pytest.fixture
def run(fast, tmp_path):
    """A copy of it where commands look for one."""
    return shutil.copy(fast, tmp_path / "run.h5")


def test_train_eval_inspect_predict(command, invoke, tmp_path):
    done = command("train", *FAST)
    accuracy, right = re.search(
        r"Test accuracy ([\d.]+) % \((\d+) of 300\) at epoch \d", done.stdout
    ).groups()
    assert "Checkpoint: run.h5" in done.stdout
    assert "nbconv inspect run.h5" in done.stdout
    assert len(re.findall(r"^epoch \d/3  cost ", done.stderr, re.MULTILINE)) == 3
    assert "\r" not in done.stderr + done.stdout
    assert "\x1b" not in done.stderr + done.stdout
    evaluated = invoke("eval", "run.h5").stdout
    assert evaluated.startswith(f"{accuracy} % right: {right} of 300 test images of digits")
    inspected = invoke("inspect", "run.h5").stdout
    assert "4C3 (Conv2D, sigmoid)" in inspected
    assert "best" in inspected
    np.save(tmp_path / "five.npy", np.asarray(nbconv.load_data("digits")[2].images)[:5])
    rows = invoke("predict", "run.h5", "five.npy").stdout.splitlines()
    assert len(rows) == 6
    labels = nbconv.Network.load(tmp_path / "run.h5", weights="best").predict(
        np.load(tmp_path / "five.npy")
    )
    assert [int(row.split()[1]) for row in rows[1:]] == labels.tolist()


def test_inspect_fits_a_terminal(invoke, run, tmp_path):
    """Percent, seconds with a decimal, the settings that were given: in 80 columns."""
    shown = invoke("inspect", "run.h5").stdout
    assert max(map(len, shown.splitlines())) <= 80
    settings = shown.split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in settings] == ["net", "data", "epochs", "eta", "(all"]
    head, *rows = shown.split("\n\n")[2].splitlines()
    assert re.split(r"  +", head.strip()) == [
        "epoch", "cost", "validation", "test, best epoch", "seconds",
    ]  # fmt: skip
    assert [re.sub(r"\d+", "0", row).split()[:7] for row in rows] == [
        ["0", "0.0", "0.0", "%", "0.0", "%", "0.0"]
    ] * 3
    assert sum(row.endswith("best") for row in rows) == 1
    nbconv.Network([64, 10]).save(tmp_path / "new.h5")
    assert "epoch" not in invoke("inspect", "new.h5").stdout


def test_inspect_shows_what_was_monitored(invoke, tmp_path):
    """A row for each layer with parameters, of the last epoch."""
    invoke("train", *FAST[:2], "--activation", "relu", "--epochs", 2, "--monitor-layers")
    table = invoke("inspect", "run.h5").stdout.partition("each layer with parameters:\n")[2]
    head, *rows = table.splitlines()
    assert re.split(r"  +", head) == ["layer", "speed |dC/db|", "|dC/dw|", "|w|", "dead"]
    assert [row[:6] for row in rows] == ["1: 4C3", "2: 10N"]
    history = nbconv.Network.load(tmp_path / "run.h5").history
    speed, gradient, weight, dead, _ = rows[0].split()[2:]
    for shown, name in ((speed, "speed"), (gradient, "gradient_norm"), (weight, "weight_norm")):
        assert float(shown) == pytest.approx(history[f"{name}_1"][-1], rel=1e-3)
    assert float(dead) == pytest.approx(100 * history["dead_1"][-1], abs=0.01)


def test_an_epoch_s_line_fits():
    """What matters least is left out first; all epochs' lines lack the same."""
    metrics = {
        "epoch": 3.0, "cost": 0.12, "validation_accuracy": 0.9767, "test_accuracy": 0.9633,
        "seconds": 0.4, "threads": 2.0,
    }  # fmt: skip
    whole = "epoch  3/60  cost 0.1200  validation 97.67 %  test 96.33 %  0.4 s, 2 threads"
    assert history.line(metrics, 60) == history.line(metrics, 60, width=len(whole)) == whole
    assert history.line(metrics, 60, width=len(whole) - 1) == whole.removesuffix(", 2 threads")
    short = "epoch  3/60  validation 97.67 %  test 96.33 %"
    assert history.line(metrics, 60, width=50) == short
    assert history.line(metrics, 60, left=4350.0, width=62) == f"{short}  1 h 12 min left"
    assert history.line(metrics, 60, left=5.0, width=62) == f"{short}  5 s left"
    assert history.line(metrics, 60, left=0.0, width=62) == short


@pytest.mark.slow
def test_json_is_one_document(command, invoke):
    trained = json.loads(command("train", *FAST, "--out", "a.h5", "--json").stdout)
    assert trained["epochs"] == 3
    assert trained["checkpoint"] == "a.h5"
    assert len(trained["history"]["validation_accuracy"]) == 3
    evaluated = json.loads(invoke("eval", "a.h5", "--json").stdout)
    assert evaluated["accuracy"] == trained["test_accuracy"]
    assert evaluated["total"] == 300
    last = json.loads(
        invoke("eval", "a.h5", "--weights", "last", "--split", "validation", "--json").stdout
    )
    assert last["accuracy"] == trained["history"]["validation_accuracy"][-1]
    inspected = json.loads(invoke("inspect", "a.h5", "--json").stdout)
    assert inspected["history"] == trained["history"]
    assert inspected["settings"]["eta"] == 0.05
    predicted = json.loads(invoke("predict", "a.h5", "digits", "--json").stdout)
    assert len(predicted) == 300
    assert set(predicted[0]) == {
            "image", "name", "label", "class", "probability", "top", "done", "doubt",
        }  # fmt: skip
    found = json.loads(invoke("doctor", "--json").stdout)
    assert found["numba"]


def test_a_configuration_file(invoke, tmp_path):
    (tmp_path / "run.toml").write_text(
        '\ufeffnet = "4C3-MP2-10N"\nmini-batch-size = 20\nepochs = 5\neta = 0.05\n'
    )  # with the mark that editors on Windows write
    settings = json.loads(invoke("train", "run.toml", "--epochs", "2", "--json").stdout)["settings"]
    assert (settings["net"], settings["mini_batch_size"], settings["epochs"]) == (
        "4C3-MP2-10N",
        20,
        2,
    )
    (tmp_path / "bad.toml").write_text("speed = 3\n")
    said = invoke("train", "bad.toml", code=1).stderr
    assert "speed is not a setting: did you mean seed?" in said
    (tmp_path / "bad.toml").write_text("speed = = 3\n")
    assert "cannot be read as TOML" in invoke("train", "bad.toml", code=1).stderr
    (tmp_path / "bad.toml").write_text("mini-batch-size = 20\nmini_batch_size = 10\n")
    said = invoke("train", "bad.toml", code=1).stderr
    assert "bad.toml has both mini-batch-size and mini_batch_size: expected one of them" in said
    (tmp_path / "bad.toml").write_text("find-eta = true\n")
    said = invoke("train", "bad.toml", code=1).stderr
    assert "find_eta is an option of the command and no setting of the training" in said
    said = invoke("train", "conv", code=1).stderr
    assert "cannot be read (No such file or directory): did you mean --net conv?" in said
    assert "none.toml" in invoke("train", "none.toml", code=1).stderr


def test_what_is_no_configuration_file(invoke, run, tmp_path):
    """Data, or a checkpoint, in its place."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "data.csv").write_text("label,a,b\n1,2,3\n")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = np.zeros((2, 3, 3))
    for name in ("digits", "fashion-mnist", "photos", "data.csv", "data.h5"):
        said = invoke("train", name, code=1).stderr
        assert said.endswith(f": did you mean --data {name}?\n")
    said = invoke("train", "run.h5", code=1).stderr
    assert said.endswith(": did you mean --resume run.h5?\n")


@pytest.mark.slow
def test_resume_has_the_same_bits(command, invoke, tmp_path):
    invoke("train", *FULL, "--epochs", "5", "--out", "whole.h5")
    command("train", *FULL, "--epochs", "2", "--out", "part.h5")
    command("train", "--resume", "part.h5", "--epochs", "5", "--threads", "1")
    assert same(tmp_path / "whole.h5", tmp_path / "part.h5")
    finished = invoke("train", "--resume", "part.h5", code=1).stderr
    assert "has finished its 5 epochs: expected --epochs 6 or more" in finished
    invoke("train", "--resume", "part.h5", "--epochs", "6", "--out", "other.h5", *FULL)
    assert h5py.File(tmp_path / "other.h5")["training"].attrs["epoch"] == 6
    assert h5py.File(tmp_path / "part.h5")["training"].attrs["epoch"] == 5


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [("--eta", "0.5", "eta"), ("--net", "5C3-MP2-10N", "net"), ("--seed", "3", "seed"),
     ("--activation", "tanh", "activation"), ("--mini-batch-size", "11", "mini_batch_size"),
     ("--dropout", "0.1", "dropout")],
)  # fmt: skip
def test_resume_with_other_settings_is_refused(invoke, run, option, value, name):
    before = run.read_bytes()
    error = invoke("train", "--resume", "run.h5", "--epochs", "5", option, value, code=1).stderr
    assert f"was trained with {name} " in error
    assert value in error
    assert run.read_bytes() == before


def test_an_activation_that_an_old_run_ignored(invoke, tmp_path):
    """The shorthand has sigmoid neurons; a run whose settings say otherwise goes on."""
    shorthand = "--net", "64-10", "--epochs", 1
    said = invoke("train", *shorthand, "--activation", "relu", code=1).stderr
    assert said.startswith("Error: activation is 'relu' with net '64-10': expected sigmoid, or")
    invoke("train", *shorthand)
    network = nbconv.Network.load(tmp_path / "run.h5")
    network.state.run["activation"] = "relu"
    network.save(tmp_path / "run.h5")
    invoke("train", "--resume", "run.h5", "--epochs", 2)


def test_resume_needs_the_same_data(invoke, tmp_path):
    images, labels = np.zeros((70, 6, 6), np.uint8), np.arange(70) % 10
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    invoke("train", *FAST, "--data", "own.npz")
    np.savez(tmp_path / "own.npz", images=images + 1, labels=labels)
    assert (
        "was trained on other data"
        in invoke("train", "--resume", "run.h5", "--epochs", "4", code=1).stderr
    )


def test_a_run_on_other_data_is_not_taken_for_finished(invoke, tmp_path):
    """A part of an ensemble or a chapter: nobody looks into the data before it is skipped."""
    images, labels = np.zeros((70, 6, 6), np.uint8), np.arange(70) % 10
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    invoke("train", *FAST, "--data", "own.npz")
    state = nbconv.Network.load(tmp_path / "run.h5").state
    assert runs.is_finished(tmp_path / "run.h5", state.run)
    with pytest.raises(nbconv.CheckpointError, match="was trained with data"):
        runs.is_finished(tmp_path / "run.h5", state.run | {"data": "digits"})


def test_data_that_moved_is_found_by_what_is_in_it(invoke, tmp_path):
    numbers = np.random.default_rng(0)
    images, labels = numbers.integers(0, 256, (70, 6, 6), np.uint8), np.arange(70) % 10
    np.savez(tmp_path / "own.npz", images=images, labels=labels)
    invoke("train", *FAST, "--data", "own.npz", "--out", "moved.h5")
    invoke("train", *FAST, "--data", "own.npz", "--out", "whole.h5")
    (tmp_path / "there").mkdir()
    (tmp_path / "own.npz").rename(tmp_path / "there" / "own.npz")
    assert (
        "own.npz, which is not there: expected it, or --data and where it is now"
        in invoke("train", "--resume", "moved.h5", "--epochs", "4", code=1).stderr
    )
    invoke("train", "--resume", "moved.h5", "--epochs", "4", "--data", "there/own.npz")
    invoke("train", "--resume", "whole.h5", "--epochs", "4", "--data", "there/own.npz")
    assert same(tmp_path / "moved.h5", tmp_path / "whole.h5")
    assert nbconv.Network.load(tmp_path / "moved.h5").state.run["data"] == str(
        tmp_path / "there" / "own.npz"
    )


@POSIX
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.slow
def test_closed_streams(tmp_path, closed):
    """A training is trained and saved, and no file is written into in their place."""
    script = f'"{sys.executable}" -m nbconv train --net 64-10 --epochs 1 {closed}'
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert nbconv.Network.load(tmp_path / "run.h5").state.epoch == 1
    assert os.listdir(tmp_path) == ["run.h5"]


@POSIX
@pytest.mark.slow
def test_an_ignored_signal_stays_ignored(tmp_path):
    """As under nohup: the terminal that goes away does not end the training."""
    script = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "from nbconv.__main__ import run; run()"
    )
    command = [sys.executable, "-c", script, "train", "--net", "64-10", "--epochs", "30"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch  2/"):
                process.send_signal(signal.SIGHUP)
    assert process.returncode == 0


def test_a_checkpoint_cannot_write_to_the_terminal(invoke, tmp_path):
    """Names and values in it are shown without the letters that a terminal obeys."""
    net = nbconv.Network([64, 10])
    net.fit(nbconv.load_data("digits")[0], 1, 10, 0.1)
    net.state.run = {"net": "64-10", "data": "\x1b]0;title\x07\x1b[2Jdigits"}
    net.save(tmp_path / "run.h5")
    for arguments in (["inspect"], ["eval"], ["train", "--resume"]):
        done = CliRunner().invoke(main, [*arguments, str(tmp_path / "run.h5")])
        assert "\x1b" not in done.output
        assert "\x07" not in done.output
    assert "data   ]0;title  [2Jdigits" in invoke("inspect", "run.h5").stdout


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143), (1, 129)])
def test_a_signal_saves_and_the_run_can_be_resumed(command, invoke, tmp_path, number, code):
    net = ("--net", "20C3-MP2-50N-10N", "--epochs", "8", *FULL[2:], "--threads", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "nbconv", "train", *net, "--out", "stopped.h5"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith("epoch 2/"):
            break
    time.sleep(0.1)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Stopped and saved after epoch" in error
    assert "nbconv train --resume stopped.h5" in error
    with h5py.File(tmp_path / "stopped.h5") as file:
        assert file["training"].attrs["epoch"] < 8
    command("train", "--resume", "stopped.h5", "--threads", "1")
    invoke("train", *net, "--out", "whole.h5")
    assert same(tmp_path / "stopped.h5", tmp_path / "whole.h5")


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("number", [15, 1])
@pytest.mark.parametrize("is_member", [False, True])
def test_a_signal_before_the_training_leaves_no_lock(tmp_path, is_member, number):
    """Of a run of its own, and of a process that trains a run for another one."""
    lock, out = tmp_path / ".run.h5.lock", tmp_path / "run.h5"
    job = {"settings": {"net": "64-10"}, "out": str(out), "backend": "cpu", "threads": 1}
    command = (
        child.command("nbconv.runs.processes", json.dumps({**job, "width": 80}))
        if is_member
        else [sys.executable, "-m", "nbconv", "train", "--net", "64-10", "--out", str(out)]
    )
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while not lock.exists():
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait() == 128 + number
    assert not lock.exists()


@POSIX
@pytest.mark.parametrize(
    ("columns", "moving"),
    [
        (120, r"epoch 1/3 \[#* *\] [\d,]+ images/s, \d+ s left"),
        (60, r"epoch 1/3 \[#* *\] \d+ s left|epoch 1/3 \[#* *\] [\d,]+ images/s, \d+ s left"),
        (50, r"epoch 1/3 \[#* *\] \d+ s left"),
    ],
)
@pytest.mark.slow
def test_a_terminal_sees_progress(tmp_path, columns, moving):
    """On a terminal: a moving line with images per second and time left, which fits."""
    import fcntl
    import pty
    import struct
    import termios

    read, write = pty.openpty()
    fcntl.ioctl(write, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "nbconv", "train", "--net", "20C3-MP2-50N-10N", "--epochs", "3",
         "--expand"],
        cwd=tmp_path, stdin=write, stdout=write, stderr=write,
    )  # fmt: skip
    os.close(write)
    seen = b""
    while True:
        try:
            part = os.read(read, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(read)
    assert process.wait() == 0
    text = seen.decode()
    shown = re.findall(r"\r\x1b\[K([^\r]+)", text)
    assert any(re.fullmatch(moving, line) for line in shown)
    assert all(len(line) < columns for line in shown)
    assert sum(line.startswith("epoch 3/3  ") for line in shown) == 1
    assert "Test accuracy" in text


def test_an_old_checkpoint_in_the_way_is_kept(invoke, run, tmp_path):
    old = run.read_bytes()
    done = invoke("train", *FAST, "--seed", "1")
    assert (tmp_path / "run.h5.old").read_bytes() == old
    assert done.stderr.count("The file that was at run.h5 is now run.h5.old\n") == 1
    second = run.read_bytes()
    assert second != old
    done = invoke("train", *FAST, "--seed", "2")
    assert "The file that was at run.h5 is now run.h5.old2\n" in done.stderr
    assert (tmp_path / "run.h5.old").read_bytes() == old
    assert (tmp_path / "run.h5.old2").read_bytes() == second
    assert "that was" not in invoke("train", "--resume", "run.h5", "--epochs", "4").stderr


def test_divergence_is_one_line_and_keeps_the_checkpoint(invoke, tmp_path):
    error = invoke("train", *FAST, "--eta", "1e30", code=1).stderr.splitlines()[-1]
    assert re.match(
        r"Error: .* beyond all bounds in epoch 1, mini-batch \d+ .*try a smaller eta", error
    )
    assert not (tmp_path / "run.h5").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--net", "4C3-MQ2-10N"), "position 5: 'MQ2'"),
        (("train", "--net", "4C9-10N"), "kernel does not fit"),
        (("train", "--net", "4C3-MP7-10N"), "pooling window does not fit"),
        (("train", "--net", "4C3-5N"), "largest label is 9"),
        (("train", "--eta", "nan"), "eta is nan"),
        (("train", "--eta", "-1"), "eta is -1.0"),
        (("train", "--epochs", "0"), "epochs is 0"),
        (("train", "--mini-batch-size", "2000"), "at most the 1197 training images"),
        (("train", "--dropout", "1.0"), "dropout is 1.0"),
        (("train", "--backend", "cuda"), "backend 'cuda' is not there"),
        (("train", "--threads", "1000"), "threads is 1000"),
        (("train", "--threads", "0"), "threads is 0"),
        (("train", "--data", "none.npz"), "none.npz does not exist"),
        (("train", "--schedule", "warm"), "schedule is 'warm'"),
        (("train", "--out", "/"), "is a folder"),
        (("train", "--out", "no/such/run.h5"), "could not be saved"),
        (("train", "--resume", "none.h5"), "none.h5 does not exist"),
        (("eval", "none.h5"), "none.h5 does not exist"),
        (("inspect", "."), "is a folder"),
        (("predict", "none.h5", "none.npy"), "none.h5 does not exist"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(invoke, tmp_path, arguments, message):
    done = invoke(*arguments, code=1)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert done.stderr.splitlines()[-1] == errors[0]
    assert not list(tmp_path.glob("*.h5*"))


@pytest.mark.parametrize(
    "arguments",
    [("trian",), ("train", "--dtype", "float16"), ("train", "--epochs", "two"), ("eval",)],
)
def test_wrong_usage_exits_with_2(invoke, arguments):
    assert "Usage: nbconv" in invoke(*arguments, code=2).stderr


def test_a_process_ends_with_the_exit_code(command):
    error = command("train", "--epochs", "0", code=1).stderr
    assert error == "Error: epochs is 0: expected a whole number of 1 or more\n"
    assert command("trian", code=2).stderr.startswith("Usage: nbconv")


@LINUX
@pytest.mark.parametrize("arguments", [("doctor",), ("predict", "run.h5", "digits")])
def test_full_output_is_one_line(run, arguments):
    """Standard output on a full disk."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nbconv", *arguments],
            cwd=run.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: standard output could not be written: No space left on device; choose another "
        "place for it"
    )


@LINUX
@pytest.mark.parametrize("place", ["/dev/full", "a pipe without a reader"])
def test_progress_that_cannot_be_shown_ends_no_training(place, tmp_path):
    """A log on a full disk, a terminal that was closed, `nbconv train 2>&1 >/dev/null | head`."""
    if place == "/dev/full":
        errors = os.open(place, os.O_WRONLY)
    else:
        reader, errors = os.pipe()
        os.close(reader)
    command = [sys.executable, "-m", "nbconv", "train", *FAST]
    done = subprocess.run(command, cwd=tmp_path, stderr=errors, stdout=subprocess.PIPE, check=False)
    os.close(errors)
    assert done.returncode == 0
    assert b"Test accuracy" in done.stdout
    assert nbconv.Network.load(tmp_path / "run.h5").state.epoch == 3


def test_a_run_that_python_has_trained_on(invoke, tmp_path, digits, fast):
    """The settings are those of the last training, and nbconv train does not go on with it."""
    train, validation, _ = digits
    shutil.copy(fast, tmp_path / "run.h5")
    net = nbconv.Network.load(tmp_path / "run.h5")
    net.fit(train, 1, 20, 0.01, validation=validation, momentum=0.5)
    net.save(tmp_path / "run.h5")
    shown = json.loads(invoke("inspect", "run.h5", "--json").stdout)["settings"]
    assert (shown["eta"], shown["momentum"], shown["mini_batch_size"]) == (0.01, 0.5, 20)
    error = invoke("train", "--resume", "run.h5", "--epochs", 9, code=1).stderr
    assert "was not written by this nbconv train" in error


@pytest.mark.parametrize(
    "command", [("export",), ("report",), ("demo",), ("plot", "curves"), ("eval",), ("inspect",)]
)
def test_a_folder_in_the_place_of_a_checkpoint(invoke, command):
    for folder in (".", "/"):
        said = invoke(*command, folder, code=1).stderr
        assert said == f"Error: {folder} is a folder: expected a checkpoint, such as run.h5\n"


def test_class_names_that_the_output_s_encoding_lacks(tmp_path):
    images, names = np.random.default_rng(0).random((20, 16)), ["Äpfel", "日本"] * 10
    net = nbconv.Network([16, 2])
    net.fit(nbconv.Dataset(images, names), 1, 10, 0.1)
    net.save(tmp_path / "run.h5")
    done = subprocess.run(
        [sys.executable, "-m", "nbconv", "inspect", tmp_path / "run.h5"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Äpfel".encode("latin-1") in done.stdout
    assert rb"\u65e5\u672c" in done.stdout


@pytest.mark.slow
def test_gradcheck_and_doctor(invoke):
    table = invoke("gradcheck").stdout
    assert "max pooling, overlapping" in table
    assert "within 1e-06" in table
    found = invoke("doctor").stdout
    for topic in ("numba", "threads", "threading layer", "kernel cache", "mnist", "cuda", "cpu"):
        assert re.search(rf"^{topic} ", found, re.MULTILINE), topic


def test_shell_completion(command):
    done = command(env={**os.environ, "_NBCONV_COMPLETE": "bash_source"})
    assert "complete" in done.stdout


def test_what_is_in_the_way_is_lost_by_no_failed_run(invoke, run, tmp_path):
    invoke("train", *FAST, "--seed", "1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"run.h5", "run.h5.old"}
    invoke("train", *FAST, "--mini-batch-size", "99999", code=1)
    invoke("train", *FAST, "--eta", "1e30", code=1)
    invoke("train", *FAST, "--epochs", "0", code=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_resuming_into_another_file_keeps_that_file(invoke, run, tmp_path):
    (tmp_path / "notes.txt").write_text("important")
    invoke("train", "--resume", "run.h5", "--epochs", "4", "--out", "notes.txt")
    assert (tmp_path / "notes.txt.old").read_text() == "important"


@POSIX
def test_no_ordinary_file_is_replaced(invoke, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in invoke("train", *FAST, "--out", "pipe", code=1).stderr
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    "line", ["net = 5", "data = 5", 'epochs = "3"', 'expand = "no"', "eta = true", "patience = 1.5"]
)
def test_wrong_types_in_a_configuration_file(invoke, tmp_path, line):
    (tmp_path / "run.toml").write_text(line)
    assert "expected" in invoke("train", "run.toml", code=1).stderr


def test_a_home_in_a_path(invoke, tmp_path, monkeypatch):
    np.savez(tmp_path / "own.npz", images=np.zeros((70, 6, 6), np.uint8), labels=np.arange(70) % 10)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    invoke("train", "--net", "10N", "--epochs", "1", "--data=~/own.npz")


def test_a_schedule_without_length_is_not_stretched(invoke):
    invoke("train", *FAST, "--schedule", "cosine")
    assert (
        "--schedule cosine:6"
        in invoke("train", "--resume", "run.h5", "--epochs", "6", code=1).stderr
    )


@pytest.mark.slow
def test_two_runs_into_one_file(tmp_path, command):
    """The second one is told, and changes nothing."""
    arguments = "train", "--net", "64-10", "--epochs", "2", "--out", "same.h5"
    with files.claimed(tmp_path / "same.h5"):
        done = command(*arguments, code=1)
    assert done.stderr.splitlines()[-1] == (
        "Error: same.h5 is being written by another run: wait until that ends, or choose another "
        "--out"
    )
    assert os.listdir(tmp_path) == []
    command(*arguments)
    assert os.listdir(tmp_path) == ["same.h5"]


@pytest.mark.slow
def test_compiling_is_announced_once(command, tmp_path):
    nbconv.Network([64, 10]).save(tmp_path / "new.h5")
    cold = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    evaluate = "eval", "new.h5", "--data", "digits"
    assert command(*evaluate, env=cold).stderr.count("Compiling kernels") == 1
    assert "Compiling kernels" not in command(*evaluate, env=cold).stderr


@pytest.mark.slow
def test_without_any_setting_it_learns(invoke, tmp_path):
    """What a newcomer sees first: 98 % of the embedded digits."""
    done = invoke("train", "--out", tmp_path / "run.h5", "--json")
    result = json.loads(done.stdout)
    assert result["network"] == "20C3p1-MP2-40C3p1-MP2-100N-10N"
    assert result["test_accuracy"] >= 0.98
    assert "eta 0.002, by default" in done.stderr


def test_the_last_layer_comes_from_the_labels(invoke, tmp_path):
    """It is in the checkpoint with its number, and the same command goes on."""
    images, labels = np.random.default_rng(0).random((60, 1, 6, 6)), np.arange(60) % 7
    np.savez(tmp_path / "seven.npz", images=images, labels=labels)
    common = ("train", "--data", tmp_path / "seven.npz", "--epochs", 1)
    for net, full in (("4C3-MP2", "4C3-MP2-7N"), ("4C3-9N-N", "4C3-9N-7N"), ("9N-N", "9N-7N")):
        path = tmp_path / "run.h5"
        invoke(*common, "--net", net, "--out", path)
        assert nbconv.Network.load(path).notation == full
        invoke("train", "--resume", path, "--net", net, "--epochs", 2)
    wrong = invoke(*common, "--net", "4C3-9N", code=1)
    assert "ends in 9 neurons" in wrong.stderr
    assert "has 7 classes: expected 7N as the last layer, or N" in wrong.stderr


def test_a_few_images_are_one_mini_batch(invoke, tmp_path, caplog):
    """Unless a mini-batch's size was given: by option, file or experiment."""
    images, labels = np.random.default_rng(0).random((12, 6, 6)), np.arange(12) % 2
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    (tmp_path / "run.toml").write_text("mini_batch_size = 10\n")
    common = "train", "--data", "few.npz", "--epochs", 1
    invoke(*common, "--net", "N", "--expand")  # 40 images with those that are moved
    assert not any("mini_batch_size" in line for line in caplog.messages)
    invoke(*common, "--net", "N")
    assert caplog.messages[-1] == "mini_batch_size is 8, as there are no more training images"
    assert runs.resume(tmp_path / "run.h5", {"epochs": 2}).arguments["mini_batch_size"] == 8
    for given in (("--net", "N", "--mini-batch-size", 10), ("--net", "N", "run.toml")):
        refused = invoke(*common, *given, code=1).stderr
        assert "mini_batch_size is 10: expected at most the 8 training images" in refused


def test_one_class_is_nothing_to_learn(invoke, tmp_path):
    np.savez(tmp_path / "one.npz", images=np.zeros((30, 6, 6)), labels=np.zeros(30, int))
    said = invoke("train", "--data", tmp_path / "one.npz", code=1).stderr
    assert "one.npz has images of one class: expected two or more" in said


def test_the_data_are_not_replaced_by_the_checkpoint(invoke, tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["labels"] = (
            np.random.default_rng(0).random((60, 6, 6)),
            np.arange(60) % 3,
        )
    before = path.read_bytes()
    said = invoke("train", "--data", path, "--net", "3N", "--out", path, code=1).stderr
    assert "data.h5, which has the data: expected another file" in said
    assert path.read_bytes() == before


def test_find_eta_chooses_it(invoke, tmp_path):
    path = tmp_path / "run.h5"
    done = invoke("train", *FAST[:2], "--epochs", 1, "--find-eta", "--out", path)
    assert ", found by short trainings" in done.stderr
    eta = nbconv.Network.load(path).state.run["eta"]
    assert f"eta {eta:g}, found" in done.stderr
    assert 0.01 < eta < 10
    for arguments in (("--eta", 0.1), ("--resume", path)):
        refused = invoke("train", "--find-eta", *arguments, code=2)
        assert "leave --resume and --eta out" in refused.stderr
