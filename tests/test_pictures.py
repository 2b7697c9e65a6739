"""The walk of docs/pictures.md, and what `nbconv predict` and `eval` say about pictures."""

import csv
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data.photos import CLASSES, photo, write

import nbconv
from nbconv.data.sources import split

pytest.importorskip("PIL", reason="reading pictures needs Pillow")
from PIL import Image

PAGE = (Path(__file__).parent.parent / "docs" / "pictures.md").read_text(encoding="utf-8")
COMMANDS = re.search(r"```sh\n(nbconv train.*?)```", PAGE, re.DOTALL).group(1).splitlines()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write(tmp_path_factory.mktemp("photos") / "photos", 140)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.os_cache", lambda name: str(tmp_path / "cache"))


def as_csv(photos, path):
    """The same photos as rows of 3 x 32 x 32 levels, labelled by name."""
    data = split(photos, None, nbconv.data.sources.options(size=32))[1]
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["label", *(f"pixel{k}" for k in range(3072))])
        for label, image in zip(data.labels, data.store, strict=True):
            table.writerow([data.name_of(label), *image.reshape(-1)])
    return path


def as_zip(photos, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(photos.rglob("*.png")):
            archive.write(file, file.relative_to(photos.parent))
    return path


@pytest.mark.parametrize(
    "kind", ["folder", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("csv", "zip"))]
)
def test_the_walk(invoke, tmp_path, photos, kind):
    data = {"folder": lambda: photos, "csv": lambda: as_csv(photos, tmp_path / "photos.csv"),
            "zip": lambda: as_zip(photos, tmp_path / "photos.zip")}[kind]()  # fmt: skip
    photo("stripes", np.random.default_rng(5)).save(tmp_path / "new.jpg")
    train, evaluate, predict, plot = (line.split()[1:] for line in COMMANDS)
    train[train.index("photos")] = data
    said = invoke(*train).stderr
    assert "Images of each class: disc 98, square 98, stripes 98" in said
    assert "294 training images, 63 for validation and 63 for the test" in said
    shown = invoke(*evaluate).stdout
    assert float(shown.split()[0]) >= 80
    assert re.search(r"^class +images +precision +recall +F1$", shown, re.MULTILINE)
    assert re.search(r"^stripes +21 +\d", shown, re.MULTILINE)
    head, row = invoke(*predict).stdout.splitlines()
    assert head.split() == ["image", *["class", "probability"] * 2, "note"]
    assert re.match(r"new\.jpg +stripes +0\.\d{4} +(disc|square) +0\.\d{4} +resized from", row)
    invoke(*plot)
    assert (tmp_path / "photos-errors.png").exists()
    net = nbconv.Network.load(tmp_path / "photos.h5")
    assert net.class_names == CLASSES
    result = net.evaluate(
        split(photos, None, nbconv.data.sources.options(size=32))[1], per_class=True
    )
    assert result["confusion"].sum(axis=1).tolist() == [140] * 3
    np.testing.assert_allclose(result["recall"], np.diag(result["confusion"]) / 140)


@pytest.fixture(scope="module")
def digits_net(tmp_path_factory):
    """A network of the embedded digits, as a file."""
    train, valid, test = nbconv.load_data("digits")
    net = nbconv.Network([64, 30, 10])
    net.fit(train, 20, 10, 0.5, validation=valid, test=test)
    path = tmp_path_factory.mktemp("net") / "digits.h5"
    net.save(path)
    return path


def test_all_of_a_file_with_one_set_is_used(invoke, tmp_path, digits_net):
    """In its order: a row's number is that of the file."""
    test = nbconv.load_data("digits")[2]
    np.savez(tmp_path / "mine.npz", images=test.store[:40], labels=test.labels[:40])
    rows = invoke("predict", digits_net, "mine.npz").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [f"mine.npz[{k}]" for k in range(40)]
    expected = nbconv.Network.load(digits_net, weights="best").predict(test.images[:40])
    assert [int(row.split()[1]) for row in rows] == expected.tolist()
    shown = invoke("eval", digits_net, "--data", "mine.npz").stdout
    right = int((expected == test.labels[:40]).sum())
    assert f"{right} of 40 images of mine.npz" in shown
    assert (
        len(invoke("predict", digits_net, "mine.npz", "--split", "test").stdout.splitlines()) == 7
    )
    wrong = invoke("eval", digits_net, "--data", "digits", "--split", "all", code=1).stderr
    assert "split is all, and digits has several sets: expected one of train" in wrong


def test_errors_of_shape_and_classes_name_the_data(invoke, tmp_path, digits_net):
    np.savez(tmp_path / "large.npz", images=np.zeros((9, 5, 5), np.uint8), labels=np.arange(9) % 2)
    for arguments in (("eval", digits_net, "--data", "large.npz"),
                      ("train", "--net", "64-10", "--data", "large.npz")):  # fmt: skip
        said = invoke(*arguments, code=1).stderr
        assert "large.npz: images are 1x5x5: expected 64, the network's input shape" in said
    said = invoke("train", "--net", "25-1", "--data", "large.npz", code=1).stderr
    assert "large.npz: the largest label is 1 and the network has 1 classes" in said


def test_names_and_paths(invoke, tmp_path, digits_net):
    """digits is the embedded set; ./digits is a folder, if there is one."""
    assert len(invoke("predict", digits_net, "digits").stdout.splitlines()) == 301
    assert "digits does not exist" in invoke("predict", digits_net, "./digits", code=1).stderr
    (tmp_path / "digits").mkdir()
    for n in (1, 2, 10):
        Image.fromarray(np.kron(np.eye(8, dtype=np.uint8) * 255, np.ones((4, 4), np.uint8))).save(
            tmp_path / "digits" / f"{n}.png"
        )
    rows = invoke("predict", digits_net, "./digits", "digits/1.png").stdout.splitlines()[1:]
    assert [Path(row.split()[0]).name for row in rows] == ["1.png", "2.png", "10.png", "1.png"]


def test_json_and_as_is(invoke, tmp_path, digits_net):
    test = nbconv.load_data("digits")[2]
    Image.fromarray(255 - test.store[0, 0]).save(tmp_path / "inverted.png")
    Image.fromarray(np.kron(test.store[0, 0], np.ones((9, 9), np.uint8))).save(tmp_path / "big.png")
    (answer,) = json.loads(
        invoke("predict", digits_net, "inverted.png", "--json", "--top", 3).stdout
    )
    expected = int(nbconv.Network.load(digits_net, weights="best").predict(test.images[:1])[0])
    assert (answer["name"], answer["label"], answer["class"]) == (
        "inverted.png",
        expected,
        str(expected),
    )
    assert answer["done"] == ["inverted"]
    assert answer["doubt"] is None
    assert len(answer["top"]) == 3
    (raw,) = json.loads(invoke("predict", digits_net, "inverted.png", "--as-is", "--json").stdout)
    assert raw["done"] == []
    assert raw["doubt"].startswith("unlike the training images")
    assert "big.png has 72x72 pixels: expected 8x8, the network's; without --as-is" in (
        invoke("predict", digits_net, "big.png", "--as-is", code=1).stderr
    )


@pytest.mark.slow
def test_one_set_of_a_folder_is_predicted(invoke, photos, digits_net):
    net = digits_net
    every = json.loads(invoke("predict", net, photos, "--json").stdout)
    some = json.loads(invoke("predict", net, photos, "--split", "test", "--json").stdout)
    assert 0 < len(some) < len(every)
    one = next(photos.rglob("*.png"))
    error = invoke("predict", net, one, "--split", "test", code=1).stderr
    assert "is one picture: expected no split" in error


def test_a_network_that_does_not_know_its_pictures(invoke, tmp_path, caplog):
    nbconv.Network([64, 10]).save(tmp_path / "new.h5")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    invoke("predict", "new.h5", "a.png")
    assert "does not say what its training images were like" in caplog.text


def test_very_unequal_classes_are_said(invoke, tmp_path):
    labels = np.array([0] * 90 + [1] * 8)
    np.savez(tmp_path / "few.npz", images=np.zeros((98, 4, 4), np.uint8), labels=labels)
    train = "train", "--data", "few.npz", "--net", "2N", "--epochs", 1
    said = invoke(*train).stderr
    assert "They are very unequal: of 1, 6, little can be learned; --class-weights balanced" in said
    said = invoke(*train, "--class-weights", "balanced").stderr
    assert "of 1, 6, little can be learned\n" in said
