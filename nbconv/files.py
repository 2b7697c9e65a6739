"""Files that are written atomically: at any moment the old file stands there or the new one."""

import glob
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from .errors import CheckpointError


def one_line(error: BaseException) -> str:
    """What an error says, as one line that can be shown whatever stood in the file."""
    text = (
        f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    )
    text = text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"
    return "".join(letter if letter.isprintable() else " " for letter in text)


def reason(error: Exception) -> str:
    """Why a file operation failed, in a few words."""
    return str(getattr(error, "strerror", None) or one_line(error))


def replace(path: Path, image: bytes) -> None:
    """Put a file of these bytes at path, whole or not at all. Raises OSError."""
    # What killed processes left goes; each process has a name of its own, so that none renames another's half file.
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 8}.partial"):
        if not _is_running(int(left.suffixes[-2][1:], 16)):
            left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid():08x}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(image)
            file.flush()
            os.fsync(file.fileno())
        if partial.read_bytes() != image:
            raise OSError("what was read back is not what was written")
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _is_running(process: int) -> bool:
    """Whether another process of that number is there."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return process != os.getpid()


def keep_old(path: Path) -> None:
    """Copy a file to its name with .old, whole or not at all. Raises CheckpointError."""
    partial = path.with_name(path.name + ".old.partial")
    try:
        shutil.copy2(path, partial)
        os.replace(partial, path.with_name(path.name + ".old"))
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise CheckpointError(
            f"{path} could not be kept as {path}.old: {reason(error)}; choose another --out"
        ) from error


def check_place(path: Path) -> None:
    """Raise CheckpointError unless a file can be written there, before hours of training find out."""
    check_is_file(path)
    try:
        with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
            pass
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} could not be saved: {reason(error)}; choose another place"
        ) from error


def check_is_file(path: Path) -> None:
    """Raise CheckpointError if something other than a file is at path."""
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no ordinary file"
        raise CheckpointError(
            f"{path} is {kind}: expected the name of a file, such as {path / 'run.h5'}"
        )
