"""Every backend offers what kernels/interface.py says, with the same names and arguments."""

import importlib
import inspect

import pytest
from nbconv.kernels import interface

NAMES = [name for name in dir(interface.Backend) if not name.startswith("_")]
FUNCTIONS = {*interface.KERNELS, *vars(interface.Memory)} & set(NAMES)
CONSTANTS = {**interface.Memory.__annotations__, **interface.Backend.__annotations__}


@pytest.fixture(params=["reference", "cpu", "cuda"])
def backend(request):
    if request.param == "cuda":
        pytest.importorskip("numba_cuda", reason="needs numba-cuda, which is for Linux and Windows")
    return importlib.import_module(f"nbconv.kernels.{request.param}")


def parameters(function):
    names = list(inspect.signature(getattr(function, "py_func", function)).parameters)
    return [name for name in names if name != "self"]


def test_there_are_kernels():
    assert len(interface.KERNELS) > 30
    assert set(interface.KERNELS) <= FUNCTIONS


def test_a_backend_has_the_functions_with_these_arguments(backend):
    for name in sorted(FUNCTIONS):
        expected = parameters(getattr(interface.Backend, name))
        assert parameters(getattr(backend, name)) == expected, name


def test_a_backend_has_the_constants(backend):
    for name, kind in CONSTANTS.items():
        assert type(getattr(backend, name)) is kind, name


def test_every_kernel_says_what_becomes_of_its_outputs():
    for name in interface.KERNELS:
        text = inspect.getdoc(getattr(interface.Kernels, name))
        assert any(
            word in text for word in ("overwritten", "updated", "added to", "count[0] + ")
        ), name
