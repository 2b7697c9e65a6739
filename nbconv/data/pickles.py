"""A reader for the book's mnist.pkl.gz that executes nothing, whatever the pickle asks for.

`pickletools.genops` splits a pickle into opcodes. The few opcodes that pickled arrays need are
interpreted here on a stack of plain values; all others are refused. Protocol 2 (Python 2) and all
newer protocols are read.
"""

import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .formats import MAX_BYTES, open_unpacked, read_up_to, reading

Array = NDArray[Any]
MAX_OPCODES = 10_000  # the book's pickle has about 150
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PLAIN = (int, str, bytes, bytearray)


class _Bounded:
    """A file of which at most MAX_BYTES are read."""

    def __init__(self, file: Any):
        self._file = file
        self._bytes_left = MAX_BYTES

    def read(self, size: int) -> bytes:
        if size > self._bytes_left:
            raise DataError(f"the pickle has more than {MAX_BYTES} bytes: expected a few arrays")
        self._bytes_left -= size
        return bytes(read_up_to(self._file, size))

    def readline(self) -> bytes:
        line: bytes = self._file.readline(2**16)  # lines have names and numbers, not arrays
        self._bytes_left -= len(line)
        return line


class _Dtype:
    """Stands for numpy.dtype(code, ...); its state is (version, byte order, ...)."""

    def __init__(self, code: str, *_: Any):
        if not re.fullmatch("[buif][0-9]+", code):
            raise DataError(f"it holds an array of the dtype {code[:60]!r}: expected numbers")
        self.value = np.dtype(code)

    def build(self, state: Any) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stands for _reconstruct(...); its state is (version, shape, dtype, is_fortran, bytes)."""

    def __init__(self, *_: Any):
        self.value: Array | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        values = np.frombuffer(content, dtype.value)
        self.value = values.reshape(shape, order="F" if is_fortran else "C")


def _from_buffer(content: Any, dtype: _Dtype, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.build((1, shape, dtype, order == "F", content))
    return array


def _encode(value: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"it asks for the encoding {encoding[:60]!r}: expected latin1")
    return value.encode("latin1")


_KNOWN = {
    "numpy.ndarray": None,  # named as an argument of _reconstruct, not called
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    **{f"numpy.{core}.multiarray._reconstruct": _Array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _from_buffer for core in ("core", "_core")},
}


def _known(name: str) -> Any:
    if name not in _KNOWN:
        raise DataError(f"it asks for {name[:60]!r}, and only NumPy arrays are loaded")
    return _KNOWN[name]


def _value(file: Any) -> Any:
    """The object in a pickle of arrays. Raises DataError for anything but arrays."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if count == MAX_OPCODES:
            raise DataError(f"it has more than {MAX_OPCODES} opcodes: expected a few arrays")
        if name == "STOP":
            break
        if name in ("PROTO", "FRAME"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_known(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_known(f"{module}.{attribute}"))
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("TUPLE", "LIST", "APPENDS") or name in _TUPLES:
            start = len(stack) - _TUPLES[name] if name in _TUPLES else marks.pop()
            items = stack[start:]
            del stack[start:]
            if name == "APPENDS":
                stack[-1] += items
            else:
                stack.append(items if name == "LIST" else tuple(items))
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(stack.pop()(*arguments))
        elif name == "BUILD":
            state = stack.pop()
            stack[-1].build(state)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name.startswith(("EXT", "INST", "PERSID")) or not isinstance(argument, _PLAIN):
            raise DataError(f"it has the opcode {name}, and only NumPy arrays are loaded")
        else:
            stack.append(argument)
    return stack.pop()


def _is_sequence(value: Any, length: int) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == length


def read_pickle(path: Path) -> list[tuple[Array, Array]]:
    """(images, labels) of training, validation and test data in the book's mnist.pkl.gz.

    Raises DataError.
    """
    what = "a pickle of three (images, labels) pairs, like mnist.pkl.gz"
    with reading(path, what), open_unpacked(path) as file:
        pairs = _value(_Bounded(file))
        if file.read(1):  # at the end of the file gzip checks its checksum
            raise DataError(
                f"{path} continues after its pickle: the file is damaged; download or copy it again"
            )
        if not _is_sequence(pairs, 3) or not all(_is_sequence(pair, 2) for pair in pairs):
            raise DataError(f"{path} holds something else: expected {what}")
        arrays = [array for pair in pairs for array in pair]
        if not all(isinstance(array, _Array) and array.value is not None for array in arrays):
            raise DataError(f"{path} holds something other than arrays: expected {what}")
        return [(images.value, labels.value) for images, labels in pairs]
