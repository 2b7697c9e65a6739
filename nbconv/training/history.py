"""The metrics of a training: one list per metric, one number per epoch."""

import math
from collections.abc import Iterator, Mapping

from .. import display
from ..tables import duration

# What a line is too long for is left out, in this order.
LEFT_OUT = "threads", "seconds", "training", "cost", "left"
LEFT = len("  1 h 12 min left")
OF_BEST = "test, best epoch"  # what test scores are called that stay until an epoch is better


def line(
    metrics: Mapping[str, float],
    epochs: int,
    *,
    left: float | None = None,
    width: int | None = None,
) -> str:
    """One epoch's metrics as a line.

    For example: epoch  3/60  cost 0.1202  validation 97.67 %  test 96.33 %  0.4 s, 2 threads.
    metrics: as `fit` passes them to its callback. epochs: how many epochs are trained in all. left:
    seconds until then. width: how many characters there is room for.
    """
    epoch = f"{int(metrics['epoch']):>{len(str(epochs))}}"
    parts = {"epoch": f"epoch {epoch}/{epochs}", "cost": f"  cost {metrics['cost']:.4f}"}
    for name in ("training", "validation", "test"):
        if f"{name}_accuracy" in metrics:
            parts[name] = f"  {name} {100 * metrics[name + '_accuracy']:.2f} %"
    parts["seconds"] = f"  {metrics['seconds']:.1f} s"
    if threads := int(metrics.get("threads", 0)):
        parts["threads"] = f", {threads} thread{'s' if threads > 1 else ''}"
    if left is not None:
        told = f"  {duration(left)} left" if left else ""
        parts["left"] = f"{told:{LEFT}}"  # as long for all epochs, which then lack the same parts
    for name in LEFT_OUT:
        if width is not None and sum(map(len, parts.values())) > width:
            parts.pop(name, None)
    return "".join(parts.values()).rstrip()


def labels(history: Mapping[str, object]) -> dict[str, str]:
    """What the scores on each set are called in tables and charts.

    Test scores are the best epoch's so far, if there are validation images that tell which it is.
    """
    test = OF_BEST if "validation_accuracy" in history else "test"
    return {"training": "training", "validation": "validation", "test": test}


class History(Mapping[str, list[float]]):
    """A read-only mapping from a metric's name to one number per epoch, NaN if not measured."""

    def __init__(self, metrics: Mapping[str, list[float]] | None = None):
        self._metrics = {name: list(numbers) for name, numbers in (metrics or {}).items()}
        # How many CPU threads did most of each epoch's training; 0 for epochs of an earlier process
        # and on a GPU. No metric, for it belongs to the machine.
        self.threads = [0] * self.epochs

    def __getitem__(self, metric: str) -> list[float]:
        return self._metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        return f"History({self.epochs} epochs: {', '.join(self._metrics)})"

    def _repr_html_(self) -> str | None:
        """What a notebook shows: cost and accuracy over the epochs. `plots.curves` shows more."""
        sets = labels(self)
        costs = {shown: self.get(f"{name}_cost", []) for name, shown in sets.items()}
        costs["mini-batches"] = self.get("cost", [])
        accuracies = {
            shown: [100 * share for share in self.get(f"{name}_accuracy", [])]
            for name, shown in sets.items()
        }
        return display.chart("cost", costs) + display.chart("accuracy, %", accuracies) or None

    @property
    def epochs(self) -> int:
        """The number of epochs recorded."""
        return max((len(numbers) for numbers in self._metrics.values()), default=0)

    def add(self, epoch: Mapping[str, float], threads: int = 0) -> None:
        """Append one epoch's metrics; those missing now or in earlier epochs become NaN."""
        self.threads.append(threads)
        epochs_before = self.epochs
        for name in [*self._metrics, *epoch]:
            numbers = self._metrics.setdefault(name, [])
            numbers += [math.nan] * (epochs_before - len(numbers))
        for name, numbers in self._metrics.items():
            numbers.append(float(epoch.get(name, math.nan)))

    def since(self, epoch: int) -> "History":
        """The history from that epoch on, 0 being the first."""
        history = History({name: numbers[epoch:] for name, numbers in self._metrics.items()})
        history.threads = self.threads[epoch:]
        return history
