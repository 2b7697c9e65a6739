"""Checkpoints: they come back to the bit, are whole whenever the process is killed, and no damaged one gets in."""

import hashlib
import json
import math
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbconv
from nbconv import (
    AvgPool2D,
    CheckpointError,
    Conv2D,
    Dense,
    DivergedError,
    Interrupted,
    MaxPool2D,
    Network,
    Softmax,
    backend,
)
from nbconv.checkpoint import file as checkpoint
from nbconv.training import loop as training

FIT = {
    "mini_batch_size": 7,
    "eta": 0.05,
    "lmbda": 0.1,
    "momentum": 0.5,
    "nesterov": True,
    "schedule": "cosine",
}
pytestmark = pytest.mark.usefixtures("one_thread")
ONLY_ROOT = pytest.mark.skipif(
    os.getuid() != 0, reason="needs root to become another user, or to mount"
)


@pytest.fixture(scope="module")
def one_thread():
    """These networks are too small for more."""
    backend.set_threads(1)
    yield
    backend.set_threads(backend.thread_limit())


@pytest.fixture(scope="module")
def few():
    """So few digits that an epoch takes no time: training, validation, test."""
    train, validation, test = nbconv.load_data("digits")
    return train[:60], validation[:40], test[:40]


def network(dtype="float32"):
    layers = [
        Conv2D(3, (3, 2), padding=1, activation="relu"), MaxPool2D(2), Conv2D(2, 2, stride=(1, 2), activation="tanh"),
        AvgPool2D(2, 1), Dense(9, dropout=0.3), Softmax(10, dropout=0.2),
    ]  # fmt: skip
    return Network(layers, (1, 8, 8), seed=5, dtype=dtype, initialiser="glorot")


@pytest.fixture(scope="module")
def trained(few, tmp_path_factory):
    """A checkpoint with everything in it: velocity, a best epoch, a history with NaN. Nobody changes it."""
    net = network()
    net.fit(few[0], 2, validation=few[1], test=few[2], monitor_training=True, expand=True, **FIT)
    net.fit(few[0], 1, **FIT)
    path = tmp_path_factory.mktemp("trained") / "trained.h5"
    net.save(path)
    return path


def same(one, other):
    """Assert that two networks have the same bits in everything but the seconds."""
    for buffer in ("parameters", "velocity"):
        assert getattr(one.engine, buffer).tobytes() == getattr(other.engine, buffer).tobytes(), (
            buffer
        )
    for metric in {*one.history, *other.history} - {"seconds"}:
        assert np.array_equal(one.history[metric], other.history[metric], equal_nan=True), metric
    assert (one.state.best is None) == (other.state.best is None)
    if one.state.best:
        assert one.state.best.parameters.tobytes() == other.state.best.parameters.tobytes()
        scores = [
            (best.epoch, best.validation_accuracy, best.test_accuracy)
            for best in (one.state.best, other.state.best)
        ]
        assert np.array_equal(*scores, equal_nan=True)
    for name in ("epoch", "step", "epoch_step", "settings", "data", "run"):
        assert getattr(one.state, name) == getattr(other.state, name), name


def refusal(path, **options):
    """The one line with which a checkpoint is refused; nothing else may come of it, and nothing big be made."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            Network.load(path, **options)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    return one_line(caught.value, path)


def one_line(error, path):
    line = str(error)
    assert line.isprintable()
    assert str(path) in line
    assert len(line) < 1000
    return line


def python(script, *arguments, limits="", check=True, **options):
    """A script in a process of its own; the last line that it prints is JSON."""
    head = f"import json, os, random, resource, signal, sys, time\n{limits}\nimport nbconv\nfrom nbconv import *\n"
    done = subprocess.run(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300, **options,
    )  # fmt: skip
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def test_everything_comes_back(few, tmp_path, dtype):
    net = network(dtype.name)
    net.state.run = {"net": "a name", "patience": None}
    net.fit(few[0], 2, validation=few[1], test=few[2], expand=True, **FIT)
    net.fit(few[0], 1, lmbda_l1=0.01, **FIT)
    assert math.isnan(net.history["validation_accuracy"][-1])
    assert np.abs(net.engine.velocity).max() > 0
    net.save(tmp_path / "a.h5")
    back = Network.load(tmp_path / "a.h5")
    same(net, back)
    assert back.history["seconds"] == net.history["seconds"]
    for name in ("specs", "input_shape", "cost", "dtype", "seed", "initialiser"):
        assert getattr(back, name) == getattr(net, name), name
    assert back.engine.parameters.dtype == dtype
    images = few[2].images[:]
    assert np.array_equal(back.predict_proba(images), net.predict_proba(images))
    best = Network.load(tmp_path / "a.h5", weights="best")
    net.restore_best()
    assert np.array_equal(best.engine.parameters, net.engine.parameters)
    back.save(tmp_path / "b.h5")
    with h5py.File(tmp_path / "a.h5") as one, h5py.File(tmp_path / "b.h5") as other:
        assert one.attrs["digest"] == other.attrs["digest"]


@pytest.mark.parametrize("cost", ["quadratic", "cross-entropy"])
def test_a_new_network_comes_back(tmp_path, cost):
    net = Network(
        [Dense(4, activation="tanh"), Dense(3)], 6, cost=cost, seed=2**63 - 1, dtype="float64"
    )
    net.save(tmp_path / "a.h5")
    back = Network.load(tmp_path / "a.h5")
    same(net, back)
    assert (back.cost, back.seed, back.state.settings) == (cost, 2**63 - 1, None)


def test_numbers_of_numpy_are_saved_as_numbers(few, tmp_path):
    net = Network(
        [Conv2D(np.int64(2), np.int32(3)), Softmax(few[0].labels.max() + 1)],
        (1, 8, 8),
        seed=np.uint8(3),
    )
    net.fit(
        few[0], np.int64(1), np.int64(10), np.float64(0.1), lmbda=np.float32(0.5), momentum=0, expand=np.True_,
        schedule=np.str_("cosine"),
    )  # fmt: skip
    net.save(tmp_path / "a.h5")
    same(net, Network.load(tmp_path / "a.h5"))


def test_very_many_layers_come_back(tmp_path):
    net = Network([*[Dense(1) for _ in range(1000)], Softmax(2)], 1)
    net.save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file.attrs["network"]) > 2**16
    same(net, Network.load(tmp_path / "a.h5"))


def test_a_network_that_diverged_comes_back(few, tmp_path):
    net = network()
    net.fit(few[0], 1, **FIT)
    with pytest.raises(DivergedError):
        net.fit(few[0], 5, 7, 1e30)
    net.engine.sums[:] = math.nan  # what a cost that is NaN leaves there
    net.save(tmp_path / "a.h5")
    same(net, Network.load(tmp_path / "a.h5"))


# Going on


@pytest.fixture
def one_by_one(monkeypatch):
    """Mini-batches run one at a time, not as many together as take training.PACE seconds."""
    monkeypatch.setattr(training, "PACE", 0.0)


def test_going_on_from_any_mini_batch_gives_the_same_bits(few, tmp_path, one_by_one):
    """A checkpoint of every mini-batch, taken from within, and one fit from each of some of them."""
    train, validation, test = few
    options = {**FIT, "validation": validation, "test": test, "expand": True}
    net = network()
    saved = []

    def save(done, count):
        saved.append(tmp_path / f"{len(saved)}.h5")
        net.save(saved[-1])

    net.fit(train[:20], 3, progress=save, **options)
    assert len(saved) == 3 * 15
    for path in (saved[0], saved[13], saved[14], saved[15], saved[37], saved[44]):
        back = Network.load(path)
        assert back.state.epoch_step == int(path.stem) % 15 + 1
        back.fit(train[:20], 3 - back.state.epoch, **options)
        same(net, back)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("schedule", ["halve:1", "one-cycle"])
def test_going_on_after_a_signal_gives_the_same_bits(few, tmp_path, number, schedule, one_by_one):
    train, validation, test = few
    options = {
        **FIT,
        "validation": validation,
        "test": test,
        "schedule": schedule,
        "checkpoint": tmp_path / "a.h5",
    }
    whole = network()
    whole.fit(train, 4, **options)
    done = []

    def stop(*_):
        done.append(1)
        if len(done) in (3, 13, 29):
            signal.raise_signal(number)

    net, stops = network(), []
    while net.state.epoch < 4:
        try:
            net.fit(train, 4 - net.state.epoch, progress=stop, **options)
        except Interrupted as stopped:
            net = Network.load(tmp_path / "a.h5")
            stops.append((net.state.epoch, net.state.epoch_step, stopped.signal_number))
    assert stops == [(0, 3, number), (1, 4, number), (3, 2, number)]
    same(whole, net)
    same(whole, Network.load(tmp_path / "a.h5"))


# The file


def test_the_file_is_plain_hdf5(trained):
    net = Network.load(trained)
    with h5py.File(trained) as file:
        assert set(file) == {"layers", "optimizer", "best", "training", "history"}
        assert set(file.attrs) == {"format", "version", "nbconv_version", "network", "digest"}
        assert (file.attrs["format"], file.attrs["version"]) == ("nbconv", 1)
        assert file.attrs["nbconv_version"] == nbconv.__version__
        stored = json.loads(file.attrs["network"])
        assert stored["layers"][2] == {
            "layer": "Conv2D", "filters": 2, "kernel": [2, 2], "stride": [1, 2], "padding": [0, 0], "activation": "tanh"
        }  # fmt: skip
        assert {name: stored[name] for name in stored if name != "layers"} == {
            "input_shape": [1, 8, 8], "cost": "log-likelihood", "initialiser": "glorot", "dtype": "float32", "seed": 5
        }  # fmt: skip
        names = ["0-conv2d", "1-conv2d", "2-dense", "3-softmax"]
        for group in ("layers", "optimizer", "best"):
            assert sorted(file[group]) == names
        for name, parameters in zip(names, net.parameters(), strict=True):
            for part in ("weights", "biases"):
                assert np.array_equal(file[f"layers/{name}/{part}"], parameters[part])
        velocities = net.engine.views(net.engine.velocity)
        assert np.array_equal(file["optimizer/1-conv2d/weights"], velocities[1][0])
        assert dict(file["optimizer"].attrs) == {
            "eta": 0.05,
            "momentum": 0.5,
            "lmbda": 0.1,
            "schedule": "cosine",
        }
        training = dict(file["training"].attrs)
        assert (training["epoch"], training["step"], training["seed"]) == (3, 2 * 43 + 9, 5)
        assert (training["mini_batch_size"], training["best_epoch"]) == (7, net.state.best.epoch)
        assert training["best_validation_accuracy"] == net.state.best.validation_accuracy
        assert set(file["history"]) == set(net.history)
        assert np.array_equal(file["history/test_cost"], net.history["test_cost"], equal_nan=True)
        assert file["history/cost"].dtype == np.float64


def test_the_first_line_seals_the_rest(trained):
    image = trained.read_bytes()
    head = image[:512].decode()
    assert head.rstrip("\n").split(" ")[-1] == hashlib.sha256(image[512:]).hexdigest()
    assert head.startswith("nbconv checkpoint, HDF5 ")
    assert head.count("\n") == 512 - len(head.rstrip("\n"))


def test_looking_at_it_does_not_harm_it(trained, tmp_path):
    path = copy(trained, tmp_path)
    with h5py.File(path, "r+"):
        pass
    assert path.read_bytes() == trained.read_bytes()


def copy(path, folder):
    """A copy to be harmed."""
    target = folder / "copy.h5"
    target.write_bytes(path.read_bytes())
    return target


# Whole or not at all

KILLED = """
path, kills = sys.argv[1], int(sys.argv[2])
folder = os.path.dirname(path)
random.seed(1)
net = Network([100, 100, 5])
def put(step):
    net.engine.parameters[...] = step
    net.state.step = step
    net.save(path)
step = torn = 0
put(0)
for kill in range(5 * kills):
    if kill >= kills and torn >= 10:  # how often a save is hit depends on the machine
        break
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            step += 1
            put(step)
            os.write(write, b"%9d" % step)
    os.close(write)
    step = int(os.read(read, 9))
    time.sleep(random.uniform(0, 0.012))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while told := os.read(read, 9):
        step = int(told)
    os.close(read)
    back = Network.load(path)
    assert back.state.step in (step, step + 1), (back.state.step, step)
    assert (back.engine.parameters == back.state.step).all()
    step = back.state.step
    left = sorted(set(os.listdir(folder)) - {"a.h5"})
    assert len(left) <= 1, left
    torn += len(left)
    if kill % 5 == 4:
        step += 1
        put(step)
        assert os.listdir(folder) == ["a.h5"]
print(json.dumps({"torn": torn, "saves": step}))
"""


def test_a_killed_process_leaves_the_old_file_or_the_new_one(tmp_path):
    """Children that save one state after the other are killed at 120 moments; each says which state is saved."""
    told = python(KILLED, tmp_path / "a.h5", 120)
    assert told["torn"] >= 10, told  # so many were in the middle of a save
    assert told["saves"] > 120, told


TOGETHER = """
path = sys.argv[1]
net = Network([30, 20, 5])
net.save(path)
children = []
for number in (1, 2, 3):
    child = os.fork()
    if child == 0:
        saved = 0
        for step in range(100):
            net.engine.parameters[...] = net.state.step = 1000 * number + step
            try:
                net.save(path)
                saved += 1
            except CheckpointError:
                pass
        os._exit(saved > 10)
    children.append(child)
loads = 0
while children:
    back = Network.load(path)
    assert (back.engine.parameters == back.state.step).all() or back.state.step == 0
    loads += 1
    done, status = os.waitpid(-1, os.WNOHANG)
    if done:
        children.remove(done)
        assert os.waitstatus_to_exitcode(status) == 1, status
assert os.listdir(os.path.dirname(path)) == ["a.h5"]
print(loads)
"""


def test_several_that_save_to_one_file_leave_one_that_is_whole(tmp_path):
    assert python(TOGETHER, tmp_path / "a.h5") > 10


FULL = """
path = sys.argv[1]
net = Network([50, 100, 10])
try:
    net.save(path)
    said = None
except CheckpointError as error:
    said = str(error)
print(json.dumps([said, sorted(os.listdir(os.path.dirname(path)))]))
"""
SMALL_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.h5"
    said, files = python(FULL, path, limits=SMALL_FILES)
    assert (
        said
        == f"{path} could not be saved: File too large; no file was left. Free some space, or choose another place"
    )
    assert files == []
    net = Network([2, 2])
    net.save(path)
    said, files = python(FULL, path, limits=SMALL_FILES)
    assert "File too large; the old file is as it was" in said
    assert files == ["a.h5"]
    same(net, Network.load(path))


@ONLY_ROOT
def test_a_full_file_system_leaves_the_old_file(tmp_path):
    """A file system of 64 KiB, mounted for one process alone."""
    (tmp_path / "small").mkdir()
    mounted = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o size=64k none "$0" && exec "$@"',
        tmp_path / "small",
    ]
    if subprocess.run([*mounted, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    script = """
import nbconv, os, sys
nbconv.Network([2, 2]).save("a.h5")
try:
    nbconv.Network([100, 100, 10]).save("a.h5")
except nbconv.CheckpointError as error:
    print(error)
nbconv.Network.load("a.h5")
print(os.listdir("."))
"""
    run = [*mounted, "env", "-C", tmp_path / "small", sys.executable, "-c", script]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "a.h5 could not be saved: No space left on device; the old file is as it was. Free some space, or choose another place",
        "['a.h5']",
    ], done.stderr


def test_training_onto_a_full_disk_ends_with_one_line(command, tmp_path):
    command(
        "train", "--net", "200N-10N", "--epochs", "1", "--mini-batch-size", "50", "--threads", "1"
    )
    old = (tmp_path / "run.h5").read_bytes()
    assert len(old) > 20_000
    script = (
        f"import resource; {SMALL_FILES}; from nbconv.cli import main; main(prog_name='nbconv')"
    )
    run = [
        sys.executable,
        "-c",
        script,
        "train",
        "--resume",
        "run.h5",
        "--epochs",
        "2",
        "--threads",
        "1",
    ]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(
        "Error: run.h5 could not be saved: File too large; the old file is "
    )
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run.h5").read_bytes() == old
    assert os.listdir(tmp_path) == ["run.h5"]


def test_no_memory_for_the_file_is_one_line(tmp_path):
    script = """
net = Network([3000, 3000, 10])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24,) * 2)
try:
    net.save(sys.argv[1])
except CheckpointError as error:
    print(json.dumps(str(error)))
"""
    assert "a.h5 could not be saved" in python(script, tmp_path / "a.h5")
    assert os.listdir(tmp_path) == []


def test_what_could_not_be_loaded_is_not_saved(few, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    net = network()
    net.fit(few[0], 1, validation=few[1], **FIT)
    net.save(path)
    old = path.read_bytes()
    for flat in (net.engine.parameters, net.engine.velocity, net.state.best.parameters):
        for bad in (math.nan, math.inf):
            kept, flat[-1] = flat[-1], bad
            with pytest.raises(
                CheckpointError, match="3-softmax/biases has numbers that are infinite or NaN"
            ):
                net.save(path)
            flat[-1] = kept
    net.state.epoch += 1
    with pytest.raises(CheckpointError, match="it is at epoch 2 and has a history of 1"):
        net.save(path)
    net.state.epoch -= 1
    for limit, value in (("LIMIT", len(old) - 1), ("OBJECTS", 8)):
        with monkeypatch.context() as smaller:
            smaller.setattr(checkpoint, limit, value)
            with pytest.raises(CheckpointError, match=f"expected at most {value}"):
                net.save(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["a.h5"]


# Places


def test_places_where_no_file_can_be(tmp_path):
    net = Network([2, 2])
    (tmp_path / "text").write_text("a file")
    (tmp_path / "link").symlink_to(tmp_path)
    for name, said in {
        ".": "is a folder: expected the name of a file",
        "link": "is a folder: expected the name of a file",
        "none/a.h5": "could not be saved: No such file or directory",
        "text/a.h5": "could not be saved: Not a directory",
        "a" * 250: "could not be saved: File name too long",
        "a\0b": "could not be saved: embedded null byte",
    }.items():
        with pytest.raises(CheckpointError) as caught:
            net.save(tmp_path / name)
        assert said in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
    for place in (Path("/proc/a.h5"), Path("/sys/a.h5")):
        for attempt in (
            lambda place=place: net.save(place),
            lambda place=place: checkpoint.check_place(place),
        ):
            with pytest.raises(CheckpointError) as caught:
                attempt()
            one_line(caught.value, place)
    assert sorted(os.listdir(tmp_path)) == ["link", "text"]


@ONLY_ROOT
def test_places_of_another_user(trained):
    """Root may do everything: a process that is nobody tries a folder that it may not write to, nor enter."""
    script = """
folder = sys.argv[1]
net = Network([2, 2])
os.setgid(65534)
os.setuid(65534)
said = []
for place in (f"{folder}/a.h5", f"{folder}/closed/a.h5"):
    for attempt in (net.save, Network.load, nbconv.runs.run.checkpoint.check_place):
        try:
            attempt(nbconv.runs.run.Path(place))
        except CheckpointError as error:
            said.append(str(error))
print(json.dumps(said))
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy(trained, Path(folder)).rename(f"{folder}/a.h5")
        os.chmod(f"{folder}/a.h5", 0o600)
        os.mkdir(f"{folder}/closed", 0o700)
        said = python("import nbconv.runs.run\n" + script, folder)
        assert len(said) == 6
        assert all("Permission denied" in line for line in said)
        assert "the old file is as it was" in said[0]
        assert Path(folder, "a.h5").read_bytes() == trained.read_bytes()


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link.h5", tmp_path / "there" / "a.h5"
    link.symlink_to("there/a.h5")
    for net in (Network([2, 2]), Network([3, 3])):
        net.save(link)
        assert link.is_symlink()
        assert not target.is_symlink()
        same(net, Network.load(target))
        same(net, Network.load(link))
    assert os.listdir(tmp_path / "there") == ["a.h5"]
    assert sorted(os.listdir(tmp_path)) == ["link.h5", "there"]


def test_relative_paths_and_odd_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.h5", f"../{tmp_path.name}/b.h5", "[c]*.h5", "-d", "é f"):
        (tmp_path / f".{Path(name).name}.0123abcd.partial").write_text("left by a killed process")
        Network([2, 2]).save(name)
        Network.load(name)
    assert sorted(os.listdir(tmp_path)) == sorted(["a.h5", "b.h5", "[c]*.h5", "-d", "é f"])


# Bytes that nobody has vouched for


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "a.h5"
    assert "does not exist" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    assert "no ordinary file" in refusal(Path("/dev/zero"))
    with pytest.raises(CheckpointError, match="embedded null byte"):
        Network.load(tmp_path / "a\0b")
    for content in (b"", b"x", b"hello\n" * 1000, b"\0" * 4096, checkpoint.SEAL):
        path.write_bytes(content)
        refusal(path)
    with h5py.File(path, "w") as file:
        file["layers/0-dense/weights"] = np.ones((2, 2))
        file.attrs["version"] = 7
    assert "is an HDF5 file, but no checkpoint" in refusal(path)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["weights"] = np.ones((2, 2))
    assert "is no checkpoint" in refusal(path)
    with open(path, "wb") as file:
        file.write(checkpoint.SEAL)
        file.truncate(2**40)
    assert f"has {2**40} bytes: expected a checkpoint of at most" in refusal(path)


def test_a_stale_checksum_of_the_superblock_is_mended(trained, tmp_path):
    """Saved by nbconv 0.1.0 with HDF5 1.x, a file had its right seal and the checksum of a file that is open."""
    path, image = tmp_path / "a.h5", trained.read_bytes()
    stale = bytearray(image[512:])
    stale[44:48] = bytes.fromhex("6a4ce945")
    path.write_bytes(checkpoint.sealed(bytes(stale)))
    assert checkpoint.load(path).digest() == checkpoint.load(trained).digest()


def test_what_cannot_be_loaded_is_not_saved(trained, tmp_path, monkeypatch):
    """An HDF5 library whose files it cannot read itself leaves the old file in its place."""
    path = copy(trained, tmp_path)
    image, net = path.read_bytes(), Network.load(path)

    def damaged(memory, *arguments, **settings):
        file = h5py_file(memory, *arguments, **settings)
        if arguments == ("w",):
            close = file.close
            monkeypatch.setattr(
                file, "close", lambda: (close(), memory.seek(556), memory.write(b"none"))
            )
        return file

    h5py_file = h5py.File
    monkeypatch.setattr(checkpoint.h5py, "File", damaged)
    with pytest.raises(CheckpointError, match="the installed HDF5 cannot read what it wrote"):
        net.save(path)
    assert path.read_bytes() == image


def test_every_length_of_a_truncated_file_is_refused(trained, tmp_path):
    image = trained.read_bytes()
    path = tmp_path / "a.h5"
    for length in [*range(0, len(image), 61), *range(500, 530), *range(len(image) - 9, len(image))]:
        path.write_bytes(image[:length])
        refusal(path)
    path.write_bytes(image + b"\0")
    assert "is damaged" in refusal(path)


FLIPPED = """
path, changed = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
image = open(path, "rb").read()
parameters = Network.load(path).engine.parameters.tobytes()
refused = harmless = 0
for place in range(len(image)):
    flipped = bytearray(image)
    flipped[place] ^= 1 << place % 8
    with open(changed, "wb") as file:
        file.write(flipped)
    signal.alarm(5)  # ends the process if HDF5 never comes back
    try:
        net = Network.load(changed)
    except CheckpointError as error:
        refused += str(error).isprintable() and changed in str(error)
    else:
        harmless += net.engine.parameters.tobytes() == parameters
print(json.dumps([len(image), refused, harmless]))
"""


def test_every_flipped_byte_is_found(tmp_path):
    """A bit of each byte in turn, in a process of its own: HDF5 hangs on some of these, should it get them."""
    Network([1, 1]).save(tmp_path / "a.h5")
    count, refused, harmless = python(FLIPPED, tmp_path / "a.h5", tmp_path / "b.h5")
    assert count > 10_000
    assert (refused, harmless) == (count, 0)


def test_a_damaged_checkpoint_is_one_line_of_the_command(command, trained, tmp_path):
    path = copy(trained, tmp_path)
    image = bytearray(path.read_bytes())
    image[2000] ^= 1
    path.write_bytes(image)
    for arguments in (["eval"], ["inspect"], ["train", "--resume"]):
        done = command(*arguments, "copy.h5", code=1)
        assert done.stdout == ""
        assert done.stderr.startswith("Error: copy.h5 is damaged, or another program changed it")
        assert done.stderr.count("\n") == 1


# Files that someone made on purpose: seal and digest fit


def craft(path, edit, digest=True):
    """Edit a checkpoint, and make its digest and its seal fit what a trusting reader would read."""
    with h5py.File(path, "r+") as file:
        edit(file)
        if digest:
            contents = checkpoint.Contents()
            gather(file, contents)
            file.attrs["digest"] = contents.digest()
    path.write_bytes(checkpoint.sealed(path.read_bytes()[512:]))


def gather(group, contents, prefix="", depth=0):
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in group.attrs.items()
    }
    contents.attributes[prefix.removesuffix("/")] = plain
    for name in group if depth < 4 and len(contents.arrays) < 100 else ():
        item = group.get(name)
        if isinstance(item, h5py.Group):
            gather(item, contents, f"{prefix}{name}/", depth + 1)
        elif (
            isinstance(item, h5py.Dataset)
            and item.shape is not None
            and item.size < 10**6
            and item.dtype.kind in "iuf"
        ):
            contents.arrays[prefix + name] = item[()]


def put(name, value, **options):
    """An edit: this dataset in the place of one that may be there."""

    def edit(file):
        if name in file:
            del file[name]
        file.create_dataset(name, data=value, **options)

    return edit


def changed(name, change):
    return lambda file: put(name, change(file[name][()]))(file)


def attribute(group, **values):
    return lambda file: file[group].attrs.update(values)


def json_attribute(group, name, **values):
    """An edit: some entries of a JSON attribute."""

    def edit(file):
        file[group].attrs[name] = json.dumps(json.loads(file[group].attrs[name]) | values)

    return edit


def external_storage(file):
    outside = file.filename + ".outside"
    Path(outside).write_bytes(bytes(40))
    del file["best/3-softmax/biases"]
    file.create_dataset("best/3-softmax/biases", (10,), "f4", external=[(outside, 0, 40)])


def virtual(file):
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(".", "layers/3-softmax/biases", (10,))
    del file["best/3-softmax/biases"]
    file.create_virtual_dataset("best/3-softmax/biases", layout)


def huge(**options):
    def edit(file):
        del file["history/cost"]
        file.create_dataset("history/cost", (2**40,), "f8", **options)

    return edit


def many_names(file):
    """Two groups that hold one array of no bytes under 90,000 names."""
    file["layers/0"] = np.ones(0)
    below = file.create_group("layers/0-many")
    for number in range(300):
        below[str(number)] = file["layers/0"]
        file[f"layers/many{number}"] = below


def texts(file):
    """One long text that 1,000 attributes claim, 1 GB of it."""
    file["training"].attrs.create(
        "run", np.array(["x" * 10**6] * 10, object), dtype=h5py.string_dtype()
    )


def linked(name, link):
    def edit(file):
        del file[name]
        file[name] = link

    return edit


WEIGHTS = "layers/0-conv2d/weights"
CRAFTED = {
    "missing weights": (lambda file: file.__delitem__(WEIGHTS), "parameters, expected"),
    "missing velocity": (
        lambda file: file.__delitem__("optimizer/2-dense/biases"),
        "it lacks 'optimizer/2-dense/biases'",
    ),
    "missing best": (lambda file: file.__delitem__("best"), "it lacks 'best/0-conv2d/weights'"),
    "missing metric": (
        lambda file: file.__delitem__("history/cost"),
        "its history has the metrics",
    ),
    "missing half of a metric": (
        lambda file: file.__delitem__("history/test_cost"),
        "its history has the metrics",
    ),
    "missing history": (lambda file: file.__delitem__("history"), "it lacks 'history'"),
    "missing training": (lambda file: file.__delitem__("training"), "it lacks 'training'"),
    "missing attribute": (
        lambda file: file["training"].attrs.__delitem__("epoch"),
        "it lacks 'epoch'",
    ),
    "missing seed": (
        lambda file: file["training"].attrs.__delitem__("seed"),
        "it lacks 'training@seed'",
    ),
    "missing network": (lambda file: file.attrs.__delitem__("network"), "it lacks 'network'"),
    "extra weights": (put("layers/4-dense/weights", np.ones(3, "f4")), "parameters, expected"),
    "extra array": (put("training/more", np.ones(3)), "'training/more' is no part of it"),
    "extra metric": (put("history/beauty", np.ones(3)), "its history has the metrics"),
    "extra nested metric": (put("history/test/cost", np.ones(3)), "its history has the metrics"),
    "extra group": (lambda file: file.create_group("more"), "'more' is no part of it"),
    "extra deep group": (
        lambda file: file.create_group("layers/0-conv2d/more"),
        "'layers/0-conv2d/more' is no part",
    ),
    "extra attribute": (attribute("layers", more=1), "'layers@more' is no part of it"),
    "extra root attribute": (attribute("/", more="x"), "'@more' is no part of it"),
    "attribute of an array": (
        attribute(WEIGHTS, more="x"),
        "'layers/0-conv2d/weights' is not stored as plain",
    ),
    "renamed layer": (
        lambda file: file.move("layers/0-conv2d", "layers/0-dense"),
        "it lacks 'layers/0-conv2d/weights'",
    ),
    "renamed velocity": (
        lambda file: file.move("optimizer/2-dense", "optimizer/x\n\x1b[2J"),
        "it lacks 'optimizer/2-",
    ),
    "wrong shape": (
        changed(WEIGHTS, lambda array: array.transpose(0, 1, 3, 2)),
        r"expected float32 \(3, 1, 3, 2\)",
    ),
    "no shape": (
        put("optimizer/3-softmax/biases", np.float32(1)),
        r"float32 \(\), expected float32 \(10,\)",
    ),
    "wrong dtype": (
        changed(WEIGHTS, lambda array: array.astype("f8")),
        "float64 .* expected float32",
    ),
    "other byte order": (
        changed(WEIGHTS, lambda array: array.astype(">f4")),
        "weights is >f4 .* expected float32",
    ),
    "whole numbers": (
        changed(WEIGHTS, lambda array: array.astype("i4")),
        "weights is int32 .* expected float32",
    ),
    "NaN weight": (
        changed(WEIGHTS, lambda array: array * np.nan),
        "weights has numbers that are infinite or NaN",
    ),
    "infinite velocity": (
        put("optimizer/3-softmax/biases", np.full(10, np.inf, "f4")),
        "infinite or NaN",
    ),
    "NaN in the best": (put("best/3-softmax/biases", np.full(10, np.nan, "f4")), "infinite or NaN"),
    "short history": (put("history/cost", np.ones(2)), r"float64 \(2,\), expected float64 \(3,\)"),
    "coarse history": (
        put("history/cost", np.ones(3, "f4")),
        r"float32 \(3,\), expected float64 \(3,\)",
    ),
    "soft link": (linked("best", h5py.SoftLink("/layers")), "'best' is a link"),
    "dangling link": (linked("best", h5py.SoftLink("/none")), "'best' is a link"),
    "external link": (
        linked("history/cost", h5py.ExternalLink("other.h5", "/x")),
        "'history/cost' is a link",
    ),
    "second name": (lambda file: file.__setitem__("more", file["best"]), "'more' is no part of it"),
    "cycle": (lambda file: file.__setitem__("layers/up", file["/"]), "one group or array too many"),
    "cycle of itself": (
        lambda file: file.__setitem__("best/0-conv2d/up", file["best"]),
        "one group or array too many",
    ),
    "many names": (many_names, "one group or array too many"),
    "deep groups": (
        lambda file: file.create_group("/".join("a" * 500)),
        "one group or array too many",
    ),
    "virtual": (virtual, "'best/3-softmax/biases' is not stored as plain numbers"),
    "external storage": (
        external_storage,
        "'best/3-softmax/biases' is not stored as plain numbers",
    ),
    "chunked": (put("history/cost", np.ones(3), chunks=(3,)), "is not stored as plain numbers"),
    "compressed": (
        put("history/cost", np.ones(3), compression="gzip"),
        "is not stored as plain numbers",
    ),
    "filtered": (
        put("history/cost", np.ones(3), fletcher32=True),
        "is not stored as plain numbers",
    ),
    "huge": (huge(), "'history/cost' would make it larger than it is"),
    "huge in chunks": (huge(chunks=(2**16,)), "is not stored as plain numbers"),
    "texts for numbers": (put("history/cost", ["a", "b", "c"]), "is not stored as plain numbers"),
    "structures for numbers": (
        put("history/cost", np.ones(3, "f4,f8")),
        "is not stored as plain numbers",
    ),
    "nothing for numbers": (
        put("history/cost", h5py.Empty("f8")),
        "is not stored as plain numbers",
    ),
    "truths for numbers": (
        put("history/cost", np.ones(3, bool)),
        "is not stored as plain numbers|expected float64",
    ),
    "lists for numbers": (
        put(
            "history/cost",
            np.array([np.ones(2)] * 3 + [None], object)[:3],
            dtype=h5py.vlen_dtype("f8"),
        ),
        "not stored as plain",
    ),
    "type for a group": (
        lambda file: file.__setitem__("type", np.dtype("f8")),
        "'type' is not stored as plain numbers",
    ),
    "list of texts": (texts, "the attribute 'run' is neither a text nor a number"),
    "list of numbers": (
        attribute("training", epoch=[1, 2]),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "no value": (
        attribute("training", epoch=h5py.Empty("i8")),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "truth": (
        attribute("training", epoch=True),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "bytes": (
        attribute("training", data=np.bytes_(b"x")),
        "the attribute 'data' is neither a text nor a number",
    ),
    "reference": (
        lambda file: file.attrs.__setitem__("more", file["best"].ref),
        "the attribute 'more' is neither a text nor a number",
    ),
    "many attributes": (
        attribute("training", **{f"a{number}": 1 for number in range(200)}),
        "attributes at one place",
    ),
    "newer version": (
        attribute("/", version=2),
        "has the format version 2: this is nbconv .* reads version 1; .* newer",
    ),
    "older version": (
        attribute("/", version=0),
        "has the format version 0: this is nbconv .* reads version 1",
    ),
    "version in words": (attribute("/", version="1"), "has the format version '1'"),
    "no version": (lambda file: file.attrs.__delitem__("version"), "has the format version None"),
    "other format": (attribute("/", format="keras"), "its attribute 'format' is not 'nbconv'"),
    "no format": (
        lambda file: file.attrs.__delitem__("format"),
        "its attribute 'format' is not 'nbconv'",
    ),
    "network in no JSON": (attribute("/", network="{garbage"), "Expecting property name"),
    "network without end": (attribute("/", network="[" * 30_000), "is no checkpoint of a network"),
    "network is a number": (attribute("/", network=5), "is no checkpoint of a network"),
    "network is null": (attribute("/", network="null"), "is no checkpoint of a network"),
    "network is empty": (attribute("/", network="{}"), "it lacks 'input_shape'"),
    "no layers": (json_attribute("/", "network", layers=[]), "it has no layers"),
    "no last layer": (
        json_attribute("/", "network", layers=[{"layer": "MaxPool2D", "size": 2}]),
        "last layer is MP2",
    ),
    "unknown layer": (
        json_attribute("/", "network", layers=[{"layer": "os.system"}]),
        "layer is 'os.system'",
    ),
    "unknown setting": (
        json_attribute("/", "network", layers=[{"layer": "Dense", "neurons": 2, "x\n\x1b[2J": 1}]),
        "unexpected keyword",
    ),
    "a billion neurons": (
        json_attribute(
            "/",
            "network",
            layers=[{"layer": "Dense", "neurons": 10**9}, {"layer": "Softmax", "neurons": 10**9}],
        ),
        "parameters, expected 1000000066000000000",
    ),
    "a large kernel": (
        json_attribute(
            "/",
            "network",
            input_shape=[1, 2**31, 2**31],
            layers=[
                {"layer": "Conv2D", "filters": 9, "kernel": 2**30},
                {"layer": "Softmax", "neurons": 2},
            ],
        ),
        "parameters, expected",
    ),
    "a large input": (
        json_attribute("/", "network", input_shape=[1, 10**9, 10**9]),
        "parameters, expected",
    ),
    "more than can be": (
        json_attribute("/", "network", layers=[{"layer": "Dense", "neurons": 10**400}]),
        "expected at most",
    ),
    "more dropout than can be": (
        json_attribute(
            "/", "network", layers=[{"layer": "Dense", "neurons": 1, "dropout": 10**400}]
        ),
        "too large",
    ),
    "other dtype": (
        json_attribute("/", "network", dtype="float64"),
        "is float32 .* expected float64",
    ),
    "unknown dtype": (
        json_attribute("/", "network", dtype="(1,O"),
        "dtype is .* expected one of float32, float64",
    ),
    "other seed": (json_attribute("/", "network", seed=6), "training@seed is 5, expected 6"),
    "wrong seed": (json_attribute("/", "network", seed=-1), "seed is -1"),
    "other network": (
        json_attribute(
            "/", "network", input_shape=[1, 1, 1], layers=[{"layer": "Softmax", "neurons": 5}]
        ),
        "expected 10",
    ),
    "other cost": (json_attribute("/", "network", cost="quadratic"), "cost is 'quadratic' behind"),
    "other epoch": (attribute("training", epoch=4), "it is at epoch 4 and has a history of 3"),
    "epoch of the end": (attribute("training", epoch=math.inf), "cannot convert float infinity"),
    "half an epoch": (attribute("training", epoch=3.5), "training@epoch is 3.5, expected 3"),
    "epoch in words": (attribute("training", epoch="3"), "training@epoch is '3', expected 3"),
    "steps back": (
        attribute("training", step=-1),
        "it is at mini-batch 0 of an epoch and -1 in all",
    ),
    "too far": (attribute("training", step=2**62), "it is at mini-batch 0 of an epoch and"),
    "more in an epoch than in all": (
        attribute("training", epoch_step=99, step=9),
        "it is at mini-batch 99",
    ),
    "best of the future": (attribute("training", best_epoch=4), "its best epoch is 4 of 3"),
    "best without an epoch": (attribute("training", best_epoch=0), "is no part of it"),
    "best of another history": (
        attribute("training", best_validation_accuracy=math.nan),
        "its best validation accuracy is",
    ),
    "cost without end": (
        attribute("training", epoch_step=1, epoch_cost=math.nan),
        "right answers are .* expected finite",
    ),
    "no settings": (attribute("training", settings="5"), "is no checkpoint of a network"),
    "odd settings": (json_attribute("training", "settings", eta=-1), "eta is -1"),
    "unknown settings": (
        json_attribute("training", "settings", beauty=1),
        "unexpected keyword argument 'beauty'",
    ),
    "other settings": (
        json_attribute("training", "settings", eta=0.5),
        "optimizer@eta is 0.05, expected 0.5",
    ),
    "no run": (attribute("training", run="[1]"), "its run is no table of settings"),
    "negative history": (attribute("history", epochs=-1), "expected float64"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_file_is_refused(trained, tmp_path, case):
    edit, said = CRAFTED[case]
    path = copy(trained, tmp_path)
    craft(path, edit)
    line = refusal(path)
    assert re.search(said, line), line


def test_a_crafted_file_that_says_the_same_is_taken(trained, tmp_path):
    """The helper itself: were its digest or its seal wrong, no test above would mean anything."""
    path = copy(trained, tmp_path)
    craft(path, lambda file: None)
    same(Network.load(trained), Network.load(path))
    craft(path, changed("history/cost", lambda array: array + 1))
    assert Network.load(path).history["cost"][0] == Network.load(trained).history["cost"][0] + 1


def test_digest_and_seal_are_both_needed(trained, tmp_path):
    path = copy(trained, tmp_path)
    craft(path, changed("history/cost", lambda array: array + 1), digest=False)
    assert "its content does not fit its digest" in refusal(path)
    path = copy(trained, tmp_path)
    with h5py.File(path, "r+") as file:
        file["history/cost"][0] = 0
    assert "is damaged, or another program changed it" in refusal(path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2
    assert "has the format version 2" in refusal(path)


@pytest.mark.parametrize("shape", [(), (40,)])
def test_one_text_in_many_places_is_not_read_so_often(trained, tmp_path, shape):
    """A file of 2 MB whose attributes all point at one text of 1 MB: 40 attributes, or one of 40 parts.

    It is written in HDF5's old format, whose attributes have no checksums.
    """
    path = tmp_path / "a.h5"
    with h5py.File(trained) as good, h5py.File(path, "w", userblock_size=512) as file:
        file.attrs.update(good.attrs)
        file.create_group("training").attrs.update(
            dict(good["training"].attrs) | {"run": "x" * 10**6}
        )
        for number in range(1 if shape else 40):
            text = np.array(["y" * 7777] * 40, object) if shape else "y" * 7777
            file["training"].attrs.create(f"a{number}", text, dtype=h5py.string_dtype())
    body = path.read_bytes()[512:]
    # A text's length, and where it lies; the text itself has eight bytes for its length.
    short, long = (
        re.compile(struct.pack("<I", length) + b"(?!\0{4}).{12}", re.DOTALL)
        for length in (7777, 10**6)
    )
    assert len(short.findall(body)) == 40
    (place,) = long.findall(body)
    path.write_bytes(checkpoint.sealed(short.sub(lambda _: place, body)))
    with h5py.File(path) as file:
        assert len(np.ravel(file["training"].attrs["a0"])[0]) == 10**6
    assert re.search(
        "is neither a text nor a number" if shape else "would make it larger than it is",
        refusal(path),
    )


VALUES = [math.nan, -math.inf, 0.5, -1, 2**63 - 1, "", "x", "{}", "null", '{"epochs": []}']


def test_any_value_of_any_attribute_is_refused_or_taken(few, tmp_path):
    """Nothing but CheckpointError comes of odd values, whatever their place."""
    net = Network([Softmax(10)], (1, 8, 8))
    net.fit(few[0], 1, 10, 0.1, validation=few[1])
    net.save(tmp_path / "a.h5")
    path = tmp_path / "copy.h5"
    refused, taken = [], []
    with h5py.File(tmp_path / "a.h5") as file:
        places = [
            (group, name)
            for group in ("/", "optimizer", "training", "history")
            for name in file[group].attrs
        ]
    for group, name in places:
        for value in VALUES if name != "digest" else ():
            copy(tmp_path / "a.h5", tmp_path)
            craft(path, attribute(group, **{name: value}))
            try:
                Network.load(path)
                taken.append(f"{group}@{name}")
            except CheckpointError as error:
                refused.append(one_line(error, path))
    assert len(refused) > 200
    # What says nothing about the network, and a test accuracy that was NaN and is so again.
    free = ("data", "run", "epoch_seconds", "best_test_accuracy", "best_data")
    assert set(taken) == {f"training@{name}" for name in free} | {"/@nbconv_version"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    Network([Conv2D(1, 2), MaxPool2D(1), Dense(1)], (1, 3, 3)).save(
        tmp_path_factory.mktemp("odd") / "a.h5"
    )
    return tmp_path_factory.getbasetemp() / "odd0" / "a.h5"


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([10**9, 2**63, 10**400, "Dense", "Conv2D", "float64", "O,O", "relu"]),
)  # fmt: skip
ODD = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


@settings(max_examples=150)
@given(value=ODD, choice=st.integers(0, 10**6))
def test_any_json_is_refused_or_taken(odd, value, choice):
    """One place of the network's JSON, at any depth, says something else."""
    with h5py.File(odd) as file:
        network = json.loads(file.attrs["network"])
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(network)
    node, key = places[choice % len(places)]
    node[key] = value
    path = copy(odd, odd.parent)
    craft(path, lambda file: file.attrs.__setitem__("network", json.dumps(network)))
    tracemalloc.start()
    try:
        Network.load(path)
    except CheckpointError as error:
        one_line(error, path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**25


def test_a_leftover_of_no_possible_process_is_no_obstacle(tmp_path):
    left = tmp_path / ".a.h5.ffffffff.partial"
    left.write_bytes(b"half")
    Network([Softmax(3)], (4,)).save(tmp_path / "a.h5")
    assert not left.exists()
