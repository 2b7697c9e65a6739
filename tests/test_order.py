"""The order of an epoch: shuffled by chunks, read chunk by chunk, and the same from every store."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

import nbconv
from nbconv import Dataset, Network
from nbconv.data import arrays
from nbconv.data.dataset import Images
from nbconv.data.stored import StoredImages
from nbconv.data.stores import chunks
from nbconv.training.order import Reader, shuffled_by_chunks

SETTINGS = {"epochs": 3, "mini_batch_size": 10, "eta": 0.5}


class Counted:
    """An HDF5 dataset that counts how often each image is read."""

    def __init__(self, source):
        self.source, self.read = source, np.zeros(len(source), np.int64)
        self.shape, self.dtype, self.chunks = source.shape, source.dtype, source.chunks

    def __getitem__(self, key):
        self.read[key] += 1
        return self.source[key]


def stored(data, chunk=8):
    """The same data, whose images stay in an HDF5 file with chunks of 8 images."""
    file = h5py.File(io.BytesIO(), "w")
    source = file.create_dataset(
        "images", data=data.store, chunks=(chunk, *data.shape) if chunk else None
    )
    return Dataset(Images(StoredImages(Counted(source), Path("file"), "HDF5")), data.labels)


def owners(count, size, shards):
    """By the definition: of each mini-batch's m images the shard s has s m / shards and on."""
    found = []
    for first in range(0, count, size):
        images = min(size, count - first)
        for shard in range(shards):
            part = range(shard * images // shards, (shard + 1) * images // shards)
            found += [shard] * len(part)
    return np.array(found)


@pytest.mark.parametrize("width", [1, 3, 100])
@pytest.mark.parametrize("shards", [1, 4])
def test_an_order_by_chunks(width, shards):
    """Every image once; each shard goes through its chunks, `width` at a time."""
    count, size = 203, 10
    chunk_of, owner_of = np.arange(count) // 8, owners(count, size, shards)
    order = shuffled_by_chunks(3, 0, chunk_of, width, owner_of)
    assert np.array_equal(np.sort(order), np.arange(count))
    seen = []
    for shard in range(shards):
        its = chunk_of[order[owner_of == shard]]
        seen += list(dict.fromkeys(its))
        first = {chunk: place for place, chunk in reversed(list(enumerate(its)))}
        last = {chunk: place for place, chunk in enumerate(its)}
        for place in range(len(its)):
            at_once = sum(first[chunk] <= place <= last[chunk] for chunk in first)
            assert at_once <= width
    assert len(seen) <= 26 + shards - 1  # chunks, and those that two shards share
    if width == 3:
        assert (np.diff(chunk_of[order]) != 0).mean() > 0.4  # mixed within the window
    others = [(3, 1), (4, 0)]
    assert all(
        not np.array_equal(order, shuffled_by_chunks(*other, chunk_of, width, owner_of))
        for other in others
    )
    assert np.array_equal(order, shuffled_by_chunks(3, 0, chunk_of, width, owner_of))


@pytest.mark.parametrize("shifts", [1, 5])
@pytest.mark.parametrize("shards", [1, 4])
def test_what_a_reader_reads(digits, shifts, shards):
    """Each place of the order has its image; a rank reads what it needs, twice at most."""
    data = digits[0][:203]
    whole = None
    for rank in range(shards):
        file = stored(data)
        reader = Reader(file, shifts, 2, 10, shards, range(rank, rank + 1))
        reader.begin(3, 0)
        owner_of = owners(reader.examples, 10, shards)
        order = reader._order
        assert whole is None or np.array_equal(order, whole)  # the same on all ranks
        whole, place = order, 0
        while place < reader.examples:
            stretch, at = reader.at(place)
            part = slice(place, stretch.stop)
            is_mine = owner_of[part] == rank
            numbers = stretch.order[at:]
            assert (numbers[~is_mine] == -1).all()
            images = stretch.data.store[numbers[is_mine] // shifts]
            assert np.array_equal(images, data.store[order[part][is_mine] // shifts])
            labels = stretch.data.labels[numbers[is_mine] // shifts]
            assert np.array_equal(labels, data.labels[order[part][is_mine] // shifts])
            assert np.array_equal(numbers[is_mine] % shifts, order[part][is_mine] % shifts)
            assert len(stretch.data) <= shifts * (2 + 2) * 8  # memory is bounded
            place = stretch.stop
        read = file.store._source.read
        assert read.max() <= 3  # by two stretches, once more by the first look at the data
        assert (read > 0).mean() < 1.7 / shards


def test_a_rank_without_an_image_in_the_last_mini_batch(digits):
    reader = Reader(stored(digits[0][:83]), 1, 1, 10, 4, range(1))
    reader.begin(0, 0)
    stretch, at = reader.at(80)
    assert at == 0
    assert stretch.order.tolist() == [-1, -1, -1]


def test_scattered_images_are_read_chunk_by_chunk(digits):
    data = digits[0][:203]
    file = stored(data)
    source = file.store._source
    source.read[:] = 0
    wanted = np.array([150, 3, 5, 3, 77, 78, 1])
    assert np.array_equal(file.store[wanted], data.store[wanted])
    assert source.read.max() == 1
    assert source.read.sum() == 5 + 2 + 1  # from the first to the last that is wanted of a chunk


def test_the_bits_do_not_depend_on_where_the_images_are(digits, tmp_path, monkeypatch):
    """In memory, in an HDF5 file without chunks, in a folder of .npy files; stopped or not."""
    monkeypatch.setattr("nbconv.data.stores.CHUNK_BYTES", 8 * 64)
    monkeypatch.setattr(arrays, "MAPPED_BYTES", 0)
    data, validation = digits[0][:203], digits[1]
    for name, part in {"train": data, "validation": validation, "test": digits[2]}.items():
        np.save(tmp_path / f"{name}_images.npy", part.store)
        np.save(tmp_path / f"{name}_labels.npy", part.labels)
    train, also_validation, _ = nbconv.load_data(tmp_path)
    assert isinstance(train.store, StoredImages)
    assert np.array_equal(train.images[:], data.images[:])
    expected = None
    for part, other in (data, validation), (stored(data, 0), validation), (train, also_validation):
        network = Network([64, 20, 10], seed=1)
        network.fit(part, **SETTINGS, shuffle_chunks=2, validation=other)
        if expected is None:
            expected = network.engine.parameters
        assert np.array_equal(network.engine.parameters, expected)
    network = Network([64, 20, 10], seed=1)
    network.fit(data, **{**SETTINGS, "epochs": 1}, shuffle_chunks=2, validation=validation)
    network.fit(data, **{**SETTINGS, "epochs": 2}, shuffle_chunks=2, validation=validation)
    assert np.array_equal(network.engine.parameters, expected)
    together = Network([64, 20, 10], seed=1)
    together.fit(data, **SETTINGS, validation=validation)
    assert not np.array_equal(together.engine.parameters, expected)


def test_selected_images_have_their_chunks(digits):
    file = stored(digits[0][:50]).select(np.array([40, 3, 17, 2]))
    assert np.array_equal(chunks(file.store), [5, 0, 2, 0])
    assert np.array_equal(chunks(digits[0][:3].store), [0, 0, 0])


@pytest.mark.slow
def test_as_a_command(command, digits, tmp_path):
    """It is resumed in the middle; not with other chunks, which would be another order."""

    def write(chunk):
        with h5py.File(tmp_path / "data.h5", "w") as file:
            for name, part in zip(("train", "validation", "test"), digits, strict=True):
                file.create_dataset(f"{name}_images", data=part.store, chunks=(chunk, 1, 8, 8))
                file[f"{name}_labels"] = part.labels

    write(50)
    train = ["train", "--data", "data.h5", "--net", "30N-10N", "--shuffle-chunks", 4]
    command(*train, "--epochs", 3, "--out", "whole.h5")
    command(*train, "--epochs", 1, "--out", "part.h5")
    command("train", "--resume", "part.h5", "--epochs", 3)
    whole, part = (Network.load(tmp_path / name) for name in ("whole.h5", "part.h5"))
    assert np.array_equal(whole.engine.parameters, part.engine.parameters)
    write(60)
    refused = command("train", "--resume", "part.h5", "--epochs", 4, code=1)
    assert "data.h5 has its images in other chunks now" in refused.stderr


def test_large_data_that_are_read_at_random_are_told(digits, monkeypatch, caplog):
    monkeypatch.setattr("nbconv.training.loop.LARGE", 1000)
    for data, settings, told in (
        (stored(digits[0][:50]), {}, 1),
        (stored(digits[0][:50]), {"shuffle_chunks": 64}, 0),
        (digits[0][:50], {}, 0),
    ):
        caplog.clear()
        Network([64, 10]).fit(data, 1, 10, 0.1, **settings)
        assert (
            sum("with shuffle_chunks 64 a chunk is read" in line for line in caplog.messages)
            == told
        )


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["train_images"], "it holds 'train_images' and no labels of the train set among"),
        (["test_images", "test_labels"], "it holds 'test_images', 'test_labels': expected images"),
        (["numbers", "others"], "expected a folder of pictures for each class"),
    ],
)
def test_folders_of_npy_files_that_are_no_data(tmp_path, names, line):
    for name in names:
        np.save(tmp_path / f"{name}.npy", np.zeros((4, 2, 2), np.uint8)[..., 0])
    with pytest.raises(nbconv.DataError, match=line):
        nbconv.load_data(tmp_path)


def test_windows_that_take_too_much_memory_are_refused(digits, monkeypatch):
    monkeypatch.setattr("nbconv.training.order.MOST_BYTES", 5 * 8 * 64)  # five chunks
    net, data = Network([64, 10]), stored(digits[0][:203])
    net.fit(data, 1, 10, 0.1, shuffle_chunks=5)
    net.fit(stored(digits[0][:40], 40), 1, 10, 0.1, shuffle_chunks=64)  # all are no more
    line = "has 8 of them: so many would take 0.0 GB of memory at a time: expected at most 5"
    with pytest.raises(nbconv.SettingError, match=line):
        net.fit(data, 1, 10, 0.1, shuffle_chunks=6)
    with pytest.raises(nbconv.SettingError, match=r"expected at most 1$"):
        net.fit(data, 1, 10, 0.1, shuffle_chunks=3, shards=4)
    with pytest.raises(nbconv.SettingError, match="expected a file with smaller chunks"):
        net.fit(stored(digits[0][:203], 100), 1, 10, 0.1, shuffle_chunks=1)


def write_npy(folder, images):
    for name in "train", "validation", "test":
        np.save(folder / f"{name}_images.npy", images)
        np.save(folder / f"{name}_labels.npy", np.arange(len(images)) % 2)


@pytest.mark.parametrize("dtype", ["float32", ">f8", "uint8", "uint16", "bool"])
def test_mapped_files_are_read_as_others(tmp_path, monkeypatch, dtype):
    """Values to 255 are divided by 255, and no byte of the file is written to."""
    most = 1 if dtype == "bool" else 255
    images = np.linspace(0, most, 6 * 16).reshape(6, 4, 4).astype(dtype)
    write_npy(tmp_path, images)
    expected = nbconv.load_data(tmp_path)[0].images[:]
    monkeypatch.setattr(arrays, "MAPPED_BYTES", 0)
    data = nbconv.load_data(tmp_path)[0]
    assert isinstance(data.store, StoredImages)
    assert np.allclose(data.images[:], expected, atol=1e-7)
    assert np.array_equal(np.load(tmp_path / "train_images.npy"), images)


@pytest.mark.parametrize("change", [b"x", None])
def test_a_mapped_file_of_another_size_is_damaged(tmp_path, monkeypatch, change):
    monkeypatch.setattr(arrays, "MAPPED_BYTES", 0)
    write_npy(tmp_path, np.zeros((6, 4, 4), np.uint8))
    path = tmp_path / "train_images.npy"
    content = path.read_bytes()
    path.write_bytes(content + change if change else content[:-1])
    with pytest.raises(nbconv.DataError, match=r"train_images.npy declares 96 bytes"):
        nbconv.load_data(tmp_path)


def test_an_npy_file_beside_pictures_is_not_the_data(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name in "a", "b":
        (tmp_path / name).mkdir()
        for k in range(10):
            image.new("L", (8, 8), 20 * k).save(tmp_path / name / f"{k}.png")
    np.save(tmp_path / "features.npy", np.zeros((20, 3)))
    assert nbconv.load_data(tmp_path)[0].class_names == ("a", "b")


def test_a_single_npy_file_is_no_data(tmp_path):
    np.save(tmp_path / "train_images.npy", np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(nbconv.DataError, match="is a single array: expected its folder"):
        nbconv.load_data(tmp_path / "train_images.npy")
