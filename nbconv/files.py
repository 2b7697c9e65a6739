"""Atomic file writes: at any moment either the old file or the new one exists, complete."""

import errno
import glob
import hashlib
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import CheckpointError, SettingError, printable


def one_line(error: BaseException) -> str:
    """An error's message as one printable line of about 400 characters at most."""
    message = str(error) or type(error).__name__
    if isinstance(error, KeyError):
        message = f"it lacks {message}"
    if len(message) > 400:
        message = f"{message[:200]} ... {message[-200:]}"
    return printable(message)


def reason(error: Exception) -> str:
    """Why a file operation failed, in a few words."""
    return str(getattr(error, "strerror", None) or one_line(error))


def replace(path: Path, content: bytes | memoryview) -> None:
    """Write a file atomically, replacing the old one, whose mode and owner it gets.

    Raises OSError; the old file is then as it was.
    """
    _remove_leftovers(path)
    with _partial(path) as (partial, file):
        with suppress(OSError):
            _set_owner(file.fileno(), os.stat(path))
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        if file.read() != content:
            raise OSError("the file read back differs from what was written")
        if os.name != "posix":
            file.close()  # Windows renames no open file
        os.replace(partial, path)
    _flush_folder(path)


def write(path: Path, content: bytes) -> None:
    """Write a file atomically. Raises SettingError, and then leaves the old file unchanged."""
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise SettingError(f"{path} is {kind}: expected the name of a file")
    try:
        replace(Path(os.path.realpath(path)), content)
    except (OSError, ValueError) as error:
        raise SettingError(
            f"{path} could not be written: {reason(error)}; choose another place"
        ) from error


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well. Raises OSError."""
    _remove_leftovers(path)
    with _partial(path) as (partial, file):
        yield file
        file.flush()
        os.fsync(file.fileno())
        if os.name != "posix":
            file.close()  # Windows renames no open file
        os.replace(partial, path)


@contextmanager
def _partial(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside `path`, open and locked; on exit it is removed if it is still there.

    The name is random: threads, processes and containers that save to one place do not meet. The
    lock tells others that the writer is alive.
    """
    while True:
        partial = path.with_name(f"{_stem(path)}.{secrets.token_hex(8)}.partial")
        try:
            with open(partial, "x+b") as file:
                # Between the two calls somebody may have taken it for a dead writer's.
                if _lock(file.fileno()) is not False and partial.exists():
                    yield partial, file
                    return
        finally:  # after it is closed: Windows removes no open file
            with suppress(OSError):
                partial.unlink()


def _stem(path: Path) -> str:
    """How the names of partial files begin; shorter than a name may be."""
    if len(os.fsencode(path.name)) > 200:
        return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}"
    return f".{path.name}"


def _remove_leftovers(path: Path) -> None:
    """Remove the partial files of `path` whose writers are dead."""
    for leftover in path.parent.glob(f"{glob.escape(_stem(path))}.*.partial"):
        _remove_unlocked(leftover)


def _remove_unlocked(path: Path, without_locks: bool = False) -> None:
    """Remove a file unless a process has locked it.

    without_locks: whether to remove it where there are no locks, too.
    """
    with suppress(OSError):
        if os.name != "posix":  # Windows removes no file that is open
            path.unlink()
            return
        with open(path, "rb") as file:
            is_free = _lock(file.fileno())
            if (without_locks if is_free is None else is_free) and _is_at(path, file.fileno()):
                # Still locked: a writer that has just made it could otherwise go on with it.
                path.unlink()


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one at `path`, which another process may have removed."""
    return path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path))


def _lock(descriptor: int) -> bool | None:
    """Lock an open file.

    False if another process or thread has locked it; None if there are no locks: on Windows and
    some network file systems.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _set_owner(descriptor: int, old: os.stat_result) -> None:
    if os.name == "posix":
        new = os.fstat(descriptor)
        if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
            with suppress(OSError):  # only root may give a file away
                os.fchown(descriptor, old.st_uid, old.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _flush_folder(path: Path) -> None:
    """Flush the folder of a file that has just been renamed; the file is there in any case."""
    if os.name != "posix":  # Windows cannot open a folder
        return
    try:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:  # some network file systems cannot
        if error.errno not in (errno.EINVAL, errno.EACCES, errno.ENOTSUP, errno.EPERM):
            logging.getLogger("nbconv").warning(
                "%s is saved, but its folder could not be flushed (%s): a power failure within the "
                "next seconds could lose it",
                path,
                reason(error),
            )


def cache_folder() -> Path:
    """Where nbconv keeps what it has downloaded, decoded or unpacked for this user."""
    import pooch

    return Path(pooch.os_cache("nbconv"))


def identity(path: Path) -> bytes:
    """What tells a file from others and from its past: name, size and time. Raises OSError."""
    file = os.stat(path)
    return os.fsencode(os.path.abspath(path)) + f" {file.st_size} {file.st_mtime_ns}\n".encode()


def old_name(path: Path) -> Path:
    """Where the file at `path` is kept when another run takes its place: PATH.old, PATH.old2, ...

    The first of them that is free.
    """
    old, number = path.with_name(f"{path.name}.old"), 1
    while os.path.lexists(old):
        number += 1
        old = path.with_name(f"{path.name}.old{number}")
    return old


def keep_old(path: Path) -> Path:
    """Copy a file atomically to `old_name`, which is returned. Raises CheckpointError."""
    old = old_name(path)
    try:
        replace(old, path.read_bytes())
        shutil.copystat(path, old)
    except OSError as error:
        raise CheckpointError(
            f"{path} could not be copied to {old}: {reason(error)}; choose another --out"
        ) from error
    return old


def check_place(path: Path) -> None:
    """Raise CheckpointError unless a file can be written at path; called before a training."""
    check_is_file(path)
    path = Path(os.path.realpath(path))
    try:
        with _partial(path):
            _check_replaceable(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} could not be saved: {reason(error)}; choose another place"
        ) from error


def _check_replaceable(path: Path) -> None:
    """Raise OSError if a file is there that nobody, or only its owner, may replace."""
    try:
        file = os.lstat(path)
    except FileNotFoundError:
        return
    if os.name != "posix":
        return
    folder = os.stat(path.parent)
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, file.st_uid, folder.st_uid):
        raise PermissionError(errno.EPERM, "another user's file is there, in a sticky folder")
    try:
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError as error:
        # A file that is only read-only can be replaced; an immutable one gives another error.
        if error.errno == errno.EPERM:
            raise PermissionError(errno.EPERM, "the file there is immutable") from error


@contextmanager
def claimed(path: Path, option: str = "--out") -> Iterator[None]:
    """Keep other runs from writing to `path` meanwhile. Raises CheckpointError if one does.

    option: that names it, for the error.
    """
    place = Path(os.path.realpath(path))
    lock = place.with_name(f"{_stem(place)}.lock")
    with ExitStack() as stack:
        stack.callback(_remove_unlocked, lock, True)  # first: a signal may come at any line
        is_mine = False
        while not is_mine:
            try:
                file = stack.enter_context(open(lock, "ab"))
            except OSError as error:
                raise CheckpointError(
                    f"{path} could not be saved: {reason(error)}; choose another place"
                ) from error
            if _lock(file.fileno()) is False:
                raise CheckpointError(
                    f"{path} is being written by another run: wait until that ends, or choose "
                    f"another {option}"
                )
            is_mine = _is_at(lock, file.fileno())
        yield


def check_is_file(path: Path) -> None:
    """Raise CheckpointError if path exists and is not a regular file, or leads nowhere."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CheckpointError(
                f"{path} is a symbolic link that leads to itself: expected the name of a file"
            ) from error
    except ValueError:  # a name that no file can have: the system's own words come later
        pass
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise CheckpointError(
            f"{path} is {kind}: expected the name of a file, such as {path / 'run.h5'}"
        )
