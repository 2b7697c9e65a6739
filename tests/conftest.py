"""What the tests share: the backends, MNIST, the command line in this process and in its own."""

import functools
import gc
import importlib
import inspect
import os
import signal
import subprocess
import sys
from contextlib import suppress

# Tests run beside each other, and OpenMP's threads that wait by spinning would starve the others.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import pytest
from click.testing import CliRunner
from nbconv.cli import main

import nbconv
from nbconv import backend

# Python's search for garbage walks through all that Numba builds: here a tenth of the time.
gc.set_threshold(50_000, 20, 50)
# Run in the background or under nohup, tests inherit ignored signals, and nbconv leaves those so.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)

with suppress(ModuleNotFoundError):  # make gpu does without it
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "nbconv",
        deadline=None,
        max_examples=40,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    settings.load_profile("nbconv")


# These compile what no other file does. They go first, in this order: so `make test`'s two
# processes do not both compile the kernels that all the others share.
FIRST = ("test_ptx", "test_training", "test_processors", "test_gradients")


def pytest_collection_modifyitems(items):
    """The files in their order; the CPU's kernels in float64, compiled a second time, are slow.

    `make check` has the reference's gradients in float64, and the CPU's kernels beside it in
    float32. A test of networks in float64 without a parameter `kernels` runs on the CPU; those of
    data compile nothing.
    """
    items.sort(
        key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST)
    )
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        dtype, kernels = parameters.get("dtype"), parameters.get("kernels", "cpu")
        is_double = dtype in ("float64", np.float64) and item.path.parent.name != "data"
        if is_double and kernels == "cpu":
            item.add_marker("slow")


# NBCONV_TEST_BACKENDS=cuda: on a GPU, or in numba-cuda's simulator with NUMBA_ENABLE_CUDASIM=1
# (make test-sim).
BACKENDS = os.environ.get("NBCONV_TEST_BACKENDS", "cpu,reference").split(",")
if "cuda" not in BACKENDS:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # tests of the CPU are so on a machine with a GPU, too
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX: its signals, forks or limits")
LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="needs Linux: its /proc, /dev/full or limits"
)
IS_SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
IS_COMPILED = (
    os.environ.get("NUMBA_DISABLE_JIT") != "1"
)  # else the reference's kernels run as Python: make coverage
if IS_SIMULATED:
    import simulator

    simulator.use()


def unless_simulated(cases, few):
    """The cases of a test.

    In the simulator and in Python, both slow, these few.
    """
    return few if IS_SIMULATED or not IS_COMPILED else cases


class OnDevice:
    """A backend whose kernels take the host's arrays: they work on copies, then copied back."""

    def __init__(self, module):
        self.module = module

    def __getattr__(self, name):
        kernel = getattr(self.module, name)
        return functools.partial(self._call, kernel) if callable(kernel) else kernel

    def _call(self, kernel, *arguments):
        copies = {}

        def there(value):
            if isinstance(value, tuple):
                return tuple(map(there, value))
            if not isinstance(value, np.ndarray):
                return value
            key = value.__array_interface__["data"], value.shape
            if key not in copies:
                copies[key] = value, self.module.zeros(value.shape, value.dtype)
                self.module.write(copies[key][1], value)
            return copies[key][1]

        kernel(*map(there, arguments))
        for host, device in copies.values():
            if host.flags.writeable:
                host[...] = self.module.read(device)


@pytest.fixture(params=BACKENDS, scope="session")
def kernels(request):
    """Each backend's kernels."""
    module = importlib.import_module(f"nbconv.kernels.{request.param}")
    return OnDevice(module) if request.param == "cuda" else module


@pytest.fixture(params=unless_simulated(["float32", "float64"], ["float32"]))
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(scope="session")
def mnist():
    if not os.environ.get("NBCONV_DATA"):
        pytest.skip("needs MNIST: set NBCONV_DATA to the folder that has it")
    return nbconv.load_data("mnist")


@pytest.fixture(scope="session")
def digits():
    return nbconv.load_data("digits")


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Run nbconv in this process, in a folder of the test's own: its result, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "on_compilation", lambda tell: None)  # it would listen for ever
    # click 8.1 mixes standard error into the output unless it is told not to.
    can_mix = "mix_stderr" in inspect.signature(CliRunner).parameters
    runner = CliRunner(mix_stderr=False) if can_mix else CliRunner()

    def run(*arguments, code=0):
        done = runner.invoke(main, list(map(str, arguments)), prog_name="nbconv")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (
            f"exit {done.exit_code}, expected {code}\n{done.output}\n{done.stderr}"
        )
        return done

    yield run
    nbconv.set_threads("auto")


@pytest.fixture
def command(tmp_path):
    """Run nbconv as a process in the test's own folder: its result, output and errors as text."""

    def run(*arguments, code=0, **options):
        done = subprocess.run(
            [sys.executable, "-m", "nbconv", *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, check=False, **options,
        )  # fmt: skip
        assert done.returncode == code, (
            f"exit {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def close(ours, oracle, dtype, terms=1):
    """Assert agreement to the rounding of a sum of `terms` products in that dtype."""
    oracle = np.asarray(oracle, np.float64)
    bound = 8 * np.finfo(dtype).eps * np.sqrt(terms) * max(np.abs(oracle).max(initial=0), 1e-30)
    difference = np.abs(np.asarray(ours, np.float64) - oracle)
    assert difference.shape == oracle.shape
    assert difference.max(initial=0) <= bound, (
        f"off by {difference.max():.3g}, expected {bound:.3g} at most"
    )
