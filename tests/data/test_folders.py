"""Folders of pictures by class: found, named, decoded once, and what is wrong with them said."""

import os
import shutil
import sys
import time
from collections import Counter
from functools import partial

import numpy as np
import pytest
from conftest import POSIX

import nbconv
from nbconv import load_data
from nbconv.data import decoding, folders, sources
from nbconv.runs.run import images_for
from nbconv.runs.using import answers

from .conftest import refusal

pytest.importorskip("PIL", reason="reading pictures needs Pillow")
from PIL import Image

from .photos import CLASSES, write


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("pooch.os_cache", lambda name: str(folder))
    return folder / "pictures"


def plain(folder, names, count=7, size=(6, 5), mode="L"):
    """Pictures of one size by class: the class's number is in every pixel."""
    for k, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for n in range(count):
            Image.new(mode, size[::-1], 20 * k + n if mode == "L" else (20 * k + n, 0, 0)).save(
                folder / name / f"{n}.png"
            )
    return folder


def test_class_folders(tmp_path):
    data = plain(tmp_path / "data", ("1", "2", "10"))
    (data / ".DS_Store").write_bytes(b"x")
    (data / "2" / "._0.png").write_bytes(b"x")
    (data / "2" / "Thumbs.db").write_bytes(b"x")
    (data / ".ipynb_checkpoints").mkdir()
    shutil.copy(data / "1" / "0.png", data / ".ipynb_checkpoints" / "0.png")
    train, valid, test = load_data(data)
    assert [len(part) for part in (train, valid, test)] == [15, 3, 3]
    for part in (train, valid, test):
        assert part.class_names == ("1", "2", "10")
        assert set(part.labels) == {0, 1, 2}
        assert part.shape == (1, 6, 5)
        np.testing.assert_array_equal(part.store[:, 0, 0, 0] // 20, part.labels)
        for file, image in zip(part.files, part.store, strict=True):
            assert Image.open(data / file).getpixel((0, 0)) == image[0, 0, 0]
    which, whole = sources.split(str(data), None)
    assert (which, len(whole)) == ("all", 21)
    assert whole.files[:8] == [*(f"1/{n}.png" for n in range(7)), "2/0.png"]


@pytest.mark.parametrize("sets", [("train", "test"), ("train", "val"), ("Training", "dev", "Test")])
def test_sets_above_the_classes(tmp_path, sets):
    for k, name in enumerate(sets):
        plain(tmp_path / "data" / name, ("a", "b"), 14 - 6 * min(k, 1))
    train, valid, test = load_data(tmp_path / "data")
    assert train.class_names == valid.class_names == test.class_names == ("a", "b")
    sizes = len(train), len(valid), len(test)
    assert sizes == {"train": (23, 5, 16) if sets[1] == "test" else (24, 16, 4)}.get(
        sets[0], (28, 16, 16)
    )


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("train_images", "test-data"), ("trainSet", "X_test")],
)
def test_sets_of_several_words(tmp_path, train, test):
    for name in (train, test):
        plain(tmp_path / "data" / name, ("cats", "dogs"))
    sets = load_data(tmp_path / "data")
    assert [part.class_names for part in sets] == [("cats", "dogs")] * 3
    assert len(sets[2]) == 14
    plain(tmp_path / "data" / "test", ("cats", "dogs"))
    assert "expected one folder for each of train, valid and test" in refusal(
        load_data, tmp_path / "data"
    )


@pytest.mark.parametrize("names", [("train", "holdout"), ("part1", "part2"), ("test", "valid")])
def test_sets_are_not_taken_for_classes(tmp_path, names):
    for name in names:
        plain(tmp_path / "data" / name, ("cats", "dogs"))
    message = refusal(load_data, tmp_path / "data")
    assert f"{names[0]} holds the folders cats and dogs, so it and {names[1]} look like" in message
    assert "expected the names train, valid and test" in message


def test_pictures_without_classes_beside_a_training_set(tmp_path):
    plain(tmp_path / "data" / "train", ("cats", "dogs"))
    plain(tmp_path / "data", ("test1",))
    assert "train holds the folders cats and dogs, so it and test1 look like sets" in refusal(
        load_data, tmp_path / "data"
    )


@pytest.mark.parametrize(
    "inner", [(("images",), ("images",)), (("1", "2"), ("2", "3")), (("1", "2"), ())]
)
def test_folders_in_class_folders(tmp_path, inner):
    """A class of vehicles may be called train, and its pictures may lie in folders."""
    for name, parts in zip(("bus", "car"), inner, strict=True):
        plain(tmp_path / "data" / name, parts or ("",))
    plain(tmp_path / "data", ("train",))
    assert load_data(tmp_path / "data")[0].class_names == ("bus", "car", "train")


def test_a_class_that_the_test_set_lacks(tmp_path):
    plain(tmp_path / "data" / "train", ("a", "b", "c"))
    plain(tmp_path / "data" / "test", ("a", "c"))
    test = load_data(tmp_path / "data")[2]
    assert test.class_names == ("a", "b", "c")
    assert set(test.labels) == {0, 2}
    plain(tmp_path / "data" / "valid", ("a", "d"))
    assert "there are pictures of d, and none to train on" in refusal(load_data, tmp_path / "data")


def test_sizes_and_colours(tmp_path):
    data = plain(tmp_path / "data", ("a", "b"), 9)
    Image.new("RGB", (8, 8), (9, 8, 7)).save(data / "b" / "big.jpg")
    message = refusal(load_data, data)
    assert "its pictures have 2 sizes, such as 6x5 (18 of 19) and 8x8 pixels: expected --size" in (
        message
    )
    assert load_data(data, size=8)[0].shape == (3, 8, 8)
    assert load_data(data, size=(8, 10), channels=1)[0].shape == (1, 8, 10)
    for bad, said in (
        ({"size": 0}, "size is 0: expected a whole number of 1 or more"),
        ({"size": (1, 2, 3)}, "size is (1, 2, 3): expected a whole number or a pair"),
        ({"channels": 2}, "channels is 2: expected 1 for grey or 3"),
        ({"size": 2.5}, "size is 2.5"),
    ):
        with pytest.raises(nbconv.SettingError) as caught:
            load_data(data, **bad)
        assert said in str(caught.value)


@pytest.mark.parametrize("many", [1000, pytest.param(4, marks=pytest.mark.slow)])
def test_deep_pictures_have_one_scale(tmp_path, monkeypatch, caplog, many):
    """Also where each alone would be taken for another one: 1,000 is the same in all of them."""
    monkeypatch.setattr(decoding, "MANY", many)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for k, brightest in enumerate((1000, 1023, 1024, 4095, 3000, 1001)):
            levels = np.full((6, 5), 1000, np.uint16)
            levels[0, 0] = brightest
            Image.fromarray(levels).save(tmp_path / "data" / name / f"{k}.png")
    for data in load_data(tmp_path / "data"):
        assert set(data.store[:, 0, 3, 3]) == {round(255 * 1000 / 4095)}
    assert "12 pictures of 16 bits or real numbers: levels divided by 4095" in caplog.text


def deep(folder, brightest, count=20):
    """Pictures of 12 bits, in the folder "dim" only to a quarter of what others go to."""
    random = np.random.default_rng(0)
    for name, high in (("dim", 900), ("bright", brightest)):
        (folder / name).mkdir(parents=True)
        for k in range(count):
            levels = random.integers(100, high, (8, 8)).astype(np.uint16)
            levels[0, 0] = high
            Image.fromarray(levels).save(folder / name / f"{k}.png")
    return folder


def test_deep_pictures_are_read_as_the_training_images(tmp_path, monkeypatch, caplog):
    """Each alone would have a white of its own, and dim ones be bright."""
    data = deep(tmp_path / "data", 3900)
    whole = sources.split(str(data), "all")[1]
    assert whole.level == 4095
    net = nbconv.Network([nbconv.Softmax(2)], input_shape=(1, 8, 8))
    net.fit(whole, 1, 10, 0.1)
    net.save(tmp_path / "net.h5")
    net = nbconv.Network.load(tmp_path / "net.h5")
    files = [data / name for name in whole.files]
    np.testing.assert_allclose(net.prepare(files), whole.images, atol=1.01 / 255)
    opened = [Image.open(file) for file in files]
    np.testing.assert_array_equal(net.prepare(opened), net.prepare(files))
    for as_is in (False, True):
        answered = list(answers(net, [str(data)], as_is=as_is))
        assert [each.label for each in answered] == net.predict(whole.images).tolist()
    for limit in (2**24, 0, 0):  # in memory, and twice in a file of the cache
        monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", limit)
        _, _, again = images_for(net, str(data), "all", "net.h5")
        np.testing.assert_allclose(again.images, whole.images, atol=1.01 / 255)
    dim = deep(tmp_path / "dim", 1000)
    assert sources.split(str(dim), "all")[1].level == 1023
    _, _, images = images_for(net, str(dim), "all", "net.h5")
    assert images.level == 4095
    assert images.store[:].max() == round(255 * 1000 / 4095)
    beyond = deep(tmp_path / "beyond", 9000, 2)
    assert images_for(net, str(beyond), "all", "net.h5")[2].images[:].max() == 1
    assert "2 pictures: levels beyond 4095, the training images' white, are cut" in caplog.text
    assert any(
        "levels beyond 4095" in note for each in answers(net, [str(beyond)]) for note in each.done
    )


def test_deep_pictures_of_all_sets_have_one_scale(tmp_path, caplog):
    deep(tmp_path / "data" / "train", 3900)
    deep(tmp_path / "data" / "test", 1000)
    train, _, test = load_data(tmp_path / "data")
    assert train.level == test.level == 4095
    assert test.store[:].max() == round(255 * 1000 / 4095)
    net = nbconv.Network([nbconv.Softmax(2)], input_shape=(1, 8, 8))
    net.fit(train, 1, 10, 0.1)
    net.predict(np.zeros((1, 8, 8), np.uint8))
    assert "divided by 4095, as those of the training images: pass images / 255" in caplog.text
    (done,) = [each.done for each in net.prepared([("a", np.zeros((8, 8), np.uint8))])]
    assert done == ["levels divided by 4095, as those of the training images"]


def test_proportions_are_kept(tmp_path):
    picture = np.full((20, 40, 3), 200, np.uint8)
    picture[4:14, 10:30] = 0
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for n in range(4):
            Image.fromarray(picture).save(tmp_path / "data" / name / f"{n}.png")
    image = load_data(tmp_path / "data", size=20)[0].store[0]
    dark = image[0] < 100
    assert (dark.any(axis=1).sum(), dark.any(axis=0).sum()) == (5, 10)  # half as large, as wide
    assert (image[:, :5] == 200).all()  # what is beside it has the border's colour


def test_every_picture_that_cannot_be_read_is_named(tmp_path, caplog):
    data = plain(tmp_path / "data", ("a", "b"))
    (data / "a" / "bad.png").write_bytes(b"no picture")
    message = refusal(load_data, data)
    assert message == f"{data}: a/bad.png is damaged or is not a picture (PNG, JPEG, BMP, GIF, " \
        "WebP, TIFF, PNM)"  # fmt: skip
    whole = (data / "b" / "3.png").read_bytes()
    (data / "b" / "cut.png").write_bytes(whole[:45])
    (data / "b" / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    for size in (None, 6):
        caplog.clear()
        message = refusal(partial(load_data, data, size=size))
        for name in ("a/bad.png", "b/photo.heic"):
            assert name in message
            assert name in caplog.text
        assert "HEIC picture, which needs pillow-heif" in caplog.text
    assert "b/cut.png" in message


def test_what_is_no_data_set(tmp_path, caplog):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{empty} holds nothing: expected a folder of pictures" in refusal(load_data, empty)
    data = plain(tmp_path / "data", ("a", "b"))
    (data / "c").mkdir()
    assert f"{data / 'c'} holds no pictures: expected some of the class c" in refusal(
        load_data, data
    )
    (data / "c").rmdir()
    (data / "a" / "notes.txt").write_text("hello")
    Image.new("L", (5, 6)).save(data / "loose.png")
    load_data(data)
    assert "1 files are passed over, for their names are not those of pictures: notes.txt" in (
        caplog.text
    )
    assert "1 pictures beside the class folders are passed over, such as loose.png" in caplog.text
    shutil.rmtree(data / "b")
    assert "two or more" in refusal(load_data, data)


@POSIX
def test_links(tmp_path):
    data = plain(tmp_path / "data", ("a", "b"))
    (tmp_path / "linked").mkdir()
    for name in ("a", "b"):
        (tmp_path / "linked" / name).symlink_to(data / name)
    (data / "a" / "round").symlink_to(data / "a")
    assert sum(map(len, load_data(tmp_path / "linked"))) == 14


@POSIX
def test_pipes_are_no_pictures(tmp_path, caplog):
    """Reading one would wait for ever."""
    data = plain(tmp_path / "data", ("a", "b"))
    os.mkfifo(data / "a" / "pipe.png")
    (data / "b" / "linked.png").symlink_to(data / "a" / "pipe.png")
    (data / "b" / "7.png").symlink_to(data / "b" / "6.png")
    assert len(folders.pictures_in(data)) == 15
    assert f"{data}: 2 pipes, sockets or devices are passed over, such as pipe.png" in caplog.text
    (data / "b" / "broken.png").symlink_to(data / "none.png")
    assert "b/broken.png does not exist" in refusal(load_data, data)


def test_pictures_are_decoded_once(tmp_path, cache, monkeypatch, caplog):
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 0)
    data = plain(tmp_path / "data", ("a", "b"))
    told = []
    first = load_data(data, progress=lambda *done: told.append(done))
    assert told[-1] == (14, 14)
    (kept,) = cache.iterdir()
    written = kept.stat().st_mtime_ns
    monkeypatch.setattr(decoding.Pictures, "_all", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(decoding.Pictures, "looked_at", lambda _: (Counter({(6, 5): 14}), False))
    again = load_data(data)
    assert [part.fingerprint for part in again] == [part.fingerprint for part in first]
    monkeypatch.undo()
    monkeypatch.setattr("pooch.os_cache", lambda name: str(cache.parent))
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 0)
    Image.new("L", (5, 6), 255).save(data / "a" / "0.png")
    changed = load_data(data)
    assert [part.fingerprint for part in changed] != [part.fingerprint for part in first]
    assert len(list(cache.iterdir())) == 2
    kept.write_bytes(b"damaged")
    load_data(data)
    old = time.time() - 100 * 86400
    for file in cache.iterdir():
        os.utime(file, (old, old))
    load_data(data, size=7)
    assert len(list(cache.iterdir())) == 1
    assert written


@POSIX
def test_without_a_place_for_a_cache(tmp_path, cache, monkeypatch, caplog):
    monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", 0)
    data = plain(tmp_path / "data", ("a", "b"))
    cache.parent.write_text("a file where the folder should be")
    assert sum(map(len, load_data(data))) == 14
    assert "cannot be written" in caplog.text
    assert "decoded into memory" in caplog.text


@pytest.mark.slow
def test_child_processes_decode_many_pictures(tmp_path, cache, monkeypatch):
    """The same images, notes and errors as in this process; what was seen of them is kept, too."""
    data = write(tmp_path / "data", 12)
    expected = [part.fingerprint for part in load_data(data, size=20)]
    monkeypatch.setattr(decoding, "MANY", 1)
    started = []
    popen = decoding.subprocess.Popen
    monkeypatch.setattr(
        decoding.subprocess, "Popen", lambda *a, **o: (started.append(a), popen(*a, **o))[1]
    )
    told = []
    found = load_data(data, size=20, progress=lambda *done: told.append(done))
    assert [part.fingerprint for part in found] == expected
    assert len(started) == 2 * decoding.PROCESSES
    assert told[-1] == (36, 36)
    load_data(data, size=20)
    assert len(started) == 2 * decoding.PROCESSES
    assert {file.suffix for file in cache.iterdir()} == {".npy", ".json"}
    (data / "disc" / "bad é.png").write_bytes(b"no picture")
    assert "disc/bad é.png is damaged or is not a picture" in refusal(load_data, data)
    monkeypatch.setattr(
        decoding.child, "command", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"]
    )
    assert "ended with the code 3: expected 0" in refusal(load_data, data)


def test_many_pictures_stay_in_their_file(tmp_path, monkeypatch):
    """They are read as they are needed: training gives the same weights as from memory."""
    data = write(tmp_path / "data", 12)
    results = []
    for limit in (2**30, 0):
        monkeypatch.setattr(decoding, "IN_MEMORY_BYTES", limit)
        monkeypatch.setattr(sources, "COPY_BYTES", limit)
        train, valid, test = load_data(data, size=12)
        assert isinstance(train.store, np.ndarray) == (limit > 0)
        net = nbconv.Network([nbconv.Conv2D(2, 3), nbconv.Softmax(3)], input_shape=(3, 12, 12))
        net.fit(train, 2, 5, 0.1, validation=valid)
        results.append((net.parameters()[0]["weights"], net.predict(test.images), test.labels))
        assert net.class_names == CLASSES
    for memory, file in zip(*results, strict=True):
        np.testing.assert_array_equal(memory, file)
