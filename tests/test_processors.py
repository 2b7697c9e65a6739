"""The kernels as other processors get them: tiles of other sizes, vectors of other lengths."""

import os
import platform
import subprocess
import sys

import pytest

# processor, its features, (bytes of a vector, vectors in a tile's row)
PROCESSORS = [
    ("haswell", "+sse2,+avx,+avx2,+fma", (32, 2)),
    ("x86-64", "+sse2", (16, 2)),
]
CHECK = """
from nbconv import Conv2D, Dense, MaxPool2D, Softmax
from nbconv.diagnostics import gradcheck
from nbconv.kernels.cpu import simd
print(simd.BYTES, simd.WIDTH)
layers = [Conv2D(6, 3), MaxPool2D(2), Conv2D(4, 3, padding=1), MaxPool2D(2), Dense(7), Softmax(3)]
print(gradcheck.check("a network", layers, (1, 10, 10), None).error)
"""


@pytest.mark.skipif(
    platform.machine() != "x86_64",
    reason="compiles for older x86-64 processors: needs one to run on",
)
@pytest.mark.slow
@pytest.mark.parametrize(("processor", "features", "registers"), PROCESSORS)
def test_gradients_on_another_processor(processor, features, registers):
    """In the tests' own cache, which keeps what is compiled for each processor apart."""
    environment = os.environ | {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found, error = done.stdout.splitlines()
    assert tuple(map(int, found.split())) == registers
    assert float(error) < 1e-6
