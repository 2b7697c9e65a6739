"""Real MNIST: the book's networks learn it, within the memory promised."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nbconv import Conv2D, Dense, MaxPool2D, Network, Softmax


@pytest.mark.slow
def test_the_first_epochs_of_the_book(mnist):
    train, valid, test = mnist
    net = Network([784, 30, 10])
    history = net.fit(train, epochs=2, mini_batch_size=10, eta=0.5, lmbda=5.0, validation=valid)
    assert history["validation_accuracy"][-1] > 0.94
    net = Network(
        [
            Conv2D(20, 5, activation="relu"), MaxPool2D(2), Dense(100, activation="relu"),
            Softmax(10),
        ],
        train.shape, initialiser="he",
    )  # fmt: skip
    net.fit(train[:20_000], epochs=1, mini_batch_size=10, eta=0.03)
    assert net.evaluate(test)["accuracy"] > 0.955


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the peak from Linux's /proc"
)
@pytest.mark.slow
@pytest.mark.parametrize(("option", "bound"), [("--no-expand", 450), ("--expand", 600)])
def test_memory(mnist, tmp_path, option, bound):
    """Peak resident set of a training on MNIST, in MiB."""
    script = (
        "import nbconv.runs.run, pathlib;"
        "run = nbconv.runs.run.begin(dict(data='mnist', net='4C5-MP2-10N', epochs=1, "
        f"expand={option == '--expand'},"
        "mini_batch_size=100), pathlib.Path('run.h5')); run.go();"
        # ru_maxrss would begin with that of pytest
        "print(pathlib.Path('/proc/self/status').read_text())"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert int(re.search(r"VmHWM:\s+(\d+) kB", out)[1]) / 1024 <= bound
