"""Files that someone made on purpose: first line and digest fit, and still they are refused."""

import json
import math
import os
import random
import re
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbconv import CheckpointError, Conv2D, Dense, MaxPool2D, Network, Softmax
from nbconv.checkpoint import file as checkpoint

from .conftest import copy, one_line, refusal, same


def crafted(contents, edit_index=lambda index: None):
    """The bytes of a file with these contents, its index edited; no HDF5 is behind them."""
    body = b"".join(array.tobytes() for array in contents.arrays.values())
    index = {"attributes": contents.attributes, "arrays": {}}
    # The body begins where the index, whose length is not known yet, has certainly ended.
    offset = 4096 * (2 + len(json.dumps(contents.attributes)) // 2048)
    for path, array in contents.arrays.items():
        index["arrays"][path] = [array.dtype.str, list(array.shape), offset]
        offset += array.nbytes
    index = edit_index(index) or index
    text = index if isinstance(index, bytes) else json.dumps(index).encode() + b"\n"
    rest = text.ljust(offset - len(body) - checkpoint.LINE_BYTES, b"\n") + body
    return checkpoint.first_line(rest) + rest


def craft(path, edit, digest=True):
    """Edit a checkpoint's contents, and make its first line and its digest fit."""
    contents = checkpoint.load(path)
    edit(contents)
    if digest:
        contents.attributes[""]["digest"] = contents.digest()
    path.write_bytes(crafted(contents))


def put(name, value):
    """An edit: this array in the place of one that may be there."""
    return lambda contents: contents.arrays.update({name: np.asarray(value)})


def changed(name, change):
    return lambda contents: put(name, change(contents.arrays[name]))(contents)


def without(name):
    """An edit that removes an array, an attribute ("training@epoch") or a group and all in it."""

    def edit(contents):
        group, _, attribute = name.partition("@")
        if attribute:
            del contents.attributes[group][attribute]
            return
        for kind in (contents.arrays, contents.attributes):
            for path in [path for path in kind if path == name or path.startswith(f"{name}/")]:
                del kind[path]

    return edit


def group(name):
    return lambda contents: contents.attributes.update({name: {}})


def moved(old, new):
    def edit(contents):
        for path in [path for path in contents.arrays if path.startswith(f"{old}/")]:
            contents.arrays[path.replace(old, new)] = contents.arrays.pop(path)

    return edit


def attribute(group, **values):
    return lambda contents: contents.attributes.setdefault(group, {}).update(values)


def json_attribute(group, name, **values):
    """An edit: some entries of a JSON attribute."""

    def edit(contents):
        attributes = contents.attributes[group]
        attributes[name] = json.dumps(json.loads(attributes[name]) | values)

    return edit


def standardised(mean, deviation):
    """An edit: the network reads pixels less this mean, divided by this deviation."""

    def edit(contents):
        json_attribute("training", "settings", standardise=True)(contents)
        contents.arrays |= {"input/mean": mean, "input/deviation": deviation}

    return edit


def averaged(epochs, decay=0.5):
    """An edit: the weights are the average of so many epochs."""

    def edit(contents):
        json_attribute("training", "settings", ema_decay=decay)(contents)
        for path in [path for path in contents.arrays if path.startswith("layers/")]:
            own = contents.arrays[path].copy()
            contents.arrays[path.replace("layers", "unaveraged")] = own
        contents.attributes["unaveraged"] = {"epochs": epochs}

    return edit


ONE, BIG = np.ones(1, "f4"), np.full(1, 3, "f4")
WEIGHTS = "layers/0-conv2d/weights"
CRAFTED = {
    "missing weights": (without(WEIGHTS), "parameters, expected"),
    "missing velocity": (
        without("optimizer/2-dense/biases"),
        "it lacks 'optimizer/2-dense/biases'",
    ),
    "missing best": (without("best"), "it lacks 'best/0-conv2d/weights'"),
    "missing metric": (
        without("history/cost"),
        "its history has the metrics",
    ),
    "missing half of a metric": (
        without("history/test_cost"),
        "its history has the metrics",
    ),
    "missing history": (without("history"), "it lacks 'history'"),
    "missing training": (without("training"), "it lacks 'training'"),
    "missing attribute": (
        without("training@epoch"),
        "it lacks 'epoch'",
    ),
    "missing seed": (
        without("training@seed"),
        "it lacks 'training@seed'",
    ),
    "missing network": (without("@network"), "it lacks 'network'"),
    "extra weights": (put("layers/4-dense/weights", np.ones(3, "f4")), "parameters, expected"),
    "extra array": (put("training/more", np.ones(3)), "'training/more' is no part of it"),
    "extra metric": (put("history/beauty", np.ones(3)), "its history has the metrics"),
    "extra nested metric": (put("history/test/cost", np.ones(3)), "its history has the metrics"),
    "extra group": (group("more"), "'more' is no part of it"),
    "extra deep group": (
        group("layers/0-conv2d/more"),
        "'layers/0-conv2d/more' is no part",
    ),
    "extra attribute": (attribute("layers", more=1), "'layers@more' is no part of it"),
    "extra root attribute": (attribute("", more="x"), "'@more' is no part of it"),
    "renamed layer": (
        moved("layers/0-conv2d", "layers/0-dense"),
        "it lacks 'layers/0-conv2d/weights'",
    ),
    "renamed velocity": (
        moved("optimizer/2-dense", "optimizer/x\n\x1b[2J"),
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
        "weights' is >f4",
    ),
    "whole numbers": (
        changed(WEIGHTS, lambda array: array.astype("i4")),
        "weights' is <i4",
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
    "network in no JSON": (attribute("", network="{garbage"), "Expecting property name"),
    "network without end": (attribute("", network="[" * 30_000), "is no checkpoint of a network"),
    "network is a number": (attribute("", network=5), "is no checkpoint of a network"),
    "network is null": (attribute("", network="null"), "is no checkpoint of a network"),
    "network is empty": (attribute("", network="{}"), "it lacks 'input_shape'"),
    "no layers": (json_attribute("", "network", layers=[]), "it has 0 layers, expected 1 to 10000"),
    "no last layer": (
        json_attribute("", "network", layers=[{"layer": "MaxPool2D", "size": 2}]),
        "last layer is MP2",
    ),
    "unknown layer": (
        json_attribute("", "network", layers=[{"layer": "os.system"}]),
        "layer is 'os.system'",
    ),
    "unknown setting": (
        json_attribute("", "network", layers=[{"layer": "Dense", "neurons": 2, "x\n\x1b[2J": 1}]),
        "unexpected keyword",
    ),
    "a billion neurons": (
        json_attribute(
            "",
            "network",
            layers=[{"layer": "Dense", "neurons": 10**9}, {"layer": "Softmax", "neurons": 10**9}],
        ),
        "parameters, expected 1000000066000000000",
    ),
    "a large kernel": (
        json_attribute(
            "",
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
        json_attribute("", "network", input_shape=[1, 10**9, 10**9]),
        "parameters, expected",
    ),
    "more than can be": (
        json_attribute("", "network", layers=[{"layer": "Dense", "neurons": 10**400}]),
        "expected at most",
    ),
    "more dropout than can be": (
        json_attribute(
            "", "network", layers=[{"layer": "Dense", "neurons": 1, "dropout": 10**400}]
        ),
        "too large",
    ),
    "other dtype": (
        json_attribute("", "network", dtype="float64"),
        "is float32 .* expected float64",
    ),
    "unknown dtype": (
        json_attribute("", "network", dtype="(1,O"),
        "dtype is .* expected one of float32, float64",
    ),
    "other seed": (json_attribute("", "network", seed=6), "training@seed is 5, expected 6"),
    "wrong seed": (json_attribute("", "network", seed=-1), "seed is -1"),
    "other network": (
        json_attribute(
            "", "network", input_shape=[1, 1, 1], layers=[{"layer": "Softmax", "neurons": 5}]
        ),
        "expected 10",
    ),
    "other cost": (json_attribute("", "network", cost="quadratic"), "cost is 'quadratic' behind"),
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
    "standardised by nothing": (
        json_attribute("training", "settings", standardise=True),
        "it lacks 'input/mean'",
    ),
    "standardised, and its settings do not say so": (
        put("input/mean", ONE),
        "'input' is no part of it",
    ),
    "a mean beyond white": (standardised(BIG, ONE), r"means \[3.0\] and deviations \[1.0\]"),
    "a mean that is NaN": (standardised(BIG * np.nan, ONE), r"means \[nan\] and"),
    "no deviation": (standardised(ONE, 0 * ONE), r"deviations \[0.0\], expected those of pixels"),
    "a deviation that is NaN": (standardised(ONE, ONE * np.nan), r"deviations \[nan\], expected"),
    "means of three channels": (standardised(ONE.repeat(3), ONE), r"input/mean is float32 \(3,\)"),
    "coarse deviations": (standardised(ONE, ONE.astype("f8")), "deviation is float64"),
    "an average of nothing": (averaged(0), "an average with ema_decay 0.5 of 0 of 3 epochs"),
    "an average of the future": (averaged(4), "of 4 of 3 epochs"),
    "an average without a decay": (averaged(2, decay=0.0), "an average with ema_decay 0 of 2"),
    "half an epoch's average": (averaged(1.5), "unaveraged@epochs is 1.5, expected 1"),
    "an average, and no training's weights": (
        attribute("unaveraged", epochs=1),
        "it lacks 'unaveraged/0-conv2d/weights'",
    ),
    "a training's weights, and no average": (
        put("unaveraged/3-softmax/biases", np.ones(10, "f4")),
        "'unaveraged' is no part of it",
    ),
    "no run": (attribute("training", run="[1]"), "its run is no table of settings"),
    "negative history": (attribute("history", epochs=-1), "expected float64"),
    "very many layers": (
        json_attribute("", "network", layers=[{"layer": "Dense", "neurons": 1}] * 20_000),
        "it has 20000 layers, expected 1 to 10000",
    ),
    "other version": (attribute("", version=3), "its index is not that of format nbconv 2"),
    "version in words": (attribute("", version="2"), "its index is not that of format nbconv 2"),
    "no version": (without("@version"), "its index is not that of format nbconv 2"),
    "other format": (attribute("", format="keras"), "its index is not that of format nbconv 2"),
    "many arrays": (
        lambda contents: contents.arrays.update(
            {f"x/{n}": np.ones(1, "f4") for n in range(10_001)}
        ),
        "it has more than 10000 arrays or groups",
    ),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_file_is_refused(trained, tmp_path, case):
    edit, said = CRAFTED[case]
    path = copy(trained, tmp_path)
    craft(path, edit)
    line = refusal(path)
    assert re.search(said, line), line


def array(entry):
    """An edit of the index: that of an array is another one."""
    return lambda index: index["arrays"].update({"history/cost": entry})


def value(entry):
    """An edit of the index: that of an attribute is another one."""
    return lambda index: index["attributes"]["training"].update(epoch=entry)


def entry(name, content):
    return lambda index: index.update({name: content})


INDEXES = {
    "texts for numbers": (array(["|S8", [3], 4096]), "'history/cost' is |S8"),
    "objects for numbers": (array(["|O", [3], 4096]), "'history/cost' is |O"),
    "structures for numbers": (array([[["a", "<f8"]], [3], 4096]), "'history/cost' is"),
    "truths for numbers": (array(["|b1", [3], 4096]), "'history/cost' is |b1"),
    "no dtype": (array([None, [3], 4096]), "'history/cost' is None"),
    "negative shape": (array(["<f8", [-3], 4096]), "'history/cost' is <f8"),
    "half a shape": (array(["<f8", [1.5], 4096]), "'history/cost' is <f8"),
    "shape of truths": (array(["<f8", [True], 4096]), "'history/cost' is <f8"),
    "shape in words": (array(["<f8", "3", 4096]), "'history/cost' is <f8"),
    "shape of lists": (array(["<f8", [[3]], 4096]), "'history/cost' is <f8"),
    "no shape": (array(["<f8", None, 4096]), "NoneType"),
    "huge": (array(["<f8", [2**40], 4096]), "'history/cost' would make it larger than it is"),
    "huge beyond numbers": (array(["<f8", [10**30] * 8, 0]), "would make it larger than it is"),
    "huge and empty": (array(["<f8", [2**62, 2**62, 0], 0]), "is no checkpoint"),
    "many axes": (array(["<f8", [1] * 100, 4096]), "has 100 axes"),
    "before the file": (array(["<f8", [3], -8]), "'history/cost' is <f8"),
    "behind the file": (array(["<f8", [3], 2**31]), "would make it larger than it is"),
    "offset in words": (array(["<f8", [3], "0"]), "'history/cost' is <f8"),
    "one entry too few": (array(["<f8", [3]]), "not enough values"),
    "one entry too many": (array(["<f8", [3], 4096, 1]), "too many values"),
    "no entries": (array(None), "NoneType"),
    "truth": (value(True), "'training@epoch' is neither a text nor a number"),
    "null": (value(None), "'training@epoch' is neither a text nor a number"),
    "list": (value([3]), "'training@epoch' is neither a text nor a number"),
    "table": (value({}), "'training@epoch' is neither a text nor a number"),
    "half a character": (value("\ud800"), "does not fit its digest"),
    "a group is a list": (lambda index: index["attributes"].update(x=[]), "'x' in its index"),
    "arrays in a list": (entry("arrays", []), "'arrays' in its index is no table"),
    "attributes in a list": (entry("attributes", []), "'attributes' in its index is no table"),
    "no root": (lambda index: index["attributes"].pop("") and None, "its index is not that of"),
    "no arrays": (lambda index: index.pop("arrays") and None, "it lacks 'arrays'"),
    "a list": (lambda index: b"[]\n", "list indices"),
    "nothing": (lambda index: b"\n", "Expecting value"),
    "no line": (lambda index: b"{}" * 10**5, "Extra data|decode"),
    "no text": (lambda index: b"\xff\xfe\n", "Expecting value|decode"),
    "no end": (lambda index: b"[" * 10**6 + b"\n", "recursion|Recursion"),
    "long number": (lambda index: b"[" + b"9" * 10**6 + b"]\n", "digits"),
}


@pytest.mark.parametrize("case", INDEXES)
def test_a_crafted_index_is_refused(trained, tmp_path, case):
    edit, said = INDEXES[case]
    path = tmp_path / "a.h5"
    path.write_bytes(crafted(checkpoint.load(trained), edit))
    line = refusal(path)
    assert re.search(said, line), line


def test_a_crafted_file_that_says_the_same_is_taken(trained, tmp_path):
    """The helper itself: were its digest or first line wrong, no test above would mean anything."""
    path = copy(trained, tmp_path)
    craft(path, lambda contents: None)
    same(Network.load(trained), Network.load(path))
    craft(path, changed("history/cost", lambda array: array + 1))
    assert Network.load(path).history["cost"][0] == Network.load(trained).history["cost"][0] + 1


def test_digest_and_first_line_are_both_needed(trained, tmp_path):
    path = copy(trained, tmp_path)
    craft(path, changed("history/cost", lambda array: array + 1), digest=False)
    assert "its content does not fit its digest" in refusal(path)
    image = bytearray(trained.read_bytes())
    image[-9] ^= 1
    path.write_bytes(image)
    assert "is damaged, or another program changed it" in refusal(path)


def test_a_newer_version_is_named(trained, tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(trained.read_bytes().replace(b", format 2, ", b", format 3, ", 1))
    line = refusal(path)
    assert "has the format version 3" in line
    assert "reads versions 1 and 2" in line


def mutant(image, random):
    """A file's bytes, some of its index or of its arrays changed, with a first line that fits."""
    rest = bytearray(image[checkpoint.LINE_BYTES :])
    end = rest.index(b"\n")
    for _ in range(random.choice((1, 1, 2, 5, 30))):
        place = random.randrange(end if random.random() < 0.8 else len(rest))
        kind = random.random()
        if kind < 0.3:
            rest[place] = random.randrange(256)
        elif kind < 0.6:
            rest[place] = random.choice(b'0123456789-+.eE{}[],:" \\ntf')
        elif kind < 0.8:
            start = random.randrange(end)
            piece = rest[start : start + random.choice((1, 3, 20, 200))]
            rest[place : place + random.choice((0, len(piece)))] = piece
        else:
            del rest[place : place + random.choice((1, 3, 20, 200))]
    return checkpoint.first_line(rest) + rest


@pytest.mark.slow
def test_mutants(trained, tmp_path, monkeypatch):
    """Each is refused in one line or loaded, in little time and memory.

    NBCONV_MUTANTS: how many.
    """
    # Every digest fits, as if whoever changed the file had made it so.
    digest = checkpoint.Contents.digest
    monkeypatch.setattr(
        checkpoint.Contents,
        "digest",
        lambda contents: contents.attributes[""].get("digest") or digest(contents),
    )
    image, numbers = trained.read_bytes(), random.Random(0)
    path, loaded = tmp_path / "a.h5", 0
    for _ in range(int(os.environ.get("NBCONV_MUTANTS", "300"))):
        path.write_bytes(mutant(image, numbers))
        began = time.process_time()
        tracemalloc.start()
        try:
            Network.load(path)
            loaded += 1
        except CheckpointError as error:
            one_line(error, path)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert time.process_time() - began < 10
        assert peak < 2**25
    print(f"{loaded} loaded")


def many_parents(index):
    index["arrays"]["a/" * 60_000 + "b"] = ["<f4", [0], 0]


def one_place(index):
    """9,000 arrays that are all the weights of the first."""
    first = next(iter(index["arrays"].values()))
    index["arrays"] |= {f"more/{k}": first for k in range(9000)}


def endless_axes(index):
    next(iter(index["arrays"].values()))[1] = [4 * 10**12] * 10**5


@pytest.mark.parametrize("edit", [many_parents, one_place, endless_axes])
def test_an_index_that_would_take_long(trained, tmp_path, edit):
    """Refused before its digest is computed, which need not fit."""
    contents = checkpoint.load(trained)
    path = tmp_path / "a.h5"
    path.write_bytes(crafted(contents, edit))
    began = time.process_time()
    one_line(refusal(path), path)
    assert time.process_time() - began < 5


VALUES = [math.nan, -math.inf, 0.5, -1, 2**63 - 1, "", "x", "{}", "null", '{"epochs": []}']


@pytest.mark.slow
def test_any_value_of_any_attribute_is_refused_or_taken(few, tmp_path):
    """Nothing but CheckpointError comes of odd values, whatever their place."""
    net = Network([Softmax(10)], (1, 8, 8))
    net.fit(few[0], 1, 10, 0.1, validation=few[1])
    net.save(tmp_path / "a.h5")
    path = tmp_path / "copy.h5"
    refused, taken = [], []
    places = [
        (group, name)
        for group, attributes in checkpoint.load(tmp_path / "a.h5").attributes.items()
        for name in attributes
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
    as_it_was = {"pictures@class_names"}  # there are none: null
    expected = {f"training@{name}" for name in free} | {"@nbconv_version"} | as_it_was
    assert set(taken) == expected


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
    network = json.loads(checkpoint.load(odd).attributes[""]["network"])
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
    craft(path, attribute("", network=json.dumps(network)))
    tracemalloc.start()
    try:
        Network.load(path)
    except CheckpointError as error:
        one_line(error, path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2**25
