"""How `fit` tells a training: bar and curves in a notebook, a line for each epoch in a script."""

import sys
import time
from collections.abc import Callable
from html import escape
from typing import Any

from .. import display
from .history import History, line

EpochDone = Callable[[dict[str, float]], None]
MiniBatchDone = Callable[[int, int], None]
PERIOD = 0.25  # seconds between two looks at the mini-batches


def notebook() -> Callable[..., Any] | None:
    """IPython's function `display` in a notebook; None elsewhere, and IPython stays unimported."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    is_notebook = getattr(shell, "kernel", None) is not None  # which IPython in a terminal lacks
    return sys.modules["IPython.display"].display if is_notebook else None


class Lines:
    """Prints a line for each epoch."""

    def __init__(self, epochs: int):
        self.epochs = epochs

    def mini_batch(self, done: int, total: int) -> None:
        """Nothing is printed within an epoch."""

    def epoch_done(self, metrics: dict[str, float]) -> None:
        """Print the epoch's metrics."""
        print(line(metrics, self.epochs), flush=True)


class Live:
    """A cell's output that follows the training: a bar, the last epoch's line, the curves so far.

    show: IPython's function `display`. epochs: after which the training ends.
    """

    def __init__(self, show: Callable[..., Any], history: History, epochs: int):
        self.history, self.epochs = history, epochs
        self.share = 0.0  # of the current epoch
        self.line = ""
        self.shown = time.perf_counter()
        self.handle = show(self, display_id=True)

    def mini_batch(self, done: int, total: int) -> None:
        """Move the bar, a few times a second at most."""
        self.share = done / total
        if time.perf_counter() - self.shown >= PERIOD:
            self._update()

    def epoch_done(self, metrics: dict[str, float]) -> None:
        """Show the epoch's metrics."""
        self.share, self.line = 0.0, line(metrics, self.epochs)
        if metrics["epoch"] == self.epochs or time.perf_counter() - self.shown >= PERIOD:
            self._update()

    def _update(self) -> None:
        self.shown = time.perf_counter()
        self.handle.update(self)

    def __repr__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        bar = display.bar((self.history.epochs + self.share) / self.epochs)
        return f"<div>{bar}</div><div>{escape(self.line)}</div>{self.history._repr_html_() or ''}"


def telling(
    verbose: bool | None,
    history: History,
    epochs: int,
    callback: EpochDone | None,
    progress: MiniBatchDone | None,
) -> tuple[EpochDone | None, MiniBatchDone | None]:
    """`fit`'s callback and progress, which tell the training, too, as `verbose` asks for."""
    show = notebook()
    is_told = show is not None if verbose is None else verbose
    if not is_told:
        return callback, progress
    told = Live(show, history, epochs) if show else Lines(epochs)
    return _both(told.epoch_done, callback), _both(told.mini_batch, progress)


def _both(ours: Callable[..., None], theirs: Callable[..., None] | None) -> Callable[..., None]:
    if theirs is None:
        return ours

    def call(*arguments: Any) -> None:
        ours(*arguments)
        theirs(*arguments)

    return call
