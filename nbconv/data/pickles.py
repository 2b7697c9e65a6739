"""A reader for pickles, the book's mnist.pkl.gz and CIFAR's, that executes nothing they ask for.

`pickletools.genops` splits a pickle into opcodes. The few opcodes that arrays, dicts, lists,
numbers and texts need are interpreted here on a stack of plain values; all others are refused.
Protocol 2 (Python 2) and all newer protocols are read.
"""

import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .formats import MAX_BYTES, open_unpacked, read_up_to, reading
from .found import shown

Array = NDArray[Any]
MAX_OPCODES = 1_000_000  # the book's pickle has about 150, CIFAR-100's 210,000
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_COLLECTING = ("TUPLE", "LIST", "APPENDS", "DICT", "SETITEMS")  # what lies above a mark
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PLAIN = (int, float, str, bytes, bytearray)
_ONLY = "and only NumPy arrays are loaded"


class _Bounded:
    """A file of which at most MAX_BYTES are read."""

    def __init__(self, file: Any):
        self._file = file
        self._bytes_left = MAX_BYTES
        self._copies_left = MAX_BYTES

    def count_copies(self, values: Any) -> None:
        """Count texts of which bytes are made: one text in the file can be used many times."""
        if not isinstance(values, tuple):
            raise DataError("its arrays are not as NumPy writes them")
        self._copies_left -= sum(len(value) for value in values if isinstance(value, str))
        if self._copies_left < 0:
            raise DataError(f"its arrays take more than {MAX_BYTES} bytes: expected fewer")

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


def _from_buffer(content: Any, dtype: _Dtype, shape: Any, order: Any) -> Array | None:
    array = _Array()
    array.build((1, shape, dtype, order == "F", content))
    return array.value


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
        raise DataError(f"it asks for {name[:60]!r}, {_ONLY}")
    return _KNOWN[name]


def _entries(items: list[Any]) -> dict[str | bytes, Any]:
    """A dict of keys and values by turns. Raises DataError."""
    keys = items[::2]
    for key in keys:
        if not isinstance(key, (str, bytes)):
            raise DataError(f"it holds a dict with a key that is no text, {_ONLY}")
    return dict(zip(keys, items[1::2], strict=True))


def _finished(item: Any) -> Any:
    """An array whose state is known, as what it stands for."""
    return item.value if isinstance(item, _Array) and item.value is not None else item


def _value(file: Any) -> Any:
    """The object in a pickle of arrays, dicts, lists, tuples, numbers and texts.

    file: a _Bounded. Raises DataError for anything else.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if count == MAX_OPCODES:
            raise DataError(f"it has more than {MAX_OPCODES:,} parts: expected a few arrays")
        if name == "STOP":
            break
        if name in ("PROTO", "FRAME"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(_finished(memo[argument]))
        elif name == "GLOBAL":
            stack.append(_known(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_known(f"{module}.{attribute}"))
        elif name == "INST":
            _known(argument.replace(" ", "."))
            raise DataError(f"it holds Python objects, {_ONLY}")
        elif name == "MARK":
            marks.append(len(stack))
        elif name in _COLLECTING or name in _TUPLES:
            start = len(stack) - _TUPLES[name] if name in _TUPLES else marks.pop()
            items = stack[start:]
            del stack[start:]
            if name == "APPENDS":
                stack[-1].extend(items)
            elif name == "SETITEMS":
                stack[-1].update(_entries(items))
            else:
                make: Any = {"LIST": list, "DICT": _entries}.get(name, tuple)
                stack.append(make(items))
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else {})
        elif name == "APPEND":
            item = stack.pop()
            stack[-1].append(item)
        elif name == "SETITEM":
            item, key = stack.pop(), stack.pop()
            stack[-1].update(_entries([key, item]))
        elif name == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            file.count_copies(arguments)
            stack.append(called(*arguments))
        elif name == "BUILD":
            state = stack.pop()
            file.count_copies(state)
            stack[-1].build(state)
            stack[-1] = _finished(stack[-1])
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name.startswith("EXT") or "PERSID" in name:
            raise DataError(f"it refers to objects outside of it, {_ONLY}")
        elif not isinstance(argument, _PLAIN):
            kind = "a set" if "SET" in name or name == "ADDITEMS" else "Python objects"
            raise DataError(f"it holds {kind}, {_ONLY}")
        else:
            stack.append(argument)
    return stack.pop()


def _read(path: Path) -> Any:
    """The object in a pickle file, gzipped or not. Raises DataError."""
    with open_unpacked(path) as file:
        value = _value(_Bounded(file))
        if file.read(1):  # at the end of the file gzip checks its checksum
            raise DataError(
                f"{path} continues after its pickle: the file is damaged; download or copy it again"
            )
    return value


def read_dict(path: Path, what: str) -> dict[str, Any]:
    """The dict in a pickle file, gzipped or not: arrays, lists, numbers and texts by their names.

    what: it should hold, for errors. Raises DataError.
    """
    with reading(path, what):
        value = _read(path)
        if not isinstance(value, dict):
            raise DataError(f"{path} holds no dict but {_described(value)}: expected {what}")
        return {_text(key): item for key, item in value.items()}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _described(value: Any) -> str:
    """What a pickle holds, for an error."""
    if isinstance(value, dict):
        return f"a dict with the keys {shown(_text(key) for key in value)}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "an array" if isinstance(value, np.ndarray) else f"one {type(value).__name__}"


def _is_sequence(value: Any, length: int) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == length


def read_pickle(path: Path) -> list[tuple[Array, Array]]:
    """(images, labels) of training, validation and test data in the book's mnist.pkl.gz.

    Raises DataError.
    """
    what = "a pickle of three (images, labels) pairs, like mnist.pkl.gz"
    with reading(path, what):
        pairs = _read(path)
        if isinstance(pairs, dict):
            raise DataError(f"{path} holds {_described(pairs)}: expected {what}")
        if not _is_sequence(pairs, 3) or not all(_is_sequence(pair, 2) for pair in pairs):
            raise DataError(f"{path} holds something else: expected {what}")
        if not all(isinstance(array, np.ndarray) for pair in pairs for array in pair):
            raise DataError(f"{path} holds something other than arrays: expected {what}")
        return [(images, labels) for images, labels in pairs]
