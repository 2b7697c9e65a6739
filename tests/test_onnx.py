"""ONNX files: what ONNX Runtime predicts from them, what they say, where none can be written."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import POSIX, close
from nbconv.kernels.activations import FUNCTIONS

import nbconv
from nbconv import SettingError
from nbconv.diagnostics.gradcheck import CASES
from nbconv.layers import LAYERS
from nbconv.layers.conv import ConvLayer

pytest.importorskip("onnx", reason="needs onnx: the extra onnx")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
import onnx
import onnxruntime

from nbconv import onnx as exporting

PAGE = (Path(__file__).parent.parent / "docs" / "onnx.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ENDS = [name + (":0.3" if each.parameter else "") for name, each in FUNCTIONS.items()]


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def exported(net, folder):
    net.export(folder / "net.onnx")
    return session_of(folder / "net.onnx")


def random_network(layers, shape, **options):
    """Parameters and running statistics at random."""
    net = nbconv.Network(layers, shape, seed=1, **options)
    random = np.random.default_rng(1)
    net.set_parameters(
        [
            {name: random.uniform(-1, 1, array.shape) for name, array in pair.items()}
            for pair in net.parameters()
        ]
    )
    for layer in net.engine.with_statistics:
        _, channels = layer.statistics_shape
        means, variances = random.normal(size=channels), random.uniform(0.2, 2, channels)
        net.engine.write(layer.statistics, np.stack([means, variances]))
    return net


def assert_same_answers(net, session, count=50):
    """To float32's rounding; labels alike."""
    images = np.random.default_rng(2).uniform(size=(count, *net.input_shape)).astype(np.float32)
    activations, labels = session.run(None, {"images": images})
    assert activations.dtype == np.float32
    assert labels.dtype == np.int64
    close(activations, net.predict_proba(images), np.float32, terms=10)
    assert np.array_equal(labels, net.predict(images))
    assert session.run(["labels"], {"images": images[:1]})[0] == labels[0]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_network(case, tmp_path):
    net = random_network(case.layers, case.input_shape, cost=case.cost)
    session = exported(net, tmp_path)
    assert_same_answers(net, session)
    outputs = [output.name for output in session.get_outputs()]
    is_softmax = net.cost == "log-likelihood"
    assert outputs == ["probabilities" if is_softmax else "activations", "labels"]


@pytest.mark.parametrize("activation", ENDS)
def test_every_activation(activation, tmp_path):
    """Before a pooling that leaves out an edge, and of the last layer."""
    layers = [
        nbconv.Conv2D(4, (3, 2), activation=activation),
        nbconv.MaxPool2D((2, 1), (1, 3)),
        nbconv.Dense(5, activation=activation),
    ]
    net = random_network(layers, (2, 7, 10), cost="quadratic")
    assert_same_answers(net, exported(net, tmp_path))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (64,)])
def test_standardised_inputs(shape, tmp_path):
    net = random_network([nbconv.Dense(5), nbconv.Softmax(4)], shape)
    channels = shape[0] if len(shape) == 3 else 1
    net.engine.standardise(np.array([[0.2, 0.4, 0.6], [0.1, 0.5, 3.0]])[:, :channels])
    assert_same_answers(net, exported(net, tmp_path))


def test_nothing_is_left_out():
    """Each of nbconv's layers is in a network above."""
    own = {kind for kind in LAYERS.values() if kind.__module__.startswith("nbconv.layers.")}
    assert own <= {type(spec) for case in CASES.values() for spec in case.layers}


def test_float64_is_exported_in_float32(tmp_path):
    net = random_network([nbconv.Conv2D(3, 3), nbconv.Softmax(4)], (1, 8, 8), dtype="float64")
    assert_same_answers(net, exported(net, tmp_path))


def test_labels_are_those_of_z(tmp_path):
    """Sigmoid neurons that both are 1 in float32 are not equal."""
    net = nbconv.Network([1, 2])
    net.set_parameters([{"weights": [[40.0], [50.0]], "biases": [0.0, 0.0]}])
    activations, labels = exported(net, tmp_path).run(None, {"images": np.ones((1, 1), np.float32)})
    assert activations.tolist() == [[1, 1]]
    assert labels == net.predict(np.ones((1, 1))) == 1


def test_the_labels_of_the_digits(digits, tmp_path):
    train, _, test = digits
    layers = [nbconv.Conv2D(8, 3, activation="relu"), nbconv.MaxPool2D(2), nbconv.Softmax(10)]
    net = nbconv.Network(layers, (1, 8, 8))
    net.fit(train, 3, 10, 0.1)
    session = exported(net, tmp_path)
    (labels,) = session.run(["labels"], {"images": test.images[:]})
    assert np.array_equal(labels, net.predict(test.images))
    assert np.mean(labels == test.labels) > 0.85


@pytest.mark.slow
def test_the_labels_of_mnist(mnist, tmp_path):
    """All 10,000 test images, by the book's network with two convolutions."""
    train, _, test = mnist
    net = nbconv.Network(
        [
            nbconv.Conv2D(20, 5, activation="relu"),
            nbconv.MaxPool2D(2),
            nbconv.Conv2D(40, 5, activation="relu"),
            nbconv.MaxPool2D(2),
            nbconv.Dense(100, activation="relu"),
            nbconv.Softmax(10),
        ],
        (1, 28, 28),
    )
    net.fit(nbconv.Dataset(train.images[:2000], train.labels[:2000]), 1, 10, 0.03)
    session = exported(net, tmp_path)
    labels = [
        session.run(["labels"], {"images": test.images[first : first + 500]})[0]
        for first in range(0, len(test), 500)
    ]
    assert np.array_equal(np.concatenate(labels), net.predict(test.images))
    assert np.mean(np.concatenate(labels) == test.labels) > 0.8


def test_what_the_file_says(digits, tmp_path):
    train, _, _ = digits
    names = [f"number <{k}> \u00e9" for k in range(10)]
    data = nbconv.Dataset(train.images[:100], train.labels[:100], class_names=names)
    net = nbconv.Network([nbconv.Softmax(10)], (1, 8, 8))
    net.fit(data, 1, 10, 0.1)
    session = exported(net, tmp_path)
    said = session.get_modelmeta().custom_metadata_map
    assert {name: json.loads(value) for name, value in said.items()} == {
        "notation": "10N",
        "cost": "log-likelihood",
        "class_names": names,
        "preparation": json.loads(json.dumps(net.preparation.to_dict())),
        "nbconv_version": nbconv.__version__,
    }
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["n", 1, 8, 8])
    assert [output.shape for output in session.get_outputs()] == [["n", 10], ["n"]]
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert (model.producer_name, model.producer_version) == ("nbconv", nbconv.__version__)


def test_of_a_network_never_trained(tmp_path):
    session = exported(nbconv.Network([6, 3]), tmp_path)
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["class_names"]) == ["0", "1", "2"]
    assert json.loads(said["preparation"]) is None


def test_while_it_is_trained(digits, tmp_path):
    """The file of an epoch's callback is that of the network as it is then."""
    net = nbconv.Network([nbconv.Softmax(10)], (1, 8, 8))
    files = []

    def export(metrics):
        net.export(tmp_path / "net.onnx")
        files.append((tmp_path / "net.onnx").read_bytes())

    net.fit(digits[0], 2, 100, 0.1, callback=export)
    export({})
    assert files[0] != files[1] == files[2]


def test_equal_networks_give_equal_files(tmp_path):
    for name in ("a.onnx", "b.onnx"):
        nbconv.Network([6, 3], seed=4).export(tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


# What cannot be exported, or not to there


@dataclass(frozen=True)
class Same(nbconv.Conv2D):
    """A layer of one's own: it builds one that is derived from nbconv's."""

    def build(self, *arguments):
        layer = super().build(*arguments)
        layer.__class__ = type("SameLayer", (ConvLayer,), {})
        return layer


def test_a_layer_of_ones_own(tmp_path):
    net = nbconv.Network([Same(2, 3), nbconv.Softmax(2)], (1, 5, 5))
    with pytest.raises(SettingError, match="layer 1, 2C3, has no operator in ONNX: expected nbco"):
        net.export(tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_more_than_a_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "LARGEST", 80)
    nbconv.Network([4, 4]).export(tmp_path / "a.onnx")
    for layers in ([5, 4], [nbconv.Dense(4), nbconv.BatchNorm(), nbconv.Softmax(2)]):
        net = nbconv.Network(layers, 4 if isinstance(layers[0], nbconv.Dense) else None)
        with pytest.raises(SettingError, match="numbers: expected at most 20, as an ONNX file is"):
            net.export(tmp_path / "b.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def test_numbers_beyond_float32(tmp_path):
    net = nbconv.Network([2, 2], dtype="float64")
    net.set_parameters([{"weights": [[1e39, 0], [0, 0]], "biases": [0, 0]}])
    with pytest.raises(SettingError, match=re.escape("1.2N.weights has numbers up to 1e+39: exp")):
        net.export(tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_places_that_are_none(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    net = nbconv.Network([4, 2])
    for place, said in {
        "a.pb": "a.pb has an unknown extension: expected .onnx",
        "missing/a.onnx": "could not be written: No such file or directory; choose another place",
        "folder.onnx": "folder.onnx is a folder: expected the name of a file",
    }.items():
        with pytest.raises(SettingError, match=re.escape(said)):
            net.export(tmp_path / place)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.onnx"]


@POSIX
@pytest.mark.slow
def test_a_full_disk_leaves_the_old_file(tmp_path):
    old = tmp_path / "a.onnx"
    old.write_bytes(b"old")
    script = f"""
import resource
import nbconv
net = nbconv.Network([784, 30, 10])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    net.export({str(old)!r})
except Exception as error:
    print(type(error).__name__, error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert (
        said == f"SettingError {old} could not be written: File too large; choose another place\n"
    )
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


# The command


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint whose best epoch is not its last."""
    path = tmp_path_factory.mktemp("run") / "run.h5"
    net = nbconv.Network([64, 10])
    train, valid, _ = nbconv.load_data("digits")
    net.fit(train, 1, 10, 0.1, validation=valid)
    net.set_parameters([{name: -array for name, array in net.parameters()[0].items()}])
    net.save(path)
    return path


def test_the_command(run, invoke, digits):
    images = digits[2].images[:].reshape(300, 64)
    assert invoke("export", run).stdout == f"{run.with_suffix('.onnx')}\n"
    assert invoke("export", run, "--weights", "last", "-o", "last.onnx").stdout == "last.onnx\n"
    files = {"best": run.with_suffix(".onnx"), "last": "last.onnx"}
    for weights, path in files.items():
        net = nbconv.Network.load(run, weights=weights)
        (labels,) = session_of(path).run(["labels"], {"images": images})
        assert np.array_equal(labels, net.predict(images))
    invoke("export", run, "-o", "last.onnx")  # in the old one's place
    assert Path("last.onnx").read_bytes() == run.with_suffix(".onnx").read_bytes()


def test_the_commands_errors(run, invoke):
    done = invoke("export", run, "-o", "a.pb", code=1)
    assert done.stderr == "Error: a.pb has an unknown extension: expected .onnx\n"
    done = invoke("export", "none.h5", code=1)
    assert done.stderr.startswith("Error: none.h5 ")
    Path("net.onnx").write_bytes(run.read_bytes())
    assert invoke("export", "net.onnx", code=1).stderr.startswith("Error: net.onnx is the checkp")


@pytest.mark.slow
def test_without_onnx_a_line_says_what_to_install(run):
    script = f"""
import sys
sys.modules["onnx"] = None
from nbconv.cli import main
main(["export", {str(run)!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "Error: onnx is not installed: expected pip install 'nbconv[onnx]'\n"


# docs/onnx.md


def test_the_example_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[0], "docs/onnx.md", "exec"), {})


@pytest.fixture
def photos(tmp_path):
    """A network of photos, and two of other sizes to be predicted, the second rotated by EXIF."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow: the extra pictures")
    random = np.random.default_rng(0)
    images = random.uniform(size=(30, 3, 12, 16)).astype(np.float32)
    data = nbconv.Dataset(images, np.arange(30) % 3, class_names=["ant", "bee", "cat"])
    net = nbconv.Network([nbconv.Conv2D(4, 3), nbconv.Softmax(3)], (3, 12, 16))
    net.fit(data, 1, 10, 0.1)
    net.export(tmp_path / "photos.onnx")
    for name, exif in (("new.jpg", 1), ("turned.jpg", 6)):
        picture = pillow.fromarray(random.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        tags = pillow.Exif()
        tags[274] = exif
        picture.save(tmp_path / name, exif=tags)
    return net


@pytest.mark.slow
def test_the_web_service_of_the_page(photos, tmp_path):
    """It answers as the network does, about a picture that needs no more than resizing."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = EXAMPLES[1].replace("8000", str(port))
    server = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None
                time.sleep(0.05)
        picture = (tmp_path / "new.jpg").read_bytes()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", picture, timeout=60) as reply:
            answer = json.load(reply)
    finally:
        server.kill()
        server.wait()
    (outputs,) = photos.predict_proba(photos.prepare(tmp_path / "new.jpg"))
    assert answer["class"] == photos.name_of(outputs.argmax())
    assert answer["probability"] == pytest.approx(outputs.max(), abs=1e-6)


def test_the_preparation_of_the_page(photos, tmp_path):
    """Also of a picture that has to be turned; and Numba is not loaded."""
    script = f"""
import json, sys
import onnxruntime
session = onnxruntime.InferenceSession("photos.onnx")
_, channels, rows, columns = session.get_inputs()[0].shape
{EXAMPLES[2].replace("new.jpg", "turned.jpg")}
assert "numba" not in sys.modules
print(json.dumps(session.run(["probabilities"], inputs)[0].tolist()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    wanted = photos.predict_proba(photos.prepare(tmp_path / "turned.jpg"))
    np.testing.assert_allclose(json.loads(done.stdout), wanted, atol=1e-6)
