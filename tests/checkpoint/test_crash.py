"""Checkpoints are whole or not there, whenever the process is killed and whatever is full."""

import math
import os
import subprocess
import sys

import pytest
from conftest import LINUX, POSIX

from nbconv import CheckpointError, Network, Softmax
from nbconv.checkpoint import file as checkpoint

from .conftest import FIT, ONLY_ROOT, network, python, same

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
for kill in range(kills):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            step += 1
            put(step)
            os.write(write, b"%9d" % step)
    os.close(write)
    step = int(os.read(read, 9))
    if kill % 2:
        time.sleep(random.uniform(0, 0.012))
    else:
        while len(os.listdir(folder)) == 1:  # until the next save has begun to write
            pass
        time.sleep(random.uniform(0, 0.0005))
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


@pytest.mark.slow
@POSIX
def test_a_killed_process_leaves_the_old_file_or_the_new_one(tmp_path):
    """Children that save again and again are killed 120 times, every other time within a save."""
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


@pytest.mark.slow
@POSIX
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


@POSIX
@pytest.mark.slow
def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.h5"
    said, files = python(FULL, path, limits=SMALL_FILES)
    assert said == (
        f"{path} could not be saved: File too large; no file was left. "
        "Free some space, or choose another place"
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
        "a.h5 could not be saved: No space left on device; the old file is as it was. Free some "
        "space, or choose another place",
        "['a.h5']",
    ], done.stderr


@POSIX
@pytest.mark.slow
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


@LINUX
@pytest.mark.slow
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


def test_a_leftover_of_an_older_version_is_no_obstacle(tmp_path):
    left = tmp_path / ".a.h5.ffffffff.partial"
    left.write_bytes(b"half")
    Network([Softmax(3)], (4,)).save(tmp_path / "a.h5")
    assert not left.exists()
