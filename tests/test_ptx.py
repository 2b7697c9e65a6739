"""Every CUDA kernel, compiled and assembled for the first and the last of four generations of GPUs.

None spills, and none has local memory. make test-ptx does so for all four.
"""

import importlib
import inspect
import os
import pkgutil

import pytest

SHARED = 48 << 10  # bytes of shared memory that a block may have without asking
REGISTERS = 65536 // 256  # of a multiprocessor, for a block of 256 threads

pytest.importorskip(
    "cuda.core", reason="needs numba-cuda with CUDA's packages: pip install 'nbconv[cu13]'"
)
if os.environ.get("NUMBA_ENABLE_CUDASIM"):
    pytest.skip("the simulator compiles nothing", allow_module_level=True)

import ptx  # noqa: E402 -- it needs what was looked for above

ENDS = ptx.ARCHITECTURES[0], ptx.ARCHITECTURES[-1]


@pytest.fixture(scope="module")
def reports():
    """What each kernel takes, by architecture."""
    return ptx.reports(ENDS)


ONE_PRECISION = {
    *("update._advance", "update._norm"),
    *("distort._points", "distort._lines", "distort._frame"),
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ENDS)
def test_nothing_is_kept_in_local_memory(reports, architecture):
    for kernel in reports[architecture]:
        assert ptx.spills(kernel) == 0, kernel
        assert 0 < kernel["registers"] <= REGISTERS, kernel
        assert kernel["shared"] <= SHARED, kernel


@pytest.mark.slow
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
            assert {
                kernel["kernel"] for kernel in report if kernel["dtype"] == dtype
            } >= decorated - ONE_PRECISION
        assert {kernel["kernel"] for kernel in report} >= ONE_PRECISION
