"""The CPU's memory."""

import pytest
from nbconv.kernels.cpu import zeros


@pytest.mark.parametrize("shape", [(1,), (10, 12, 12, 20), (3, 0)])
def test_buffers_begin_with_a_cache_line(dtype, shape):
    buffer = zeros(shape, dtype)
    assert (
        buffer.ctypes.data % 64 == 0 or not buffer.size
    )  # NumPy has an address of its own for nothing
    assert (buffer.shape, buffer.dtype) == (shape, dtype)
    assert not buffer.any()
