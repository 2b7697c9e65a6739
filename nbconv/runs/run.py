"""A run: a network, its data and its training from named settings, begun or resumed.

What `nbconv train` calls.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks, inputs, notation
from ..data import sources
from ..data.dataset import Dataset
from ..data.levels import BYTE
from ..errors import CheckpointError, DataError, SettingError, say
from ..files import check_place, claimed, keep_old, old_name, one_line
from ..layers import Dense, LayerSpec
from ..network import Network
from ..training import diagnosis, optimisers
from ..training.history import History
from ..training.loop import SHIFTS, Metrics, fingerprint
from ..training.ranks import Ranks
from ..training.settings import Settings
from .settings import DEFAULTS, NAMED, RunSettings

UNEQUAL = 10  # times as many images of one class as of another
NOT_TRIED = "eta", "epochs", "patience", "schedule", "warm_up"  # in the short trainings of find_eta
_OF_TRAINING = tuple(each.name for each in fields(Settings))


@dataclass
class Run:
    """A network with its data and the arguments of its fit."""

    network: Network
    train: Dataset
    validation: Dataset | None  # None if its images are among those trained on
    test: Dataset
    arguments: dict[str, Any]
    out: Path
    keep_old: bool  # whether a file at `out` is another run's, which is kept
    kept: Path | None = None  # where it was kept, once `out` has been written

    def go(
        self,
        callback: Callable[[Metrics], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
        ranks: Ranks | None = None,
    ) -> History:
        """Train, with a checkpoint each epoch. ranks: that share the training.

        Raises what `Network.fit` raises, and CheckpointError if another run writes to `out`.
        """
        ranks = ranks or Ranks()
        with ExitStack() as stack:
            with ranks.agreeing():
                if ranks.is_first:
                    stack.enter_context(claimed(self.out))
            return self.network.fit(
                self.train,
                validation=self.validation,
                test=self.test,
                checkpoint=self.save,
                callback=callback,
                progress=progress,
                communicator=ranks,
                verbose=False,
                **self.arguments,
            )

    def still_guessing(self) -> bool:
        """Whether the answers are no better than naming the commonest class.

        In the best epoch or, without validation images, in the last one, on the test images.
        """
        state, judged = self.network.state, self.validation or self.test
        accuracy = state.best.validation_accuracy if state.best else state.test_accuracy
        share = np.bincount(judged.labels).max() / len(judged)
        return bool(accuracy <= diagnosis.CHANCE * share)

    def save(self) -> None:
        """Save to `out`; another run's file there is kept first."""
        if self.keep_old and self.out.is_file():
            self.kept = keep_old(self.out)
        self.keep_old = False
        self.network.save(self.out)


def load(
    settings: Mapping[str, Any], decoding: Callable[[int, int], None] | None = None
) -> tuple[Dataset, Dataset | None, Dataset]:
    """Training, validation and test data that a run's settings name.

    No validation data if they are trained on, too. decoding: told how many pictures are decoded.
    Raises DataError, SettingError.
    """
    how: dict[str, Any] = {name: settings.get(name) for name in ("size", "channels", "arrays")}
    if settings.get("validation", True):
        return sources.load_data(settings["data"], **how, progress=decoding)
    train, test = sources.load_without_validation(
        settings["data"], sources.options(**how, progress=decoding)
    )
    return train, None, test


def begin(
    given: Mapping[str, Any],
    out: Path,
    backend: str = "auto",
    decoding: Callable[[int, int], None] | None = None,
    find_eta: bool = False,
) -> Run:
    """A new run from settings by name.

    Those not given are the experiment's, if `net` names one, else the defaults. Raises
    SettingError, DataError, CheckpointError.
    """
    settings = checked(given)
    sets = load(settings, decoding)
    train = sets[0]
    examples = len(train) * (SHIFTS if settings["expand"] else 1)
    if settings["mini_batch_size"] > examples and not _is_given("mini_batch_size", given):
        settings = checked({**given, "mini_batch_size": examples})
        say(f"mini_batch_size is {examples}, as there are no more training images")
    classes = max(len(train.class_names or ()), *(each.classes for each in sets if each))
    if classes < 2:
        raise DataError(f"{settings['data']} has images of one class: expected two or more")
    settings["net"] = notation.completed(settings["net"], classes)
    layers = _layers(settings)
    network = Network(
        layers,
        train.shape if not isinstance(layers[0], int) else None,
        backend=backend,
        seed=settings["seed"],
        dtype=settings["dtype"],
        initialiser=settings["initialiser"],
    )
    inputs.check_data(network, train, settings["data"])
    if network.classes != classes:
        raise SettingError(
            f"net {settings['net']} ends in {network.classes} neurons, and {settings['data']} has "
            f"{classes} classes: expected {classes}N as the last layer, or N"
        )
    if find_eta:
        named = {name: settings[name] for name in _OF_TRAINING if name not in NOT_TRIED}
        settings["eta"] = network.find_eta(train, **named)["eta"]
    network.state.run = settings
    if os.path.realpath(out) == os.path.realpath(settings["data"]):
        raise SettingError(f"out is {out}, which has the data: expected another file")
    check_place(out)
    if out.exists():
        check_place(old_name(out))
    arguments = {name: settings[name] for name in _OF_TRAINING}
    return Run(network, *sets, arguments, out, keep_old=True)


def resume(
    path: Path,
    given: Mapping[str, Any],
    out: Path | None = None,
    backend: str = "auto",
    decoding: Callable[[int, int], None] | None = None,
) -> Run:
    """Go on with a run where its checkpoint stands; only the number of epochs may be raised.

    Raises CheckpointError for a finished run, and for settings other than the checkpoint's.
    """
    network, stored = _stored(path, backend)
    state = network.state
    assert state.settings is not None
    settings = checked(given, stored)
    # The data may have moved: what is in them is compared below.
    agree(path, stored, settings | {"data": stored["data"]})
    epochs = checks.count("epochs", given.get("epochs", state.settings.epochs))
    if epochs <= state.epoch:
        raise CheckpointError(
            f"{path} has finished its {state.epoch} epochs: expected --epochs {state.epoch + 1} or "
            "more to go on"
        )
    schedule = state.settings.schedule
    if epochs != state.settings.epochs and schedule in ("cosine", "one-cycle"):
        raise CheckpointError(
            f"{path} has the schedule {schedule} over its {state.settings.epochs} epochs, and "
            f"{epochs} were asked for: expected "
            f"the same; a run that is to go on longer begins with --schedule {schedule}:{epochs}"
        )
    if state.out_of_patience(state.settings):
        raise CheckpointError(
            f"{path} has ended after epoch {state.epoch}, {state.settings.patience} epochs without "
            "a better validation "
            "accuracy: begin a new run with a larger --patience"
        )
    data = settings["data"]
    if not sources.is_name(data) and not os.path.exists(data):
        raise CheckpointError(
            f"{path} was trained on {data}, which is not there: expected it, or --data and where "
            "it is now"
        )
    sets = load(settings, decoding)
    chunks = state.settings.shuffle_chunks
    found = fingerprint(sets[0], sets[1], chunks)
    if chunks and found != state.data and found.split()[:-1] == state.data.split()[:-1]:
        raise CheckpointError(
            f"{path} was trained with shuffle_chunks {chunks}, and {data} has its images in other "
            "chunks now: expected the same ones, as the order of the images depends on them"
        )
    if found != state.data:
        raise CheckpointError(
            f"{path} was trained on other data than {data} is now: expected the same images and "
            "labels; --data names them if they have moved"
        )
    out = out or path
    check_place(out)
    state.run = stored | {"epochs": epochs, "data": data}
    arguments = {name: stored[name] for name in _OF_TRAINING} | {"epochs": epochs - state.epoch}
    return Run(network, *sets, arguments, out, keep_old=not (out.exists() and out.samefile(path)))


def classes_line(train: Dataset, class_weights: str | None = None) -> str:
    """The images of each class, and that they are very unequal, if they are.

    class_weights: the setting; left out, it is suggested.
    """
    counts = np.bincount(train.labels)
    least, most = int(counts[counts > 0].min()), int(counts.max())
    shown = [f"{train.name_of(k)} {count:,}" for k, count in enumerate(counts)]
    if len(shown) > 12:
        shown = [*shown[:10], f"... ({len(shown)} classes, {least:,} to {most:,} images)"]
    line = f"Images of each class: {', '.join(shown)}"
    rare = train.name_of(int(np.flatnonzero(counts == least)[0]))
    if most >= UNEQUAL * least:
        line += f". They are very unequal: of {rare}, {least:,}, little can be learned"
        if class_weights is None:
            line += "; --class-weights balanced makes the cost of each class count the same"
    return line


def images_for(
    network: Network,
    data: str | None,
    split: str | None,
    name: Path | str,
    arrays: str | None = None,
) -> tuple[str, str, Dataset]:
    """(data, split, images) to use a network on: of `data` or, left out, of what it was trained on.

    split: "train", "validation", "test", or "all" for data of a single set. Left out, it is that
    for other data than the run's, else the test images. name: of the network's file, for the error.
    Pictures get the network's size and channels. Raises SettingError, DataError.
    """
    run = network.state.run
    own = run.get("data")
    if data is None and own is None:
        raise SettingError(f"{name} does not say what data it was trained on: expected --data")
    if data is None or _whole(data) == own:
        data, split = str(own), split or "test"
        arrays = arrays or run.get("arrays")
    if data == own and split in ("train", "validation") and not run.get("validation", True):
        say(
            f"{name} was trained on the images of train and validation together: only other images "
            "tell how good it is"
        )
    level = BYTE if data == own else inputs.level_of(network)  # own data have it by themselves
    shape = network.picture_shape
    how = sources.options(run.get("size"), run.get("channels"), arrays, like=shape, level=level)
    which, images = sources.split(data, split, how)
    images = images.numbered([network.name_of(k) for k in range(network.classes)])
    inputs.check_data(network, images, data)
    return data, which, images


def _whole(data: str) -> str:
    """A path by its whole name, so that a run can go on from anywhere; other names as they are."""
    if sources.is_name(data):
        return data
    return os.path.abspath(os.path.expanduser(data))


def is_finished(path: Path, given: Mapping[str, Any]) -> bool:
    """Whether the run with these settings is at its end in the checkpoint at `path`.

    False if there is no file. Raises CheckpointError for a file that is not this run's.
    """
    settings = checked(given)
    if not path.exists():
        return False
    network, stored = _stored(path, "cpu")
    state = network.state
    assert state.settings is not None
    agree(path, stored, settings)
    if state.epoch > settings["epochs"]:
        raise CheckpointError(
            f"{path} has been trained for {state.epoch} epochs, and {settings['epochs']} were "
            "asked for: expected as many, "
            "or more to go on"
        )
    return state.epoch == settings["epochs"] or state.out_of_patience(state.settings)


def agree(path: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise CheckpointError if what was begun at `path` cannot go on with these settings.

    The epochs may be others.
    """
    classes = stored["net"].rpartition("-")[2].removesuffix("N")
    wanted = {**wanted, "net": notation.completed(wanted["net"], classes)}
    for name in DEFAULTS:
        if name != "epochs" and wanted[name] != stored[name]:
            raise CheckpointError(
                f"{path} was trained with {name} {stored[name]}, and {wanted[name]} was given: "
                "expected the same to go on; "
                "what is to be trained otherwise begins in another place"
            )


def _stored(path: Path, backend: str) -> tuple[Network, dict[str, Any]]:
    """The network of a run's checkpoint, and the run's settings."""
    network = Network.load(path, backend=backend)
    state = network.state
    if state.settings is None or not state.run or not set(state.run) <= set(DEFAULTS):
        raise CheckpointError(
            f"{path} was not written by this nbconv train: expected a run; go on from Python with "
            "Network.load(...).fit(...)"
        )
    try:
        return network, checked(of_stored(state.run))
    except (SettingError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{path} is damaged and cannot be used: its run cannot be: {one_line(error)}; use "
            "another copy of it"
        ) from error


def _is_given(name: str, given: Mapping[str, Any]) -> bool:
    """Whether a setting is given, or the experiment's that `net` names."""
    return name in given or name in NAMED.get(given.get("net", DEFAULTS["net"]), {})


def of_stored(run: Mapping[str, Any]) -> dict[str, Any]:
    """A stored run's settings, with the defaults of those that are newer than it.

    The book's shorthand has sigmoid neurons; other activations were once taken, and ignored.
    """
    settings = DEFAULTS | dict(run)
    is_sigmoid = notation.is_shorthand(str(settings["net"]))
    return settings | ({"activation": "sigmoid"} if is_sigmoid else {})


def checked(given: Mapping[str, Any], base: Mapping[str, Any] = DEFAULTS) -> dict[str, Any]:
    """All settings: the base's, over them those of `net`'s experiment, over them those given.

    Raises SettingError for what can be seen to be wrong without the data.
    """
    checks.known(given, DEFAULTS)
    experiment = NAMED.get(checks.text("net", given.get("net", base["net"])), {})
    named = {name: value for name, value in given.items() if name != "net" or not experiment}
    settings = asdict(RunSettings(**{**base, **experiment, **named}))
    settings["data"] = _whole(settings["data"])
    layers = _layers(settings | {"net": notation.completed(settings["net"], classes=1)})
    specs = [layer if isinstance(layer, LayerSpec) else Dense(layer) for layer in layers]
    of_training = Settings(**{name: settings[name] for name in _OF_TRAINING})
    return settings | {"eta": optimisers.with_eta(of_training, specs).eta}


def _layers(settings: Mapping[str, Any]) -> list[LayerSpec] | list[int]:
    """The layers, or sizes, that the settings describe. Raises SettingError."""
    how = {name: settings[name] for name in ("activation", "dropout", "dropout_scaling")}
    return notation.parse(settings["net"], **how, names=NAMED)
