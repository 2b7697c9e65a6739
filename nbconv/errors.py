"""The errors that nbconv raises on purpose.

NbconvError
+-- SettingError (also ValueError)     an invalid setting, layer or network
+-- DataError (also ValueError)        unusable images, labels or data files
+-- CheckpointError                    a checkpoint that cannot be read, written or resumed
+-- BackendError                       the backend is not available
+-- DivergedError                      the cost or the weights grew without bound
Interrupted (KeyboardInterrupt)        SIGINT, SIGTERM or SIGHUP during training
"""

import os
import sys
from typing import Any

MEGABYTE = 2**20
ADDRESS_SPACE = 700  # megabytes that Numba needs to start and to compile every kernel


class NbconvError(Exception):
    """The base of all errors: one line that says what was given, what was expected, what to do."""


class SettingError(NbconvError, ValueError):
    """An invalid setting, layer or network."""


class DataError(NbconvError, ValueError):
    """Unusable images, labels or data files."""


class CheckpointError(NbconvError):
    """A checkpoint that cannot be read, written or resumed."""


class BackendError(NbconvError):
    """The backend is not available."""


class DivergedError(NbconvError):
    """The cost or the weights became infinite, NaN or absurdly large.

    The last checkpoint is unchanged.
    """


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP stopped a training.

    saved: whether it stopped between two mini-batches, after saving; None before and after
    training, when there is nothing to save.
    """

    def __init__(self, signal_number: int, saved: bool | None = False):
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
        self.saved = saved

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.signal_number, self.saved)


def check_environment() -> None:
    """Raise SettingError where Numba cannot even be imported.

    A NUMBA_NUM_THREADS below 1 is an error there, and too little address space ends in LLVM's
    abort or, where SciPy is installed, in a loop of OpenBLAS that no signal ends.
    """
    asked = os.environ.get("NUMBA_NUM_THREADS", "").strip()
    if asked.lstrip("+-").isdecimal() and int(asked) < 1:
        raise SettingError(f"NUMBA_NUM_THREADS is {asked}: expected 1 or more; or unset it")
    if sys.platform != "win32" and "numba" not in sys.modules:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE * MEGABYTE:
            raise SettingError(
                f"this process may use {limit // MEGABYTE} MB of address space (ulimit -v): "
                f"expected {ADDRESS_SPACE} MB or more, which Numba needs"
            )


def say(line: str) -> None:
    """Warn with a line: what was done to data that may have been meant otherwise, or goes wrong."""
    import logging  # not for `nbconv --help`

    logging.getLogger("nbconv").warning("%s", printable(line))


def printable(text: str) -> str:
    """A text that a terminal shows and does not obey: other characters become spaces."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
