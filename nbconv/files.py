"""Atomic file writes: at any moment either the old file or the new one exists, complete."""

import glob
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from .errors import CheckpointError


def one_line(error: BaseException) -> str:
    """An error's message as one printable line of about 400 characters at most."""
    message = str(error) or type(error).__name__
    if isinstance(error, KeyError):
        message = f"it lacks {message}"
    if len(message) > 400:
        message = f"{message[:200]} ... {message[-200:]}"
    return "".join(letter if letter.isprintable() else " " for letter in message)


def reason(error: Exception) -> str:
    """Why a file operation failed, in a few words."""
    return str(getattr(error, "strerror", None) or one_line(error))


def replace(path: Path, content: bytes) -> None:
    """Write a file atomically, replacing the old one. Raises OSError."""
    # The partial file's name contains the process id: no process renames another's partial file,
    # and those of killed processes can be removed.
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.partial"):
        if not _is_running(int(leftover.suffixes[-2][1:], 16)):
            leftover.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid():08x}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if partial.read_bytes() != content:
            raise OSError("the file read back differs from what was written")
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
    if os.name == "posix":  # Windows cannot open a folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_running(pid: int) -> bool:
    """Whether another process with this id is running."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return pid != os.getpid()


def keep_old(path: Path) -> None:
    """Copy a file atomically to the same name with .old appended. Raises CheckpointError."""
    partial = path.with_name(path.name + ".old.partial")
    try:
        shutil.copy2(path, partial)
        os.replace(partial, path.with_name(path.name + ".old"))
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise CheckpointError(
            f"{path} could not be copied to {path}.old: {reason(error)}; choose another --out"
        ) from error


def check_place(path: Path) -> None:
    """Raise CheckpointError unless a file can be written at path; called before a training."""
    check_is_file(path)
    try:
        with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
            pass
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} could not be saved: {reason(error)}; choose another place"
        ) from error


def check_is_file(path: Path) -> None:
    """Raise CheckpointError if path exists and is not a regular file."""
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise CheckpointError(
            f"{path} is {kind}: expected the name of a file, such as {path / 'run.h5'}"
        )
