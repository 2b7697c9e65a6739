"""The CPU's and the reference's kernels on whatever geometry Hypothesis thinks of.

They are compared as in their own tests.
"""

import numpy as np
import pytest
import test_kernels_conv
import test_kernels_conv_pool
import test_kernels_pool
from conftest import IS_COMPILED, close
from nbconv.kernels import cpu, reference

from nbconv.layers.geometry import ConvGeometry

if not IS_COMPILED:
    pytest.skip("as Python, so many cases take minutes", allow_module_level=True)
hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis, which the extra dev has")
given, st = hypothesis.given, hypothesis.strategies
# The CPU's kernels in float64 are compiled for these tests: make check has the reference's.
both = pytest.mark.parametrize("kernels", [pytest.param(cpu, marks=pytest.mark.slow), reference])


@both
@given(
    channels=st.integers(1, 5), filters=st.integers(1, 9), images=st.integers(1, 19),
    rows=st.integers(1, 9), columns=st.integers(1, 9), kernel_rows=st.integers(1, 5),
    kernel_columns=st.integers(1, 5), stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)  # fmt: skip
def test_convolution(
    kernels, channels, filters, images, rows, columns, kernel_rows, kernel_columns, stride, padding
):
    kernel = min(kernel_rows, rows + 2 * padding[0]), min(kernel_columns, columns + 2 * padding[1])
    geometry = channels, (rows, columns), filters, kernel, stride, padding, images
    ours, theirs, *_ = test_kernels_conv.run(kernels, geometry, np.dtype("float64"))
    for mine, right in zip(ours, theirs, strict=True):
        close(mine, right, np.float64, 100)


@both
@given(
    kind=st.sampled_from(["max", "l2", "avg"]), channels=st.integers(1, 3),
    images=st.integers(1, 18), rows=st.integers(1, 8), columns=st.integers(1, 8),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)  # fmt: skip
def test_pooling(kernels, kind, channels, images, rows, columns, size, stride):
    size = min(size[0], rows), min(size[1], columns)
    geometry = channels, (rows, columns), size, stride, images
    test_kernels_pool.compare(kernels, kind, geometry, np.dtype("float64"))


@both
@given(
    channels=st.integers(1, 20), images=st.integers(1, 20), filters=st.integers(1, 12),
    seed=st.integers(0, 9), size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pool_stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)  # fmt: skip
def test_backward_at_the_maxima(
    kernels, channels, images, filters, seed, size, kernel, stride, padding, window, pool_stride
):
    conv = ConvGeometry(channels, size, filters, kernel, stride, padding)
    window = tuple(min(*pair) for pair in zip(window, conv.output[1:], strict=True))
    geometry = channels, size, filters, kernel, stride, padding, window, pool_stride, images
    test_kernels_conv_pool.compare(kernels, geometry, np.dtype("float64"), seed=seed)
