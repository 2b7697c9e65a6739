"""How the kernels are compiled: the flags, the files of compiled kernels, the threading layer.

Numba's own cache looks only at the file that a kernel stands in, not at the files of the functions
it calls, and stops at a damaged or unwritable file. So the kernels have a cache of their own: a
folder named after a hash of all kernel sources, a file for each kernel and signature, with a
digest. What cannot be read is compiled again; what cannot be written is compiled in each process.
"""

import atexit
import hashlib
import logging
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.dispatcher import Dispatcher
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from .linking import machine_code_when_called

# "nnan" and "ninf" are left out: with them the guards against NaN would be compiled away. Only sums
# of products may be reordered, which is what lets them be vectorised; in `scalar.exp_negative` the
# order carries the precision.
FLAGS: dict[str, Any] = {
    "cache": True,
    "fastmath": {"contract", "nsz", "arcp"},
    "error_model": "numpy",
}
PLAIN: dict[str, Any] = {
    "cache": True,
    "error_model": "numpy",
}  # to the bit what Python does with NumPy's numbers
PARALLEL: dict[str, Any] = {**FLAGS, "parallel": True}
SUMS: dict[str, Any] = {**PARALLEL, "fastmath": FLAGS["fastmath"] | {"reassoc"}}
INNER: dict[str, Any] = {
    **SUMS,
    "parallel": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
INLINE: dict[str, Any] = {**INNER, "forceinline": True}
FORMULA: dict[str, Any] = {**INNER, "fastmath": FLAGS["fastmath"]}


def _sources_hash() -> str:
    """Twelve hexadecimal digits over every kernel source and numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    for path in sources:
        digest.update(path.name.encode() + path.read_bytes())
    if not sources:  # in a zip file or a frozen program: when that was made
        holder = getattr(__spec__.loader, "archive", sys.executable) if __spec__ else sys.executable
        status = os.stat(holder)
        digest.update(f"{holder} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def _cache_root() -> Path:
    # Without a home directory the last one stays "~": no folder of that name is made.
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "nbconv" / "kernels"


def _is_trusted(folder: Path) -> bool:
    """Whether a folder exists, belongs to this user or root, and not everybody can write to it."""
    try:
        found = os.stat(folder)
    except OSError:
        return False
    if os.name != "posix":
        return True
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH


def _why_not(folder: Path) -> str | None:
    """Why compiled kernels cannot be kept in a folder; None if they can."""
    if not folder.is_absolute() and folder.parts[:1] == ("~",):
        return "there is no home directory"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_trusted(folder):
            return "another user owns it or can write to it"  # whose pickles are not to be run
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _tell(folder: Path | None, why: object) -> None:
    """Log, once, that compiled kernels cannot be kept."""
    if not _told:
        _told.append(why)
        logging.getLogger("nbconv").warning(
            "compiled kernels cannot be kept in %s (%s), and are compiled for this run alone: set "
            "NUMBA_CACHE_DIR to a folder of yours that can be written",
            folder,
            why,
        )


def _choose_cache() -> tuple[Path | None, bool]:
    """(the folder, whether it outlives this process); None if there is no place for one.

    NUMBA_CACHE_DIR or the user's cache, in a folder of this version's own; else a temporary one. A
    folder that somebody has filled (`nbconv doctor --compile`) need not be writable.
    """
    root = os.environ.get("NUMBA_CACHE_DIR")
    folder = (Path(root) if root else _cache_root()) / _sources_hash()
    why = _why_not(folder)
    if why is None:
        return folder, True
    if _is_trusted(folder) and next(folder.glob("*.nbc"), None):
        return folder, False
    _tell(folder, why)
    try:
        temporary = Path(tempfile.mkdtemp(prefix="nbconv-kernels-"))
    except OSError:
        return None, False
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary, False


_told: list[object] = []
CACHE, CACHE_IS_KEPT = _choose_cache()


class _Implementation(CompileResultCacheImpl):
    """What Numba's cache asks about a kernel, without a search for its source file."""

    def __init__(self, function: Any):
        place = f"{function.__module__}.{function.__qualname__}-{function.__code__.co_firstlineno}"
        tag = sys.implementation.cache_tag
        self._filename_base = re.sub(r"\W", "_", f"{place}.{tag}{sys.abiflags}")
        self._locator = self

    def get_cache_path(self) -> str:
        return str(CACHE)

    def get_source_stamp(self) -> str:
        return ""

    def ensure_cache_path(self) -> None:
        pass

    def check_cachable(self, compiled: Any) -> bool:
        """With NUMBA_OPT=0 some refer to places in this process; they are not kept."""
        return not compiled.library.has_dynamic_globals


class _Files:
    """A file for each signature of a kernel: a SHA-256 of its key and content, then the content."""

    def __init__(self, folder: Path, base: str):
        self._folder, self._base = folder, base

    def _path(self, key: Any) -> Path:
        return (
            self._folder / f"{self._base}.{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.nbc"
        )

    def load(self, key: Any) -> Any:
        """What was saved under a key; None if that is not there, or damaged."""
        try:
            path = self._path(key)
            content = path.read_bytes() if path.is_file() else b""
            if content[:32] == _seal(key, content[32:]):
                return pickle.loads(content[32:])
        except Exception:  # whatever comes of a file that another version wrote
            pass
        return None

    def save(self, key: Any, data: Any) -> None:
        """Save it; where that is not possible, go on without."""
        content = dumps(data)
        try:
            descriptor, partial = tempfile.mkstemp(".partial", dir=self._folder)
            try:
                with open(descriptor, "wb") as file:
                    file.write(_seal(key, content) + content)
                os.replace(partial, self._path(key))
            except BaseException:
                with suppress(OSError):
                    os.unlink(partial)
                raise
        except OSError as error:
            _tell(self._folder, error.strerror)

    def flush(self) -> None:
        """Nothing waits to be written."""


def _seal(key: Any, content: bytes) -> bytes:
    return hashlib.sha256(repr(key).encode() + content).digest()


class _Cache(FunctionCache):
    _impl_class = _Implementation
    _cache_file: Any

    def __init__(self, function: Any):
        super().__init__(function)
        self._cache_file = _Files(Path(self._cache_path), self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel for a signature; None if it is to be compiled.

        Numba would first import all that it can compile (`refresh`), a fifth of a program's start
        when all kernels are there. Its compiler does that by itself when it is needed.
        """
        rtsys.initialize(target_context)  # with which kernels allocate
        return self._load_overload(sig, target_context)


def njit(*, cache: bool, **flags: Any) -> Any:
    """numba.njit, with this module's cache."""

    def decorate(function: Any) -> Any:
        kernel: Any = numba.njit(**flags)(function)
        if isinstance(kernel, Dispatcher):  # not with NUMBA_DISABLE_JIT=1
            vars(kernel)["compile"] = machine_code_when_called()(kernel.compile)
            if cache and CACHE is not None:
                vars(kernel)["_cache"] = _Cache(function)
        return kernel

    return decorate


# OpenMP's threads wait for each other by spinning: by default for milliseconds, which starves them
# all where another program wants a core too. Half a millisecond bridges the gaps between kernels
# (benchmarks/neighbour.py).
os.environ.setdefault("GOMP_SPINCOUNT", "12000")
# A parallel region costs about 1 microsecond with omp and 100 with workqueue.
config: Any = numba.config
config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


def cache_is_cold() -> bool:
    """Whether no kernel has been compiled into the cache yet."""
    try:
        return CACHE is None or next(CACHE.glob("*.nbc"), None) is None
    except OSError:  # a folder that this process, now another user's, may not read
        return False
