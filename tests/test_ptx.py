"""Every CUDA kernel, compiled and assembled for four generations of GPUs: no spills, no local memory (make test-ptx)."""

import importlib
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ARCHITECTURES = ("75", "80", "90", "100")
SHARED = 48 << 10  # bytes of shared memory that a block may have without asking
REGISTERS = 65536 // 256  # of a multiprocessor, for a block of 256 threads

pytest.importorskip("cuda.core", reason="needs numba-cuda with CUDA's packages: pip install 'nbconv[cu13]'")


def compiled(architecture):
    script = Path(__file__).with_name("ptx.py")
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run(
        [sys.executable, script, architecture], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def reports():
    """What each kernel takes, by architecture."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(ARCHITECTURES, pool.map(compiled, ARCHITECTURES), strict=True))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_is_kept_in_local_memory(reports, architecture):
    for kernel in reports[architecture]:
        assert kernel["stack"] == kernel["stores"] == kernel["loads"] == 0, kernel
        assert 0 < kernel["registers"] <= REGISTERS, kernel
        assert kernel["shared"] <= SHARED, kernel


def test_no_kernel_is_left_out(reports):
    kernels = importlib.import_module("nbconv.kernels.cuda")
    decorated = set()
    for module in pkgutil.iter_modules(kernels.__path__):
        source = inspect.getsource(importlib.import_module(f"{kernels.__name__}.{module.name}"))
        following = source.split("@cuda.jit(**KERNEL)\ndef ")[1:]
        decorated |= {f"{module.name}.{part.partition('(')[0]}" for part in following}
    assert len(decorated) > 20
    for report in reports.values():
        for dtype in ("float32", "float64"):
            assert {kernel["kernel"] for kernel in report if kernel["dtype"] == dtype} >= decorated - {
                "update._advance"
            }
        assert "update._advance" in {kernel["kernel"] for kernel in report}
