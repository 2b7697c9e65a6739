"""Networks that vote, kept together in a folder.

FOLDER/member-1.h5, ...   one checkpoint for each member, as `Network.save` and `nbconv train` write them
FOLDER/ensemble.json      format, version; members: {file's name: SHA-256 of the file, or null until all are trained};
                          settings: those of the first member's run, if they are trained as runs; the others' seeds follow its own

The members are written first, their digests last: a folder where something is missing, unfinished or of another time is
none, and never a smaller ensemble.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks
from .checkpoint import file as checkpoint
from .data.dataset import Dataset, Images
from .errors import CheckpointError, SettingError
from .layers.geometry import show
from .network import Network
from .runs import processes as members
from .runs import run as runs

FILE = "ensemble.json"
FORMAT, VERSION = "nbconv ensemble", 1

Array = NDArray[Any]


class Ensemble:
    """Networks for the same images and classes, which vote. networks: one or more. Raises SettingError."""

    def __init__(self, networks: Iterable[Network]):
        self.networks = tuple(networks)
        if not self.networks:
            raise SettingError("the ensemble has no networks: expected at least one")
        for number, network in enumerate(self.networks, 1):
            if not isinstance(network, Network):
                raise SettingError(
                    f"network {number} is a {type(network).__name__}: expected a Network"
                )
            (one, other) = (
                (each.input_shape, each.classes) for each in (self.networks[0], network)
            )
            if one != other:
                raise SettingError(
                    f"network {number} takes {show(other[0])} and has {other[1]} classes: expected {show(one[0])} and {one[1]} "
                    "classes, as the first network has"
                )

    def __len__(self) -> int:
        return len(self.networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    def __repr__(self) -> str:
        return f"Ensemble({', '.join(network.notation for network in self.networks)})"

    def predict(self, images: ArrayLike | Images) -> NDArray[np.int64]:
        """The class that most networks give an image, (n,); of equally many, the one with the higher mean probability.

        A network gives the class of its largest last activation. images: (n, channels, rows, columns) or (n, pixels).
        Raises DataError.
        """
        return vote(self.members_proba(images))

    def predict_proba(self, images: ArrayLike | Images) -> NDArray[np.float64]:
        """The mean of the networks' last activations, behind Softmax mean probabilities: (n, classes). Raises DataError."""
        mean: NDArray[np.float64] = self.members_proba(images).mean(axis=0)
        return mean

    def evaluate(self, data: Dataset) -> dict[str, Any]:
        """The vote's, the mean probability's and the members' share of right answers.

        {"cost": the first network's cost function of the mean probability, without regularisation, "accuracy", "correct",
        "total": of the vote, "mean_probability_accuracy": its largest one taken as the answer, "members": [accuracy, ...]}.
        Raises DataError.
        """
        scores = [network.evaluate(data) for network in self]
        activations = self.members_proba(data.images)
        mean, total = activations.mean(axis=0), len(data)
        correct = int((vote(activations) == data.labels).sum())
        return {
            "cost": _cost(self.networks[0].cost, mean, data.labels),
            "accuracy": correct / total,
            "correct": correct,
            "total": total,
            "mean_probability_accuracy": float((mean.argmax(axis=1) == data.labels).mean()),
            "members": [score["accuracy"] for score in scores],
        }

    def members_proba(self, images: ArrayLike | Images) -> NDArray[np.float64]:
        """Each network's `predict_proba`, (networks, n, classes). Raises DataError."""
        return np.array([network.predict_proba(images) for network in self], np.float64)

    # Files

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the networks and what holds them together into a folder, which is made if it is not there.

        Raises CheckpointError. A process killed in between leaves what `load` refuses, unless nothing had been changed yet.
        """
        folder = _folder(folder)
        names = _names(len(self))
        for name, network in zip(names, self.networks, strict=True):
            network.save(folder / name)
        _seal(folder, names, {})

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, backend: str = "auto", weights: str = "best"
    ) -> "Ensemble":
        """The ensemble of a folder; weights: "best" for each member's best epoch's, or "last".

        Raises CheckpointError unless all members are there, trained, and as they were when they were last complete.
        """
        folder = Path(folder)
        record = _read(folder)
        for name, digest in record.members.items():
            if digest is None:
                raise CheckpointError(
                    f"{folder} has not been trained to its end: go on with nbconv ensemble train --resume {folder}"
                )
            if not (folder / name).exists():
                raise CheckpointError(
                    f"{folder} lacks {name}, one of its {len(record.members)} members: use another copy"
                )
        ensemble = cls.from_checkpoints(
            [folder / name for name in record.members], backend=backend, weights=weights
        )
        for name, digest in record.members.items():
            if _digest(folder / name) != digest:
                raise CheckpointError(
                    f"{folder / name} is not the member that {FILE} names: it has been trained or saved again since; use another "
                    f"copy, or nbconv ensemble train --resume {folder} if it was trained so"
                )
        return ensemble

    @classmethod
    def from_checkpoints(
        cls,
        paths: Iterable[str | os.PathLike[str]],
        *,
        backend: str = "auto",
        weights: str = "best",
    ) -> "Ensemble":
        """The networks of these checkpoints; weights as in `load`. Raises CheckpointError, SettingError."""
        return cls(Network.load(path, backend=backend, weights=weights) for path in paths)


def train(
    folder: str | os.PathLike[str],
    given: Mapping[str, Any],
    count: int = 5,
    parallel: int = 1,
    backend: str = "auto",
    tell: Callable[[str], None] = lambda line: None,
) -> Ensemble:
    """Train so many networks alike from seeds that follow each other, each as a run of its own; give the ensemble of the best.

    given: settings as `runs.begin` takes them, seed the first member's. Where this has been begun in the folder it goes on, where
    it is finished nothing is trained; only the epochs may be raised. parallel, tell, signals and members that fail: as
    `members.train_all`.
    Raises SettingError, DataError, CheckpointError, NbconvError, Interrupted.
    """
    settings, folder = runs.checked(given), Path(folder)
    names, seed = _names(checks.count("members", count)), checks.seed(settings["seed"])
    record = _begun(folder) if (folder / FILE).exists() else None
    if record and any((folder / name).exists() for name in record.members):
        runs.agree(folder, record.settings, settings)
        if names != list(record.members):
            raise CheckpointError(
                f"{folder} has {len(record.members)} members, and {count} were asked for: expected the same to go on"
            )
    folder = _folder(folder)
    jobs = [
        members.Job(name.removesuffix(".h5"), settings | {"seed": seed + number}, folder / name)
        for number, name in enumerate(names)
    ]
    if waiting := members.unfinished(jobs):
        _write(folder, _Record(dict.fromkeys(names), settings))
        members.train_all(waiting, parallel, backend, tell)
    _seal(folder, names, settings)
    return Ensemble.load(folder, backend=backend)


def resume(
    folder: str | os.PathLike[str],
    given: Mapping[str, Any],
    count: int | None = None,
    parallel: int = 1,
    backend: str = "auto",
    tell: Callable[[str], None] = lambda line: None,
) -> Ensemble:
    """Go on with `train` in a folder, where the settings and the number of members are known. Raises as `train`."""
    record = _begun(Path(folder))
    settings = runs.checked(given, record.settings)
    settings["epochs"] = given.get(
        "epochs", record.settings["epochs"]
    )  # and not what `net` may name
    return train(
        folder, settings, len(record.members) if count is None else count, parallel, backend, tell
    )


@dataclass
class _Record:
    """What stands in ensemble.json."""

    members: dict[str, str | None]
    settings: dict[str, Any]


def _names(count: int) -> list[str]:
    return [f"member-{number}.h5" for number in range(1, count + 1)]


def _folder(path: str | os.PathLike[str]) -> Path:
    try:
        Path(path).mkdir(exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be made a folder: {error.strerror}; choose another place"
        ) from error
    return Path(path)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(folder: Path, names: Sequence[str], settings: dict[str, Any]) -> None:
    """Say that these members are complete."""
    _write(folder, _Record({name: _digest(folder / name) for name in names}, settings))


def _write(folder: Path, record: _Record) -> None:
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, **asdict(record)}, indent=1, default=np.generic.item
    )
    try:
        checkpoint.replace(Path(os.path.realpath(folder / FILE)), text.encode())
    except OSError as error:
        raise CheckpointError(
            f"{folder / FILE} could not be saved: {error.strerror}; choose another place"
        ) from error


def _read(folder: Path) -> _Record:
    """What ensemble.json says, if it says what `_write` writes. Raises CheckpointError."""
    path = folder / FILE
    try:
        stored = json.loads(path.read_bytes())
        if (stored["format"], stored["version"]) != (FORMAT, VERSION):
            raise ValueError(
                f"it is {stored['format']!r} {stored['version']!r}, expected {FORMAT!r} {VERSION}"
            )
        digests, settings = dict(stored["members"]), dict(stored["settings"])
        if not digests or list(digests) != _names(len(digests)):
            raise ValueError("its members are not member-1.h5, member-2.h5, ...")
        if not set(settings) <= set(runs.DEFAULTS):
            raise ValueError("its settings are not those of this nbconv train")
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): expected a folder that nbconv ensemble train or Ensemble.save wrote"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged and cannot be used: {checkpoint.one_line(error)}; use another copy"
        ) from error
    return _Record(digests, runs.DEFAULTS | settings if settings else {})


def _begun(folder: Path) -> _Record:
    """How the ensemble of a folder is trained. Raises CheckpointError if it was only saved there."""
    record = _read(folder)
    if not record.settings:
        raise CheckpointError(
            f"{folder} has an ensemble that was saved and not trained there: choose another folder"
        )
    return record


def vote(activations: NDArray[np.float64]) -> NDArray[np.int64]:
    """The classes, (n,), that most networks give, as `Ensemble.predict`. activations: (networks, n, classes)."""
    votes = np.eye(activations.shape[2])[activations.argmax(axis=2)].sum(axis=0)
    most = votes == votes.max(axis=1, keepdims=True)
    maxima: NDArray[np.int64] = np.where(most, activations.mean(axis=0), -np.inf).argmax(axis=1)
    return maxima


def _cost(name: str, a: Array, labels: NDArray[np.int64]) -> float:
    """The mean cost of activations (n, classes), equations (80), (63) and (6); ln of what is less than 1e-30 as if it were that."""
    y = np.eye(a.shape[1])[labels]
    if name == "quadratic":
        return float(((a - y) ** 2).sum(axis=1).mean() / 2)
    costs = -y * np.log(np.maximum(a, 1e-30))
    if name == "cross-entropy":
        costs -= (1 - y) * np.log(np.maximum(1 - a, 1e-30))
    return float(costs.sum(axis=1).mean())
