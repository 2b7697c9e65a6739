"""How a training is told: a moving line on a terminal, one line for each epoch anywhere."""

import errno
import os
import sys
import textwrap
import time
from io import FileIO
from pathlib import Path

from ..errors import printable
from ..tables import duration
from .group import as_json, note


def tell(line: str) -> None:
    """A line on standard error; on a terminal it is broken between words."""
    line = printable(line)
    if _is_terminal():
        line = textwrap.fill(line, _width(), break_long_words=False, break_on_hyphens=False)
    note(line)


class Progress:
    """Prints to standard error; results go to standard output."""

    def __init__(self, first_epoch: int, epochs: int):
        self.epoch = first_epoch
        self.epochs = epochs
        self.live = _is_terminal()
        self.first: tuple[float, int] | None = (
            None  # when this epoch's first mini-batch was done, and its images
        )
        self.shown = 0.0

    def mini_batch(self, done: int, total: int) -> None:
        """Show images per second and the time left, ten times a second at most."""
        now = time.perf_counter()
        if self.first is None:
            self.first = (now, done)
        if not self.live or now - self.shown < 0.1 or now == self.first[0]:
            return
        self.shown = now
        rate = (done - self.first[1]) / (now - self.first[0])
        if done == total:
            self.clear()  # what is said before the epoch's line begins in a row of its own
        elif rate > 0:
            left = ((self.epochs - self.epoch) * total - done) / rate
            bar = "#" * (20 * done // total)
            parts = (
                f"epoch {self.epoch + 1}/{self.epochs} ",
                f"[{bar:20}] ",
                f"{rate:,.0f} images/s, ",
                f"{duration(left)} left",
            )
            note(f"\r\x1b[K{_fitting(parts)}", nl=False)

    def epoch_done(self, report: dict[str, float]) -> None:
        """One line with an epoch's metrics."""
        self.epoch = int(report["epoch"])
        self.first = None
        from nbconv.training.history import line

        told = line(report, self.epochs, width=_width() if self.live else None)
        note(("\r\x1b[K" if self.live else "") + told)

    def clear(self) -> None:
        """Take the moving line away."""
        if self.live:
            note("\r\x1b[K", nl=False)


class Log:
    """A file with a JSON object in a line for each epoch: what `Network.fit` calls back with.

    Nothing is written before the first epoch's end. is_new: of a new run; a file that is there is
    then kept under another name, else it goes on. Raises SettingError if it cannot be written.
    """

    def __init__(self, path: Path, *, is_new: bool):
        from nbconv.errors import SettingError
        from nbconv.files import reason

        self.path = path
        self.is_new = is_new
        self.has_failed = False
        self.pipe: FileIO | None = None  # stays open: its reader takes a closed one for the end
        is_there = path.exists()
        try:
            if not path.is_fifo():  # a reader may be waiting for its end
                os.close(self._opened())
            if not is_there:
                path.unlink()
        except (OSError, ValueError) as error:
            raise SettingError(
                f"log is {path}, which cannot be written: {reason(error)}; choose another place"
            ) from error

    def _opened(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def close(self) -> None:
        """No further lines come."""
        if self.pipe:
            self.pipe.close()

    def epoch_done(self, metrics: dict[str, float]) -> None:
        """Append an epoch's line. Where that fails, the training goes on without a log."""
        if self.has_failed:
            return
        told = metrics | {name: int(metrics[name]) for name in ("epoch", "threads")}
        try:
            self._append(f"{as_json(told)}\n".encode())
        except OSError as error:
            self.has_failed = True
            tell(
                f"{self.path} cannot be written any more: {error.strerror}; the training goes on "
                "without it"
            )

    def _append(self, line: bytes) -> None:
        """Append a line, or nothing. Raises OSError."""
        from nbconv.files import old_name

        if self.is_new and self.path.is_file() and self.path.stat().st_size:
            kept = old_name(self.path)
            self.path.rename(kept)
            tell(f"The file that was at {self.path} is now {kept}")
        self.is_new = False
        if self.path.is_fifo():
            if self.pipe is None:  # a plain opening would wait for a reader
                self.pipe = FileIO(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK), "w")
                os.set_blocking(self.pipe.fileno(), True)
            self.pipe.write(line)
            return
        descriptor = self._opened()
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, line) < len(line):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)


class Decoding:
    """Says how many pictures are decoded: a moving line on a terminal, else one now and then."""

    def __init__(self) -> None:
        self.live = _is_terminal()
        self.shown = time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        now = time.perf_counter()
        if done == total:
            if self.live:
                note("\r\x1b[K", nl=False)
        elif self.live or now - self.shown > 10:
            line = f"Decoding pictures: {done:,} of {total:,}"
            line = f"\r\x1b[K{line[: _width()]}" if self.live else line
            note(line, nl=not self.live)
            self.shown = now


def _is_terminal() -> bool:
    """Whether standard error is one; a program that calls a command may have none."""
    return bool(getattr(sys.stderr, "isatty", bool)())


def _width() -> int:
    """How many characters a row of the terminal has; one less, for some wrap a full row."""
    try:
        return max(1, (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1)
    except (OSError, ValueError):
        return 79


def _fitting(parts: tuple[str, str, str, str]) -> str:
    """The moving line; in a narrow terminal without the images per second, then without the bar."""
    epoch, bar, rate, left = parts
    lines = (f"{epoch}{bar}{rate}{left}", f"{epoch}{bar}{left}", f"{epoch}{left}")
    width = _width()
    return next((line for line in lines if len(line) <= width), lines[-1][:width])
