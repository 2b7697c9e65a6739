"""Machine code is made where it runs: of a kernel, not of each function that is linked into it.

Numba optimises every function by itself, makes machine code of it, and does both again for whatever
calls it; a loop in a helper of a parallel kernel goes through that eight times. Half of the time
that kernels take to compile goes into code that nobody calls. Here a function's code waits as it
is, is linked into its callers and optimised there, and becomes machine code of its own when its
address is asked for. Kernels are as fast as before; where the flags let LLVM choose how to round,
it may choose otherwise, as it does for the coordinates of distorted images and in a network of
batch normalisation, L2 and average pooling.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.environment import lookup_environment
from numba.core.registry import cpu_target


class _Waiting(JITCodeLibrary):
    """The code of a function and of what it calls."""

    _is_machine_code = False

    def _optimize_final_module(self) -> None:
        """Not yet: its callers are optimised with it."""

    def _finalize_final_module(self) -> None:
        if self._object_caching_enabled and self._compiled_object:  # read from the cache
            self._is_machine_code = True
            super()._finalize_final_module()
        else:
            self._finalize_dynamic_globals()
            self._finalized = True

    def _make_machine_code(self) -> None:
        self._get_module_for_linking()  # a copy from before: callers are the same either way
        self._dynamic_globals.clear()
        super()._optimize_final_module()
        super()._finalize_final_module()
        self._is_machine_code = True
        for variable in self._final_module.global_variables:
            if variable.name.startswith("_ZN08NumbaEnv") and not variable.is_declaration:
                environment = lookup_environment(variable.name)
                if environment is not None:
                    self.set_env(variable.name, environment)

    @global_compiler_lock  # of two threads that ask, one makes it
    def get_pointer_to_function(self, name: str) -> Any:
        """The address of a function; 0 if it is not one of these."""
        self._ensure_finalized()
        if not self._is_machine_code:
            if not any(function.name == name for function in self.get_defined_functions()):
                return 0
            self._make_machine_code()
        return super().get_pointer_to_function(name)

    def serialize_using_object_code(self) -> Any:
        """What the cache keeps."""
        self._ensure_finalized()
        if self._is_machine_code:
            return super().serialize_using_object_code()
        return self.serialize_using_bitcode()

    @property
    def codegen(self) -> Any:
        """What Numba asks to tell a function where its environment is: this, which may wait."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        """Tell the machine code, if there is some."""
        codegen: Any = self._codegen
        if self._is_machine_code:
            codegen.set_env(name, environment)


@contextmanager
def machine_code_when_called() -> Iterator[None]:
    """What is compiled within waits for its first call. Other code of this process does not."""
    codegen: Any = cpu_target.target_context.codegen()
    with global_compiler_lock:
        before = codegen._library_class
        codegen._library_class = _Waiting
        try:
            yield
        finally:
            codegen._library_class = before
