"""Copies, pickles and forks: networks and data sets as other programs hand them around."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress

import h5py
import numpy as np
import pytest
from conftest import LINUX, POSIX

import nbconv
from nbconv import Conv2D, Dataset, Dense, Interrupted, MaxPool2D, Network, Softmax, backend
from nbconv.data.stored import StoredImages

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}
FIT = {"mini_batch_size": 10, "eta": 0.1, "momentum": 0.5}


def data(count=60):
    numbers = np.random.default_rng(0)
    return Dataset(numbers.integers(0, 256, (count, 1, 12, 12), np.uint8), np.arange(count) % 10)


def network():
    layers = [Conv2D(3, 3), MaxPool2D(2), Dense(9, dropout=0.3), Softmax(10)]
    return Network(layers, (1, 12, 12), seed=4, dtype="float64")


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_of_a_network_goes_on_by_itself(how):
    train = data()
    net = network()
    net.fit(train, 2, validation=train[:20], **FIT)
    before = net.engine.parameters.copy()
    other = COPIES[how](net)
    other.fit(train, 1, validation=train[:20], **FIT)
    assert np.array_equal(net.engine.parameters, before)
    assert net.history.epochs == 2
    net.fit(train, 1, validation=train[:20], **FIT)
    assert net.engine.parameters.tobytes() == other.engine.parameters.tobytes()
    assert net.history["validation_accuracy"] == other.history["validation_accuracy"]
    assert net.state.best.parameters.tobytes() == other.state.best.parameters.tobytes()
    assert (other.seed, other.dtype, other.backend) == (net.seed, net.dtype, net.backend)


@pytest.mark.parametrize("how", COPIES)
def test_labels_of_a_copy_stay_checked(how):
    """Kernels index with them: one that is out of bounds would write anywhere."""
    other = COPIES[how](data())
    with pytest.raises(ValueError, match="read-only"):
        other.labels[0] = 10**9
    assert other.fingerprint == data().fingerprint


@pytest.mark.parametrize("how", COPIES)
def test_labels_of_a_copy_cannot_be_replaced(how):
    other = COPIES[how](data())
    with pytest.raises(ValueError, match="WRITEABLE"):
        other.labels.setflags(write=True)
    with pytest.raises(nbconv.DataError, match="labels cannot be replaced: expected a new one"):
        other.labels = np.array(other.labels) + 10**9


def test_the_caller_s_labels_are_not_the_dataset_s():
    labels = np.arange(4)
    made = nbconv.Dataset(np.zeros((4, 2, 2)), labels)
    labels[0] = 10**9
    assert made.labels.tolist() == [0, 1, 2, 3]


def test_an_interruption_is_pickled():
    stop = Interrupted(15)
    stop.saved = True
    back = pickle.loads(pickle.dumps(stop))
    assert (str(back), back.signal_number, back.saved) == ("stopped by signal 15", 15, True)


def test_threads_have_networks_of_their_own():
    train = data()

    def trained(_):
        net = network()
        net.fit(train, 2, **FIT)
        return net.engine.parameters.tobytes()

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(trained, range(3)))) == 1


# Forks: in a process of their own, for the tests' process has threads that a fork would lose.

FORKED = """
import multiprocessing, os, pickle, sys
import numpy as np
import nbconv
from concurrent.futures import ProcessPoolExecutor
sys.path.insert(0, sys.argv[1])
from test_copies import FIT, data, network

train, net = data(200), network()
net.fit(train, 1, **FIT)
net.fit(train, 1, 64, 0.1)  # more than one micro-batch
pixels = np.asarray(train.images)
expected = net.predict(pixels)

def predict(k):
    return net.predict(pixels[20 * k : 20 * k + 20])

def fit(k):
    mine = network()
    mine.fit(train, 2, **FIT)
    return mine.engine.parameters.tobytes()

if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    with fork.Pool(2) as pool:
        assert (np.concatenate(pool.map(predict, range(10))) == expected).all()
        assert set(pool.map(fit, range(2))) == {fit(0)}
    with ProcessPoolExecutor(2, mp_context=fork) as pool:
        assert (np.concatenate(list(pool.map(predict, range(10)))) == expected).all()
    child = os.fork()
    if not child:
        grandchild = os.fork()
        right = (predict(0) == expected[:20]).all()
        if grandchild:
            right &= os.waitpid(grandchild, 0)[1] == 0
        os._exit(not right)
    assert os.waitpid(child, 0)[1] == 0
    assert (net.predict(pixels) == expected).all()
    print("done")
"""


@pytest.mark.slow
@POSIX
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_forked_children_work(layer):
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    command = [sys.executable, "-c", FORKED, os.path.dirname(__file__)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "done\n", done.stderr


AFTER_OPENMP = """
import ctypes, multiprocessing, sys
sys.path.insert(0, sys.argv[1])
import nbconv
from test_copies import data

def fit(seed):
    net = nbconv.Network([144, 10], seed=seed)
    net.fit(data(), 1, 10, 0.1, validation=data(20))
    return net.evaluate(data())["total"]

openmp = ctypes.CDLL("libgomp.so.1")
part = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda data: None)
openmp.GOMP_parallel(part, None, 2, 0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map(fit, range(2)))
"""


@pytest.mark.slow
@LINUX
def test_a_child_of_a_process_in_which_another_library_ran_openmp():
    command = [sys.executable, "-c", AFTER_OPENMP, os.path.dirname(__file__)]
    environment = {**os.environ, "GOMP_SPINCOUNT": "12000"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if "libgomp.so.1: cannot open" in done.stderr:
        pytest.skip("needs the system's OpenMP, libgomp.so.1")
    assert done.stdout == "[60, 60]\n", done.stderr


def test_a_pickle_of_a_backend_that_is_missing_here(caplog):
    with suppress(nbconv.BackendError):
        backend.select("cuda")
        pytest.skip("CUDA works here")
    net = network()
    again, (*about, made, learned, rest) = net.__reduce__()
    other = again(*about, {**made, "backend": "cuda"}, learned, rest)
    assert (other.backend, other.predict(data().images).tolist()) == (
        Network([144, 10]).backend,
        net.predict(data().images).tolist(),
    )
    assert "which is missing here" in caplog.text


@pytest.mark.parametrize("kind", ["h5", "npy"])
def test_images_that_stay_in_their_file(kind, tmp_path, monkeypatch):
    """A copy opens the file again."""
    whole = data()
    if kind == "h5":
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["images"], file["labels"] = whole.store, whole.labels
    else:
        monkeypatch.setattr("nbconv.data.arrays.MAPPED_BYTES", 0)
        np.save(tmp_path / "train_images.npy", whole.store)
        np.save(tmp_path / "train_labels.npy", whole.labels)
    train = nbconv.load_data(tmp_path / "a.h5" if kind == "h5" else tmp_path)[0]
    assert isinstance(train.store, StoredImages)
    monkeypatch.chdir(tmp_path.parent)
    for how in COPIES.values():
        other = how(train[3:])
        assert isinstance(other.store, StoredImages)
        assert np.array_equal(other.images[:], train.images[3:])
        assert np.array_equal(other.labels, train.labels[3:])


@pytest.mark.slow
def test_spawned_children_take_networks_along():
    net = network()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        back = pool.submit(copy.copy, net).result(timeout=120)
    assert np.array_equal(back.engine.parameters, net.engine.parameters)


THREADS = """
import sys
sys.path.insert(0, sys.argv[1])
from test_copies import test_threads_have_networks_of_their_own
test_threads_have_networks_of_their_own()
"""


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_threads_that_begin_together_load_each_kernel_once(layer):
    """With the layer workqueue, too, which ends a process whose threads use it at once.

    Four processes at a time: so the system interrupts each while it loads. Numba frees the code of
    a kernel that two threads have loaded.
    """
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    command = [sys.executable, "-c", THREADS, os.path.dirname(__file__)]
    children = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for child in children:
        _, said = child.communicate(timeout=120)
        assert child.returncode == 0, said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NUMBA_NUM_THREADS", "0", "NUMBA_NUM_THREADS is 0: expected 1 or more"),
        ("NUMBA_NUM_THREADS", "-3", "NUMBA_NUM_THREADS is -3: expected 1 or more"),
        ("NUMBA_NUM_THREADS", "+0", "NUMBA_NUM_THREADS is +0: expected 1 or more"),
        ("NUMBA_THREADING_LAYER", "none", "NUMBA_THREADING_LAYER is 'none': expected one of omp"),
        ("NUMBA_DISABLE_JIT", "1", "NUMBA_DISABLE_JIT is set"),
    ],
)
@pytest.mark.slow
def test_variables_that_numba_reads(name, value, said):
    for command in (
        ["-m", "nbconv", "train", "--net", "64-10", "--epochs", "1", "--backend", "cpu"],
        ["-c", "import nbconv; nbconv.Network([2, 2], backend='cpu')"],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            env={**os.environ, name: value},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert said in done.stderr.splitlines()[-1]


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (400 * 2**20,) * 2)
"""


@LINUX
def test_too_little_memory_is_one_line():
    """Beyond it Numba's import ends in an abort, or never."""
    for program in (
        "from nbconv.__main__ import run; sys.argv = ['nbconv', 'train']; run()",
        "import nbconv; nbconv.Network([2, 2])",
    ):
        done = subprocess.run(
            [sys.executable, "-c", LIMITED + program],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1
        assert "400 MB of address space (ulimit -v): expected 700" in done.stderr.splitlines()[-1]


def test_a_program_that_is_no_python_starts_no_second_one(monkeypatch):
    """Frozen by PyInstaller or embedded in a server, it would start itself."""
    for executable in ("/usr/bin/uwsgi", "", None, r"C:\\programs\\digits.exe"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(nbconv.NbconvError, match="expected a Python interpreter"):
            nbconv.child.command("nbconv.runs.precompile")
    for executable in ("/usr/bin/python3.13", r"python.exe", "/opt/pypy3"):
        monkeypatch.setattr(sys, "executable", executable)
        assert nbconv.child.command("nbconv.runs.precompile")[0] == executable
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(nbconv.NbconvError, match="needs a process of its own"):
        nbconv.child.command("nbconv.runs.precompile")
