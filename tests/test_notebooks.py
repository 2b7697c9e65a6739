"""What notebooks show: objects as HTML, a training while it runs, and the notebooks of docs/."""

import base64
import io
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import nbconv
from nbconv import display
from nbconv.training.history import line

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))
VOID = {"br", "img"}


class Elements(HTMLParser):
    """The elements of a piece of HTML, all of which must be closed, and its text."""

    def __init__(self, html):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def pixels(picture):
    """An image element's pixels."""
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow: the extra pictures")
    head, _, data = picture["src"].partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(pillow.open(io.BytesIO(base64.b64decode(data))))


# Objects


def test_a_network_is_a_table():
    net = nbconv.Network([nbconv.Conv2D(8, 3), nbconv.MaxPool2D(2), nbconv.Softmax(10)], (1, 8, 8))
    shown = Elements(net._repr_html_())
    assert len(shown.all("tr")) == 5
    for word in ("8C3 (Conv2D, sigmoid)", "8x6x6", "730", "810 parameters, cost log-likelihood"):
        assert word in shown.text


def test_a_dataset_is_a_strip_of_pictures():
    images = np.arange(3 * 64, dtype=np.uint8).reshape(3, 1, 8, 8)
    names = ["<script>alert(1)</script>", 'a "quoted" one', "b & c"]
    shown = Elements(nbconv.Dataset(images, [0, 1, 2], class_names=names)._repr_html_())
    assert not shown.all("script")
    assert [small["title"] for small in shown.all("small")] == names
    assert all(name in shown.text for name in names)
    assert shown.text.startswith("Dataset(3 images of 1x8x8, 3 classes)")
    for picture, image in zip(shown.all("img"), images, strict=True):
        np.testing.assert_array_equal(pixels(picture), image[0])


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((3, 5, 7), (5, 7, 3)),
        ((2, 5, 7), (5, 7)),
        ((1, 1, 49), (7, 7)),
        ((1, 1, 13), (1, 13)),
        ((1, 1, 1), (1, 1)),
        ((3, 200, 130), (50, 33, 3)),  # every fourth pixel of large ones
    ],
)
def test_pictures_of_any_shape(shape, shown):
    images = np.random.default_rng(0).uniform(size=(4, *shape))
    first = Elements(nbconv.Dataset(images, [0, 1, 2, 3])._repr_html_()).all("img")[0]
    assert pixels(first).shape == shown
    if shape[0] == 3:
        step = shape[1] // shown[0]
        expected = np.moveaxis(images[0, :, ::step, ::step], 0, 2)
        np.testing.assert_allclose(pixels(first), 255 * expected, atol=0.51)


def test_of_many_images_some_are_shown():
    """From the first to the last, so that of images sorted by class all are seen."""
    data = nbconv.Dataset(np.zeros((1000, 1, 2, 2)), np.arange(1000) // 100)
    shown = Elements(data._repr_html_())
    labels = [small["title"] for small in shown.all("small")]
    assert len(labels) == 20
    assert set(labels) == {str(k) for k in range(10)}
    assert len(Elements(data[:1]._repr_html_()).all("img")) == 1


def test_a_history_is_two_charts():
    cost, accuracy = [2.0, math.nan, 0.5], [0.25, 0.5, 1.0]
    history = nbconv.History({"cost": cost, "validation_accuracy": accuracy, "speed_1": cost})
    shown = Elements(history._repr_html_())
    assert [chart["aria-label"] for chart in shown.all("svg")] == [
        "cost over 3 epochs",
        "accuracy, % over 3 epochs",
    ]
    assert "mini-batches 0.5" in shown.text
    assert "validation 100" in shown.text
    costs, accuracies = (
        [tuple(map(float, point.split(","))) for point in each["points"].split()]
        for each in shown.all("polyline")
    )
    assert len(costs) == 2  # without NaN
    assert costs[0][0] == accuracies[0][0] < accuracies[1][0] < costs[1][0] == accuracies[2][0]
    assert costs[0][1] < costs[1][1]  # y goes down
    assert accuracies[1][1] - accuracies[0][1] == pytest.approx(
        (accuracies[2][1] - accuracies[0][1]) / 3, abs=0.1
    )


@pytest.mark.parametrize(
    "cost", [[1.5], [0.0, 0.0], [math.inf, 1e-300], [1e12, -1e12], [0.1, 0.10000001]]
)
def test_a_history_of_any_numbers(cost):
    shown = Elements(nbconv.History({"cost": cost})._repr_html_())
    assert len(shown.all("polyline")) == 1
    assert not re.search(r"\b(nan|inf)\b", " ".join(str(each) for each in shown.found))


@pytest.mark.parametrize("metrics", [{}, {"cost": []}, {"cost": [math.nan]}, {"speed_1": [1.0]}])
def test_an_empty_history_is_its_text(metrics):
    assert nbconv.History(metrics)._repr_html_() is None


def test_colours_can_be_read_on_light_and_dark_pages():
    def luminance(colour):
        channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour, _ in display.STYLES:
        for page in ("#ffffff", "#111111"):
            dark, light = sorted((luminance(colour), luminance(page)))
            assert (light + 0.05) / (dark + 0.05) > 3, (colour, page)


# A training


def test_verbose_in_a_script(digits, capsys):
    train, _, _ = digits
    told = []
    for verbose in (None, False, True):
        net = nbconv.Network([64, 10])
        net.fit(train, 2, 100, 0.1, verbose=verbose, callback=told.append)
        out = capsys.readouterr().out
        assert out == ("".join(line(each, 2) + "\n" for each in told[-2:]) if verbose else "")
    assert [metrics["epoch"] for metrics in told] == 3 * [1, 2]
    net.fit(train, 1, 100, 0.1, verbose=True)  # goes on
    assert capsys.readouterr().out.startswith("epoch 3/3  cost ")


@pytest.mark.slow
def test_a_script_does_not_import_ipython():
    script = """
import sys, nbconv
train, _, _ = nbconv.load_data("digits")
nbconv.Network([64, 10]).fit(train, 1, 100, 0.1)
print("IPython" in sys.modules)
import IPython  # and that alone is no notebook
nbconv.Network([64, 10]).fit(train, 1, 100, 0.1)
"""
    pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.fixture
def run():
    """Run cells in a kernel: the outputs of each."""
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    import nbformat

    def outputs(*cells):
        notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
        return executed(nbclient, notebook)

    return outputs


def executed(nbclient, notebook):
    """The outputs of each cell of code."""
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


IGNORED = pytest.mark.filterwarnings("ignore")  # nbclient's and its kernel's, which are not ours


@IGNORED
@pytest.mark.slow
def test_in_a_kernel(run):
    _, (training,), silent, shown, figure, figures = run(
        "import nbconv\n"
        "train, valid, _ = nbconv.load_data('digits')\n"
        "net = nbconv.Network([64, 10])",
        "_ = net.fit(train, 3, 100, 0.1, validation=valid)",
        "_ = net.fit(train, 1, 100, 0.1, verbose=False)\n_ = net.find_eta(train[:200])",
        "nbconv.sklearn = __import__('nbconv.sklearn').sklearn\n"
        "_ = nbconv.sklearn.NetworkClassifier(epochs=1).fit(train.images[:, 0], train.labels)",
        "from nbconv import plots\nplots.sigma()",
        "plots.curves(net.history)",
    )
    assert training.output_type == "display_data"
    live = Elements(training.data["text/html"])
    assert live.all("progress") == [{"max": "1", "value": "1.000", "style": "width:300px"}]
    assert training.data["text/plain"].startswith("epoch 3/3  cost ")
    assert "epoch 3/3  cost " in live.text
    assert len(live.all("svg")) == 2
    assert silent == shown == []
    for (output,) in (figure, figures):
        assert base64.b64decode(output.data["image/png"]).startswith(b"\x89PNG")


# The notebooks of docs/


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    text = path.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert {cell["cell_type"] for cell in cells} == {"code", "markdown"}
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert 'data = "digits"  # or: data = "mnist"\n' in code[0]["source"]


@IGNORED
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: the extra plot")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    outputs = executed(nbclient, notebook)
    shown = {kind for each in outputs for output in each for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= shown
