"""What a checkpoint holds, however it is stored."""

import hashlib
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attributes = dict[str, str | int | float]

FORMAT, VERSION = "nbconv", 2
LIMIT = 2**32  # bytes of a file; the largest network of the book takes 20 million
OBJECTS = 10_000  # arrays, and as many groups: 1,666 layers have so many
# The root attributes that a file adds to what it is given.
HEAD = ("format", "version", "nbconv_version", "digest")


class Contents:
    """Arrays by path ("layers/0-conv2d/weights"), attributes by group ("" is the root)."""

    def __init__(self) -> None:
        self.attributes: dict[str, Attributes] = {"": {}}
        self.arrays: dict[str, Array] = {}

    def groups(self) -> list[str]:
        """Every group, those that only hold others included."""
        parents = {
            str(parent) for path in self.arrays for parent in PurePosixPath(path).parents
        } - {"."}
        return sorted(parents | set(self.attributes))

    def names(self) -> set[str]:
        """Every group, array and attribute ("training@epoch"), except those in HEAD."""
        attributes = {
            f"{group}@{name}" for group, names in self.attributes.items() for name in names
        }
        return {*self.groups(), *self.arrays, *attributes} - {f"@{name}" for name in HEAD}

    def digest(self) -> str:
        """SHA-256 over every name, type, shape, number and attribute, except the digest's own."""
        digest = hashlib.sha256()
        for group in self.groups():
            digest.update(f"{group}\n".encode())
            for name, value in sorted(self.attributes.get(group, {}).items()):
                if (group, name) != ("", "digest"):
                    digest.update(f"@{name}={type(value).__name__}:{value!r}\n".encode())
        for path, array in sorted(self.arrays.items()):
            digest.update(f"{path} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data if array.size else b"")
        return digest.hexdigest()
