"""Everything that nbconv raises on purpose.

NbconvError
+-- SettingError (also ValueError)     a setting, a layer or a network that cannot be
+-- DataError (also ValueError)        images, labels or a data file that cannot be used
+-- CheckpointError                    a checkpoint that cannot be read, written or resumed
+-- BackendError                       a device that is not there
+-- DivergedError                      the cost or the weights grew beyond all bounds
Interrupted (KeyboardInterrupt)        SIGINT or SIGTERM while training
"""


class NbconvError(Exception):
    """The base of every error here: one line that names what was given, what was expected, what to do."""


class SettingError(NbconvError, ValueError):
    """A setting, a layer or a network that cannot be."""


class DataError(NbconvError, ValueError):
    """Images, labels or a data file that cannot be used."""


class CheckpointError(NbconvError):
    """A checkpoint that cannot be read, written or resumed."""


class BackendError(NbconvError):
    """A device that is not there."""


class DivergedError(NbconvError):
    """The cost or the weights became infinite, NaN or absurdly large; the last checkpoint is as it was."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM stopped a training; `saved` says whether between two mini-batches, after saving."""

    def __init__(self, signal_number: int):
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
        self.saved = False
