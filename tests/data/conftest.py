"""What the tests of data share: small arrays, the files that hold them, how one is refused."""

import gzip
import http.server
import io
import os
import pickle
import struct
import threading
from contextlib import contextmanager
from functools import partial

import h5py
import numpy as np
import pytest

import nbconv
from nbconv import load_data

ARRAYS = {
    "train-images-idx3-ubyte": np.random.default_rng(1).integers(0, 256, (12, 5, 5), np.uint8),
    "train-labels-idx1-ubyte": np.arange(12, dtype=np.uint8) % 10,
    "t10k-images-idx3-ubyte": np.random.default_rng(2).integers(0, 256, (4, 5, 5), np.uint8),
    "t10k-labels-idx1-ubyte": np.arange(4, dtype=np.uint8),
}
IMAGES = np.random.default_rng(3).integers(0, 256, (20, 4, 4), np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 3
NAMES = list(ARRAYS)
HUGE = 2**62


def refusal(action, *arguments):
    """The one line with which something is refused."""
    with pytest.raises(nbconv.DataError) as caught:
        action(*arguments)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 700
    return message


def idx_bytes(array, code=8):
    return (
        bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    )


def idx_folder(folder, end="", replace=("", "")):
    folder.mkdir(exist_ok=True)
    for name, array in ARRAYS.items():
        content = idx_bytes(array)
        (folder / (name.replace(*replace) + end)).write_bytes(
            gzip.compress(content) if end == ".gz" else content
        )
    return folder


def npz_bytes(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def write_h5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def pickled_sets(protocol=2):
    flat = (IMAGES / 255).astype(np.float32).reshape(20, 16)
    return pickle.dumps(
        tuple((flat[a:b], LABELS[a:b].astype(int)) for a, b in ((0, 10), (10, 15), (15, 20))),
        protocol,
    )


def assert_refused_or(expected, source):
    """Either the damage is seen or it has changed nothing, such as a date in a header."""
    try:
        assert [part.fingerprint for part in load_data(source)] == expected
    except nbconv.DataError as error:
        assert str(error).startswith(str(source))  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017


def unless_refused(path, action, argument):
    """What an action gives, or None if it is refused with a DataError that begins with the path."""
    try:
        return action(argument)
    except nbconv.DataError as error:
        message = str(error)
    assert message.startswith(str(path))
    return None


def npy_bytes(array=IMAGES, header=None, version=b"\1\0", length=None):
    if header is None:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()
    size = struct.pack(
        "<H" if version == b"\1\0" else "<I", len(header) if length is None else length
    )
    return b"\x93NUMPY" + version + size + header.encode() + bytes(320)


def header(shape, descr="'|u1'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n"


@contextmanager
def served(folder):
    """A server of a folder on this machine: (it, its address, the paths that it is asked for)."""
    asked = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Code:
    """Something whose pickle runs a program that leaves a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)
