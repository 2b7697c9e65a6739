"""What the parts of a chapter share: the options, trained networks, tables and pictures."""

import math
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
    """A finished training: its checkpoint and its results."""

    path: Path
    validation_accuracy: float  # in percent, of the best epoch (the first of equal ones), or NaN
    test_accuracy: float  # in percent, of the same epoch; without validation images of the last
    seconds: float  # training time, without evaluation

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read the results from a checkpoint. Raises CheckpointError."""
        state = Network.load(path, backend="cpu").state
        validation = state.best.validation_accuracy if state.best else math.nan
        seconds = sum(state.history["seconds"])
        return cls(path, 100 * validation, 100 * state.test_accuracy, seconds)


@dataclass
class Context:
    """The options of `nbconv reproduce`, and the results of one part.

    out: a folder. runs: trainings per experiment, with the seeds `seed`, `seed` + 1, ... quick:
    fewer epochs. jobs: trainings at a time. on_line: called with each line about the progress.
    """

    out: Path
    runs: int
    seed: int
    quick: bool
    backend: str
    jobs: int
    on_line: Callable[[str], None]
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    @property
    def seeds(self) -> range:
        """The seeds of the runs."""
        return range(self.seed, self.seed + self.runs)

    @cached_property
    def mnist(self) -> tuple[Dataset, Dataset, Dataset]:
        """MNIST's training, validation and test data. Raises DataError."""
        return load_data("mnist")

    def trained(self, name: str, settings: Mapping[str, Any], seeds: Sequence[int]) -> list[Run]:
        """A finished training for each seed, in OUT/runs/NAME-SEED.h5.

        Interrupted trainings are resumed, finished ones are not repeated. Raises what `train_all`
        raises.
        """
        folder = self.out / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [
            Job(f"{name}-{seed}", {**settings, "seed": seed}, folder / f"{name}-{seed}.h5")
            for seed in seeds
        ]
        train_all(jobs, self.jobs, self.backend, self.on_line)
        return [Run.load(job.out) for job in jobs]

    def table(self, title: str, columns: Mapping[str, str], *rows: list[Any]) -> None:
        """Add a table to the results, see `Table`; its title says so if it is quick."""
        title = f"{title} (quick)" if self.quick else title
        self.tables.append(Table(title, columns, list(rows)))

    def picture(self, name: str, caption: str, axes: Any) -> None:
        """Save the figure of matplotlib axes as PNG and SVG, and add it to the results."""
        from ..plots import save

        folder = self.out / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        for ending in ("png", "svg"):
            save(axes, folder / f"{name}.{ending}")
        self.pictures.append(Picture(name, caption))
