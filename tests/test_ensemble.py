"""Ensembles: the vote, the folder, and members trained as processes, stopped and gone on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import numpy as np
import pytest
from conftest import POSIX
from test_cli import same

import nbconv
from nbconv import ensemble
from nbconv.ensemble import FILE
from nbconv.runs import processes
from nbconv.runs import run as runs

SETTINGS = {"net": "4C3-MP2-10N", "eta": 0.3, "epochs": 2}
OPTIONS = [f"--{name}={value}" for name, value in SETTINGS.items()]
LONG = {
    "net": "20C3p1-20C3p1-MP2-50N-10N",
    "activation": "relu",
    "eta": 0.02,
    "dropout": 0.2,
    "expand": True,
    "epochs": 24,  # some seconds: on a busy machine one member begins as much behind the other
}
LONG_OPTIONS = [f"--{name}={value}" for name, value in LONG.items() if name != "expand"] + [
    "--expand",
    "--members=2",
]
NAMES = ("member-1.h5", "member-2.h5")


def answering(*z):
    """A network whose z for an image of three pixels with one lit one is a row of this matrix."""
    network = nbconv.Network([nbconv.Softmax(3)], input_shape=(3,))
    network.set_parameters([{"weights": np.transpose(z), "biases": np.zeros(3)}])
    return network


def start(folder, *arguments):
    """nbconv ensemble train as the leader of a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "nbconv", "ensemble", "train", *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def wait_for(process, pattern):
    """Read a process's lines until one fits."""
    for line in process.stderr:
        if re.search(pattern, line):
            return
    pytest.fail(f"{pattern} was never said")


def children(parent):
    """The ids of the members that a process trains."""
    shown = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return [
        int(pid)
        for pid in re.findall(
            rf"^ *(\d+) +{parent} .* nbconv\.runs\.processes ", shown, re.MULTILINE
        )
    ]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return not state.startswith("Z")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a trained ensemble of three, and that ensemble."""
    folder = tmp_path_factory.mktemp("trained") / "three"
    return folder, ensemble.train(folder, SETTINGS, 3, parallel=2)


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "ensemble")


def test_the_vote():
    """One vote by majority, one by probability, and one by majority again.

    Image 0: two against one, who is surer. Image 1: three answers, the third with the highest mean
    probability. Image 2: two against one.
    """
    z = [
        [[1, 0, 0], [1, 0, 0], [0, 9, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 2]],
        [[0, 0, 9], [0, 9, 0], [0, 0, 9]],
    ]  # by image, network, class
    voting = nbconv.Ensemble([answering(*(image[number] for image in z)) for number in range(3)])
    images, labels = np.eye(3), np.array([0, 2, 2])
    mean = (np.exp(z) / np.exp(z).sum(axis=2, keepdims=True)).mean(axis=1)
    assert mean.argmax(axis=1).tolist() == [1, 2, 2]
    np.testing.assert_allclose(voting.predict_proba(images), mean, rtol=1e-6)
    assert voting.predict(images).tolist() == [0, 2, 2]
    result = voting.evaluate(nbconv.Dataset(images, labels))
    assert (result["correct"], result["total"], result["accuracy"]) == (3, 3, 1.0)
    assert result["mean_probability_accuracy"] == 2 / 3
    assert result["members"] == [2 / 3, 1 / 3, 2 / 3]
    assert result["cost"] == pytest.approx(-np.log(mean[range(3), labels]).mean(), rel=1e-6)
    assert len(voting) == len(list(voting)) == 3


@pytest.mark.parametrize(
    ("last", "cost"), [("softmax", None), ("sigmoid", None), ("sigmoid", "quadratic")]
)
def test_one_network_is_itself(digits, last, cost):
    layer = nbconv.Softmax(10) if last == "softmax" else nbconv.Dense(10, activation=last)
    network = nbconv.Network(
        [nbconv.Dense(20), layer], input_shape=(1, 8, 8), cost=cost, dtype="float64"
    )
    network.fit(digits[0], 2, 10, 0.5)
    alone, result = network.evaluate(digits[2]), nbconv.Ensemble([network]).evaluate(digits[2])
    assert result["cost"] == pytest.approx(alone["cost"], rel=1e-9)
    assert {name: result[name] for name in ("accuracy", "correct", "total")} == {
        name: alone[name] for name in ("accuracy", "correct", "total")
    }
    assert result["mean_probability_accuracy"] == result["members"][0] == alone["accuracy"]


def test_what_is_no_ensemble():
    with pytest.raises(nbconv.SettingError, match="no networks"):
        nbconv.Ensemble([])
    with pytest.raises(nbconv.SettingError, match="network 2 is a str"):
        nbconv.Ensemble([nbconv.Network([3, 2]), "run.h5"])
    for other in (nbconv.Network([4, 2]), nbconv.Network([3, 3])):
        with pytest.raises(
            nbconv.SettingError, match=r"network 2 takes . and has . classes: expected 3 and 2"
        ):
            nbconv.Ensemble([nbconv.Network([3, 2]), other])
    with pytest.raises(nbconv.DataError, match="largest label is 2"):
        nbconv.Ensemble([nbconv.Network([3, 2])]).evaluate(nbconv.Dataset(np.eye(3), [0, 1, 2]))


def test_members_have_the_same_classes():
    nets = [nbconv.Network([3, 2]) for _ in range(3)]
    nets[1].class_names, nets[2].class_names = ("cat", "dog"), ("dog", "cat")
    assert nbconv.Ensemble(nets[:2]).class_names == ("cat", "dog")
    with pytest.raises(nbconv.SettingError, match="network 3 has the classes dog, cat: expected"):
        nbconv.Ensemble(nets)


def test_votes_are_the_networks_answers():
    """Also where neurons are so saturated that their activations are equal."""
    net = nbconv.Network([4, 2])
    net.set_parameters([{"weights": np.zeros((2, 4)), "biases": np.array([20.0, 30.0])}])
    assert np.ptp(net.predict_proba(np.zeros((1, 4)))) == 0
    data = nbconv.Dataset(np.zeros((2, 4)), [1, 1])
    alone = nbconv.Ensemble([net])
    assert alone.predict(data.images).tolist() == net.predict(data.images).tolist() == [1, 1]
    assert alone.evaluate(data)["accuracy"] == 1


def test_saved_and_loaded(trained, tmp_path, digits):
    folder, best = trained
    assert [network.seed for network in best] == [0, 1, 2]
    images = digits[2].images
    last = nbconv.Ensemble.load(folder, weights="last")
    last.save(tmp_path / "copy")
    for weights, before in (("best", best), ("last", last)):
        after = nbconv.Ensemble.load(tmp_path / "copy", weights=weights)
        assert (after.predict_proba(images) == before.predict_proba(images)).all()
    listed = nbconv.Ensemble.from_checkpoints([folder / "member-3.h5", folder / "member-1.h5"])
    assert [network.seed for network in listed] == [2, 0]
    with pytest.raises(nbconv.CheckpointError, match="could not be created"):
        best.save(folder / "member-1.h5")


def damage(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


def rewrite(folder, change):
    record = json.loads((folder / FILE).read_text())
    change(record)
    (folder / FILE).write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "member-2.h5").unlink(),
         "lacks member-2.h5, one of its 3 members"),
        (lambda folder: damage(folder, "member-3.h5"), "member-3.h5 is damaged"),
        (lambda folder: shutil.copy(folder / "member-1.h5", folder / "member-3.h5"),
         "member-3.h5 is not the member"),
        (lambda folder: (folder / FILE).unlink(), "cannot be read"),
        (lambda folder: (folder / FILE).write_text("{"), "is damaged"),
        (lambda folder: (folder / FILE).write_text("[1]"), "is damaged"),
        (lambda folder: rewrite(folder, lambda record: record.update(version=2)),
         "expected 'nbconv ensemble' 1"),
        (lambda folder: rewrite(folder, lambda record: record["members"].pop("member-1.h5")),
         "its members are not"),
        (
            lambda folder: rewrite(
                folder, lambda record: record["members"].update({"member-3.h5": None})
            ),
            "has not finished training",
        ),
        (lambda folder: rewrite(folder, lambda record: record.update(members={"../a.h5": "0"})),
         "its members are not"),
        (lambda folder: rewrite(folder, lambda record: record.update(settings=["eta"])),
         "is damaged"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_whole_ensemble(folder, harm, message):
    harm(folder)
    with pytest.raises(nbconv.CheckpointError, match=message) as error:
        nbconv.Ensemble.load(folder)
    assert "\n" not in str(error.value)


def test_saving_killed_in_between_is_told(folder):
    """The first member is new.

    The others, and the digests, are of the ensemble that was there before.
    """
    nbconv.Network([nbconv.Softmax(10)], input_shape=(1, 8, 8)).save(folder / "member-1.h5")
    with pytest.raises(nbconv.CheckpointError, match=r"member-1\.h5 is not the member"):
        nbconv.Ensemble.load(folder)


@pytest.mark.slow
def test_a_member_that_fails_keeps_no_other(tmp_path):
    jobs = [
        processes.Job(name, {**SETTINGS, "eta": eta}, tmp_path / f"{name}.h5")
        for name, eta in (("bad", 1e30), ("good", 0.3), ("worse", 1e30))
    ]
    lines = []
    with pytest.raises(
        nbconv.NbconvError,
        match=r"^bad failed \(and so did worse, see above\): .* beyond all bounds",
    ):
        processes.train_all(jobs, 3, on_line=lines.append)
    assert [line for line in lines if line.startswith("bad: ")] == [
        line for line in lines if "bad: Error: " in line
    ]
    assert sum(line.startswith("good: epoch") for line in lines) == 2
    assert [job.name for job in processes.unfinished(jobs)] == ["bad", "worse"]


@POSIX
@pytest.mark.slow
def test_a_killed_member_is_told(tmp_path):
    job = processes.Job("long", {**SETTINGS, "epochs": 500}, tmp_path / "long.h5")
    with pytest.raises(nbconv.NbconvError, match=r"^long failed: its process ended with signal 9$"):
        processes.train_all(
            [job],
            on_line=lambda line: [os.kill(pid, signal.SIGKILL) for pid in children(os.getpid())],
        )


@pytest.mark.slow
def test_train_and_eval(command, tmp_path):
    table = command(
        "ensemble", "train", *OPTIONS, "--members", "2", "--jobs", "2", "--seed", "7"
    ).stdout
    again = command("ensemble", "train", *OPTIONS, "--members", "2", "--seed", "7")
    assert again.stdout == table
    assert "epoch" not in again.stderr
    shown = dict(
        re.findall(r"^(member-\d|vote|mean probability) .* (\d+) of 300$", table, re.MULTILINE)
    )
    result = json.loads(command("ensemble", "eval", "ensemble", "--json").stdout)
    assert shown == {
        "member-1": str(round(300 * result["members"][0])),
        "member-2": str(round(300 * result["members"][1])),
        "vote": str(result["correct"]),
        "mean probability": str(round(300 * result["mean_probability_accuracy"])),
    }
    runs.begin({**SETTINGS, "seed": 8}, tmp_path / "alone.h5").go()
    assert same(tmp_path / "alone.h5", tmp_path / "ensemble" / "member-2.h5")
    error = command(
        "ensemble", "train", "--resume=ensemble", "--eta=0.5", code=1
    ).stderr.splitlines()[-1]
    assert error.startswith("Error: ensemble was trained with eta 0.3, and 0.5 was given")
    assert (
        "Usage: " in command("ensemble", "train", "--resume=ensemble", "--out=other", code=2).stderr
    )


@pytest.mark.slow
def test_members_trained_one_by_one(command, tmp_path):
    """By jobs of their own, at the same time; seal names what is missing."""
    jobs = [start(tmp_path, *OPTIONS, "--members=2", f"--member={k}") for k in (1, 2)]
    for number, job in enumerate(jobs, 1):
        said, errors = job.communicate()
        assert job.returncode == 0, errors
        closing = "After all: nbconv ensemble seal ensemble\n"
        assert said == f"member-{number} of 2 is trained. {closing}"
    folder = tmp_path / "ensemble"
    with pytest.raises(nbconv.CheckpointError, match="has not finished training"):
        nbconv.Ensemble.load(folder)
    kept = (folder / "member-2.h5").rename(tmp_path / "kept.h5")
    refused = command("ensemble", "seal", "ensemble", code=1).stderr
    assert "and member-2 are missing or not at their last epoch" in refused
    kept.rename(folder / "member-2.h5")
    before = {path.name: path.read_bytes() for path in folder.glob("*.h5")}
    ensemble.train_member(folder, 2, SETTINGS, 2)
    command("ensemble", "train", "--resume=ensemble", "--member=1")
    assert command("ensemble", "seal", "ensemble").stdout.startswith("ensemble has its 2 members.")
    assert {path.name: path.read_bytes() for path in folder.glob("*.h5")} == before
    assert len(nbconv.Ensemble.load(folder)) == 2
    runs.begin({**SETTINGS, "seed": 1}, tmp_path / "alone.h5").go()
    assert same(tmp_path / "alone.h5", folder / "member-2.h5")
    for number, message in ((3, "member is 3 of 2: expected 1 to 2"), (0, "member is 0: expected")):
        with pytest.raises(nbconv.SettingError, match=message):
            ensemble.train_member(folder, number, SETTINGS, 2)


@pytest.mark.slow
def test_members_of_other_data_are_not_sealed(tmp_path):
    """The data have changed between two jobs."""
    images, labels = np.random.default_rng(0).random((60, 16)), np.arange(60) % 2
    settings = {**SETTINGS, "net": "4N-N", "data": str(tmp_path / "data.npz"), "epochs": 1}
    settings |= {"expand": False}
    for number in (1, 2):
        np.savez(tmp_path / "data.npz", images=images, labels=(labels + number) % 2)
        ensemble.train_member(tmp_path / "two", number, settings, 2)
    with pytest.raises(nbconv.CheckpointError, match=r"member-2\.h5 was trained on other data"):
        ensemble.seal(tmp_path / "two")


def test_going_on_with_something_else_is_refused(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for settings, count, message in (
        ({**SETTINGS, "seed": 1}, 3, "was trained with seed 0, and 1 was given"),
        (SETTINGS, 2, "has 3 members, and 2 were asked for"),
        ({**SETTINGS, "epochs": 1}, 3, "has been trained for 2 epochs, and 1 were asked for"),
    ):
        with pytest.raises(nbconv.CheckpointError, match=message):
            ensemble.train(folder, settings, count)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    nbconv.Ensemble.load(folder).save(folder)
    with pytest.raises(nbconv.CheckpointError, match="saved there, not trained"):
        ensemble.begun(folder, {})
    with pytest.raises(nbconv.CheckpointError, match="could not be created"):
        ensemble.train(folder / FILE, SETTINGS)
    with pytest.raises(nbconv.SettingError, match="eta is -1"):
        ensemble.train(folder, {"eta": -1})


@pytest.mark.slow
def test_nothing_begun_binds_nobody(tmp_path):
    """Settings that failed before the first checkpoint may be mended."""
    for settings in ({**SETTINGS, "net": "4C9-10N"}, {**SETTINGS, "epochs": 1}):
        failing = pytest.raises(nbconv.NbconvError, match=r"member-1 failed: .* does not fit")
        with failing if settings["net"] == "4C9-10N" else nullcontext():
            assert len(ensemble.train(tmp_path / "one", settings, 1)) == 1


@pytest.mark.slow
@POSIX
def test_stopped_and_killed_it_goes_on_to_the_same_bits(tmp_path):
    """Killed, stopped as a terminal does it, by a signal to the group, and stopped by SIGTERM."""
    folder = tmp_path / "ensemble"
    run = start(tmp_path, *LONG_OPTIONS, "--jobs=2")
    for number, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)):
        wait_for(run, "member-2: epoch")
        pids = children(run.pid)
        assert pids
        assert all(os.getpgid(pid) == pid for pid in pids)  # out of a terminal's reach
        time.sleep(0.05)
        (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
        error = run.communicate(timeout=60)[1]
        assert run.returncode == code, error
        if number != signal.SIGKILL:
            assert re.search(
                r"^member-\d: stopped and saved after epoch \d+, mini-batch \d+",
                error,
                re.MULTILINE,
            )
            assert "without saving" not in error
            assert "nbconv ensemble train --resume ensemble" in error
        until = time.monotonic() + (20 if number == signal.SIGKILL else 0)
        while any(map(is_running, pids)):
            assert time.monotonic() < until, "a member lingers"
            time.sleep(0.02)
        assert not list(folder.glob(".*"))
        if number == signal.SIGKILL:
            assert all(
                nbconv.Network.load(folder / name).state.epoch < LONG["epochs"] for name in NAMES
            )
        with pytest.raises(nbconv.CheckpointError, match="has not finished training"):
            nbconv.Ensemble.load(folder)
        run = start(
            tmp_path,
            *(LONG_OPTIONS if number == signal.SIGKILL else ["--resume=ensemble"]),
            "--jobs=2",
        )
    error = run.communicate()[1]
    assert run.returncode == 0, error
    whole = [
        processes.Job(name, {**LONG, "seed": seed}, tmp_path / name)
        for seed, name in enumerate(NAMES)
    ]
    lines = []
    processes.train_all(whole, 2, on_line=lines.append)
    assert max(map(len, lines)) <= 80
    done = [line for line in lines if "trainings done, about " in line]
    assert done[0].startswith(f"1 of {len(NAMES)} trainings done, about ")
    assert len(done) == len(NAMES) - 1
    for name in NAMES:
        assert same(folder / name, tmp_path / name)


@pytest.mark.slow
def test_no_file_of_the_current_folder_is_executed(tmp_path):
    """Children find modules where their parent did, not in the folder someone happens to be in."""
    for module in ("queue", "numba", "json"):
        (tmp_path / f"{module}.py").write_text("open('executed', 'w').close()\n")
    options = ["--members=1", "--net=64-10", "--epochs=1", "--out=e"]
    arguments = ["-P", "-m", "nbconv", "ensemble", "train", *options]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "executed").exists()
