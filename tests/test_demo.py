"""The page of nbconv demo as a file: the command, what is in the page, what is refused."""

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nbconv
from nbconv import demo


@nbconv.register_layer
@dataclass(frozen=True)
class Doubled(nbconv.Dense):
    """A layer of a user's own, though it is built as a dense one."""


def described(page):
    """The network that a page holds."""
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page)[1])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint of a short training on the embedded digits."""
    from nbconv.runs import run as runs

    path = tmp_path_factory.mktemp("demo") / "run.h5"
    runs.begin({"net": "4C3-BN-MP2-10N", "epochs": 1}, path).go()
    return path


def test_the_command(run, invoke, tmp_path):
    (tmp_path / "run.h5").write_bytes(run.read_bytes())
    assert invoke("demo", "run.h5").stdout == "run-demo.html\n"
    page = Path("run-demo.html").read_text(encoding="utf-8")
    Path("other.htm").write_text("an older file, which is replaced")
    invoke("demo", "run.h5", "-o", "other.htm")
    assert Path("other.htm").read_text(encoding="utf-8") == page, "equal networks, equal pages"
    network, test = nbconv.Network.load("run.h5", weights="best"), nbconv.load_data("digits")[2]
    assert page == demo.page(network, test)
    assert [each["label"] for each in described(page)["examples"]] == list(range(10))
    assert not re.search(r"https?://(?!www.w3.org/1998/Math/MathML)|@import|url\(", page)
    assert len(page) < 2**18


def test_without_its_data(tmp_path, invoke, caplog):
    """The page comes without examples, and a line says why; with --data the reason is an error."""
    net = nbconv.Network([64, 10])
    net.state.run["data"] = str(tmp_path / "gone.npz")
    net.save(tmp_path / "run.h5")
    invoke("demo", "run.h5")
    assert f"The page has no examples: {tmp_path / 'gone.npz'} does not exist" in caplog.text
    assert described(Path("run-demo.html").read_text(encoding="utf-8"))["examples"] == []
    assert "no.npz does not exist" in invoke("demo", "run.h5", "--data", "no.npz", code=1).stderr
    invoke("demo", "run.h5", "--data", "digits")
    assert len(described(Path("run-demo.html").read_text(encoding="utf-8"))["examples"]) == 10


def test_what_is_in_the_page(digits):
    """All numbers, exactly, in little-endian; class names cannot end their element."""
    names = ["</script>", *"bcdefghij"]
    train = nbconv.Dataset(digits[0].images[:200], digits[0].labels[:200], class_names=names)
    for dtype, little_endian in (("float32", "<f4"), ("float64", "<f8")):
        layers = [nbconv.Conv2D(4, 3), nbconv.BatchNorm(), nbconv.Softmax(10)]
        net = nbconv.Network(layers, (1, 8, 8), dtype=dtype)
        net.fit(train, epochs=1, mini_batch_size=20, eta=0.1)
        page = demo.page(net, train)
        assert page.count("</script>") == 2
        found = described(page)
        assert found["classNames"] == names
        convolution, normalisation, softmax = found["layers"]
        assert convolution["activation"]["name"] == "linear", "it comes after the normalisation"
        assert normalisation["activation"]["name"] == "sigmoid"
        for layer, parameters in zip(found["layers"], net.parameters(), strict=True):
            for name, values in parameters.items():
                stored = np.frombuffer(base64.b64decode(layer[name]), little_endian)
                np.testing.assert_array_equal(stored, values.ravel())
        assert softmax["isLast"]
        pixels = np.frombuffer(base64.b64decode(found["examples"][0]["pixels"]), np.uint8)
        first = train.images[int(np.flatnonzero(train.labels == 0)[0])]
        np.testing.assert_allclose(pixels / 255, first.ravel(), atol=0.5 / 255)


def test_what_is_refused(run, invoke, tmp_path):
    (tmp_path / "run.h5").write_bytes(run.read_bytes())
    (tmp_path / "folder.html").mkdir()
    damaged = bytearray(run.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.h5").write_bytes(damaged)
    for arguments, said in {
        ("run.h5", "-o", "run.h5"): "run.h5 has an unknown extension: expected .html",
        ("run.h5", "-o", "no/a.html"): "no/a.html could not be written: No such file or directory; "
        "choose another place",
        ("run.h5", "-o", "folder.html"): "folder.html is a folder: expected the name of a file",
        ("damaged.h5",): "damaged.h5 ",
        ("missing.h5",): "missing.h5 ",
    }.items():
        error = invoke("demo", *arguments, code=1).stderr
        assert error.startswith(f"Error: {said}"), error
        assert error.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["damaged.h5", "folder.html", "run.h5"]


@pytest.mark.parametrize(
    ("layers", "shape", "said"),
    [
        (
            [Doubled(20), nbconv.Dense(10)],
            (64,),
            "layer 1, 20N, is Doubled, a layer of your own: expected nbconv's layers alone, whose "
            "mathematics the page has",
        ),
        (
            [nbconv.Dense(10)],
            (2, 8, 8),
            "the network takes pictures of 2x8x8: expected 1 or 3 channels, which the page can "
            "show",
        ),
        (
            [nbconv.Dense(2000), nbconv.Dense(2600), nbconv.Dense(10)],
            (64,),
            "the network has 5,358,610 parameters: expected at most 5,000,000 for a page that "
            "answers while one draws; nbconv report shows larger ones",
        ),
        (
            [nbconv.Conv2D(64, 5), nbconv.Conv2D(64, 5), nbconv.Dense(10)],
            (1, 40, 40),
            "the network has 107,586,560 products of weights and activations a picture: expected "
            "at most 50,000,000 for a page that answers while one draws; nbconv report shows "
            "larger ones",
        ),
    ],
)
def test_networks_that_are_refused(layers, shape, said, tmp_path):
    with pytest.raises(nbconv.SettingError) as error:
        demo.save(nbconv.Network(layers, shape), str(tmp_path / "demo.html"))
    assert str(error.value) == said
    assert not list(tmp_path.iterdir())


def test_every_layer_is_known():
    """A new layer needs its mathematics in network.js, and a case in the tests."""
    own = {kind.__name__ for kind in nbconv.layers.LAYERS.values() if kind.__module__ != __name__}
    known = {"AvgPool2D", "BatchNorm", "Conv2D", "Dense", "L2Pool2D", "MaxPool2D", "Softmax"}
    assert own == known
