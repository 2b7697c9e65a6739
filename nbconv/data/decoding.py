"""Pictures decoded to one size, all of them, once: in child processes, into a file that is kept.

Run as a program it is such a child: its first line of input says what to do.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .. import child
from ..errors import DataError, printable, say
from ..files import cache_folder, created, identity
from . import pictures
from .labels import natural_order
from .levels import BYTE, LARGE

Array = NDArray[Any]
Progress = Callable[[int, int], None]
Size = tuple[int, int]  # rows, columns
VERSION = 3  # of what decoding gives; a new one makes the caches anew
WHITE = np.dtype("<f8")  # of the level that became 255, at a cache's end
IN_MEMORY_BYTES = 2**24  # of decoded pictures that need no cache
MANY = 1000  # pictures from which child processes decode: Python lets one thread work at a time
AT_ONCE = 200  # pictures between two reports of a child
CACHE_DAYS = 60  # after which a cache that nobody has used is removed
PROCESSES = min(8, os.cpu_count() or 1)
NAMED_FILES = 20  # of those that cannot be read, in an error


class Report:
    """What came of some pictures: which cannot be read and why, their sizes, what was done.

    white: the level that became 255, of those of 16 bits or real numbers.
    """

    def __init__(self) -> None:
        self.bad: list[tuple[int, str]] = []
        self.white: list[tuple[int, float]] = []
        self.sizes: Counter[Size] = Counter()
        self.notes: Counter[str] = Counter()
        self.has_colours = False

    def add(self, other: "Report") -> None:
        """Take another's in."""
        self.bad += other.bad
        self.white += other.white
        self.sizes += other.sizes
        self.notes += other.notes
        self.has_colours |= other.has_colours

    def to_json(self) -> str:
        """As a line for `from_json`."""
        sizes = [[*size, count] for size, count in self.sizes.items()]
        return json.dumps([self.bad, self.white, sizes, dict(self.notes), self.has_colours])

    @classmethod
    def from_json(cls, line: str | bytes) -> "Report":
        """The report that `to_json` wrote."""
        report = cls()
        bad, white, sizes, notes, report.has_colours = json.loads(line)
        report.bad = [(k, why) for k, why in bad]
        report.white = [(k, level) for k, level in white]
        report.sizes = Counter({(rows, columns): count for rows, columns, count in sizes})
        report.notes = Counter(notes)
        return report


def _look(picture: Any, k: int, report: Report) -> None:
    """Note a picture's size, upright, and whether it has colours."""
    size = picture.height, picture.width
    report.sizes[size if pictures.orientation(picture) < 5 else size[::-1]] += 1
    report.has_colours |= pictures.is_colour(picture)


def _check(picture: Any, k: int, report: Report) -> None:
    """See that a picture can be decoded."""
    pictures.decoded(picture)


def _decode(images: Array, level: float, picture: Any, k: int, report: Report) -> None:
    """Put a picture into images[k]. level: as for `pictures.decoded`."""
    said: list[str] = []
    channels, rows, columns = images.shape[1:]
    if picture.format in ("JPEG", "MPO"):  # decodes at a half, a quarter or an eighth
        picture.draft(None, (2 * columns, 2 * rows))
    plain = pictures.decoded(picture, said, level)
    images[k] = pictures.fitted(plain, channels, rows, columns)
    if plain.mode == "F":
        report.white.append((k, plain.info["white"]))
    silent = "turned upright", "levels to"
    report.notes.update(note for note in said if not note.startswith(silent))


def _work(
    task: Callable[[Any, int, Report], None], source: Path | bytes, k: int, report: Report
) -> None:
    """A task on one picture; what is wrong with it goes into the report."""
    try:
        with pictures.opened(source) as picture:
            task(picture, k, report)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make Pillow raise anything
        reason = str(error) if isinstance(error, DataError) else f"is damaged: {error!s:.100}"
        if isinstance(source, Path):
            reason = reason.removeprefix(str(source)).removeprefix(": ").strip()
        report.bad.append((k, reason))


class Pictures:
    """Pictures that are not decoded yet. sources: paths, or files' contents; names: for people."""

    def __init__(self, sources: Sequence[Path | bytes], names: Sequence[str]):
        self.sources, self.names = list(sources), list(names)

    def __len__(self) -> int:
        return len(self.sources)

    def looked_at(self) -> tuple[Counter[Size], bool]:
        """How many pictures there are of each size, upright, and whether any has colours.

        Raises DataError, naming every picture that cannot be read.
        """
        is_kept = len(self) >= MANY
        if is_kept:
            with suppress(OSError, ValueError, TypeError):
                report = Report.from_json(self._kept("look.json").read_bytes())
                return report.sizes, report.has_colours
        report = self._all("look", None, None)
        if report.bad:  # all of them, those that are found bad when they are decoded, too
            self._refuse(self._all("check", None, None))
        if is_kept:
            _keep(self._kept("look.json"), report.to_json().encode())
        return report.sizes, report.has_colours

    def decoded(
        self, channels: int, size: Size, progress: Progress | None = None, level: float = BYTE
    ) -> tuple[Array, float]:
        """(all pictures, uint8; the level that became 255 in deep ones, 0 if there are none).

        Pictures are (n, channels, rows, columns), from the cache if they are in it. Many stay in a
        file and are read from it as they are needed. level: as for `pictures.decoded`. Raises
        DataError.
        """
        shape = (len(self), channels, *size)
        if int(np.prod(shape)) <= IN_MEMORY_BYTES and len(self) < MANY:
            return self._in_memory(shape, progress, level)
        caches = [self._kept(f"{channels} {size}.npy")]
        if level > BYTE:  # which deep pictures of their own white have, too, or there are none
            caches.append(self._kept(f"{channels} {size} {level:g}.npy"))
        for cache in caches:
            with suppress(OSError, ValueError):
                stored, white = _load(cache)
                is_whole = stored.shape == shape and stored.dtype == np.uint8
                if is_whole and (level <= BYTE or white in (0, level)):
                    os.utime(cache)
                    return stored, white
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            _remove_old(cache.parent)
            with created(cache) as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "|u1", "fortran_order": False, "shape": shape}
                )
                offset = file.tell()
                _allocate(file, offset + int(np.prod(shape)) + WHITE.itemsize)
                file.flush()
                images = np.memmap(file, np.uint8, "r+", offset, shape)
                place = {"file": os.path.abspath(file.name), "offset": offset, "shape": shape}
                report = self._all("decode", images, progress, place, level)
                white = self._finish(report, images, level)
                images.flush()
                file.seek(-WHITE.itemsize, os.SEEK_END)
                file.write(np.array(white, WHITE).tobytes())
            return _load(cache)
        except OSError as error:
            say(f"{cache} cannot be written ({error.strerror}): pictures are decoded into memory")
            return self._in_memory(shape, progress, level)

    def _in_memory(
        self, shape: tuple[int, ...], progress: Progress | None, level: float
    ) -> tuple[Array, float]:
        images = np.empty(shape, np.uint8)
        report = self._all("decode", images, progress, level=level)
        return images, self._finish(report, images, level)

    def _all(
        self,
        task: str,
        images: Array | None,
        progress: Progress | None,
        place: dict[str, Any] | None = None,
        level: float = BYTE,
    ) -> Report:
        """A task on all pictures: in child processes if they are many, else in threads."""
        is_in_files = all(isinstance(source, Path) for source in self.sources)
        has_place = task != "decode" or place is not None
        if (
            len(self) >= MANY
            and PROCESSES > 1
            and is_in_files
            and has_place
            and not child.why_not()
        ):
            return self._in_children(task, progress, place, level)
        return self._in_threads(
            TASKS[task] if images is None else partial(_decode, images, level), progress
        )

    def _in_threads(
        self, task: Callable[[Any, int, Report], None], progress: Progress | None
    ) -> Report:
        report = Report()
        with pictures.quiet(), ThreadPoolExecutor(PROCESSES) as pool:
            for first in range(0, len(self), AT_ONCE):
                some = range(first, min(first + AT_ONCE, len(self)))
                list(pool.map(lambda k: _work(task, self.sources[k], k, report), some))
                if progress:
                    progress(some.stop, len(self))
        return report

    def _in_children(
        self, task: str, progress: Progress | None, place: dict[str, Any] | None, level: float
    ) -> Report:
        """Each child process has a share of the pictures. Raises DataError if one fails."""
        whole, lock, done = Report(), threading.Lock(), 0
        bounds = np.linspace(0, len(self), PROCESSES + 1).astype(int)
        failed: list[int] = []

        def run(first: int, stop: int) -> None:
            nonlocal done
            job = {"task": task, "first": first, "place": place, "level": level}
            job["sources"] = [os.path.abspath(s) for s in self.sources[first:stop]]
            with subprocess.Popen(
                child.command("nbconv.data.decoding"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONUTF8": "1"},
            ) as process:
                running.append(process)
                assert process.stdin
                assert process.stdout
                process.stdin.write(json.dumps(job).encode() + b"\n")
                process.stdin.flush()
                for line in process.stdout:
                    with lock:
                        if line.startswith(b"["):
                            whole.add(Report.from_json(line))
                        elif progress:
                            done += int(line)
                            progress(done, len(self))
                process.stdin.close()
            if process.returncode:
                failed.append(process.returncode)

        running: list[subprocess.Popen[bytes]] = []
        with ThreadPoolExecutor(PROCESSES) as pool:
            try:
                list(pool.map(run, bounds[:-1].tolist(), bounds[1:].tolist()))
            except BaseException:
                for process in running:
                    process.kill()
                raise
        if failed:
            raise DataError(
                f"a process that decoded pictures ended with the code {failed[0]}: expected 0; is "
                "there enough memory?"
            )
        return whole

    def _finish(self, report: Report, images: Array, level: float) -> float:
        """Refuse bad pictures, and divide the levels of all that are deep by one number, its value.

        level: by which they were divided, if it is above 255.
        """
        self._refuse(report)
        white = max((own for _, own in report.white), default=0.0)
        for k, own in report.white:
            if own < white and level <= BYTE:
                images[k] = np.rint(images[k] * (own / white))
        if white not in (0, LARGE[-1]):
            many = f"{len(report.white)} pictures of 16 bits or real numbers"
            say(f"{many}: levels divided by {white:g}")
        for note, count in report.notes.most_common(3):
            say(f"{count} pictures: {note}")
        return white

    def _refuse(self, report: Report) -> None:
        """Raise DataError if there are pictures that cannot be read, and name them all."""
        bad = sorted((natural_order(self.names[k]), self.names[k], why) for k, why in report.bad)
        if not bad:
            return
        lines = [printable(f"{name} {reason}") for _, name, reason in bad]
        if len(bad) == 1:
            raise DataError(lines[0])
        for line in lines:
            say(line)
        names = ", ".join(name for _, name, _ in bad[:NAMED_FILES])
        more = f" and {len(bad) - NAMED_FILES} more, named above" if len(bad) > NAMED_FILES else ""
        raise DataError(
            printable(f"{len(bad)} pictures cannot be read: {names}{more}; remove or replace them")
        )

    @cached_property
    def _identity(self) -> bytes:
        """Which pictures they are."""
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(
                identity(source) if isinstance(source, Path) else hashlib.sha256(source).digest()
            )
        return digest.digest()

    def _kept(self, what: str) -> Path:
        """The cache's file for something of these pictures. what: ends with the file's ending."""
        digest = hashlib.sha256(self._identity + f"{VERSION} {what}".encode()).hexdigest()
        return cache_folder() / "pictures" / f"{digest[:32]}{PurePath(what).suffix}"


def _load(path: Path) -> tuple[Array, float]:
    """What `Pictures.decoded` kept: pictures, which stay in the file, and the level behind them."""
    images: Array = np.load(path, mmap_mode="r")
    with open(path, "rb") as file:
        file.seek(-WHITE.itemsize, os.SEEK_END)
        return images, float(np.frombuffer(file.read(), WHITE)[0])


def _keep(path: Path, content: bytes) -> None:
    """Write a file of the cache, if there is a place for it."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with created(path) as file:
            file.write(content)


def _allocate(file: BinaryIO, size: int) -> None:
    """Give a file its size and place on disk: writing to a mapped hole of a full one crashes."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    file.truncate(size)


def _remove_old(folder: Path) -> None:
    """Remove caches that have not been used for long."""
    for file in folder.glob("*"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > CACHE_DAYS * 86400:
                file.unlink()


TASKS: dict[str, Callable[[Any, int, Report], None]] = {"look": _look, "check": _check}


def main() -> None:
    """What a child does: a task on its pictures, with a line each time that AT_ONCE are done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    job = json.loads(sys.stdin.buffer.readline())
    child.end_with_parent(lambda: os._exit(1))
    if job["task"] == "decode":
        place = job["place"]
        shape = tuple(place["shape"])
        images = np.memmap(place["file"], np.uint8, "r+", place["offset"], shape)
        task: Callable[[Any, int, Report], None] = partial(_decode, images, job["level"])
    else:
        task = TASKS[job["task"]]
    report, first = Report(), job["first"]
    with pictures.quiet():
        for number, source in enumerate(job["sources"], 1):
            _work(task, Path(source), first + number - 1, report)
            if number % AT_ONCE == 0 or number == len(job["sources"]):
                print((number - 1) % AT_ONCE + 1, flush=True)
    print(report.to_json(), flush=True)


if __name__ == "__main__":
    main()
