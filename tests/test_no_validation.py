"""Trainings without validation images, which are then trained on: `nbconv train --no-validation`."""

import json

import h5py
import numpy as np
import pytest

import nbconv
from nbconv import notation
from nbconv.data.dataset import Dataset, Joined, chunks
from nbconv.runs import run as runs

NET = ("--net", "4C3-MP2-10N", "--eta", "0.05")
SETTINGS = {"net": "4C3-MP2-10N", "eta": 0.05, "validation": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The path of a run of two epochs."""
    path = tmp_path_factory.mktemp("trained") / "run.h5"
    runs.begin({**SETTINGS, "epochs": 2}, path).go()
    return path


def test_the_weights_are_those_of_a_fit_on_all(trained, digits):
    train, validation, test = digits
    images = np.concatenate([train.store, validation.store])
    both = Dataset(images, np.concatenate([train.labels, validation.labels]))
    net = nbconv.Network(notation.parse("4C3-MP2-10N"), (1, 8, 8))
    history = net.fit(both, 2, 10, 0.05, test=test, verbose=False)
    run = nbconv.Network.load(trained)
    for name in ("weights", "biases"):
        for ours, theirs in zip(run.parameters(), net.parameters(), strict=True):
            assert np.array_equal(ours[name], theirs[name])
    assert run.history["test_accuracy"] == history["test_accuracy"]


def test_the_last_epoch_counts(invoke):
    said = invoke("train", *NET, "--epochs", 2, "--no-validation")
    assert "1,497 training images, none for validation and 300 for the test" in said.stderr
    assert "after the last epoch, 2." in said.stdout
    accuracy = json.loads(invoke("eval", "run.h5", "--json").stdout)["accuracy"]
    result = json.loads(invoke("train", *NET, "--epochs", 2, "--no-validation", "--json").stdout)
    assert result["test_accuracy"] == result["history"]["test_accuracy"][-1] == accuracy
    assert result["best_epoch"] is result["validation_accuracy"] is result["warning"] is None
    assert "validation" not in invoke("inspect", "run.h5").stdout.partition("epoch ")[2]


def test_validation_images_that_were_trained_on_are_told(invoke, trained, tmp_path, caplog):
    invoke("eval", trained, "--split", "validation")
    assert "was trained on the validation images, too" in caplog.text
    caplog.clear()
    runs.begin({**SETTINGS, "validation": True, "epochs": 1}, tmp_path / "other.h5").go()
    for of in ((trained,), (trained, "--split", "test"), ("other.h5", "--split", "validation")):
        invoke("eval", *of)
    assert "trained on the validation" not in caplog.text


def test_resumed_it_has_the_same_bits(trained, tmp_path):
    path = tmp_path / "run.h5"
    runs.begin({**SETTINGS, "epochs": 1}, path).go()
    assert not runs.is_finished(path, {**SETTINGS, "epochs": 2})
    runs.resume(path, {**SETTINGS, "epochs": 2}).go()
    assert runs.is_finished(path, {**SETTINGS, "epochs": 2})
    one, other = nbconv.Network.load(path), nbconv.Network.load(trained)
    assert np.array_equal(*(each.parameters()[0]["weights"] for each in (one, other)))
    with pytest.raises(nbconv.CheckpointError, match="trained with validation False, and True"):
        runs.resume(path, {"epochs": 3, "validation": True})


def test_nothing_is_learned_is_told(invoke):
    """By the test images."""
    deep = "64-20-20-20-20-20-20-20-10"
    done = invoke("train", "--net", deep, "--epochs", 6, "--no-validation")
    assert "Nothing was learned. After 4 epochs the network is no better than" in done.stdout


@pytest.mark.parametrize("option", ["--patience=2", "--schedule=halve:2"])
def test_what_looks_at_validation_needs_it(invoke, option):
    said = invoke("train", *NET, option, "--no-validation", code=1).stderr
    assert said.startswith("Error: validation is off, and patience and the schedule halve look at")


def test_ensembles_are_evaluated_on_the_test_images(invoke):
    said = invoke("ensemble", "train", *NET, "--epochs", 1, "--members", 2, "--no-validation")
    assert said.stdout.split()[0] == "test"


@pytest.fixture
def in_a_file(tmp_path, digits):
    """Training and validation images that stay in their file."""
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for name, part in zip(("train", "validation", "test"), digits, strict=True):
            file[f"{name}_images"], file[f"{name}_labels"] = part.store, part.labels
    return nbconv.load_data(tmp_path / "data.h5")


def test_images_in_files_stay_there(in_a_file, digits):
    train, validation, _ = in_a_file
    joined = train.joined(validation)
    assert isinstance(joined.store, Joined)
    images = np.concatenate([each.store for each in digits[:2]])
    labels = np.concatenate([each.labels for each in digits[:2]])
    assert np.array_equal(joined.labels, labels)
    last = len(images) - 1
    some = np.array([[last, 0], [1196, 1197]])
    for key in (
        slice(None), slice(1190, 1200), slice(0, 0), 0, last, -1, some, np.arange(0, last, 7),
        (slice(3, 5), 0), (last, slice(None), 2), (some, 0, 1),
    ):  # fmt: skip
        assert np.array_equal(joined.store[key], images[key]), key
        assert joined.store[key].dtype == np.uint8
    taken = joined.select(np.array([1400, 3]))
    assert np.array_equal(taken.store[:], images[[1400, 3]])
    numbers = chunks(joined.store)
    assert len(numbers) == len(images)
    assert numbers[1197] == numbers[1196] + 1
    few = joined.in_memory(np.array([1, 1300]))
    assert np.array_equal(few.store, images[[1, 1300]])


def test_training_on_them_is_the_same(trained, in_a_file, tmp_path):
    runs.begin({**SETTINGS, "data": str(tmp_path / "data.h5"), "epochs": 2}, tmp_path / "a.h5").go()
    one, other = nbconv.Network.load(tmp_path / "a.h5"), nbconv.Network.load(trained)
    assert np.array_equal(*(each.parameters()[1]["weights"] for each in (one, other)))


def test_what_differs_is_not_joined(digits):
    train, validation, _ = digits
    with pytest.raises(nbconv.DataError, match="stored as uint8, cannot be joined with .* float32"):
        train.joined(Dataset(validation.images[:], validation.labels))
