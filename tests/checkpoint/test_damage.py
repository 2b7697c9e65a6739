"""Files that are no checkpoints any more, or never were, are refused in one line."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import LINUX

from nbconv import CheckpointError, Network
from nbconv.checkpoint import file as checkpoint

from .conftest import copy, python, refusal


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "a.h5"
    assert "does not exist" in refusal(path)
    assert "is a folder" in refusal(tmp_path)
    if os.name == "posix":
        assert "no ordinary file" in refusal(Path("/dev/zero"))
    with pytest.raises(CheckpointError, match="embedded null "):
        Network.load(tmp_path / "a\0b")
    for content in (
        b"",
        b"x",
        b"hello\n" * 1000,
        b"\0" * 4096,
        checkpoint.FIRST_LINE[:20].encode(),
    ):
        path.write_bytes(content)
        refusal(path)
    with h5py.File(path, "w") as file:
        file["layers/0-dense/weights"] = np.ones((2, 2))
        file.attrs["version"] = 7
    assert "is an HDF5 file, but no checkpoint" in refusal(path)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["weights"] = np.ones((2, 2))
    assert "is no checkpoint" in refusal(path)
    with open(path, "wb") as file:
        file.write(checkpoint.first_line(b""))
        file.truncate(2**40)
    assert f"has {2**40} bytes: expected a checkpoint of at most" in refusal(path)


def test_what_cannot_be_loaded_is_not_saved(trained, tmp_path, monkeypatch):
    """An HDF5 library that does not write what it was given leaves the old file in its place."""
    path = copy(trained, tmp_path)
    image, net = path.read_bytes(), Network.load(path)
    weights = net.parameters()[0]["weights"].tobytes()

    def damaged(memory, *arguments, **settings):
        file = h5py_file(memory, *arguments, **settings)
        if arguments == ("w",):
            close = file.close

            def closed():
                close()
                memory.seek(memory.getvalue().index(weights))
                memory.write(b"none")

            monkeypatch.setattr(file, "close", closed)
        return file

    h5py_file = h5py.File
    monkeypatch.setattr(checkpoint.h5py, "File", damaged)
    with pytest.raises(CheckpointError, match="it could not be loaded again"):
        net.save(path)
    assert path.read_bytes() == image


def test_every_length_of_a_truncated_file_is_refused(trained, tmp_path):
    image = trained.read_bytes()
    path = tmp_path / "a.h5"
    for length in [*range(0, len(image), 61), *range(500, 530), *range(len(image) - 9, len(image))]:
        path.write_bytes(image[:length])
        refusal(path)
    path.write_bytes(image + b"\0")
    assert "is damaged" in refusal(path)


FLIPPED = """
path, changed = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
image = open(path, "rb").read()
parameters = Network.load(path).engine.parameters.tobytes()
refused = harmless = 0
for place in range(len(image)):
    flipped = bytearray(image)
    flipped[place] ^= 1 << place % 8
    with open(changed, "wb") as file:
        file.write(flipped)
    signal.alarm(5)
    try:
        net = Network.load(changed)
    except CheckpointError as error:
        refused += str(error).isprintable() and changed in str(error)
    else:
        harmless += net.engine.parameters.tobytes() == parameters
print(json.dumps([len(image), refused, harmless]))
"""


@pytest.mark.slow
@LINUX
def test_every_flipped_byte_is_found(tmp_path):
    """A bit of each byte in turn, in a process with little memory and time."""
    Network([1, 1]).save(tmp_path / "a.h5")
    count, refused, harmless = python(FLIPPED, tmp_path / "a.h5", tmp_path / "b.h5")
    assert count > 8_000
    assert (refused, harmless) == (count, 0)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_one_line_of_the_command(command, trained, tmp_path):
    path = copy(trained, tmp_path)
    image = bytearray(path.read_bytes())
    image[2000] ^= 1
    path.write_bytes(image)
    for arguments in (["eval"], ["inspect"], ["train", "--resume"]):
        done = command(*arguments, "copy.h5", code=1)
        assert done.stdout == ""
        assert done.stderr.startswith("Error: copy.h5 is damaged, or another program changed it")
        assert done.stderr.count("\n") == 1
