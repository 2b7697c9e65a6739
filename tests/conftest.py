"""What the tests share: the backends, MNIST, the command line as a real process."""

import importlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import nbconv

settings.register_profile(
    "nbconv", deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True
)
settings.load_profile("nbconv")


@pytest.fixture(params=["cpu"], scope="session")
def kernels(request):
    """Each backend's kernels."""
    return importlib.import_module(f"nbconv.kernels.{request.param}")


@pytest.fixture(params=["float32", "float64"])
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
def command(tmp_path):
    """Run nbconv as a process in a folder of the test's own: its result, output and errors as text."""

    def run(*arguments, code=0, **options):
        done = subprocess.run(
            [sys.executable, "-m", "nbconv", *map(str, arguments)],
            cwd=tmp_path, capture_output=True, text=True, check=False, **options,
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def close(ours, oracle, dtype, terms=1):
    """Assert agreement to the rounding of a sum of `terms` products in that dtype."""
    oracle = np.asarray(oracle, np.float64)
    bound = 8 * np.finfo(dtype).eps * np.sqrt(terms) * max(np.abs(oracle).max(initial=0), 1e-30)
    difference = np.abs(np.asarray(ours, np.float64) - oracle)
    assert difference.shape == oracle.shape
    assert difference.max(initial=0) <= bound, f"off by {difference.max():.3g}, expected {bound:.3g} at most"
