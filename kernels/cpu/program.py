"""Programs: kernel calls one after the other, many times over, without Python between them.

A kernel called from Python begins some microseconds later, as much as a small layer's work. A
`Program` keeps the calls of a mini-batch as numbers in memory: for each kernel its address and a
block of words with its arguments. A loop in machine code goes through them. How a kernel wants its
arguments depends on their types alone: `_caller` writes in LLVM's language, once for each
signature, the function that takes them from their block and calls.
"""

import ctypes
import itertools
import os
import struct
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.ufunc import parallel

from ..compilation import PARALLEL, njit

Call = tuple[Any, tuple[Any, ...]]
WORD, STATUS, NULL = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
CALLER = ir.FunctionType(
    STATUS, [WORD, WORD]
)  # (the kernel's address, its block's): 0, or what went wrong
RUNNER = ir.FunctionType(
    STATUS, [WORD, WORD, WORD, WORD]
)  # (with how many threads, how many times, how many calls, where they are listed)
ENTRY = 3  # words of a listed call: addresses of caller, kernel and block


# The layer workqueue serves one Python thread at a time, and ends the process at a second one.
_turns = [threading.Lock()]
# Of two threads that load the same kernel, Numba frees the code of the first.
_loading = [threading.RLock()]


def _after_fork() -> None:
    """A thread that holds a lock in the parent does not exist in the child."""
    _turns[0], _loading[0] = threading.Lock(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Program:
    """Calls (kernel, arguments), made in their order.

    Arguments are numbers, C-contiguous arrays, and tuples of them. In the place of a call there may
    be a list of lists of calls, which threads go through side by side, each kernel in its thread.
    varying: those of the arrays for which each run is given others, of the same dtype and number of
    axes. All other arrays are kept alive, and a kernel that has not been compiled for such
    arguments is compiled now.
    """

    def __init__(self, calls: Sequence[Any], varying: Sequence[np.ndarray[Any, Any]] = ()):
        self._described = [weakref.ref(array) for array in varying]
        self._places: list[list[int]] = [
            [] for _ in varying
        ]  # in the words: where such an array is described
        self._parts: list[Program] = []
        self.calls: list[Call] = []
        addresses, words, starts = [], list[int](), []
        with _loading[0]:
            for call in calls:
                self.calls += (
                    self._concurrently(call, varying) if isinstance(call, list) else [call]
                )
            for kernel, arguments in self.calls:
                addresses.append(_compiled(kernel, tuple(_kind(each) for each in arguments)))
                starts.append(len(words))
                self._describe(arguments, words)
            _runner()
        self._words = np.array(words, np.int64)
        first, size = self._words.ctypes.data, self._words.itemsize
        entries = [
            (*pair, first + start * size) for pair, start in zip(addresses, starts, strict=True)
        ]
        self._entries = np.array(entries, np.int64).reshape(-1)
        self._list = len(entries), self._entries.ctypes.data
        self._writable = self._words.data

    def _concurrently(
        self, lists: list[list[Call]], varying: Sequence[np.ndarray[Any, Any]]
    ) -> list[Call]:
        """The calls that make the calls of all lists."""
        parts = [Program(calls, varying) for calls in lists]
        if not _threads_can_nest():
            return [call for part in parts for call in part.calls]
        self._parts += parts
        counts, entries = np.array([part._list for part in parts], np.int64).T.copy()
        return [
            (concurrently, (np.zeros(len(parts), np.int64), counts, entries, _runner_address()))
        ]

    def _describe(self, arguments: tuple[Any, ...], words: list[int]) -> None:
        """Append the words of a call's arguments."""
        for argument in arguments:
            if isinstance(argument, tuple):
                self._describe(argument, words)
            elif isinstance(argument, np.ndarray):
                for places, varying in zip(self._places, self._described, strict=True):
                    if varying() is argument:
                        places.append(len(words))
                words += _words_of(argument)
            else:
                code = (
                    "d"
                    if isinstance(argument, float)
                    else "Q"
                    if isinstance(argument, np.uint64)
                    else "q"
                )
                words += struct.unpack("q", struct.pack(code, argument))

    def _take(self, varying: Sequence[np.ndarray[Any, Any]]) -> None:
        """Describe the arrays of a run."""
        for index, array in enumerate(varying):
            if array is not self._described[index]():
                self._described[index], words = weakref.ref(array), _words_of(array)
                for place in self._places[index]:
                    for offset, word in enumerate(words):
                        self._writable[place + offset] = word
        for part in self._parts:
            part._take(varying)

    def __call__(self, times: int, *varying: np.ndarray[Any, Any], threads: int = 0) -> None:
        """Make all calls, `times` times over.

        threads: how many the kernels use; 0 for as many as numba.set_num_threads says. Raises
        MemoryError if a kernel finds no memory for its tables.
        """
        threads = threads or numba.get_num_threads()
        self._take(varying)
        if getattr(parallel, "_threading_layer", None) == "workqueue":
            with _turns[0]:
                status = _runner()(threads, times, *self._list)
        else:
            status = _runner()(threads, times, *self._list)
        if status:
            raise MemoryError(
                "a kernel failed: no memory was left for its tables, or an exception was raised in "
                "it"
            )


def _run_list(_: Any, runner: Any, count: Any, entries: Any) -> Any:
    """Go through a list of calls once, with this thread alone: 0, or what went wrong."""

    def generate(_: Any, build: Any, __: Any, arguments: Any) -> Any:
        runner, count, entries = arguments
        alone = [WORD(1), WORD(1), count, entries]
        return build.call(build.inttoptr(runner, RUNNER.as_pointer()), alone)

    return types.int32(types.int64, types.int64, types.int64), generate


_run: Any = intrinsic(_run_list)


@njit(**PARALLEL)
def concurrently(statuses, counts, entries, runner):
    """Each thread goes through lists of calls.

    counts, entries: of each list; statuses: overwritten.
    """
    for p in prange(counts.size):
        statuses[p] = _run(runner, counts[p], entries[p])
    for p in range(statuses.size):  # to load any(), Numba would import scipy.linalg
        if statuses[p]:
            raise MemoryError


def _threads_can_nest() -> bool:
    """Whether a thread of a parallel kernel may call a parallel kernel: with OpenMP and TBB."""
    words = types.Array(types.int64, 1, "C")
    concurrently.compile(
        (words, words, words, types.int64)
    )  # Numba chooses its threading layer here at the latest
    layer: str = parallel.threading_layer()
    return layer != "workqueue"


@cache
def _compiled(kernel: Any, kinds: tuple[Any, ...]) -> tuple[int, int]:
    """The addresses of the kernel for these argument types and of the function that calls it."""
    kernel.compile(kinds)
    made = kernel.overloads[kinds]
    _OWNERS.append(made.library)
    return _caller(made.signature.return_type, kinds), made.library.get_pointer_to_function(
        made.fndesc.llvm_func_name
    )


def _kind(argument: Any) -> Any:
    """The type that Numba gives an argument.

    An array's is one for writing, however it may be guarded in Python.
    """
    if isinstance(argument, tuple):
        return types.BaseTuple.from_types([_kind(part) for part in argument])
    if isinstance(argument, np.ndarray):
        return types.Array(numba.from_dtype(argument.dtype), argument.ndim, "C")
    return numba.typeof(argument)


def _words_of(array: np.ndarray[Any, Any]) -> list[int]:
    """An array's data, number of elements, bytes of each, shape and strides."""
    return [array.ctypes.data, array.size, array.itemsize, *array.shape, *array.strides]


@cache
def _caller(returns: Any, kinds: tuple[Any, ...]) -> int:
    """The address of a function that calls kernels of this signature."""
    context, module = cpu_target.target_context, ir.Module("caller")
    function = ir.Function(module, CALLER, "caller")
    build = ir.IRBuilder(function.append_basic_block())
    block = build.inttoptr(function.args[1], WORD.as_pointer())
    place = itertools.count()

    def word() -> Any:
        return build.load(build.gep(block, [WORD(next(place))]))

    def value(kind: Any) -> Any:
        """The next argument, as Numba wants it."""
        if isinstance(kind, types.UniTuple | types.Tuple):
            return context.make_tuple(build, kind, [value(part) for part in kind.types])
        if isinstance(kind, types.Array):
            model = context.data_model_manager[kind]
            null = cgutils.get_null_value(NULL)  # nobody counts references to it
            parts = {"meminfo": null, "parent": null}
            parts |= {name: word() for name in ("data", "nitems", "itemsize")}
            pointer = context.get_value_type(model.get_type("data"))
            parts["data"] = build.inttoptr(parts["data"], pointer)
            for name in ("shape", "strides"):
                parts[name] = cgutils.pack_array(build, [word() for _ in range(kind.ndim)])
            return cgutils.make_anonymous_struct(build, [parts[name] for name in model._fields])
        if isinstance(kind, types.Float):
            return build.bitcast(word(), ir.DoubleType())
        return build.trunc(word(), ir.IntType(1)) if isinstance(kind, types.Boolean) else word()

    pointer = context.call_conv.get_function_type(returns, kinds).as_pointer()
    kernel = build.inttoptr(function.args[0], pointer)
    status, _ = context.call_conv.call_function(
        build, kernel, returns, kinds, [value(kind) for kind in kinds]
    )
    build.ret(status.code)
    return _address(module)


@cache
def _runner_address() -> int:
    """The loop through a program's calls, as many times as asked; it ends early if a call fails.

    Kernels ask Numba how many threads they have: that is set before, and set back afterwards.
    """
    numba.get_num_threads()  # starts Numba's threads: before, it has not the functions below
    module = ir.Module("runner")
    function = ir.Function(module, RUNNER, "runner")
    threads, times, count, entries = function.args
    build = ir.IRBuilder(function.append_basic_block())

    def numbas(name: str, kind: ir.FunctionType, *arguments: Any) -> Any:
        address = ctypes.cast(getattr(parallel, name), ctypes.c_void_p).value or 0
        return build.call(build.inttoptr(WORD(address), kind.as_pointer()), arguments)

    def set_threads(number: Any) -> None:
        numbas("_set_num_threads", ir.FunctionType(ir.VoidType(), [STATUS]), number)

    before = numbas("_get_num_threads", ir.FunctionType(STATUS, []))
    set_threads(build.trunc(threads, STATUS))
    entries = build.inttoptr(entries, WORD.as_pointer())
    with cgutils.for_range(build, times), cgutils.for_range(build, count) as call:
        first = build.mul(call.index, WORD(ENTRY))
        caller, kernel, block = (
            build.load(build.gep(entries, [build.add(first, WORD(k))])) for k in range(ENTRY)
        )
        status = build.call(build.inttoptr(caller, CALLER.as_pointer()), [kernel, block])
        with build.if_then(build.icmp_signed("!=", status, STATUS(0)), likely=False):
            set_threads(before)
            build.ret(status)
    set_threads(before)
    build.ret(STATUS(0))
    return _address(module)


@cache
def _runner() -> Callable[[int, int, int, int], int]:
    """It, for Python to call."""
    return ctypes.PYFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 4)(_runner_address())


# What owns the machine code: a kernel that is called directly, too, may have been loaded again.
_OWNERS: list[Any] = []


def _address(module: ir.Module) -> int:
    """The address of a module's one function, compiled."""
    machine = llvm.Target.from_default_triple().create_target_machine(opt=1, jit=True)
    parsed = llvm.parse_assembly(str(module))
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    _OWNERS.append(engine)
    return int(engine.get_function_address(module.name))
