"""Trainings without validation images, which are trained on instead: `--no-validation`."""

import json
import os

import h5py
import numpy as np
import pytest

import nbconv
from nbconv import notation
from nbconv.data import arrays, decoding, sources, stores
from nbconv.data.dataset import Dataset
from nbconv.data.stores import Joined, chunks
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
    assert "was trained on the images of train and validation together" in caplog.text
    caplog.clear()
    runs.begin({**SETTINGS, "validation": True, "epochs": 1}, tmp_path / "other.h5").go()
    for of in ((trained,), (trained, "--split", "test"), ("other.h5", "--split", "validation")):
        invoke("eval", *of)
    assert "trained on the images" not in caplog.text


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
    assert said.startswith("Error: patience and the schedule halve look at the validation accuracy")


def test_ensembles_are_evaluated_on_the_test_images(invoke):
    said = invoke("ensemble", "train", *NET, "--epochs", 1, "--members", 2, "--no-validation")
    assert said.stdout.split()[0] == "test"


# Validation images of their own


@pytest.fixture(params=["data.h5", "npy", "small"])
def own(request, tmp_path, digits, monkeypatch):
    """(path of training, validation and test images, whether they stay in their files)."""
    path = tmp_path / request.param
    named = {
        f"{name}_{what}": getattr(part, what)
        for name, part in zip(("train", "validation", "test"), digits, strict=True)
        for what in ("store", "labels")
    }
    named = {name.replace("store", "images"): array for name, array in named.items()}
    if request.param == "data.h5":
        with h5py.File(path, "w") as file:
            for name, array in named.items():
                file[name] = array
        return path, True
    path.mkdir()
    for name, array in named.items():
        np.save(path / f"{name}.npy", array)
    if request.param == "npy":
        monkeypatch.setattr(arrays, "MAPPED_BYTES", 1)
    return path, request.param == "npy"


def test_validation_images_of_their_own_come_last(own, digits):
    path, stay = own
    train, _, test = runs.load({"data": str(path), "validation": False})
    images = np.concatenate([each.store for each in digits[:2]])
    assert np.array_equal(train.labels, np.concatenate([each.labels for each in digits[:2]]))
    assert np.array_equal(test.store[:], digits[2].store)
    assert stay == isinstance(train.store, Joined)
    assert stay != isinstance(train.store, np.ndarray)
    last = len(images) - 1
    some = np.array([[last, 0], [1196, 1197]])
    for key in (
        slice(None), slice(1190, 1200), slice(0, 0), 0, last, -1, some, np.arange(0, last, 7),
        (slice(3, 5), 0), (last, slice(None), 2), (..., 0), (some, 0, 1), ([0, last], [0, 0]),
        images[:, 0, 3, 3] > 9, (None, 0), None, (), [], [True] * len(images), images > 9,
        (0, slice(None), [0, 1]), ([3, -1], 0, 1), (images[:, 0, 3, 3] > 9, 0), (np.int64(3), ...),
    ):  # fmt: skip
        assert np.array_equal(train.store[key], images[key]), key
        assert train.store[key].dtype == np.uint8
    if stay:
        rows = stores.select(train.store, slice(9, None))
        for key in ((slice(3, 5), 0), (..., 0), ([0, 5], [0, 0]), -1, some - 9):
            assert np.array_equal(rows[key], images[9:][key]), key
    assert np.array_equal(train.select(np.array([1400, 3])).store[:], images[[1400, 3]])
    assert np.array_equal(train.in_memory(np.array([1, 1300])).store, images[[1, 1300]])
    if stay:
        numbers = chunks(train.store)
        assert len(numbers) == len(images)
        assert numbers[1197] == numbers[1196] + 1


def test_training_on_them_has_the_same_bits(own, digits, tmp_path):
    runs.begin({**SETTINGS, "data": str(own[0]), "epochs": 2}, tmp_path / "a.h5").go()
    images, labels = (
        np.concatenate([getattr(each, what) for each in digits[:2]]) for what in ("store", "labels")
    )
    net = nbconv.Network(notation.parse("4C3-MP2-10N"), (1, 8, 8))
    net.fit(Dataset(images, labels), 2, 10, 0.05, verbose=False)
    ours = nbconv.Network.load(tmp_path / "a.h5").parameters()
    assert np.array_equal(*(each[1]["weights"] for each in (ours, net.parameters())))


def test_folders_of_pictures(tmp_path, monkeypatch):
    """From the cache of decoded pictures into memory, or, if they are many, they stay there."""
    pictures = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for split in ("train", "valid", "test"):
        for k, name in enumerate(("a", "b")):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                level = 100 * k + 10 * number + ord(split[1])
                pictures.fromarray(np.full((4, 4), level, np.uint8)).save(folder / f"{number}.png")
    settings = {"data": str(tmp_path / "data"), "validation": False}
    few, _, _ = runs.load(settings)
    monkeypatch.setattr(sources, "COPY_BYTES", 1)
    many, _, _ = runs.load(settings)
    assert type(few.store) is np.ndarray
    assert isinstance(many.store, Joined)
    assert np.array_equal(many.store[:], few.store)
    r, a = ord("r"), ord("a")  # the second letters of train and valid
    expected = [first + k for first in (r, r + 100, a, a + 100) for k in (0, 10, 20)]
    assert few.store[:, 0, 0, 0].tolist() == expected
    assert [file.split(os.sep)[0] for file in few.files] == ["train"] * 6 + ["valid"] * 6


def test_sets_of_different_numbers_are_refused(tmp_path, digits):
    train, validation, test = digits
    np.savez(
        tmp_path / "data.npz",
        train_images=train.store, train_labels=train.labels,
        valid_images=validation.images[:], valid_labels=validation.labels,
        test_images=test.store, test_labels=test.labels,
    )  # fmt: skip
    settings = {"data": str(tmp_path / "data.npz")}
    assert len(runs.load(settings)[1]) == 300
    with pytest.raises(
        nbconv.DataError, match=r"data\.npz: training images are stored as uint8 and"
    ):
        runs.load({**settings, "validation": False})


def test_a_set_without_validation_images_loses_none(tmp_path, digits):
    """In their order, and MNIST's in the file's."""
    for given in (("train", "test"), ("train",)):
        named = {
            f"{name}_{what}": array
            for name, part in zip(given, digits, strict=False)
            for what, array in (("images", part.store), ("labels", part.labels))
        }
        np.savez(tmp_path / "data.npz", **named)
        train, none, test = runs.load({"data": str(tmp_path / "data.npz"), "validation": False})
        assert none is None
        if "test" in given:
            assert np.array_equal(train.store, digits[0].store)
        else:
            assert len(train) + len(test) == len(digits[0])


# What people see


def test_scores_are_not_called_the_best_epoch_s(invoke, trained, tmp_path):
    pytest.importorskip("matplotlib")
    shown = invoke("inspect", trained).stdout
    assert "test, best" not in shown
    history = nbconv.Network.load(trained).history
    assert "best" not in history._repr_html_()
    invoke("plot", "curves", trained, "--out", "curves.svg")
    invoke("report", trained, "--out", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "--no-validation" in page
    assert "--validation" not in page
    assert f"{100 * history['test_accuracy'][-1]:.2f} %" in page.partition("<h2")[0]
