"""The one place that imports the kernels: it chooses the backend, and the module is the backend."""

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numba
from numba.core import event

from . import child, threads
from .errors import BackendError, SettingError
from .kernels import compilation, driver
from .kernels.interface import Backend
from .names import BACKENDS

if TYPE_CHECKING:  # mypy compares each backend with the interface
    from .kernels import cpu, cuda, reference

    _backends: tuple[Backend, ...] = (cpu, cuda, reference)

_LAYERS = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}  # and their modules
# What each process was told of CUDA: a child knows what its parent knew.
_answers: dict[int, str | None] = {}


def select(name: str) -> tuple[str, Backend]:
    """The backend's name and its kernels.

    Raises SettingError for an unknown name, BackendError if it is not there.
    """
    if name not in BACKENDS:
        raise SettingError(f"backend is {name!r}: expected one of {', '.join(BACKENDS)}")
    if name == "auto":
        reason = why_not_cuda()
        name = "cuda" if reason is None else "cpu"
        line = f"Backend: {name}" + (f", because {reason}" if reason else "")
        _say_once(line, logging.WARNING if reason and driver.is_fault() else logging.INFO)
    reason = why_not_cpu() if name == "cpu" else why_not_cuda() if name == "cuda" else None
    if reason is not None:
        raise BackendError(f"backend {name!r} is not there: {reason}")
    kernels = import_module(f"{compilation.__package__}.{name}")
    if name == "cuda":
        kernels.raise_as(BackendError)
    return name, cast(Backend, kernels)


def why_not_cpu() -> str | None:
    """What keeps backend "cpu" from working, and the remedy, in one line; None if nothing does."""
    config: Any = numba.config
    if config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set: unset it, or use backend 'reference'"
    layer = str(config.THREADING_LAYER).lower()
    if layer not in ("default", "safe", "threadsafe", "forksafe", *_LAYERS):
        known = ", ".join(_LAYERS)
        return f"NUMBA_THREADING_LAYER is {layer!r}: expected one of {known}; or unset it"
    if not _has_layer({"safe": "tbb"}.get(layer, layer)):
        return f"NUMBA_THREADING_LAYER is {layer!r}, which is not installed here: unset it"
    return None


def _has_layer(name: str) -> bool:
    """Whether Numba can load a threading layer; True for a name that stands for several."""
    try:
        import_module(f"numba.np.ufunc.{_LAYERS[name]}")
    except ImportError:
        return False
    except KeyError:
        pass
    return True


@cache
def _say_once(line: str, level: int) -> None:
    """Log a line, once in this process."""
    logging.getLogger("nbconv").log(level, line)


def why_not_cuda() -> str | None:
    """What keeps backend "cuda" from working here, and its remedy, in one line; else None."""
    process = os.getpid()
    if process not in _answers:
        _answers[process] = driver.FORKED if None in _answers.values() else driver.why_not()
    return _answers[process]


def on_compilation(tell: Callable[[str], None]) -> None:
    """Call `tell` once with a line, when the first kernel that the cache lacks is compiled."""

    class Listener(event.Listener):
        told = False

        def on_start(self, started: Any) -> None:
            if not self.told:
                Listener.told = True
                tell("Compiling kernels, once for this machine: up to 20 s ...")

        def on_end(self, ended: Any) -> None:
            pass

    register: Any = event.register
    register("numba:compile", Listener())


@contextmanager
def compiling_meanwhile(
    kernels: Backend, module: str, argument: Callable[[], str]
) -> Iterator[None]:
    """Run a module with `argument()` as a process beside the block, if nothing is compiled yet.

    It compiles into the same cache on a second core; where there is none, or it is not to be used,
    it is not started. Whether it starts, fails or is stopped changes nothing else; -v says that it
    failed.
    """
    process = None
    if (
        kernels.PRECOMPILES
        and compilation.CACHE_IS_KEPT
        and compilation.cache_is_cold()
        and child.why_not() is None
        and threads.most() > 1
    ):
        with suppress(OSError):
            process = subprocess.Popen(
                child.command(module, argument()),
                stdin=subprocess.PIPE,  # closes when this process ends, however it does
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
    try:
        yield
    finally:
        if process is not None:
            code = process.poll()
            process.kill()
            _, said = process.communicate()
            if code:
                line = f"compiling in a second process failed: {said.strip()[-500:]}"
                logging.getLogger("nbconv").info(line)


def threading_layer() -> str:
    """The threading layer that Numba will use: omp, tbb or workqueue."""
    config: Any = numba.config
    asked = str(config.THREADING_LAYER).lower()
    if asked in _LAYERS:
        return asked
    return str(next(name for name in config.THREADING_LAYER_PRIORITY if _has_layer(name)))
