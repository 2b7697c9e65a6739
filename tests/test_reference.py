"""The reference backend: beside the CPU's, as its readers find it, and without Numba's compiler."""

import ast
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import IS_COMPILED
from nbconv.kernels import cpu, reference

import nbconv
from nbconv import AvgPool2D, BatchNorm, Conv2D, Dense, L2Pool2D, MaxPool2D, Softmax
from nbconv.data.dataset import Images
from nbconv.data.stored import StoredImages
from nbconv.diagnostics import parity
from nbconv.diagnostics.gradcheck import CASES

compiled = pytest.mark.skipif(not IS_COMPILED, reason="needs Numba's compiler")

# The second convolution's kernel rows meet enough numbers to go back by the maxima alone.
NETWORKS = {
    "book": (
        [
            Conv2D(2, 3, activation="relu"), MaxPool2D(2),
            Conv2D(2, (2, 8), padding=(1, 3)), MaxPool2D((2, 1)),
            Dense(4, activation="tanh", dropout=0.5), Softmax(3),
        ],
        None,
    ),
    "pools": (
        [Conv2D(2, 3, stride=2, padding=1), L2Pool2D(2, 1), AvgPool2D(2, 1), Dense(3)],
        "cross-entropy",
    ),
    "batch norm": (
        [
            Conv2D(2, 3, activation="relu"), BatchNorm(), MaxPool2D(2),
            Dense(4, activation="tanh"), BatchNorm(), Softmax(3),
        ],
        None,
    ),
    "quadratic": (
        [Conv2D(2, 3, stride=2, padding=1), Conv2D(2, 2), Dense(3, activation="linear")],
        "quadratic",
    ),
}  # fmt: skip
TRAININGS = {
    "plain": {},
    "momentum": {"momentum": 0.9, "nesterov": True, "lmbda_l1": 0.1},
    "expanded": {"expand": True, "mini_batch_size": 15},
    "distorted": {"rotate": 20, "zoom": 0.2, "shift": 1, "elastic": 1, "flip": True, "crop": 1},
}
# Where docs/equations.md sends a reader, and what is called there: functions of one number, and
# one of the same file.
READ = (
    "conv2d_forward", "conv2d_backward_weights", "conv2d_backward_input", "max_pool2d_backward",
    "dense_backward_weights", "dense_backward_biases", "dense_backward_input",
    "softmax", "log_likelihood",
)  # fmt: skip
CALLED = {"range", "dw.dtype.type", "np.float64", "np.log", "scalar.exp_negative", "_largest"}
WITHOUT_COMPILER = """
import json, nbconv
from test_reference import NETWORKS, trained
sums = [abs(trained("reference", name).engine.parameters).sum() for name in NETWORKS]
try:
    nbconv.Network([3, 2], backend="cpu")
except nbconv.BackendError as error:
    print(json.dumps([sums, str(error)]))
"""


def pictures(count, seed=0):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 1, 6, 6)).astype(np.uint8)
    return nbconv.Dataset(images, random.integers(0, 3, count))


def trained(backend, name, training="plain", dtype="float64", data=None):
    layers, cost = NETWORKS[name]
    network = nbconv.Network(layers, (1, 6, 6), cost=cost, backend=backend, dtype=dtype, seed=1)
    options = {"mini_batch_size": 4, "eta": 0.5, "lmbda": 0.1} | TRAININGS[training]
    network.fit(data or pictures(9), 1, validation=pictures(5, 1), **options)
    return network


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", TRAININGS)
def test_a_training(name, training, dtype):
    network = trained("reference", name, training, dtype.name)
    assert network.backend == "reference"
    assert np.isfinite(network.predict_proba(pictures(3).images)).all()
    if IS_COMPILED:
        right = trained("cpu", name, training, dtype.name).engine.parameters
        is_single = dtype == np.float32 or training == "distorted"  # images, in float32
        bound = 1e-4 if is_single else 1e-10
        np.testing.assert_allclose(network.engine.parameters, right, rtol=bound, atol=bound)


def test_images_that_stay_in_their_file(tmp_path):
    data = pictures(9)
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["images"] = data.store
        stored = nbconv.Dataset(
            Images(StoredImages(file["images"], tmp_path / "images.h5", "HDF5")), data.labels
        )
        read = trained("reference", "book", data=stored)
    assert np.array_equal(read.engine.parameters, trained("reference", "book").engine.parameters)


@pytest.mark.parametrize("name", READ)
def test_an_equation_s_loops_are_read_in_one_place(name):
    """In at most 20 lines, which call only functions of one number and one of the same file."""
    kernel = getattr(reference, name)
    source = inspect.getsource(getattr(kernel, "py_func", kernel))
    (function,) = ast.parse(source).body
    assert function.end_lineno - function.lineno < 20
    calls = [
        node for part in function.body for node in ast.walk(part) if isinstance(node, ast.Call)
    ]
    assert {ast.unparse(call.func) for call in calls} <= CALLED


@compiled
def test_a_network_goes_there_and_back():
    network = trained("cpu", "book", "momentum")
    before = network.predict_proba(pictures(5).images)
    assert network.to("reference") is network
    assert network.engine.backend is reference
    np.testing.assert_allclose(network.predict_proba(pictures(5).images), before, rtol=1e-10)
    assert network.to("cpu").engine.backend is cpu
    assert np.array_equal(network.predict_proba(pictures(5).images), before)


@compiled
def test_it_runs_without_the_compiler():
    """As Python: the same weights, to the rounding of fused multiply-adds; and no warnings."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", WITHOUT_COMPILER],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    sums, error = json.loads(done.stdout)
    right = [np.abs(trained("reference", name).engine.parameters).sum() for name in NETWORKS]
    np.testing.assert_allclose(sums, right, rtol=1e-12)
    remedy = "NUMBA_DISABLE_JIT is set: unset it, or use backend 'reference'"
    assert error == f"backend 'cpu' is not there: {remedy}"


@compiled
@pytest.mark.slow
def test_commands(command):
    """Where there is no GPU, parity compares the reference and the CPU."""
    small = "--net", "2C3-MP2-3N", "--input", "1x6x6", "--images", 2
    assert command("parity", *small).stdout.endswith("All 8 within 1e-05 on reference and cpu.\n")
    error = command("parity", "--backends", "cpu,cpu", *small, code=1).stderr
    assert error.startswith("Error: backends is 'cpu,cpu': expected two of cpu, cuda and reference")
    assert (
        f"All {len(CASES)} within 1e-06." in command("gradcheck", "--backend", "reference").stdout
    )
    command("train", "--net", "10N", "--epochs", 1, "--backend", "reference", "--out", "run.h5")
    found = command("eval", "run.h5", "--backend", "reference", "--json").stdout
    assert json.loads(found)["correct"] > 0


@pytest.mark.parametrize("given", ["cpu", "cpu,auto", "cpu,tpu", "cpu,reference,cuda", ""])
def test_parity_wants_two_backends(given):
    with pytest.raises(nbconv.SettingError, match=f"backends is '{given}': expected two of"):
        parity.two_backends(given)


@compiled
def test_a_wrong_kernel_is_found_by_parity(monkeypatch):
    def compared():
        return parity.compare(
            *(nbconv.Network([6, 3], backend=backend) for backend in ("cpu", "reference")), 2
        )

    assert max(result.relative for result in compared()) < 1e-6
    right = reference.dense_backward_input
    monkeypatch.setattr(reference, "dense_backward_input", lambda da, dz, w: right(da, dz, -w))
    results = compared()
    assert max(results, key=lambda result: result.relative).array == "dC/dx"
