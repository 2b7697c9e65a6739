"""What the tests of checkpoints share: a small network, a checkpoint of it, how one is refused."""

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import nbconv
from nbconv import AvgPool2D, CheckpointError, Conv2D, Dense, MaxPool2D, Network, Softmax

FIT = {
    "mini_batch_size": 7,
    "eta": 0.05,
    "lmbda": 0.1,
    "momentum": 0.5,
    "nesterov": True,
    "schedule": "cosine",
}
IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
ONLY_ROOT = pytest.mark.skipif(not IS_ROOT, reason="needs root to become another user, or to mount")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """These networks are too small for more."""
    nbconv.set_threads(1)
    yield
    nbconv.set_threads("auto")


@pytest.fixture(scope="session")
def few():
    """So few digits that an epoch takes no time: training, validation, test."""
    train, validation, test = nbconv.load_data("digits")
    return train[:60], validation[:40], test[:40]


def network(dtype="float32"):
    layers = [
        Conv2D(3, (3, 2), padding=1, activation="relu"), MaxPool2D(2),
        Conv2D(2, 2, stride=(1, 2), activation="tanh"), AvgPool2D(2, 1), Dense(9, dropout=0.3),
        Softmax(10, dropout=0.2),
    ]  # fmt: skip
    return Network(layers, (1, 8, 8), seed=5, dtype=dtype, initialiser="glorot")


@pytest.fixture(scope="session")
def trained(few, tmp_path_factory):
    """A checkpoint with everything in it: velocity, a best epoch, a history with NaN.

    Nobody changes it.
    """
    net = network()
    net.fit(few[0], 1, **FIT)
    net.fit(few[0], 2, validation=few[1], test=few[2], monitor_training=True, expand=True, **FIT)
    path = tmp_path_factory.mktemp("trained") / "trained.h5"
    net.save(path)
    return path


def same(one, other):
    """Assert that two networks have the same bits in everything but the seconds."""
    for buffer in ("parameters", "velocity", "standard"):
        assert getattr(one.engine, buffer).tobytes() == getattr(other.engine, buffer).tobytes(), (
            buffer
        )
    for metric in {*one.history, *other.history} - {"seconds"}:
        assert np.array_equal(one.history[metric], other.history[metric], equal_nan=True), metric
    assert (one.state.average is None) == (other.state.average is None)
    if one.state.average:
        assert one.state.average.epochs == other.state.average.epochs
        for kept in (lambda state: state.average.weights, lambda state: state.own):
            ours, right = kept(one.state), kept(other.state)
            assert all(ours[name].tobytes() == right[name].tobytes() for name in right)
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
    """The one line with which a checkpoint is refused.

    Nothing else may come of it, and nothing big be made.
    """
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
    head = (
        f"import json, os, random, resource, signal, sys, time\n{limits}\n"
        "import nbconv\nfrom nbconv import *\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + script, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300, **options,
    )  # fmt: skip
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])


def copy(path, folder):
    """A copy to be harmed."""
    target = folder / "copy.h5"
    target.write_bytes(path.read_bytes())
    return target
