"""Machine code is made of what is called, and of nothing that is linked into it."""

import numba
import numpy as np
import pytest
from conftest import IS_COMPILED
from nbconv.kernels.compilation import FLAGS, INNER, njit
from nbconv.kernels.linking import _Waiting, machine_code_when_called
from numba.core.registry import cpu_target

pytestmark = pytest.mark.skipif(not IS_COMPILED, reason="needs Numba's compiler")
NOT_KEPT = {"cache": False}


def library(kernel):
    (made,) = kernel.overloads.values()
    return made.library


def test_a_helper_has_no_machine_code_of_its_own():
    @njit(**INNER | NOT_KEPT)
    def doubled(value):
        return 2 * value

    @njit(**FLAGS | NOT_KEPT)
    def kernel(values):
        for k in range(values.size):
            values[k] = doubled(values[k])

    values = np.arange(3.0)
    kernel(values)
    assert values.tolist() == [0, 2, 4]
    assert library(kernel)._is_machine_code
    assert not library(doubled)._is_machine_code
    name = next(iter(doubled.overloads.values())).fndesc.llvm_func_name
    assert library(doubled).get_pointer_to_function("another") == 0
    assert not library(doubled)._is_machine_code
    assert library(doubled).get_pointer_to_function(name) > 0
    assert library(doubled)._is_machine_code


def test_a_kernel_that_another_calls_can_be_called():
    @njit(**FLAGS | NOT_KEPT)
    def inner(values):
        values[0] += 1
        if values[0] > 2:
            raise ValueError("too large")

    @njit(**FLAGS | NOT_KEPT)
    def outer(values):
        inner(values)
        inner(values)

    values = np.zeros(1)
    outer(values)
    with pytest.raises(ValueError, match="too large"):
        inner(values)
    with pytest.raises(ValueError, match="too large"):
        outer(values)
    assert values.tolist() == [4]


def test_other_code_of_the_process_is_compiled_as_ever():
    codegen = cpu_target.target_context.codegen()

    @njit(**FLAGS | NOT_KEPT)
    def wrong(values):
        return values.no_such_thing

    with pytest.raises(numba.TypingError):
        wrong(np.zeros(1))
    assert codegen._library_class is not _Waiting

    @njit(**FLAGS | NOT_KEPT)
    def ours(value):
        return value + 1

    @numba.njit
    def theirs(value):
        return ours(value) * 2

    assert theirs(1) == 4
    assert not isinstance(library(theirs), _Waiting)
    assert isinstance(library(ours), _Waiting)
    with machine_code_when_called():
        assert codegen._library_class is _Waiting
    assert codegen._library_class is not _Waiting
