"""Checkpoints: they come back to the bit, as plain HDF5, wherever a file can be."""

import errno
import functools
import hashlib
import json
import math
import os
import stat
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import LINUX, POSIX

import nbconv
from nbconv import CheckpointError, Conv2D, Dense, DivergedError, Network, Softmax, files

from .conftest import FIT, ONLY_ROOT, copy, network, one_line, python, same


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_comes_back(few, tmp_path, dtype):
    net = network(dtype)
    net.state.run = {"net": "a name", "patience": None}
    net.fit(few[0], 1, lmbda_l1=0.01, **FIT)
    net.fit(few[0], 2, validation=few[1], test=few[2], expand=True, **FIT)
    assert math.isnan(net.history["validation_accuracy"][0])
    assert np.abs(net.engine.velocity).max() > 0
    net.save(tmp_path / "a.h5")
    back = Network.load(tmp_path / "a.h5")
    same(net, back)
    assert back.history["seconds"] == net.history["seconds"]
    for name in ("specs", "input_shape", "cost", "dtype", "seed", "initialiser"):
        assert getattr(back, name) == getattr(net, name), name
    assert back.engine.parameters.dtype == dtype
    images = few[2].images[:]
    assert np.array_equal(back.predict_proba(images), net.predict_proba(images))
    best = Network.load(tmp_path / "a.h5", weights="best")
    net.restore_best()
    assert np.array_equal(best.engine.parameters, net.engine.parameters)
    back.save(tmp_path / "b.h5")
    with h5py.File(tmp_path / "a.h5") as one, h5py.File(tmp_path / "b.h5") as other:
        assert one.attrs["digest"] == other.attrs["digest"]


def test_standardised_inputs_come_back(few, tmp_path, dtype):
    net = network(dtype.name)
    net.fit(few[0], 1, standardise=True, **FIT)
    net.save(tmp_path / "a.h5")
    back = Network.load(tmp_path / "a.h5")
    same(net, back)
    images = few[2].images[:]
    assert np.array_equal(back.predict_proba(images), net.predict_proba(images))
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["input/mean"][0] == pytest.approx(np.asarray(few[0].images).mean(), rel=1e-5)
        assert file["input/deviation"][0] == pytest.approx(
            np.asarray(few[0].images).std(), rel=1e-5
        )
    plain = network(dtype.name)
    plain.fit(few[0], 1, **FIT)
    assert not np.allclose(plain.predict_proba(images), net.predict_proba(images))
    plain.save(tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        assert "input" not in file


@pytest.mark.parametrize("cost", ["quadratic", "cross-entropy"])
def test_a_new_network_comes_back(tmp_path, cost):
    net = Network(
        [Dense(4, activation="tanh"), Dense(3)], 6, cost=cost, seed=2**63 - 1, dtype="float64"
    )
    net.save(tmp_path / "a.h5")
    back = Network.load(tmp_path / "a.h5")
    same(net, back)
    assert (back.cost, back.seed, back.state.settings) == (cost, 2**63 - 1, None)


def test_numbers_of_numpy_are_saved_as_numbers(few, tmp_path):
    net = Network(
        [Conv2D(np.int64(2), np.int32(3)), Softmax(few[0].labels.max() + 1)],
        (1, 8, 8),
        seed=np.uint8(3),
    )
    net.fit(
        few[0], np.int64(1), np.int64(10), np.float64(0.1), lmbda=np.float32(0.5), momentum=0,
        expand=np.True_, schedule=np.str_("cosine"),
    )  # fmt: skip
    net.save(tmp_path / "a.h5")
    same(net, Network.load(tmp_path / "a.h5"))


@pytest.mark.slow
def test_very_many_layers_come_back(tmp_path):
    net = Network([*[Dense(1) for _ in range(1000)], Softmax(2)], 1)
    net.save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file.attrs["network"]) > 2**16
    same(net, Network.load(tmp_path / "a.h5"))


def test_a_network_that_diverged_comes_back(few, tmp_path):
    net = network()
    net.fit(few[0], 1, **FIT)
    with pytest.raises(DivergedError):
        net.fit(few[0], 5, 7, 1e30)
    net.engine.sums[:] = math.nan  # what a cost that is NaN leaves there
    net.save(tmp_path / "a.h5")
    same(net, Network.load(tmp_path / "a.h5"))


def test_the_file_is_plain_hdf5(trained):
    net = Network.load(trained)
    with h5py.File(trained) as file:
        assert set(file) == {"layers", "optimizer", "best", "training", "history", "pictures"}
        assert set(file.attrs) == {"format", "version", "nbconv_version", "network", "digest"}
        assert (file.attrs["format"], file.attrs["version"]) == ("nbconv", 2)
        assert file.attrs["nbconv_version"] == nbconv.__version__
        stored = json.loads(file.attrs["network"])
        assert stored["layers"][2] == {
            "layer": "Conv2D", "filters": 2, "kernel": [2, 2], "stride": [1, 2], "padding": [0, 0],
            "activation": "tanh",
        }  # fmt: skip
        assert {name: stored[name] for name in stored if name != "layers"} == {
            "input_shape": [1, 8, 8], "cost": "log-likelihood", "initialiser": "glorot",
            "dtype": "float32", "seed": 5,
        }  # fmt: skip
        names = ["0-conv2d", "1-conv2d", "2-dense", "3-softmax"]
        for group in ("layers", "optimizer", "best"):
            assert sorted(file[group]) == names
        for name, parameters in zip(names, net.parameters(), strict=True):
            for part in ("weights", "biases"):
                assert np.array_equal(file[f"layers/{name}/{part}"], parameters[part])
        velocities = net.engine.views(net.engine.velocity)
        assert np.array_equal(file["optimizer/1-conv2d/weights"], velocities[1][0])
        assert dict(file["optimizer"].attrs) == {
            "eta": 0.05,
            "momentum": 0.5,
            "lmbda": 0.1,
            "schedule": "cosine",
        }
        training = dict(file["training"].attrs)
        assert (training["epoch"], training["step"], training["seed"]) == (3, 2 * 43 + 9, 5)
        assert (training["mini_batch_size"], training["best_epoch"]) == (7, net.state.best.epoch)
        assert training["best_validation_accuracy"] == net.state.best.validation_accuracy
        assert set(file["history"]) == set(net.history)
        assert np.array_equal(file["history/test_cost"], net.history["test_cost"], equal_nan=True)
        assert file["history/cost"].dtype == np.float64


def test_the_first_line_seals_the_rest(trained):
    image = trained.read_bytes()
    line, rest = image.split(b"\n", 1)
    assert line.startswith(b"nbconv checkpoint, format 2, HDF5 behind the index")
    assert line.decode().split(" ")[-1] == hashlib.sha256(rest).hexdigest()


def test_the_index_says_where_the_arrays_are(trained):
    """What a program without HDF5 needs, and the same that HDF5 says."""
    image = trained.read_bytes()
    index = json.loads(image.split(b"\n", 2)[1])
    with h5py.File(trained) as file:
        for path, (dtype, shape, offset) in index["arrays"].items():
            array = np.frombuffer(image, dtype, math.prod(shape), offset).reshape(shape)
            assert np.array_equal(array, file[path][()], equal_nan=True), path
            assert file[path].dtype == dtype
        found = {"": dict(file.attrs)}
        file.visititems(lambda name, item: found.update({name: dict(item.attrs)}))
        assert index["attributes"].keys() == {name for name in found if found[name]}
        for group, attributes in index["attributes"].items():
            plain = {name: np.asarray(value).item() for name, value in found[group].items()}
            assert sorted(map(repr, plain.items())) == sorted(map(repr, attributes.items()))


def test_looking_at_it_does_not_harm_it(trained, tmp_path):
    path = copy(trained, tmp_path)
    with h5py.File(path, "r+"):
        pass
    assert path.read_bytes() == trained.read_bytes()


# Places


@POSIX
def test_places_where_no_file_can_be(tmp_path):
    net = Network([2, 2])
    (tmp_path / "text").write_text("a file")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for name, said in {
        ".": "is a folder: expected the name of a file",
        "link": "is a folder: expected the name of a file",
        "none/a.h5": "could not be saved: No such file or directory",
        "text/a.h5": "could not be saved: Not a directory",
        "a" * 256: "could not be saved: File name too long",
        "loop": "is a symbolic link that leads to itself",
        "a\0b": "embedded null ",
    }.items():
        with pytest.raises(CheckpointError) as caught:
            net.save(tmp_path / name)
        assert said in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
    for place in (Path("/proc/a.h5"), Path("/sys/a.h5")):
        for attempt in (
            lambda place=place: net.save(place),
            lambda place=place: files.check_place(place),
        ):
            with pytest.raises(CheckpointError) as caught:
                attempt()
            one_line(caught.value, place)
    assert sorted(os.listdir(tmp_path)) == ["link", "loop", "text"]


@ONLY_ROOT
@pytest.mark.slow
def test_places_of_another_user(trained):
    """Root may do everything: a process of nobody tries a folder it may not write to or enter."""
    script = """
folder = sys.argv[1]
net = Network([2, 2])
os.setgid(65534)
os.setuid(65534)
said = []
for place in (f"{folder}/a.h5", f"{folder}/closed/a.h5"):
    for attempt in (net.save, Network.load, nbconv.files.check_place):
        try:
            attempt(nbconv.files.Path(place))
        except CheckpointError as error:
            said.append(str(error))
print(json.dumps(said))
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy(trained, Path(folder)).rename(f"{folder}/a.h5")
        os.chmod(f"{folder}/a.h5", 0o600)
        os.mkdir(f"{folder}/closed", 0o700)
        said = python("import nbconv.files\n" + script, folder)
        assert len(said) == 6
        assert all("Permission denied" in line for line in said)
        assert "the old file is as it was" in said[0]
        assert Path(folder, "a.h5").read_bytes() == trained.read_bytes()


@POSIX
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link.h5", tmp_path / "there" / "a.h5"
    link.symlink_to("there/a.h5")
    for net in (Network([2, 2]), Network([3, 3])):
        net.save(link)
        assert link.is_symlink()
        assert not target.is_symlink()
        same(net, Network.load(target))
        same(net, Network.load(link))
    assert os.listdir(tmp_path / "there") == ["a.h5"]
    assert sorted(os.listdir(tmp_path)) == ["link.h5", "there"]


@POSIX
def test_relative_paths_and_odd_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.h5", f"../{tmp_path.name}/b.h5", "[c]*.h5", "-d", "é f"):
        (tmp_path / f".{Path(name).name}.0123abcd.partial").write_text("left by a killed process")
        Network([2, 2]).save(name)
        Network.load(name)
    assert sorted(os.listdir(tmp_path)) == sorted(["a.h5", "b.h5", "[c]*.h5", "-d", "é f"])


@pytest.mark.slow
def test_networks_are_saved_at_once(tmp_path):
    """From threads, each to its own file, and all to one."""
    nets = [Network([n + 2, n + 2]) for n in range(4)]

    def save(number):
        for _ in range(25):
            nets[number].save(tmp_path / f"{number}.h5")
            nets[number].save(tmp_path / "same.h5")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(4)))
    for number in range(4):
        same(nets[number], Network.load(tmp_path / f"{number}.h5"))
    assert Network.load(tmp_path / "same.h5").input_shape[0] in range(2, 6)
    assert len(os.listdir(tmp_path)) == 5


@pytest.mark.slow
def test_no_writer_takes_anothers_partial_file_for_a_dead_ones(tmp_path):
    """Between the making of a partial file and its lock, too: 1,200 writes from four threads."""

    def write(number):
        for _ in range(300):
            files.replace(tmp_path / "a", b"abc")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert os.listdir(tmp_path) == ["a"]


def test_a_live_writers_partial_file_is_left_alone(tmp_path):
    path = tmp_path / "a.h5"
    with files._partial(path) as (partial, _):
        Network([2, 2]).save(path)
        if os.name == "posix":
            assert partial.exists()
    assert os.listdir(tmp_path) == ["a.h5"]


@POSIX
def test_without_locks_no_partial_file_is_taken_for_a_dead_writers(tmp_path, monkeypatch):
    """As on a network file system that has none."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with files._partial(tmp_path / "a.h5") as (partial, _):
        Network([2, 2]).save(tmp_path / "a.h5")
        assert partial.exists()
    with files.claimed(tmp_path / "a.h5"):
        pass
    assert os.listdir(tmp_path) == ["a.h5"]


def test_long_names(tmp_path):
    """As long as names may be; the partial file's is not longer."""
    for name in ("a" * 255, "é" * 127):
        Network([2, 2]).save(tmp_path / name)
        files.check_place(tmp_path / name)
        Network.load(tmp_path / name)


@POSIX
def test_the_mode_of_a_file_stays(tmp_path):
    path = tmp_path / "a.h5"
    Network([2, 2]).save(path)
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    for mode in (0o640, 0o444, 0o600):
        path.chmod(mode)
        Network([2, 2]).save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode


@ONLY_ROOT
def test_the_owner_of_a_file_stays(tmp_path):
    path = tmp_path / "a.h5"
    Network([2, 2]).save(path)
    os.chown(path, 65534, 65534)
    Network([2, 2]).save(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


@ONLY_ROOT
def test_a_file_that_cannot_be_replaced_is_found_before_a_training(tmp_path):
    """In a sticky folder, another user's."""
    script = """
os.setgid(65534)
os.setuid(65534)
try:
    nbconv.files.check_place(nbconv.files.Path(sys.argv[1]))
except CheckpointError as error:
    print(json.dumps(str(error)))
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o1777)
        Path(folder, "a.h5").write_text("")
        os.chmod(Path(folder, "a.h5"), 0o666)
        said = python("import nbconv.files\n" + script, f"{folder}/a.h5")
        assert "could not be saved: another user's file is there, in a sticky folder" in said
        assert os.listdir(folder) == ["a.h5"]


@ONLY_ROOT
@LINUX
def test_an_immutable_file_is_found_before_a_training(tmp_path):
    path = tmp_path / "a.h5"
    path.write_text("")
    if subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode:
        pytest.skip("chattr is not to be had here, or does nothing on this file system")
    try:
        with pytest.raises(
            CheckpointError, match="could not be saved: the file there is immutable"
        ):
            files.check_place(path)
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


@POSIX
def test_a_folder_that_cannot_be_flushed(tmp_path, monkeypatch, caplog):
    """The file is there, and nothing says that the old one is."""
    fsync = os.fsync

    def refuse(descriptor, number):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    for number, lines in ((errno.EINVAL, 0), (errno.EIO, 1)):
        caplog.clear()
        monkeypatch.setattr(os, "fsync", functools.partial(refuse, number=number))
        Network([2, 2]).save(tmp_path / "a.h5")
        assert len(caplog.messages) == lines
    assert "a.h5 is saved, but its folder could not be flushed" in caplog.messages[0]


def test_no_name_of_a_file_is_read_at_a_save(tmp_path, monkeypatch):
    """HDF5 once looked for a file of the name that files in memory have."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("image") if os.name == "posix" else (tmp_path / "image").write_text("")
    Network([2, 2]).save("a.h5")
