"""Networks that vote, saved together in a folder.

FOLDER/member-1.h5, ...   one checkpoint per member, as `Network.save` and `nbconv train` write them
FOLDER/ensemble.json      format, version;
                          members: {file name: SHA-256 of the file, or null until all are trained};
                          settings: of the first member's run, if the members were trained here;
                          the other members have the seeds that follow

The members are written first and their digests last. A folder in which a member is missing,
unfinished or not the one that the digest names is refused, never loaded as a smaller ensemble.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import backend as backends
from . import checks, inputs
from .checks import show
from .data.dataset import Dataset, Images
from .data.labels import ClassNames
from .errors import CheckpointError, SettingError
from .files import one_line, replace
from .network import Network
from .runs import processes
from .runs import run as runs
from .runs.settings import DEFAULTS

FILE = "ensemble.json"
FORMAT = "nbconv ensemble"
VERSION = 1

Array = NDArray[Any]


class Ensemble:
    """Networks that classify the same images by vote.

    networks: one or more, with the same input shape and classes. Raises SettingError.
    """

    def __init__(self, networks: Iterable[Network]):
        self.networks = tuple(networks)
        if not self.networks:
            raise SettingError("the ensemble has no networks: expected at least one")
        for number, network in enumerate(self.networks, 1):
            if not isinstance(network, Network):
                raise SettingError(
                    f"network {number} is a {type(network).__name__}: expected a Network"
                )
            first = self.networks[0]
            if (network.input_shape, network.classes) != (first.input_shape, first.classes):
                raise SettingError(
                    f"network {number} takes {show(network.input_shape)} and has "
                    f"{network.classes} classes: expected {show(first.input_shape)} and "
                    f"{first.classes} classes, like the first network"
                )
        names = self.class_names
        for number, network in enumerate(self.networks, 1):
            if names and network.class_names and network.class_names != names:
                raise SettingError(
                    f"network {number} has the classes {', '.join(network.class_names)[:100]}: "
                    f"expected {', '.join(names)[:100]}, in this order, as other networks have"
                )

    @property
    def class_names(self) -> ClassNames | None:
        """The names of the classes, class 0's first; None if no network has any."""
        return next((net.class_names for net in self.networks if net.class_names), None)

    def __len__(self) -> int:
        return len(self.networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    def __repr__(self) -> str:
        return f"Ensemble({', '.join(network.notation for network in self.networks)})"

    def predict(self, images: ArrayLike | Images) -> NDArray[np.int64]:
        """The majority vote on each image: labels (n,).

        Each network votes for its largest output. A tie goes to the class with the higher mean
        probability. images: (n, channels, rows, columns) or (n, pixels). Raises DataError.
        """
        return vote(self.members_predict(images), self.members_proba(images))

    def predict_proba(self, images: ArrayLike | Images) -> NDArray[np.float64]:
        """The mean of the networks' outputs, (n, classes): probabilities if they end in Softmax.

        images: as for `predict`. Raises DataError.
        """
        mean: NDArray[np.float64] = self.members_proba(images).mean(axis=0)
        return mean

    def evaluate(self, data: Dataset) -> dict[str, Any]:
        """The accuracies, in [0, 1], of the vote, of the mean probability and of each member.

        "accuracy", "correct", "total": of the vote. "mean_probability_accuracy": of the class with
        the largest mean probability. "members": [accuracy, ...]. "cost": the first network's cost
        function at the mean probabilities, without regularisation. Raises DataError.
        """
        for network in self:
            inputs.check_data(network, data, "data")
        answers = self.members_predict(data.images)
        activations = self.members_proba(data.images)
        mean = activations.mean(axis=0)
        total = len(data)
        correct = int((vote(answers, activations) == data.labels).sum())
        return {
            "cost": _cost(self.networks[0].cost, mean, data.labels),
            "accuracy": correct / total,
            "correct": correct,
            "total": total,
            "mean_probability_accuracy": float((mean.argmax(axis=1) == data.labels).mean()),
            "members": (answers == data.labels).mean(axis=1).tolist(),
        }

    def members_predict(self, images: ArrayLike | Images) -> NDArray[np.int64]:
        """The `predict` of each network: (networks, n). Raises DataError."""
        return np.array([network.predict(images) for network in self])

    def members_proba(self, images: ArrayLike | Images) -> NDArray[np.float64]:
        """The `predict_proba` of each network: (networks, n, classes). Raises DataError."""
        return np.array([network.predict_proba(images) for network in self], np.float64)

    # Files

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the members and ensemble.json to a folder, which is created if necessary.

        If the process is killed midway, `load` refuses the folder. Raises CheckpointError.
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
        """Load an ensemble from a folder.

        weights: "best" for those of each member's best epoch, or "last". Raises CheckpointError
        unless all members exist, are trained and have the digests in ensemble.json.
        """
        folder = checks.path("folder", folder)
        record = _read(folder)
        for name, digest in record.members.items():
            if digest is None:
                raise CheckpointError(
                    f"{folder} has not finished training: resume it with "
                    f"nbconv ensemble train --resume {folder}"
                )
            if not (folder / name).exists():
                raise CheckpointError(
                    f"{folder} lacks {name}, one of its {len(record.members)} members: "
                    "use another copy"
                )
        ensemble = cls.from_checkpoints(
            [folder / name for name in record.members], backend=backend, weights=weights
        )
        for name, digest in record.members.items():
            if _digest(folder / name) != digest:
                raise CheckpointError(
                    f"{folder / name} is not the member that {FILE} names: it has been changed "
                    f"since; use another copy or, if it was trained there, "
                    f"nbconv ensemble train --resume {folder}"
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
        """The networks in these checkpoints; weights: as for `load`.

        Raises CheckpointError, SettingError.
        """
        return cls(Network.load(path, backend=backend, weights=weights) for path in paths)


def train(
    folder: str | os.PathLike[str],
    settings: Mapping[str, Any],
    count: int = 5,
    parallel: int = 1,
    backend: str = "auto",
    on_line: Callable[[str], None] = lambda line: None,
) -> Ensemble:
    """Train `count` networks that differ in their seeds, and return them with their best weights.

    settings: as `runs.begin` takes them; the first member has their seed, the others the seeds that
    follow. A training that was begun in the folder is resumed, a finished one is not repeated; only
    `epochs` may be larger than before. parallel, on_line, signals and failing members: as for
    `processes.train_all`. Raises SettingError, BackendError, DataError, CheckpointError,
    NbconvError, Interrupted.
    """
    backend, _ = backends.select(backend)  # once, and not in each member's process
    record = _wanted(checks.path("folder", folder), settings, count)
    folder = _folder(folder)
    if unfinished := processes.unfinished(_jobs(folder, record)):
        _write(folder, record)
        processes.train_all(unfinished, parallel, backend, on_line)
    return _closed(folder, record, backend)


def train_member(
    folder: str | os.PathLike[str],
    number: int,
    settings: Mapping[str, Any],
    count: int = 5,
    backend: str = "auto",
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """What `train` does for one member, the `number`th of `count`, the first being 1.

    Others may be trained meanwhile, on other machines that see the folder. `seal` closes it.
    Raises what `train` raises.
    """
    backend, _ = backends.select(backend)
    record = _wanted(checks.path("folder", folder), settings, count)
    if checks.count("member", number) > count:
        raise SettingError(f"member is {number} of {count}: expected 1 to {count}")
    folder = _folder(folder)
    if unfinished := processes.unfinished([_jobs(folder, record)[number - 1]]):
        if not (folder / FILE).exists() or _read(folder) != record:
            _write(folder, record)
        processes.train_all(unfinished, 1, backend, on_line)


def seal(folder: str | os.PathLike[str], backend: str = "auto") -> Ensemble:
    """Check that all members are trained, record their digests, and return them.

    Raises CheckpointError, which names those that are not.
    """
    folder = checks.path("folder", folder)
    record = _begun(folder)
    if unfinished := processes.unfinished(_jobs(folder, record)):
        raise CheckpointError(
            f"{folder} has not finished training, and {', '.join(job.name for job in unfinished)} "
            "are missing or not at their last epoch: train them with nbconv ensemble train "
            f"--resume {folder} --member NUMBER, or all with nbconv ensemble train --resume "
            f"{folder}"
        )
    return _closed(folder, record, backend)


def begun(
    folder: str | os.PathLike[str], settings: Mapping[str, Any], count: int | None = None
) -> tuple[dict[str, Any], int]:
    """The settings and the count with which to go on in a folder.

    They default to those it was begun with. Raises CheckpointError, SettingError.
    """
    record = _begun(checks.path("folder", folder))
    merged = runs.checked(settings, record.settings)
    # The epochs of an experiment that `net` names do not count.
    merged["epochs"] = settings.get("epochs", record.settings["epochs"])
    return merged, len(record.members) if count is None else count


@dataclass
class _Record:
    """The content of ensemble.json."""

    members: dict[str, str | None]
    settings: dict[str, Any]


def _names(count: int) -> list[str]:
    return [f"member-{number}.h5" for number in range(1, count + 1)]


def _folder(path: str | os.PathLike[str]) -> Path:
    """A folder, created if necessary. Raises CheckpointError, SettingError."""
    path = checks.path("folder", path)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"the folder {path} could not be created: {error.strerror}; choose another place"
        ) from error
    return path


def _wanted(folder: Path, settings: Mapping[str, Any], count: int) -> _Record:
    """The record of an ensemble that is to be trained. Raises if another was begun there."""
    record = _Record(dict.fromkeys(_names(checks.count("members", count))), runs.checked(settings))
    there = _begun(folder) if (folder / FILE).exists() else None
    if there and any((folder / name).exists() for name in there.members):
        runs.agree(folder, there.settings, record.settings)
        if list(record.members) != list(there.members):
            raise CheckpointError(
                f"{folder} has {len(there.members)} members, and {count} were asked for: "
                "expected the same number to resume it"
            )
    return record


def _jobs(folder: Path, record: _Record) -> list[processes.Job]:
    """A job for each member, which differ in their seeds."""
    seed = record.settings["seed"]
    return [
        processes.Job(
            name.removesuffix(".h5"), record.settings | {"seed": seed + number}, folder / name
        )
        for number, name in enumerate(record.members)
    ]


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _closed(folder: Path, record: _Record, backend: str) -> Ensemble:
    """The ensemble of members that have been trained, and are sealed now.

    Raises CheckpointError if they were not trained on the same data.
    """
    names = list(record.members)
    ensemble = Ensemble.from_checkpoints([folder / name for name in names], backend=backend)
    (usual, _), *others = Counter(network.state.data for network in ensemble).most_common()
    if others:
        other = next(
            name for name, net in zip(names, ensemble, strict=True) if net.state.data != usual
        )
        raise CheckpointError(
            f"{folder / other} was trained on other data than the other members, so the data have "
            "changed: delete it and resume the ensemble, or train all in another folder"
        )
    _seal(folder, names, record.settings)
    return ensemble


def _seal(folder: Path, names: Sequence[str], settings: dict[str, Any]) -> None:
    """Record the digests of these members, which are complete."""
    _write(folder, _Record({name: _digest(folder / name) for name in names}, settings))


def _write(folder: Path, record: _Record) -> None:
    """Write ensemble.json atomically. Raises CheckpointError."""
    fields = {"format": FORMAT, "version": VERSION, **asdict(record)}
    text = json.dumps(fields, indent=1, default=np.generic.item)
    try:
        replace(Path(os.path.realpath(folder / FILE)), text.encode())
    except OSError as error:
        raise CheckpointError(
            f"{folder / FILE} could not be saved: {error.strerror}; choose another place"
        ) from error


def _read(folder: Path) -> _Record:
    """Read and check ensemble.json. Raises CheckpointError."""
    path = folder / FILE
    try:
        stored = json.loads(path.read_bytes())
        if (stored["format"], stored["version"]) != (FORMAT, VERSION):
            raise ValueError(
                f"it is {stored['format']!r} {stored['version']!r}, expected {FORMAT!r} {VERSION}"
            )
        digests = dict(stored["members"])
        settings = dict(stored["settings"])
        if not digests or list(digests) != _names(len(digests)):
            raise ValueError("its members are not member-1.h5, member-2.h5, ...")
        if not all(digest is None or isinstance(digest, str) for digest in digests.values()):
            raise ValueError("its members' digests are no texts")
        if not set(settings) <= set(DEFAULTS):
            raise ValueError("its settings are not those of this version of nbconv train")
        if settings:
            settings = runs.of_stored(settings)
            runs.checked(settings)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}): expected a folder that "
            "nbconv ensemble train or Ensemble.save wrote"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise CheckpointError(
            f"{path} is damaged and cannot be used: {one_line(error)}; use another copy"
        ) from error
    return _Record(digests, settings)


def _begun(folder: Path) -> _Record:
    """The record of an ensemble that was trained here. Raises CheckpointError if it was not."""
    record = _read(folder)
    if not record.settings:
        raise CheckpointError(
            f"{folder} contains an ensemble that was saved there, not trained: "
            "choose another folder"
        )
    return record


def vote(answers: NDArray[np.int64], activations: NDArray[np.float64]) -> NDArray[np.int64]:
    """The majority vote, (n,), as in `Ensemble.predict`.

    answers: each network's class, (networks, n). activations: (networks, n, classes).
    """
    votes = np.eye(activations.shape[2])[answers].sum(axis=0)
    is_leading = votes == votes.max(axis=1, keepdims=True)
    means = np.where(is_leading, activations.mean(axis=0), -np.inf)
    winners: NDArray[np.int64] = means.argmax(axis=1)
    return winners


def _cost(name: str, a: Array, labels: NDArray[np.int64]) -> float:
    """The mean cost of activations (n, classes), equations (80), (63) and (6).

    Arguments of ln are at least 1e-30.
    """
    y = np.eye(a.shape[1])[labels]
    if name == "quadratic":
        return float(((a - y) ** 2).sum(axis=1).mean() / 2)
    costs = -y * np.log(np.maximum(a, 1e-30))
    if name == "cross-entropy":
        costs -= (1 - y) * np.log(np.maximum(1 - a, 1e-30))
    return float(costs.sum(axis=1).mean())
