"""Two processes compile a first training's kernels."""

import os
import subprocess
import sys

import numpy as np
import pytest
from nbconv.kernels import cpu

import nbconv
from nbconv import backend, child, threads
from nbconv.runs import precompile
from nbconv.training.settings import Settings

LAYERS = [
    nbconv.Conv2D(8, 3), nbconv.MaxPool2D(2), nbconv.Conv2D(5, 3, padding=1), nbconv.MaxPool2D(2),
    nbconv.Dense(6, dropout=0.5), nbconv.Softmax(3),
]  # fmt: skip
KERNELS = (
    "conv2d_pad", "conv2d_max_pool_forward", "images_first", "dropout", "dense_forward",
    "log_likelihood", "dense_descend", "dense_backward_input", "activation_backward", "images_last",
    "gather", "conv2d_backward_biases", "conv2d_backward_weights", "conv2d_max_pool_backward",
    "max_pool2d_backward", "sgd", "advance",
)  # fmt: skip
FIT = """
import numpy as np, sys, nbconv
from nbconv import backend
begun = []
popen = backend.subprocess.Popen
backend.subprocess.Popen = lambda *a, **k: begun.append(popen(*a, **k)) or begun[-1]
data = nbconv.Dataset(np.random.default_rng(0).random((20, 64)), np.arange(20) % 3)
net = nbconv.Network([64, 3], seed=1)
net.fit(data, 1, 10, 0.1)
ours = [process for process in begun if "nbconv.runs.precompile" in process.args]
print([process.poll() is not None for process in ours], float(net.engine.parameters.sum()))
failed = [process.args for process in ours if process.returncode not in (0, -9)]
assert not failed or sys.platform == "win32", failed
"""


@pytest.mark.parametrize("shards", [1, 2])
def test_it_compiles_what_the_training_uses(shards):
    network = nbconv.Network(LAYERS, (1, 12, 12), seed=1)
    settings = Settings(1, 10, 0.1, shards=shards)
    train, _, _ = nbconv.load_data("digits")
    images = train.images[:30].repeat(2, axis=2).repeat(2, axis=3)[:, :, :12, :12]
    data = nbconv.Dataset(images, train.labels[:30] % 3)
    precompile.precompile(network._precompile_description(settings, data.store.dtype))
    compiled = {name: len(getattr(cpu, name).signatures) for name in KERNELS}
    assert min(compiled.values()) > 0
    network.fit(data, 1, 10, 0.1, shards=shards)
    assert compiled == {name: len(getattr(cpu, name).signatures) for name in KERNELS}


@pytest.mark.slow
def test_as_a_process_of_its_own(tmp_path):
    """It begins with a kernel that needs no threads, and ends well."""
    network = nbconv.Network([64, 3])
    description = network._precompile_description(Settings(1, 10, 0.1), np.dtype("uint8"))
    with subprocess.Popen(
        child.command("nbconv.runs.precompile", description),
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        stdin=subprocess.PIPE,  # open until it has ended
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.wait() == 0, process.stderr.read()
    assert any("_advance_" in path.name for path in tmp_path.glob("*/*.nbc"))


def test_a_layer_of_the_user_s_own_is_not_compiled_ahead():
    class Own(nbconv.Dense):
        pass

    assert not nbconv.Network([Own(4), nbconv.Softmax(3)], (5,))._can_precompile
    assert nbconv.Network(LAYERS, (1, 12, 12))._can_precompile


def test_its_failure_is_told(monkeypatch, caplog):
    started, start = [], subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: started.append(start(*a, **k)) or started[-1]
    )
    monkeypatch.setattr(backend.compilation, "cache_is_cold", lambda: True)
    monkeypatch.setattr(threads, "most", lambda: 2)
    caplog.set_level("INFO", "nbconv")
    with backend.compiling_meanwhile(cpu, "nbconv.none", lambda: ""):
        started[0].wait()
    assert "compiling in a second process failed: " in caplog.text
    assert "No module named nbconv.none" in caplog.text


@pytest.mark.slow
def test_every_kernel_is_compiled_ahead():
    """What `nbconv doctor --compile` does calls every kernel of the interface."""
    script = (
        "from nbconv.kernels import cpu, interface; from nbconv.runs import precompile; "
        "precompile.every_kernel(); kernels = vars(interface.Kernels); "
        "called = [getattr(getattr(cpu, name, None), 'signatures', None) for name in kernels]; "
        "print(called.count([]), sum(map(bool, called)) > 30)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0 True\n"
    # Loaded from the cache they need neither Numba's registries nor SciPy.
    command[-1] += "; import sys; print('numba.np.arraymath' in sys.modules)"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0 True\nFalse\n"


@pytest.mark.slow
def test_a_first_training_starts_it_and_ends_it(tmp_path):
    """With an empty cache there is one process more, gone when fit returns.

    The result is the same without.
    It executes no file of the folder that it is started in.
    """
    results, folder = [], tmp_path / "folder"
    folder.mkdir()
    for module in ("numba", "queue", "nbconv"):
        (folder / f"{module}.py").write_text("open('executed', 'w').close()\n")
    for _ in range(2):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-P", "-c", FIT],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        results.append(done.stdout.split("] "))
    several = threads.offered() > 1
    assert results[0][0] == ("[True" if several else "[")
    assert results[1][0] == "["
    assert results[0][1] == results[1][1]
    assert not (folder / "executed").exists()
