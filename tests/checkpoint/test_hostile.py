"""Files that someone made on purpose: their seal and digest fit, and they are refused all the same."""

import json
import math
import re
import struct
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbconv import CheckpointError, Conv2D, Dense, MaxPool2D, Network, Softmax
from nbconv.checkpoint import file as checkpoint

from .conftest import copy, one_line, refusal, same


def craft(path, edit, digest=True):
    """Edit a checkpoint, and make its digest and its seal fit what a trusting reader would read."""
    with h5py.File(path, "r+") as file:
        edit(file)
        if digest:
            contents = checkpoint.Contents()
            gather(file, contents)
            file.attrs["digest"] = contents.digest()
    path.write_bytes(checkpoint.sealed(path.read_bytes()[512:]))


def gather(group, contents, prefix="", depth=0):
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in group.attrs.items()
    }
    contents.attributes[prefix.removesuffix("/")] = plain
    for name in group if depth < 4 and len(contents.arrays) < 100 else ():
        item = group.get(name)
        if isinstance(item, h5py.Group):
            gather(item, contents, f"{prefix}{name}/", depth + 1)
        elif (
            isinstance(item, h5py.Dataset)
            and item.shape is not None
            and item.size < 10**6
            and item.dtype.kind in "iuf"
        ):
            contents.arrays[prefix + name] = item[()]


def put(name, value, **options):
    """An edit: this dataset in the place of one that may be there."""

    def edit(file):
        if name in file:
            del file[name]
        file.create_dataset(name, data=value, **options)

    return edit


def changed(name, change):
    return lambda file: put(name, change(file[name][()]))(file)


def attribute(group, **values):
    return lambda file: file[group].attrs.update(values)


def json_attribute(group, name, **values):
    """An edit: some entries of a JSON attribute."""

    def edit(file):
        file[group].attrs[name] = json.dumps(json.loads(file[group].attrs[name]) | values)

    return edit


def external_storage(file):
    outside = file.filename + ".outside"
    Path(outside).write_bytes(bytes(40))
    del file["best/3-softmax/biases"]
    file.create_dataset("best/3-softmax/biases", (10,), "f4", external=[(outside, 0, 40)])


def virtual(file):
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(".", "layers/3-softmax/biases", (10,))
    del file["best/3-softmax/biases"]
    file.create_virtual_dataset("best/3-softmax/biases", layout)


def huge(**options):
    def edit(file):
        del file["history/cost"]
        file.create_dataset("history/cost", (2**40,), "f8", **options)

    return edit


def many_names(file):
    """Two groups that hold one array of no bytes under 90,000 names."""
    file["layers/0"] = np.ones(0)
    below = file.create_group("layers/0-many")
    for number in range(300):
        below[str(number)] = file["layers/0"]
        file[f"layers/many{number}"] = below


def texts(file):
    """One long text that 1,000 attributes claim, 1 GB of it."""
    file["training"].attrs.create(
        "run", np.array(["x" * 10**6] * 10, object), dtype=h5py.string_dtype()
    )


def linked(name, link):
    def edit(file):
        del file[name]
        file[name] = link

    return edit


WEIGHTS = "layers/0-conv2d/weights"
CRAFTED = {
    "missing weights": (lambda file: file.__delitem__(WEIGHTS), "parameters, expected"),
    "missing velocity": (
        lambda file: file.__delitem__("optimizer/2-dense/biases"),
        "it lacks 'optimizer/2-dense/biases'",
    ),
    "missing best": (lambda file: file.__delitem__("best"), "it lacks 'best/0-conv2d/weights'"),
    "missing metric": (
        lambda file: file.__delitem__("history/cost"),
        "its history has the metrics",
    ),
    "missing half of a metric": (
        lambda file: file.__delitem__("history/test_cost"),
        "its history has the metrics",
    ),
    "missing history": (lambda file: file.__delitem__("history"), "it lacks 'history'"),
    "missing training": (lambda file: file.__delitem__("training"), "it lacks 'training'"),
    "missing attribute": (
        lambda file: file["training"].attrs.__delitem__("epoch"),
        "it lacks 'epoch'",
    ),
    "missing seed": (
        lambda file: file["training"].attrs.__delitem__("seed"),
        "it lacks 'training@seed'",
    ),
    "missing network": (lambda file: file.attrs.__delitem__("network"), "it lacks 'network'"),
    "extra weights": (put("layers/4-dense/weights", np.ones(3, "f4")), "parameters, expected"),
    "extra array": (put("training/more", np.ones(3)), "'training/more' is no part of it"),
    "extra metric": (put("history/beauty", np.ones(3)), "its history has the metrics"),
    "extra nested metric": (put("history/test/cost", np.ones(3)), "its history has the metrics"),
    "extra group": (lambda file: file.create_group("more"), "'more' is no part of it"),
    "extra deep group": (
        lambda file: file.create_group("layers/0-conv2d/more"),
        "'layers/0-conv2d/more' is no part",
    ),
    "extra attribute": (attribute("layers", more=1), "'layers@more' is no part of it"),
    "extra root attribute": (attribute("/", more="x"), "'@more' is no part of it"),
    "attribute of an array": (
        attribute(WEIGHTS, more="x"),
        "'layers/0-conv2d/weights' is not stored as plain",
    ),
    "renamed layer": (
        lambda file: file.move("layers/0-conv2d", "layers/0-dense"),
        "it lacks 'layers/0-conv2d/weights'",
    ),
    "renamed velocity": (
        lambda file: file.move("optimizer/2-dense", "optimizer/x\n\x1b[2J"),
        "it lacks 'optimizer/2-",
    ),
    "wrong shape": (
        changed(WEIGHTS, lambda array: array.transpose(0, 1, 3, 2)),
        r"expected float32 \(3, 1, 3, 2\)",
    ),
    "no shape": (
        put("optimizer/3-softmax/biases", np.float32(1)),
        r"float32 \(\), expected float32 \(10,\)",
    ),
    "wrong dtype": (
        changed(WEIGHTS, lambda array: array.astype("f8")),
        "float64 .* expected float32",
    ),
    "other byte order": (
        changed(WEIGHTS, lambda array: array.astype(">f4")),
        "weights is >f4 .* expected float32",
    ),
    "whole numbers": (
        changed(WEIGHTS, lambda array: array.astype("i4")),
        "weights is int32 .* expected float32",
    ),
    "NaN weight": (
        changed(WEIGHTS, lambda array: array * np.nan),
        "weights has numbers that are infinite or NaN",
    ),
    "infinite velocity": (
        put("optimizer/3-softmax/biases", np.full(10, np.inf, "f4")),
        "infinite or NaN",
    ),
    "NaN in the best": (put("best/3-softmax/biases", np.full(10, np.nan, "f4")), "infinite or NaN"),
    "short history": (put("history/cost", np.ones(2)), r"float64 \(2,\), expected float64 \(3,\)"),
    "coarse history": (
        put("history/cost", np.ones(3, "f4")),
        r"float32 \(3,\), expected float64 \(3,\)",
    ),
    "soft link": (linked("best", h5py.SoftLink("/layers")), "'best' is a link"),
    "dangling link": (linked("best", h5py.SoftLink("/none")), "'best' is a link"),
    "external link": (
        linked("history/cost", h5py.ExternalLink("other.h5", "/x")),
        "'history/cost' is a link",
    ),
    "second name": (lambda file: file.__setitem__("more", file["best"]), "'more' is no part of it"),
    "cycle": (lambda file: file.__setitem__("layers/up", file["/"]), "one group or array too many"),
    "cycle of itself": (
        lambda file: file.__setitem__("best/0-conv2d/up", file["best"]),
        "one group or array too many",
    ),
    "many names": (many_names, "one group or array too many"),
    "deep groups": (
        lambda file: file.create_group("/".join("a" * 500)),
        "one group or array too many",
    ),
    "virtual": (virtual, "'best/3-softmax/biases' is not stored as plain numbers"),
    "external storage": (
        external_storage,
        "'best/3-softmax/biases' is not stored as plain numbers",
    ),
    "chunked": (put("history/cost", np.ones(3), chunks=(3,)), "is not stored as plain numbers"),
    "compressed": (
        put("history/cost", np.ones(3), compression="gzip"),
        "is not stored as plain numbers",
    ),
    "filtered": (
        put("history/cost", np.ones(3), fletcher32=True),
        "is not stored as plain numbers",
    ),
    "huge": (huge(), "'history/cost' would make it larger than it is"),
    "huge in chunks": (huge(chunks=(2**16,)), "is not stored as plain numbers"),
    "texts for numbers": (put("history/cost", ["a", "b", "c"]), "is not stored as plain numbers"),
    "structures for numbers": (
        put("history/cost", np.ones(3, "f4,f8")),
        "is not stored as plain numbers",
    ),
    "nothing for numbers": (
        put("history/cost", h5py.Empty("f8")),
        "is not stored as plain numbers",
    ),
    "truths for numbers": (
        put("history/cost", np.ones(3, bool)),
        "is not stored as plain numbers|expected float64",
    ),
    "lists for numbers": (
        put(
            "history/cost",
            np.array([np.ones(2)] * 3 + [None], object)[:3],
            dtype=h5py.vlen_dtype("f8"),
        ),
        "not stored as plain",
    ),
    "type for a group": (
        lambda file: file.__setitem__("type", np.dtype("f8")),
        "'type' is not stored as plain numbers",
    ),
    "list of texts": (texts, "the attribute 'run' is neither a text nor a number"),
    "list of numbers": (
        attribute("training", epoch=[1, 2]),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "no value": (
        attribute("training", epoch=h5py.Empty("i8")),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "truth": (
        attribute("training", epoch=True),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "bytes": (
        attribute("training", data=np.bytes_(b"x")),
        "the attribute 'data' is neither a text nor a number",
    ),
    "reference": (
        lambda file: file.attrs.__setitem__("more", file["best"].ref),
        "the attribute 'more' is neither a text nor a number",
    ),
    "many attributes": (
        attribute("training", **{f"a{number}": 1 for number in range(200)}),
        "attributes at one place",
    ),
    "newer version": (
        attribute("/", version=2),
        "has the format version 2: this is nbconv .* reads version 1; .* newer",
    ),
    "older version": (
        attribute("/", version=0),
        "has the format version 0: this is nbconv .* reads version 1",
    ),
    "version in words": (attribute("/", version="1"), "has the format version '1'"),
    "no version": (lambda file: file.attrs.__delitem__("version"), "has the format version None"),
    "other format": (attribute("/", format="keras"), "its attribute 'format' is not 'nbconv'"),
    "no format": (
        lambda file: file.attrs.__delitem__("format"),
        "its attribute 'format' is not 'nbconv'",
    ),
    "network in no JSON": (attribute("/", network="{garbage"), "Expecting property name"),
    "network without end": (attribute("/", network="[" * 30_000), "is no checkpoint of a network"),
    "network is a number": (attribute("/", network=5), "is no checkpoint of a network"),
    "network is null": (attribute("/", network="null"), "is no checkpoint of a network"),
    "network is empty": (attribute("/", network="{}"), "it lacks 'input_shape'"),
    "no layers": (json_attribute("/", "network", layers=[]), "it has no layers"),
    "no last layer": (
        json_attribute("/", "network", layers=[{"layer": "MaxPool2D", "size": 2}]),
        "last layer is MP2",
    ),
    "unknown layer": (
        json_attribute("/", "network", layers=[{"layer": "os.system"}]),
        "layer is 'os.system'",
    ),
    "unknown setting": (
        json_attribute("/", "network", layers=[{"layer": "Dense", "neurons": 2, "x\n\x1b[2J": 1}]),
        "unexpected keyword",
    ),
    "a billion neurons": (
        json_attribute(
            "/",
            "network",
            layers=[{"layer": "Dense", "neurons": 10**9}, {"layer": "Softmax", "neurons": 10**9}],
        ),
        "parameters, expected 1000000066000000000",
    ),
    "a large kernel": (
        json_attribute(
            "/",
            "network",
            input_shape=[1, 2**31, 2**31],
            layers=[
                {"layer": "Conv2D", "filters": 9, "kernel": 2**30},
                {"layer": "Softmax", "neurons": 2},
            ],
        ),
        "parameters, expected",
    ),
    "a large input": (
        json_attribute("/", "network", input_shape=[1, 10**9, 10**9]),
        "parameters, expected",
    ),
    "more than can be": (
        json_attribute("/", "network", layers=[{"layer": "Dense", "neurons": 10**400}]),
        "expected at most",
    ),
    "more dropout than can be": (
        json_attribute(
            "/", "network", layers=[{"layer": "Dense", "neurons": 1, "dropout": 10**400}]
        ),
        "too large",
    ),
    "other dtype": (
        json_attribute("/", "network", dtype="float64"),
        "is float32 .* expected float64",
    ),
    "unknown dtype": (
        json_attribute("/", "network", dtype="(1,O"),
        "dtype is .* expected one of float32, float64",
    ),
    "other seed": (json_attribute("/", "network", seed=6), "training@seed is 5, expected 6"),
    "wrong seed": (json_attribute("/", "network", seed=-1), "seed is -1"),
    "other network": (
        json_attribute(
            "/", "network", input_shape=[1, 1, 1], layers=[{"layer": "Softmax", "neurons": 5}]
        ),
        "expected 10",
    ),
    "other cost": (json_attribute("/", "network", cost="quadratic"), "cost is 'quadratic' behind"),
    "other epoch": (attribute("training", epoch=4), "it is at epoch 4 and has a history of 3"),
    "epoch of the end": (attribute("training", epoch=math.inf), "cannot convert float infinity"),
    "half an epoch": (attribute("training", epoch=3.5), "training@epoch is 3.5, expected 3"),
    "epoch in words": (attribute("training", epoch="3"), "training@epoch is '3', expected 3"),
    "steps back": (
        attribute("training", step=-1),
        "it is at mini-batch 0 of an epoch and -1 in all",
    ),
    "too far": (attribute("training", step=2**62), "it is at mini-batch 0 of an epoch and"),
    "more in an epoch than in all": (
        attribute("training", epoch_step=99, step=9),
        "it is at mini-batch 99",
    ),
    "best of the future": (attribute("training", best_epoch=4), "its best epoch is 4 of 3"),
    "best without an epoch": (attribute("training", best_epoch=0), "is no part of it"),
    "best of another history": (
        attribute("training", best_validation_accuracy=math.nan),
        "its best validation accuracy is",
    ),
    "cost without end": (
        attribute("training", epoch_step=1, epoch_cost=math.nan),
        "right answers are .* expected finite",
    ),
    "no settings": (attribute("training", settings="5"), "is no checkpoint of a network"),
    "odd settings": (json_attribute("training", "settings", eta=-1), "eta is -1"),
    "unknown settings": (
        json_attribute("training", "settings", beauty=1),
        "unexpected keyword argument 'beauty'",
    ),
    "other settings": (
        json_attribute("training", "settings", eta=0.5),
        "optimizer@eta is 0.05, expected 0.5",
    ),
    "no run": (attribute("training", run="[1]"), "its run is no table of settings"),
    "negative history": (attribute("history", epochs=-1), "expected float64"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_file_is_refused(trained, tmp_path, case):
    edit, said = CRAFTED[case]
    path = copy(trained, tmp_path)
    craft(path, edit)
    line = refusal(path)
    assert re.search(said, line), line


def test_a_crafted_file_that_says_the_same_is_taken(trained, tmp_path):
    """The helper itself: were its digest or its seal wrong, no test above would mean anything."""
    path = copy(trained, tmp_path)
    craft(path, lambda file: None)
    same(Network.load(trained), Network.load(path))
    craft(path, changed("history/cost", lambda array: array + 1))
    assert Network.load(path).history["cost"][0] == Network.load(trained).history["cost"][0] + 1


def test_digest_and_seal_are_both_needed(trained, tmp_path):
    path = copy(trained, tmp_path)
    craft(path, changed("history/cost", lambda array: array + 1), digest=False)
    assert "its content does not fit its digest" in refusal(path)
    path = copy(trained, tmp_path)
    with h5py.File(path, "r+") as file:
        file["history/cost"][0] = 0
    assert "is damaged, or another program changed it" in refusal(path)
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2
    assert "has the format version 2" in refusal(path)


@pytest.mark.parametrize("shape", [(), (40,)])
def test_one_text_in_many_places_is_not_read_so_often(trained, tmp_path, shape):
    """A file of 2 MB whose attributes all point at one text of 1 MB: 40 attributes, or one of 40 parts.

    It is written in HDF5's old format, whose attributes have no checksums.
    """
    path = tmp_path / "a.h5"
    with h5py.File(trained) as good, h5py.File(path, "w", userblock_size=512) as file:
        file.attrs.update(good.attrs)
        file.create_group("training").attrs.update(
            dict(good["training"].attrs) | {"run": "x" * 10**6}
        )
        for number in range(1 if shape else 40):
            text = np.array(["y" * 7777] * 40, object) if shape else "y" * 7777
            file["training"].attrs.create(f"a{number}", text, dtype=h5py.string_dtype())
    body = path.read_bytes()[512:]
    # A text's length, and where it lies; the text itself has eight bytes for its length.
    short, long = (
        re.compile(struct.pack("<I", length) + b"(?!\0{4}).{12}", re.DOTALL)
        for length in (7777, 10**6)
    )
    assert len(short.findall(body)) == 40
    (place,) = long.findall(body)
    path.write_bytes(checkpoint.sealed(short.sub(lambda _: place, body)))
    with h5py.File(path) as file:
        assert len(np.ravel(file["training"].attrs["a0"])[0]) == 10**6
    assert re.search(
        "is neither a text nor a number" if shape else "would make it larger than it is",
        refusal(path),
    )


VALUES = [math.nan, -math.inf, 0.5, -1, 2**63 - 1, "", "x", "{}", "null", '{"epochs": []}']


@pytest.mark.slow
def test_any_value_of_any_attribute_is_refused_or_taken(few, tmp_path):
    """Nothing but CheckpointError comes of odd values, whatever their place."""
    net = Network([Softmax(10)], (1, 8, 8))
    net.fit(few[0], 1, 10, 0.1, validation=few[1])
    net.save(tmp_path / "a.h5")
    path = tmp_path / "copy.h5"
    refused, taken = [], []
    with h5py.File(tmp_path / "a.h5") as file:
        places = [
            (group, name)
            for group in ("/", "optimizer", "training", "history")
            for name in file[group].attrs
        ]
    for group, name in places:
        for value in VALUES if name != "digest" else ():
            copy(tmp_path / "a.h5", tmp_path)
            craft(path, attribute(group, **{name: value}))
            try:
                Network.load(path)
                taken.append(f"{group}@{name}")
            except CheckpointError as error:
                refused.append(one_line(error, path))
    assert len(refused) > 200
    # What says nothing about the network, and a test accuracy that was NaN and is so again.
    free = ("data", "run", "epoch_seconds", "best_test_accuracy", "best_data")
    assert set(taken) == {f"training@{name}" for name in free} | {"/@nbconv_version"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    Network([Conv2D(1, 2), MaxPool2D(1), Dense(1)], (1, 3, 3)).save(
        tmp_path_factory.mktemp("odd") / "a.h5"
    )
    return tmp_path_factory.getbasetemp() / "odd0" / "a.h5"


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from([10**9, 2**63, 10**400, "Dense", "Conv2D", "float64", "O,O", "relu"]),
)  # fmt: skip
ODD = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)


@pytest.mark.slow
@settings(max_examples=150)
@given(value=ODD, choice=st.integers(0, 10**6))
def test_any_json_is_refused_or_taken(odd, value, choice):
    """One place of the network's JSON, at any depth, says something else."""
    with h5py.File(odd) as file:
        network = json.loads(file.attrs["network"])
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(network)
    node, key = places[choice % len(places)]
    node[key] = value
    path = copy(odd, odd.parent)
    craft(path, lambda file: file.attrs.__setitem__("network", json.dumps(network)))
    tracemalloc.start()
    try:
        Network.load(path)
    except CheckpointError as error:
        one_line(error, path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**25
