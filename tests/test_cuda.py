"""The CUDA backend as a whole: on a GPU, or in numba-cuda's simulator (make test-sim)."""

import functools
import subprocess
import sys

import numpy as np
import oracle
import pytest
from conftest import BACKENDS, POSIX, close

import nbconv
from nbconv import AvgPool2D, BatchNorm, Conv2D, Dense, L2Pool2D, MaxPool2D, Softmax
from nbconv import backend as backends
from nbconv.activations import LINEAR
from nbconv.diagnostics import gradcheck
from nbconv.engine.engine import UNCHANGED
from nbconv.layers import Randomness, Rates

if "cuda" not in BACKENDS:
    pytest.skip(
        "needs NBCONV_TEST_BACKENDS=cuda, and a GPU or the simulator", allow_module_level=True
    )

from nbconv.kernels import cpu
from nbconv.kernels import cuda as gpu
from nbconv.kernels.cuda import conv, dense, device, memory

# The second convolution's kernel rows meet enough numbers to go back by the maxima alone.
LAYERS = [
    Conv2D(2, 3, activation="relu"), MaxPool2D(2), Conv2D(2, (2, 8), padding=(1, 3)),
    MaxPool2D((2, 1)), Dense(4, dropout=0.5), Softmax(3),
]  # fmt: skip
HOUSE = {
    "book": LAYERS,
    "batch norm": [
        Conv2D(2, 3, activation="relu"),
        BatchNorm(),
        MaxPool2D(2),
        Dense(4),
        BatchNorm(),
        Softmax(3),
    ],
    "pools": [
        Conv2D(2, 3, stride=2, padding=1),
        L2Pool2D(2, 1),
        AvgPool2D(2, 1),
        Dense(3, activation="tanh"),
    ],
}
TRAININGS = {
    "plain": {},
    "momentum": {"momentum": 0.9, "lmbda_l1": 0.1},
    "adam": {"optimiser": "adam", "eta": 0.01, "clip_norm": 0.5},
    "expanded": {"expand": True, "mini_batch_size": 15, "images": 3, "standardise": True},
    "distorted": {
        "rotate": 20, "zoom": 0.2, "shift": 1, "elastic": 1, "flip": True, "crop": 1,
        "standardise": True,
    },
}  # fmt: skip


def digits(count, seed=0):
    random = np.random.default_rng(seed)
    return nbconv.Dataset(
        random.integers(0, 256, (count, 1, 6, 6)).astype(np.uint8), random.integers(0, 3, count)
    )


def trained(backend, layers=LAYERS, epochs=1, images=9, **options):
    network = nbconv.Network(layers, (1, 6, 6), backend=backend, seed=1)
    options = {"mini_batch_size": 4, "eta": 0.5, "lmbda": 0.1} | options
    network.fit(digits(images), epochs, validation=digits(5, 1), **options)
    return network


@functools.cache
def trained_on_cuda():
    """It takes seconds in the simulator, and several tests compare with it."""
    return trained("cuda")


def differ(one, other):
    """The largest difference of two networks' parameters, over the largest of them."""
    pairs = [
        (a[name], b[name])
        for a, b in zip(one.parameters(), other.parameters(), strict=True)
        for name in a
    ]
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(a).max() for a, _ in pairs)


@pytest.mark.parametrize("name", HOUSE)
@pytest.mark.parametrize("training", TRAININGS)
def test_a_training_is_the_cpu_s(name, training):
    if (name, training) == ("batch norm", "adam"):
        pytest.skip("a bias before BN has a gradient of rounding alone, which Adam magnifies")
    ours, right = (
        trained(backend, HOUSE[name], **TRAININGS[training]) for backend in ("cuda", "cpu")
    )
    assert (ours.backend, right.backend) == ("cuda", "cpu")
    assert differ(ours, right) < 1e-5
    for metric in ("cost", "validation_cost"):
        np.testing.assert_allclose(ours.history[metric], right.history[metric], rtol=1e-5)
    assert list(ours.history["validation_accuracy"]) == list(right.history["validation_accuracy"])
    images = digits(2).images
    one, other = (net.predict_proba(images) for net in (ours, right))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)  # tanh may be near 0


def test_no_second_process_takes_the_device(monkeypatch):
    """It is for kernels that programs compile: the CPU's."""
    monkeypatch.setattr(backends.compilation, "cache_is_cold", lambda: True)
    monkeypatch.setattr(
        backends.subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started")
    )
    trained("cuda", [Dense(3)], images=4)


def test_every_run_has_the_same_bits():
    one, other = trained_on_cuda(), trained("cuda")
    assert differ(one, other) == 0


@pytest.mark.parametrize("name", gradcheck.CASES)
def test_gradients_are_those_that_central_differences_confirm(name):
    """In float64, as the CPU's, which `nbconv gradcheck` compares with central differences."""
    layers, shape, cost = gradcheck.CASES[name]
    random = np.random.default_rng(2)
    data = nbconv.Dataset(random.random((3, *shape)), random.integers(0, 3, 3))
    gradients = [
        nbconv.Network(
            layers, shape, cost=cost, dtype="float64", backend=backend
        ).engine.mean_gradient(data, Randomness(1, 2))
        for backend in ("cuda", "cpu")
    ]
    assert np.abs(gradients[0] - gradients[1]).max() <= 1e-13 * max(1, np.abs(gradients[1]).max())


def test_central_differences():
    network = nbconv.Network([Dense(2), Softmax(2)], 3, dtype="float64", backend="cuda")
    data = nbconv.Dataset(np.random.default_rng(0).random((3, 3)), [0, 1, 1])
    differences = gradcheck.central_differences(network, data, None)
    assert (
        gradcheck.relative_error(network.engine.mean_gradient(data), differences).max()
        < gradcheck.BOUND
    )


@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_crosses(tmp_path, first, second):
    """A run begun on one and gone on with on the other ends as if it had stayed."""
    trained(first, images=5).save(tmp_path / "run.h5")
    crossed = nbconv.Network.load(tmp_path / "run.h5", backend=second)
    crossed.fit(digits(5), 1, 4, 0.5, 0.1, validation=digits(5, 1))
    stayed = trained(second, epochs=2, images=5)
    assert crossed.state.epoch == 2
    assert differ(crossed, stayed) < 1e-5


def test_a_network_moves_and_comes_back():
    network = trained("cpu", momentum=0.9)
    before, velocity = network.parameters(), network.engine.velocity.copy()
    assert network.to("cuda") is network
    assert network.backend == "cuda"
    assert network.to("cpu").engine.backend is cpu
    assert np.array_equal(network.engine.velocity, velocity)
    for layer, was in zip(network.parameters(), before, strict=True):
        assert all(np.array_equal(layer[name], was[name]) for name in was)


def test_masks_and_moved_images_are_the_cpu_s_to_the_bit(kernels):
    ones = np.linspace(1, 2, 90, dtype=np.float32)
    masks = [np.empty_like(ones) for _ in range(2)]
    for backend, out in zip((kernels, cpu), masks, strict=True):
        backend.dropout(out, ones, 0.4, 1.5, np.array([3, 2**40]), 5)
    assert np.array_equal(*masks)
    images = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 5)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(15)[None]
    moved = [np.empty((1, 40, 15), np.float32) for _ in range(2)]
    for backend, out in zip((kernels, cpu), moved, strict=True):
        backend.gather(
            out, np.empty(15, int), images, np.arange(3), order, np.zeros(4, int), 0, 5, 1 / 255,
            UNCHANGED.astype(np.float32),
        )  # fmt: skip
    assert np.array_equal(*moved)


def test_large_feature_maps_are_added_up_in_parts(kernels, monkeypatch):
    monkeypatch.setattr(conv, "MIN_PART_PLACES", 16)
    random = np.random.default_rng(0)
    dz, a = (
        random.standard_normal(shape).astype(np.float32)
        for shape in ((2, 3, 4, 5), (1, 4, 1, 5, 5))
    )
    w, dw = np.empty((2, 1, 2, 2), np.float32), np.full((2, 1, 2, 2), np.nan, np.float32)
    kernels.conv2d_backward_weights(dw, dz, a, np.array([0, 1, 5, 6], np.uint64), 5)
    right, _, _ = oracle.conv2d_backward(oracle.first(dz), oracle.first(a[:, :, 0]), w)
    close(dw, right, np.float32, 60)


@pytest.mark.parametrize(("images", "n_in", "n_out"), [(5, 9, 33), (3, 40, 2)])
def test_products_in_tiles(kernels, monkeypatch, images, n_in, n_out):
    monkeypatch.setattr(dense, "FULL_BLOCKS", 1)
    random = np.random.default_rng(0)
    shapes = (images, n_in), (n_out, n_in), (n_out,), (images, n_out)
    x, w, b, dz = (random.standard_normal(shape).astype(np.float32) for shape in shapes)
    z, dw, da = (np.full(shape, np.nan, np.float32) for shape in (dz.shape, w.shape, x.shape))
    kernels.dense_forward(z, x, w, b, LINEAR)
    kernels.dense_backward_weights(dw, dz, x)
    kernels.dense_backward_input(da, dz, w)
    close(z, oracle.dense_forward(x, w, b), np.float32, n_in)
    right_dw, right_db, right_da = oracle.dense_backward(dz, x, w)
    close(dw, right_dw, np.float32, images)
    close(da, right_da, np.float32, n_out)
    right = (1 - 0.1 * 0.3) * np.float64(w) - 0.1 * right_dw, b - 0.1 * right_db
    kernels.dense_descend(w, b, dz, x, np.array([0.1, 0.3]))
    close(w, right[0], np.float32, images)
    close(b, right[1], np.float32, images)


def test_images_that_do_not_fit_are_streamed(monkeypatch):
    right = trained_on_cuda()
    monkeypatch.setattr(
        device, "memory", lambda: (640, 640)
    )  # of which half is for data: fewer than 9 images' bytes
    uploads = []
    monkeypatch.setattr(
        memory,
        "upload",
        lambda array, upload=memory.upload: (uploads.append(array.shape), upload(array))[1],
    )
    monkeypatch.setattr(gpu, "upload", memory.upload)
    streamed = trained("cuda")
    assert (4, 1, 6, 6) in uploads
    assert (9, 1, 6, 6) not in uploads
    assert differ(streamed, right) == 0
    assert list(streamed.history["validation_accuracy"]) == list(
        right.history["validation_accuracy"]
    )


def failing(code, line):
    error = device.ERRORS[0](line) if device.IS_SIMULATED else device.ERRORS[0](code, line)
    error.code = code
    return error


def test_too_little_memory_is_one_line(monkeypatch):
    def refuse(*_):
        raise failing(device.OUT_OF_MEMORY, "out of memory")

    monkeypatch.setattr(device.cuda, "device_array", refuse)
    with pytest.raises(
        nbconv.BackendError,
        match=r"MiB free, and \d+ MiB more are needed: expected a smaller mini-batch",
    ) as told:
        nbconv.Network([36, 3], backend="cuda")
    assert "\n" not in str(told.value)
    monkeypatch.undo()
    nbconv.Network([36, 3], backend="cuda").predict(digits(1).images)  # and nothing else is lost


def test_a_failing_device_ends_the_run(tmp_path, monkeypatch):
    """No further call of the device, no harm to the last checkpoint."""
    network = trained("cuda", epochs=1)
    network.save(tmp_path / "run.h5")
    content = (tmp_path / "run.h5").read_bytes()
    calls, launch = [], device.run

    def run(kernel, grid, block, arguments):
        calls.append(kernel)
        if len(calls) == 30:
            with device.told():
                raise failing(700, "an illegal memory access was encountered")
        launch(kernel, grid, block, arguments)

    monkeypatch.setattr(device._Status, "failure", "")
    monkeypatch.setattr(device, "run", run)
    for _ in range(2):
        with pytest.raises(
            nbconv.BackendError, match=r"the GPU failed \(.*illegal memory access.*last checkpoint"
        ):
            network.fit(digits(9), 2, 4, 0.5, 0.1, checkpoint=tmp_path / "run.h5")
    assert len(calls) == 30
    assert (tmp_path / "run.h5").read_bytes() == content
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.h5"]


@POSIX
def test_a_forked_process_is_told(tmp_path):
    script = """
import os, nbconv
net = nbconv.Network([4, 2], backend="cuda")
child = os.fork()
if child == 0:
    for attempt in (
        lambda: nbconv.Network([4, 2], backend="cuda"),
        lambda: net.predict([[0, 0, 0, 0]]),
    ):
        try:
            attempt()
        except nbconv.BackendError as error:
            print(error, flush=True)
    print(nbconv.Network([4, 2]).backend, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stdout + done.stderr
    assert all("was forked from one that had used the GPU" in line for line in lines[:2])
    assert lines[2] == "cpu"


def test_parity(command):
    done = command(
        "parity", "--backends", "cpu,cuda", "--net", "2C3-MP2-3N", "--input", "1x6x6", "--images", 2
    )
    assert "1 2C3-MP2  dC/dw" in done.stdout
    assert done.stdout.splitlines()[-1] == "All 8 within 1e-05 on cpu and cuda."


def test_a_wrong_kernel_is_found_by_parity(monkeypatch):
    from nbconv.diagnostics import parity

    def compared():
        one, other = (nbconv.Network([6, 3], backend=backend) for backend in ("cpu", "cuda"))
        return parity.compare(one, other, 2)

    assert max(result.relative for result in compared()) < 1e-6
    wrong = gpu.dense_backward_input
    monkeypatch.setattr(gpu, "dense_backward_input", lambda da, dz, w: wrong(da, w[:2, :3], w))
    results = compared()
    assert max(results, key=lambda result: result.relative).array == "dC/dx"


def test_launches_of_a_mini_batch(monkeypatch):
    """The book's third network: what docs/cuda.md counts."""
    calls = []
    monkeypatch.setattr(device, "run", lambda kernel, *_: calls.append(kernel))
    layers = [Conv2D(20, 5), MaxPool2D(2), Conv2D(40, 5), MaxPool2D(2), Dense(100), Softmax(10)]
    network = nbconv.Network(layers, (1, 28, 28), backend="cuda")
    data = nbconv.Dataset(np.zeros((10, 1, 28, 28), np.uint8), np.zeros(10, int))
    network.engine.descend(data, np.arange(10)[None], Randomness(0, 0), np.array([Rates(0.1)]))
    assert len(calls) == (26 if device.IS_SIMULATED else 25)  # tiles are smaller in the simulator


def test_the_inside_of_a_network_is_the_cpu_s():
    one, other = (
        nbconv.Network(LAYERS, (1, 6, 6), backend=backend, seed=1) for backend in ("cuda", "cpu")
    )
    data = digits(5)
    for (name, ours), (_, right) in zip(
        one.activations(data.images), other.activations(data.images), strict=True
    ):
        assert np.abs(ours - right).max() < 1e-5, name
    assert one.monitor(data) == pytest.approx(other.monitor(data), rel=1e-4)
