"""Who may look at a network that is being trained: a training goes in steps, others come between.

Within a step the weights and the counts of what was done do not belong together. A copy or a
checkpoint made by another thread waits for the end of the step, 20 ms or the evaluation after an
epoch, and the next step for the copy.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import SettingError


class Turns:
    """The turns of one network."""

    def __init__(self) -> None:
        self._first = threading.RLock()  # who has it is the next
        self._lock = threading.RLock()
        self.is_training = False

    @contextmanager
    def training(self) -> Iterator[None]:
        """Within, a training is under way. Raises SettingError if another one is."""
        with self._first:
            self.not_training("trained")
            self.is_training = True
        try:
            yield
        finally:
            self.is_training = False

    def not_training(self, what: str) -> None:
        """Raise SettingError if a training is under way. what: that cannot be done meanwhile."""
        if self.is_training:
            raise SettingError(
                f"the network is being trained and cannot be {what} meanwhile: expected the end of "
                "its fit, or a copy, copy.deepcopy(net)"
            )

    @contextmanager
    def step(self) -> Iterator[None]:
        """A step of the training; not within another one."""
        with self._first:  # a thread that waits for its turn is let in before
            pass
        with self._lock:
            yield

    @contextmanager
    def between(self) -> Iterator[None]:
        """Between two steps: weights, state and history belong together."""
        with self._first, self._lock:
            yield
