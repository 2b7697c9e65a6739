"""What every part of a chapter works with: the user's wishes, trained networks, a place for figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data import load_data
from ..data.dataset import Dataset
from ..network import Network
from ..runs.processes import Job, train_all
from .tables import Picture, Table


@dataclass(frozen=True)
class Run:
    """A finished training: its checkpoint, and what it came to."""

    path: Path
    validation_accuracy: float  # in percent, of the best epoch (of equal ones the first)
    test_accuracy: float  # in percent, of that epoch
    seconds: float  # of training alone

    @classmethod
    def of(cls, path: Path) -> "Run":
        """What a checkpoint says."""
        state = Network.load(path, backend="cpu").state
        assert state.best is not None  # there was validation data
        accuracies = 100 * state.best.validation_accuracy, 100 * state.best.test_accuracy
        return cls(path, *accuracies, sum(state.history["seconds"]))


@dataclass
class Context:
    """Where the parts of a chapter do their work.

    out: a folder. runs: trainings of each setting, of seeds `seed`, `seed` + 1, ... quick: fewer epochs. jobs: trainings at a time.
    tell: is given lines about what is going on.
    """

    out: Path
    runs: int
    seed: int
    quick: bool
    backend: str
    jobs: int
    tell: Callable[[str], None]
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    @property
    def seeds(self) -> range:
        """The runs' seeds."""
        return range(self.seed, self.seed + self.runs)

    @cached_property
    def mnist(self) -> tuple[Dataset, Dataset, Dataset]:
        """Training, validation and test images."""
        return load_data("mnist")

    def trained(self, name: str, settings: Mapping[str, Any], seeds: Sequence[int]) -> list[Run]:
        """A finished training for each seed, in OUT/runs/NAME-SEED.h5; those begun go on, those finished are taken as they are."""
        folder = self.out / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [
            Job(f"{name}-{seed}", {**settings, "seed": seed}, folder / f"{name}-{seed}.h5")
            for seed in seeds
        ]
        train_all(jobs, self.jobs, self.backend, self.tell)
        return [Run.of(job.out) for job in jobs]

    def table(self, title: str, columns: Mapping[str, str], *rows: list[Any]) -> None:
        """Add a table to the part's results; quick ones are labelled so."""
        self.tables.append(Table(title + (" (quick)" if self.quick else ""), columns, list(rows)))

    def picture(self, name: str, caption: str, axes: Any) -> None:
        """Save the figure of some matplotlib axes as PNG and SVG."""
        from ..plots import save

        folder = self.out / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        for ending in ("png", "svg"):
            save(axes, folder / f"{name}.{ending}")
        self.pictures.append(Picture(name, caption))
