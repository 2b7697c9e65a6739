"""The book's mnist.pkl.gz, read without an unpickler: a pickle can call anything, and here nothing is called.

`pickletools.genops` takes a pickle apart; the few steps that pickled arrays consist of are followed on a stack of plain
values, and every other step is refused. Python 2's pickles (protocol 2) and all newer ones are read.
"""

import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .formats import LIMIT, open_unpacked, read_up_to, reading

Array = NDArray[Any]
STEPS = 10_000  # the book's pickle has about 150
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _Bounded:
    """A file of which at most LIMIT bytes are read."""

    def __init__(self, file: Any):
        self._file = file
        self._left = LIMIT

    def read(self, size: int) -> bytes:
        if size > self._left:
            raise DataError(f"the pickle has more than {LIMIT} bytes: expected at most so many")
        self._left -= size
        return bytes(read_up_to(self._file, size))

    def readline(self) -> bytes:
        line: bytes = self._file.readline(
            2**16
        )  # names and numbers only: no array is kept in a line
        self._left -= len(line)
        return line


class _Dtype:
    """numpy.dtype(code, ...), then its state (version, byte order, ...)."""

    def __init__(self, code: str, *_: Any):
        if not re.fullmatch("[buif][0-9]+", code):
            raise DataError(f"it holds an array of the dtype {code[:60]!r}: expected numbers")
        self.value = np.dtype(code)

    def build(self, state: Any) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Array:
    """_reconstruct(...), then its state (version, shape, dtype, whether in Fortran order, bytes)."""

    def __init__(self, *_: Any):
        self.value: Array | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        content = content.encode("latin1") if isinstance(content, str) else content
        self.value = np.frombuffer(content, dtype.value).reshape(
            shape, order="F" if fortran else "C"
        )


def _from_buffer(content: Any, dtype: _Dtype, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.build((1, shape, dtype, order == "F", content))
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"it asks for the encoding {encoding[:60]!r}: expected latin1")
    return text.encode("latin1")


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
    """What a pickle of arrays holds."""
    replica: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any
    for steps, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        name = opcode.name
        if steps == STEPS:
            raise DataError(f"it takes more than {STEPS} steps: expected a few arrays")
        if name == "STOP":
            break
        if name in ("PROTO", "FRAME"):
            pass
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = replica[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            replica.append(memo[argument])
        elif name == "GLOBAL":
            replica.append(_known(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = replica.pop(), replica.pop()
            replica.append(_known(f"{module}.{attribute}"))
        elif name == "MARK":
            marks.append(len(replica))
        elif name in ("TUPLE", "LIST", "APPENDS") or name in _TUPLES:
            border = len(replica) - _TUPLES[name] if name in _TUPLES else marks.pop()
            items = replica[border:]
            del replica[border:]
            if name == "APPENDS":
                replica[-1] += items
            else:
                replica.append(items if name == "LIST" else tuple(items))
        elif name == "EMPTY_LIST":
            replica.append([])
        elif name == "APPEND":
            item = replica.pop()
            replica[-1].append(item)
        elif name == "REDUCE":
            arguments = replica.pop()
            replica.append(replica.pop()(*arguments))
        elif name == "BUILD":
            state = replica.pop()
            replica[-1].build(state)
        elif name in _CONSTANTS:
            replica.append(_CONSTANTS[name])
        elif isinstance(argument, (int, str, bytes, bytearray)) and not name.startswith(
            ("EXT", "INST", "PERSID")
        ):
            replica.append(argument)
        else:
            raise DataError(f"it takes the step {name}, and only NumPy arrays are loaded")
    return replica.pop()


def read_pickle(path: Path) -> list[tuple[Array, Array]]:
    """The book's mnist.pkl.gz: (images, labels) of training, validation and test data."""
    what = "a pickle of three (images, labels) pairs, as mnist.pkl.gz is"
    with reading(path, what), open_unpacked(path) as file:
        sets = _value(_Bounded(file))
        if file.read(1):  # at the end gzip has checked its sum
            raise DataError(f"{path} goes on after its pickle: the file is damaged; get it again")
        pairs = isinstance(sets, (tuple, list)) and len(sets) == 3
        if not pairs or not all(
            isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in sets
        ):
            raise DataError(f"{path} holds something else: expected {what}")
        if not all(
            isinstance(array, _Array) and array.value is not None for pair in sets for array in pair
        ):
            raise DataError(f"{path} holds something else than arrays: expected {what}")
        return [(images.value, labels.value) for images, labels in sets]
