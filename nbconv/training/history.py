"""What a training was like: one list for each metric, with one number for each epoch."""

from collections.abc import Iterator, Mapping


def line(report: Mapping[str, float], epochs: int) -> str:
    """The report of one epoch of so many as a line: epoch  3/60  cost 0.1202  validation 97.67 %  test 96.33 %  0.4 s."""
    parts = [
        f"epoch {int(report['epoch']):>{len(str(epochs))}}/{epochs}",
        f"cost {report['cost']:.4f}",
    ]
    for name in ("training", "validation", "test"):
        if f"{name}_accuracy" in report:
            parts.append(f"{name} {100 * report[name + '_accuracy']:.2f} %")
    return "  ".join([*parts, f"{report['seconds']:.1f} s"])


class History(Mapping[str, list[float]]):
    """A read-only mapping from a metric's name to its numbers, one an epoch; NaN where an epoch has none."""

    def __init__(self, metrics: Mapping[str, list[float]] | None = None):
        self._metrics = {name: list(numbers) for name, numbers in (metrics or {}).items()}

    def __getitem__(self, metric: str) -> list[float]:
        return self._metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        return f"History({self.epochs} epochs: {', '.join(self._metrics)})"

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
        return max((len(numbers) for numbers in self._metrics.values()), default=0)

    def add(self, epoch: Mapping[str, float]) -> None:
        """Append one epoch; metrics that it lacks, or that are new, are filled with NaN."""
        done = self.epochs
        for name in [*self._metrics, *epoch]:
            numbers = self._metrics.setdefault(name, [])
            numbers += [float("nan")] * (done - len(numbers))
        for name, numbers in self._metrics.items():
            numbers.append(float(epoch.get(name, float("nan"))))

    def since(self, epoch: int) -> "History":
        """The part from that epoch on."""
        return History({name: numbers[epoch:] for name, numbers in self._metrics.items()})
