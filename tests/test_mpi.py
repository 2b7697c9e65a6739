"""One training on several processes that mpiexec starts: the same bits, ends, what is refused."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from types import SimpleNamespace

import numpy as np
import pytest
from test_order import stored

import nbconv
from nbconv import Conv2D, Dense, MaxPool2D, Network, SettingError, Softmax
from nbconv.training.ranks import Ranks
from nbconv.training.shards import Shards

MPIEXEC = which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
WITH_MPI = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="needs mpi4py and mpiexec: pip install mpi4py mpich",
)
PATIENCE = 120  # seconds until a process that does not end is a fault

DENSE = [Dense(20), Softmax(10)]
CONV = [
    Conv2D(4, 3, activation="relu", padding=1),
    MaxPool2D(2),
    Conv2D(6, 2, activation="relu"),
    MaxPool2D(3),
    Softmax(10),
]
DROPOUT = [Dense(20, dropout=0.5), Dense(20, dropout=0.3), Softmax(10, dropout=0.5)]
EVERYTHING = {
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "standardise": True,
    "ema_decay": 0.5,
    "monitor_training": True,
    "monitor_layers": True,
}
CASES = {
    "dense": (DENSE, {"lmbda": 0.5}),
    "conv-conv": (CONV, {}),
    "dropout": (DROPOUT, {}),
    "momentum": (DENSE, {"momentum": 0.9, "nesterov": True, "lmbda_l1": 0.1}),
    "adam": (CONV, {"optimiser": "adam", "clip_norm": 0.5, "eta": 0.002}),
    "expand": (DENSE, {"expand": True}),
    "distorted": (CONV, {"rotate": 10.0, "zoom": 0.1, "shift": 1.0, "elastic": 1.0, "flip": True}),
    "by chunks": (DENSE, {"shuffle_chunks": 2}),
    "everything else": (DENSE, EVERYTHING),
}
IMAGES = 83  # five mini-batches of 16 images, and one of 3 for 8 shards


def fitted(name, digits, epochs=2, network=None, **how):
    """The network of a case, trained on in shards."""
    train, validation, test = digits
    layers, settings = CASES[name]
    network = network or Network(layers, (1, 8, 8), seed=3)
    sets = {"validation": validation[:101], "test": test[:50]}
    data = stored(train[:IMAGES]) if "shuffle_chunks" in settings else train[:IMAGES]
    network.fit(data, epochs, 16, **{"eta": 0.1, "shards": 8, **sets, **settings, **how})
    return network


def digest(network):
    """Of all that training has changed, and of what the history says, but for times."""
    told = hashlib.sha256()
    for values in network.engine.learned().values():
        told.update(values.data)
    history = {k: v for k, v in network.history.items() if k not in ("seconds", "threads")}
    told.update(json.dumps(history).encode())
    return told.hexdigest()


def mpiexec(folder, ranks, script, code=0):
    """What a script prints on rank 0 of so many, and what all write to standard error."""
    begin = "from mpi4py import MPI\nfrom tests.test_mpi import *\nranks = MPI.COMM_WORLD\n"
    done = subprocess.run(
        [MPIEXEC, "-n", str(ranks), sys.executable, "-c", begin + script],
        cwd=folder, env=environment(), capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def environment():
    """One thread a rank, and this copy of nbconv and of the tests."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here.parent), str(here), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "NUMBA_NUM_THREADS": "1"}


@WITH_MPI
@pytest.mark.slow
def test_the_bits_do_not_depend_on_the_number_of_processes(tmp_path, digits):
    """Nor where the training was stopped, and on how many processes it went on."""
    expected = {name: digest(fitted(name, digits)) for name in CASES}
    script = """
digits = nbconv.load_data("digits")
digests = {name: digest(fitted(name, digits, communicator=ranks)) for name in CASES}
if ranks.size == 4:
    fitted("dropout", digits, 1, communicator=ranks, checkpoint="of 4.h5")
else:
    begun = Network.load("of 4.h5")
    digests["dropout"] = digest(fitted("dropout", digits, 1, begun, communicator=ranks))
if ranks.rank == 0:
    print(json.dumps(digests))
"""
    for ranks in (4, 2):
        assert json.loads(mpiexec(tmp_path, ranks, script).stdout) == expected
    begun = Network.load(tmp_path / "of 4.h5")
    assert digest(fitted("dropout", digits, 1, begun)) == expected["dropout"]


ON_GPUS = """
import simulator
from nbconv.training import shards

simulator.use()
made = shards.Message.__init__
places = set()


def noted(message, backend, count, dtype):
    made(message, backend, count, dtype)
    if count:
        places.add(backend.__name__.rpartition(".")[2])


shards.Message.__init__ = noted
digits = nbconv.load_data("digits")
digests = []
for can_reach in (Ranks.reach, lambda *_: False):
    Ranks.reach = can_reach
    network = Network([Dense(5), Softmax(10)], (1, 8, 8), seed=3, backend="cuda")
    network.fit(digits[0][:8], 1, 4, 0.1, shards=2, communicator=ranks)
    digests.append(digest(network))
if ranks.rank == 0:
    print(json.dumps([*digests, *sorted(places)]))
"""


@WITH_MPI
@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None, reason="needs numba-cuda's simulator"
)
def test_gradients_of_gpus_are_added_up_there_or_on_the_host(tmp_path, monkeypatch):
    """In the simulator, whose memory any MPI can reach: the same bits for one process and two."""
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    one, two = [json.loads(mpiexec(tmp_path, ranks, ON_GPUS).stdout) for ranks in (1, 2)]
    assert one[0] == one[1]
    assert one[2:] == ["cuda", "reference"]
    assert two == one


class OnGpu:
    """Numbers on a GPU, with no more than the arrays of numba-cuda have."""

    def __init__(self, numbers):
        self._numbers = numbers
        self.dtype, self.size, self.shape = numbers.dtype, numbers.size, numbers.shape

    def __getitem__(self, part):
        return OnGpu(self._numbers[part])

    def view(self, dtype):
        return OnGpu(self._numbers.view(dtype))


class Gpu:
    """A backend whose arrays are such, and which is told to finish before others read them."""

    is_busy = False

    def zeros(self, shape, dtype):
        return OnGpu(np.zeros(shape, dtype))

    def write(self, array, values):
        array._numbers[...] = values

    def add(self, total, part):
        self.is_busy = True
        total._numbers += part._numbers

    def wait(self):
        self.is_busy = False


class Two(Ranks):
    """One of two ranks of this process, with a GPU each."""

    def __init__(self, rank, backend, sending, receiving):
        self.rank, self.size, self.communicator = rank, 2, self
        self.backend, self.sending, self.receiving = backend, sending, receiving

    def reach(self, backend):
        return True

    def Sendrecv(self, mine, to, tag, other, *_):
        assert not self.backend.is_busy, "MPI would read what is not there yet"
        self.sending.put(mine._numbers.copy())
        other._numbers[...] = self.receiving.get(timeout=PATIENCE)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_sums_on_gpus_that_mpi_reaches(count):
    """Four shards of two ranks: the tree's sums, and the GPU is waited for."""
    numbers = np.random.default_rng(0).standard_normal((4, count)).astype(np.float32)
    ways = [queue.Queue(), queue.Queue()]

    def sums_of(rank):
        gpu = Gpu()
        engine = SimpleNamespace(
            count=count, dtype=np.dtype("float32"), backend=gpu, with_statistics=False
        )
        shards = Shards(engine, 4, Two(rank, gpu, ways[rank], ways[1 - rank]))

        def one(shard, message):
            gpu.write(message.gradient, numbers[shard])
            gpu.write(message.others, [shard, 1, 0, 0, 0][: message.others.size])

        total = shards._total(shards._gradients, one)
        return total.gradient._numbers, total.others._numbers[:2]

    with ThreadPoolExecutor(2) as pool:
        for gradient, others in pool.map(sums_of, range(2)):
            right = (numbers[0] + numbers[1]) + (numbers[2] + numbers[3])
            assert np.array_equal(gradient, right)
            assert others.tolist() == [6, 4]


@WITH_MPI
@pytest.mark.slow
def test_a_process_has_its_gpu_before_mpi_begins(tmp_path, monkeypatch):
    """By the number that the launcher tells."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    asked = "from nbconv.training.ranks import world; world(); import os; print(os.environ['%s'])"
    command = [sys.executable, "-c", asked % "CUDA_VISIBLE_DEVICES"]
    done = subprocess.run(
        [MPIEXEC, "-n", "2", *command], env=environment(), cwd=tmp_path, capture_output=True,
        text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert sorted("".join(done.stdout.split())) == ["2", "5"]


@WITH_MPI
@pytest.mark.slow
@pytest.mark.skipif(
    not list(importlib.metadata.distributions(name="mpich")), reason="needs the wheel of MPICH"
)
def test_an_mpi_without_cuda_says_so():
    """The wheel of MPICH, asked by its own function."""
    asked = """
import ctypes
from mpi4py import MPI
from nbconv.training.ranks import _is_cuda_aware
print(hasattr(ctypes.CDLL(MPI.__file__), "MPIX_Query_cuda_support"), _is_cuda_aware())
"""
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert done.stdout == "True False\n"


def test_shards_are_a_setting_of_the_training(digits):
    """Other shards are other sums and random numbers, near to the same."""
    one, two = (fitted("dense", digits, shards=shards) for shards in (1, 2))
    assert digest(one) != digest(two)
    assert one.history["cost"] == pytest.approx(two.history["cost"], rel=1e-5)
    for name in ("validation_cost", "validation_accuracy", "test_accuracy"):
        assert one.history[name] == pytest.approx(two.history[name], rel=1e-4)
    for layers in zip(one.parameters(), two.parameters(), strict=True):
        ours, others = (layer["weights"] for layer in layers)
        assert ours == pytest.approx(others, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"shards": 3}, "shards is 3: expected a power of two: 1, 2, 4, 8, ..."),
        (
            {"shards": 32},
            "shards is 32 and mini_batch_size is 16: expected at least one image in each shard of "
            "a mini-batch",
        ),
    ],
)
def test_shards_that_cannot_be(digits, settings, line):
    with pytest.raises(SettingError) as refused:
        fitted("dense", digits, **settings)
    assert str(refused.value) == line


def test_shards_and_batch_normalisation(digits):
    network = Network([Dense(5), nbconv.BatchNorm(), Softmax(10)], (1, 8, 8))
    with pytest.raises(SettingError, match=r"^shards is 8 and the network has BN layers: expected"):
        fitted("dense", digits, network=network)


AGREED = """
import resource
from nbconv.errors import NbconvError

digits = nbconv.load_data("digits")


def refused(*arguments, **how):
    try:
        fitted(*arguments, communicator=ranks, **how)
    except NbconvError as error:
        return type(error).__name__, str(error).replace(MPI.Get_processor_name(), "HOST")


other = nbconv.Dataset(digits[0].images[::-1], digits[0].labels)
lines = {
    "ranks": refused("dense", digits, shards=1),
    "wrong": refused("dense", digits, lmbda=-1),
    "wrong here": refused("dense", digits, lmbda=-ranks.rank),
    "settings": refused("dense", digits, lmbda=0.5 + ranks.rank),
    "data": refused("dense", (other if ranks.rank == 1 else digits[0], *digits[1:])),
    "weights": refused("dense", digits, network=Network(DENSE, (1, 8, 8), seed=3 + ranks.rank)),
    "diverged": refused("dense", digits, lmbda=1e30),
}
if ranks.rank == 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
lines["disk"] = refused("dense", digits, checkpoint="run.h5")
all_lines = ranks.allgather(lines)
if ranks.rank == 0:
    print(json.dumps(all_lines))
"""


@WITH_MPI
@pytest.mark.slow
def test_what_fails_fails_on_all(tmp_path):
    """The same error on each rank, and the next training begins."""
    first, second = json.loads(mpiexec(tmp_path, 2, AGREED).stdout)
    assert first == second
    expected = {
        "ranks": "SettingError: shards is 1 and there are 2 processes: expected a power of two",
        "wrong": "SettingError: lmbda is -1: expected a number of 0 or more",
        "wrong here": "SettingError: lmbda is -1: expected a number of 0 or more (on rank 1 of 2)",
        "settings": "SettingError: rank 1 of 2, on HOST, has lmbda 1.5, and rank 0 0.5: expected "
        "the same on all",
        "data": "SettingError: rank 1 of 2, on HOST, has training data with the fingerprint ",
        "weights": "SettingError: rank 1 of 2, on HOST, has the seed 4, and rank 0 3: expected",
        "diverged": "DivergedError: ",
        "disk": "CheckpointError: run.h5 could not be saved: File too large",
    }
    for name, line in expected.items():
        assert ": ".join(first[name]).startswith(line), first[name]
    assert not list(tmp_path.iterdir())


ALONE = """
from nbconv.engine.engine import Engine

if ranks.rank == 1:
    Engine.update = lambda *_: {}["what is not there"]
fitted("dense", nbconv.load_data("digits"), communicator=ranks)
"""


@WITH_MPI
@pytest.mark.slow
def test_an_exception_on_one_rank_ends_all(tmp_path):
    errors = mpiexec(tmp_path, 2, ALONE, code=1).stderr
    assert "Error: rank 1 of 2 ends the training: it lacks 'what is not there'" in errors
    assert errors.count("Traceback") == 1  # it is a fault of the program


# It writes down its process's number, and is nbconv from then on.
NUMBERED = (
    "import os, sys\nopen(os.environ.get('PMI_RANK') or os.environ['OMPI_COMM_WORLD_RANK'], 'w')"
    ".write(str(os.getpid()))\nos.execv(sys.executable, [sys.executable, '-m', 'nbconv', "
    "*sys.argv[1:]])"
)


class Running:
    """`nbconv train --mpi` on two processes, past its first epoch."""

    def __init__(self, folder, *arguments):
        command = [MPIEXEC, "-n", "2", sys.executable, "-c", NUMBERED, "train", "--mpi"]
        self.process = subprocess.Popen(
            [*command, *arguments], cwd=folder, env=environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("epoch"):
                break
        self.ranks = [int((folder / str(rank)).read_text()) for rank in range(2)]

    def ended(self):
        """The exit code; what has been written to standard error is added to `lines`."""
        try:
            _, errors = self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        self.lines += errors.splitlines(keepends=True)
        until = time.monotonic() + PATIENCE
        while any(os.path.exists(f"/proc/{rank}") for rank in self.ranks):
            assert time.monotonic() < until, "a rank is left"
            time.sleep(0.05)
        return self.process.returncode


NET = ("--net", "6C3-MP2-20N-N", "--activation", "relu", "--mini-batch-size", "50", "--shards", "2")


@WITH_MPI
@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "number"), [("launcher", signal.SIGINT), ("rank 1", signal.SIGTERM)]
)
def test_a_signal_stops_all_ranks_behind_the_same_mini_batch(tmp_path, invoke, to, number):
    running = Running(tmp_path, *NET, "--epochs", "100000", "--out", "run.h5")
    os.kill(running.ranks[1] if to == "rank 1" else running.process.pid, number)
    assert running.ended() == 128 + number, running.lines
    said = [line for line in running.lines if line.startswith(("Stopped", "Go on", "Error"))]
    assert len(said) == 2, running.lines
    epoch = Network.load(tmp_path / "run.h5").state.epoch + 1
    invoke("train", "--resume", "run.h5", "--epochs", epoch)
    invoke("train", *NET, "--epochs", epoch, "--out", "in one go.h5")
    stopped, whole = (Network.load(tmp_path / name) for name in ("run.h5", "in one go.h5"))
    assert digest(stopped) == digest(whole)


@WITH_MPI
@pytest.mark.slow
@pytest.mark.parametrize(("to", "number"), [("launcher", "SIGHUP"), ("rank 0", "SIGKILL")])
def test_what_ends_at_once_leaves_the_last_epoch(tmp_path, to, number):
    """MPICH's mpiexec ends at SIGHUP, and all ranks with it."""
    running = Running(tmp_path, *NET, "--epochs", "100000", "--out", "run.h5")
    number = getattr(signal, number)
    os.kill(running.ranks[0] if to == "rank 0" else running.process.pid, number)
    assert running.ended() != 0
    assert Network.load(tmp_path / "run.h5").state.epoch >= 1


@pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is not None, reason="mpi4py is there: tested without it"
)
def test_without_mpi4py(invoke):
    line = invoke("train", "--mpi", code=1).stderr
    assert line.startswith("Error: training on several processes needs mpi4py and an MPI: expected")


def test_mpiexec_without_mpi_is_said_once(invoke, monkeypatch):
    small = ("train", "--net", "N", "--epochs", 1)
    for rank, is_said in (("0", True), ("1", False)):
        monkeypatch.setenv("PMI_SIZE", "2")
        monkeypatch.setenv("PMI_RANK", rank)
        assert ("with --mpi they share one" in invoke(*small).stderr) == is_said


@pytest.mark.parametrize(
    ("visible", "taken"),
    [(None, "1"), ("2,5", "5"), ("7", "7"), ("", ""), ("a,b", "b")],
)
def test_each_rank_of_a_machine_takes_a_gpu(monkeypatch, visible, taken):
    ranks = Ranks()
    ranks.size, ranks.local_rank = 2, 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for _ in range(2):  # a second time changes nothing
        ranks.take_gpu()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == taken
