"""Every picture shows what it says: its words and shades against the network and the data.

Files, axes, error lines.
"""

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from conftest import POSIX
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from nbconv.cli.plot import KINDS

import nbconv
from nbconv import BatchNorm, Conv2D, Softmax, plots
from nbconv.plots import style as paper
from nbconv.runs import run as runs

NAN = float("nan")
NET = "6C3-MP2-4C2-20N-10N"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The checkpoint of a run on the embedded digits."""
    path = tmp_path_factory.mktemp("plots") / "run.h5"
    settings = {
        "net": NET,
        "activation": "tanh",
        "initialiser": "glorot",
        "epochs": 4,
        "eta": 0.2,
        "monitor_layers": True,
    }
    runs.begin(settings, path).go()
    return path


@pytest.fixture
def figures(path):
    return plots.Figures(nbconv.Network.load(path, weights="best"))


def texts(axes, tmp_path):
    """The words of a picture, from its SVG."""
    plots.save(axes, tmp_path / "words.svg")
    root = ElementTree.parse(tmp_path / "words.svg").getroot()
    return [
        "".join(element.itertext()).strip()
        for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]


def tiles(ax, height, width, columns, count, captions=0):
    """The tiles of a mosaic as they were drawn, their zoom undone, as (count, height, width, 3)."""
    drawn = np.asarray(ax.images[0].get_array())
    zoom = max(1, 24 // height)
    tall, wide = zoom * height, zoom * width
    gap = max(1, round(0.08 * tall))
    down = tall + gap + round(captions * 0.4 * wide)
    starts = [(gap + k // columns * down, gap + k % columns * (wide + gap)) for k in range(count)]
    return np.array([drawn[y : y + tall : zoom, x : x + wide : zoom] for y, x in starts])


def grey(values):
    return np.repeat(np.asarray(values)[..., None], 3, axis=-1)


def is_signed_as(colours, numbers):
    """Whether blue is negative, red positive, white 0, and more of it is darker."""
    red, _, blue = np.moveaxis(np.asarray(colours), -1, 0)
    brightness = np.asarray(colours).min(axis=-1)
    order = np.argsort(-np.abs(numbers), axis=None)
    return (
        (np.sign(np.round(red - blue, 2)) * np.sign(numbers) >= 0).all()
        and (red - blue)[numbers > 0.3 * numbers.max()].min() > 0
        and (red - blue)[numbers < 0.3 * numbers.min()].max() < 0
        and brightness.ravel()[order[0]] < 0.5 < brightness.ravel()[order[-1]]
    )


# Each kind, of a real checkpoint


def test_curves(figures, tmp_path):
    cost, accuracy = figures.draw("curves")
    best = figures.network.state.best
    found = texts([cost, accuracy], tmp_path)
    title = f"epoch {best.epoch} is the best in validation: {100 * best.validation_accuracy:.2f} %"
    assert {"cost", "accuracy, %", "validation", "test, best epoch", "mini-batches", title} <= set(
        found
    )
    for ax in (cost, accuracy):
        assert ax.lines[-1].get_xdata()[0] == best.epoch
    shown = {line.get_label(): list(line.get_ydata()) for line in accuracy.lines}
    assert shown["validation"] == [
        100 * share for share in figures.network.history["validation_accuracy"]
    ]


def test_filters_of_a_convolution_behind_a_batch_normalisation():
    layers = [Conv2D(3, 2), BatchNorm(), Conv2D(5, 3), BatchNorm(), Softmax(4)]
    ax = plots.filters(nbconv.Network(layers, (1, 8, 8)), 2)
    assert ax.get_title(loc="left").startswith("5C3: 5 filters of 3x3 on 3 feature maps")


def test_filters(figures, tmp_path):
    one, two = (plots.filters(figures.network, layer) for layer in (1, 2))
    weights = [parameters["weights"] for parameters in figures.network.parameters()]
    for ax, w, columns in ((one, weights[0], 3), (two, weights[1], 4)):
        wanted = w.swapaxes(0, 1).reshape(
            -1, *w.shape[2:]
        )  # a row for each channel, a column for each filter
        found = tiles(ax, *w.shape[2:], columns, len(wanted), captions=int(w.shape[1] == 1))
        assert is_signed_as(found, wanted)
    assert {"6C3: 6 filters of 3x3", "weight", *"123456"} <= set(texts(one, tmp_path))
    assert {
        "4C2: 4 filters of 2x2 on 6 feature maps",
        "filter",
        "feature map of the layer before",
    } <= set(texts(two, tmp_path))


def test_filters_on_the_channels_of_an_image(tmp_path):
    ax = plots.filters(nbconv.Network([Conv2D(3, 2), Softmax(4)], (3, 8, 8)))
    found = texts(ax, tmp_path)
    assert {"3C2: 3 filters of 2x2 on 3 channels", "channel of the image", "filter"} <= set(found)


def test_feature_maps(figures, tmp_path):
    figures = replace(figures, digit=5)
    axes = figures.draw("feature-maps")
    image = figures.dataset.images[5]
    np.testing.assert_allclose(tiles(axes[0], 8, 8, 1, 1)[0], grey(1 - image[0]), atol=1e-6)
    layers = figures.network.activations(image[None], each_layer=True)
    assert len(axes) == len(layers) + 1 == 6
    for ax, (_, (a,)) in zip(axes[1:], layers[:4], strict=False):
        is_maps, a = a.ndim == 3, a if a.ndim == 3 else a[:, None, None]
        assert is_signed_as(tiles(ax, *a.shape[1:], len(a), len(a), captions=is_maps), a)
    assert [bar.get_height() for bar in axes[-1].patches] == pytest.approx(
        layers[-1][1][0].tolist()
    )
    found = texts(axes, tmp_path)
    assert found[0] == "image, 1x8x8"
    for start in (
        "6C3: 6 feature maps of 6x6; blue -",
        "MP2: 6 feature maps of 3x3; blue -",
        "4C2: 4 feature maps of 2x2; ",
        "20N: 20 neurons; ",
    ):
        assert any(text.startswith(start) for text in found), start
    assert f"10N: the answer is {layers[-1][1][0].argmax()}" in found


def test_feature_maps_without_negative_numbers():
    """Sigmoid: white is 0, black the largest; a layer that is 0 everywhere says so."""
    net = nbconv.Network([Conv2D(3, 2), Conv2D(2, 3, activation="relu"), Softmax(4)], (1, 8, 8))
    parameters = net.parameters()
    parameters[1]["biases"][:] = -1000
    net.set_parameters(parameters)
    image = np.random.default_rng(0).random((1, 1, 8, 8), np.float32)
    axes = plots.feature_maps(net, image)
    ((_, (a,)), *_) = net.activations(image)
    found = tiles(axes[1], 7, 7, 3, 3, captions=1)
    np.testing.assert_allclose(found, grey(1 - a / a.max()), atol=1e-6)
    assert axes[2].get_title(loc="left") == "2C3: 2 feature maps of 5x5; all 0"


def test_feature_maps_are_the_network_s(digits):
    """Of levels as it was trained with, here to 16."""
    levels = np.rint(digits[0].images[:300] * 16).astype(np.uint8)
    net = nbconv.Network([Conv2D(3, 3, activation="relu"), Softmax(10)], (1, 8, 8))
    net.fit(nbconv.Dataset(levels, digits[0].labels[:300]), 3, 10, 0.1)
    *_, bars = plots.feature_maps(net, levels[0])
    heights = [bar.get_height() for bar in bars.patches]
    np.testing.assert_allclose(heights, net.predict_proba(levels[:1])[0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["curves", "feature-maps", "errors", "filters", "speeds"])
def test_nothing_is_clipped(figures, kind):
    """All words of a picture are within it, with a little room."""
    figure = np.ravel(figures.draw(kind))[0].figure
    figure.draw_without_rendering()
    left, below, right, above = figure.get_tightbbox().extents  # in inches
    width, height = figure.get_size_inches()
    assert min(left, below, width - right, height - above) > 0.02


@pytest.mark.parametrize("order", [("curves", "run.h5"), ("run.h5", "curves")])
def test_the_kind_may_come_last(path, invoke, tmp_path, order):
    (tmp_path / "run.h5").write_bytes(path.read_bytes())
    assert invoke("plot", "--data", "digits", *order).stdout == "run-curves.png\n"


def test_errors(figures, tmp_path):
    test, given = figures.dataset, figures.network.predict(figures.dataset.images)
    wrong = np.flatnonzero(given != test.labels)
    assert 3 <= len(wrong) <= 100, "the test needs a network that is wrong sometimes"
    certain = figures.network.predict_proba(test.images)[wrong, given[wrong]]
    wrong = wrong[np.argsort(-certain, kind="stable")]
    ax = figures.draw("errors")
    found = texts(ax, tmp_path)
    captions = [text for text in found if text[1:2] in "→." or text[0] == "#"]
    certainty = np.sort(certain)[::-1]
    assert captions == [
        text
        for k, share in zip(wrong, certainty, strict=True)
        for text in (f"{test.labels[k]}→{given[k]}", f"{share:.3f}", f"#{k}")
    ]
    assert f"{len(wrong)} of 300 misclassified" in found
    assert "below each: correct → predicted, its probability, image number" in found
    shades = tiles(ax, 8, 8, min(20, len(wrong)), len(wrong), captions=3)
    np.testing.assert_allclose(shades, grey(1 - test.images[wrong][:, 0]), atol=1e-6)
    chosen = plots.errors(
        test.images[wrong], test.labels[wrong], given[wrong]
    )  # as reproduce draws an ensemble's
    np.testing.assert_array_equal(
        tiles(chosen, 8, 8, min(20, len(wrong)), len(wrong), captions=2), shades
    )
    assert texts(plots.errors(test.images, given, given), tmp_path) == [
        f"none of {len(test)} is misclassified"
    ]
    many = plots.errors(np.zeros((150, 8, 8)), np.zeros(150, int), np.ones(150, int))
    assert texts(many, tmp_path).count("0→1") == 100
    assert "150 of 150 misclassified, the first 100" in texts(many, tmp_path)
    assert "below each: correct → predicted, image number" in texts(many, tmp_path)
    named = plots.errors(
        test.images[:2], [0, 1], [1, 0], class_names=("cat", "a very long name"),
        files=["x/photo.png", "b.png"], probabilities=[[0.1, 0.6], [0.8, 0.3]],
    )  # fmt: skip
    shown = texts(named, tmp_path)
    one = ["a very lon…", "→ cat", "0.800", "b.png"]
    assert shown[:8] == [*one, "cat", "→ a very lon…", "0.600", "photo.png"]
    assert "below each: correct → predicted, the output for it, file" in shown
    with pytest.raises(nbconv.DataError, match="300 labels and 3 predictions"):
        plots.errors(test.images, test.labels, given[:3])


def test_names_are_shown_as_they_are(tmp_path):
    """Dollars begin no mathematics, and a file's name need not be UTF-8."""
    names = ["$10_to_$20", "$x_", "caf\udce9"]
    ax = plots.confusion([0, 1, 2], [0, 1, 2], class_names=names)
    ax.figure.savefig(tmp_path / "a.png")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[:2] == names[:2]
    assert "\udce9" not in labels[2]
    images = np.random.default_rng(0).random((3, 1, 5, 5))
    axes = plots.digits(images, [0, 1, 2], class_names=names)
    axes.figure.savefig(tmp_path / "b.png")
    errors = plots.errors(images, [0, 1, 2], [1, 2, 0], class_names=names)
    errors.figure.savefig(tmp_path / "c.png")


def test_confusion(figures, tmp_path):
    ax = figures.draw("confusion")
    right, given = figures.dataset.labels, figures.predictions
    pairs = list(zip(right.tolist(), given.tolist(), strict=True))
    cells = {
        (int(t.get_position()[1]), int(t.get_position()[0])): t.get_text()
        for t in ax.texts
        if "%" not in t.get_text() and t.get_text() != "correct"
    }
    assert cells == {pair: str(pairs.count(pair)) for pair in set(pairs)}
    shades = ax.images[0].get_array()
    assert np.isnan(np.ma.filled(np.diag(shades), NAN)).all(), (
        "the right answers are not on the errors' scale"
    )
    assert ax.images[0].get_clim()[1] == max(
        pairs.count(pair) for pair in set(pairs) if pair[0] != pair[1]
    )
    found = texts(ax, tmp_path)
    count = sum(one == other for one, other in pairs)
    assert f"{count} of {len(pairs)} correct, {len(pairs) - count} misclassified" in found
    assert found.count(f"{100 * pairs.count((0, 0)) / right.tolist().count(0):.1f} %") >= 1
    assert not plots.confusion(np.arange(25), np.arange(25)).texts  # too many classes for numbers
    with pytest.raises(nbconv.DataError, match="0 labels"):
        plots.confusion([], [])


def test_speeds(figures, tmp_path):
    ax = figures.draw("speeds")
    history = figures.network.history
    assert ax.get_yscale() == "log"
    assert [list(line.get_ydata()) for line in ax.lines] == [
        history[f"speed_{k}"] for k in (1, 2, 3, 4)
    ]
    said = set(texts(ax, tmp_path))
    assert {"1: 6C3", "2: 4C2", "3: 20N", "4: 10N", "epoch", "speed of learning, |dC/db|"} <= said
    assert {"layer 1", "layer 4"} <= set(texts(plots.speeds(history), tmp_path))
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3, 4]


def test_digits(figures, tmp_path):
    ax = figures.draw("digits")
    test = figures.dataset
    *labels, title = texts(ax, tmp_path)
    assert labels == [str(label) for label in test.labels[:100]]
    assert title == "the first 100 of 300 images, the correct label below each"
    shades = tiles(ax, 8, 8, 20, 100, captions=1)
    np.testing.assert_allclose(shades, grey(1 - test.images[:100][:, 0]), atol=1e-6)


def test_images_of_other_shapes():
    numbers = np.random.default_rng(0)
    coloured = numbers.random((3, 3, 5, 4))
    np.testing.assert_allclose(
        tiles(plots.digits(coloured), 5, 4, 3, 3), coloured.transpose(0, 2, 3, 1)
    )
    flat = numbers.integers(0, 256, (2, 16), np.uint8)
    np.testing.assert_allclose(
        tiles(plots.digits(flat), 4, 4, 2, 2), grey(1 - flat.reshape(2, 4, 4) / 255), atol=1e-6
    )
    assert tiles(plots.digits(numbers.random((2, 15))), 1, 15, 2, 2).shape == (2, 1, 15, 3)


# Pictures of numbers from elsewhere


def test_curves_of_little(tmp_path):
    one = plots.curves({"cost": [0.3]})
    assert one[0].lines[0].get_markevery() == [0]
    assert "no accuracy was recorded" in texts(one, tmp_path)
    late = plots.curves(
        {
            "cost": [0.3] * 30,
            "validation_accuracy": [NAN] * 29 + [0.9],
            "validation_cost": [NAN] * 30,
        }
    )
    assert [line.get_label() for line in late[0].lines[:-1]] == ["mini-batches"]
    assert late[1].lines[0].get_markevery() == [29]
    assert late[0].lines[0].get_markevery()[-2:] == [28, 29]  # the end has its mark
    assert "epoch 30 is the best in validation: 90.00 %" in texts(late, tmp_path)
    assert texts(plots.curves({"cost": [NAN, float("inf")]}), tmp_path) == [
        "no cost was recorded",
        "no accuracy was recorded",
    ]
    for nothing in ({}, {"cost": []}):
        with pytest.raises(nbconv.SettingError, match="history has no epochs"):
            plots.curves(nothing)


def test_curves_leave_room_for_what_matters():
    """A cost over decades has a logarithmic axis.

    An accuracy's axis begins where its later epochs are, and says so.
    """
    epochs = np.arange(60)
    history = {
        "cost": 2 * np.exp(-epochs / 2) + 0.001,
        "validation_accuracy": 0.99 - 0.5 * np.exp(-epochs),
    }
    cost, accuracy = plots.curves(
        {name: numbers.tolist() for name, numbers in history.items()}, best=7
    )
    assert cost.get_yscale() == "log"
    assert accuracy.get_ylim()[0] > 98
    assert accuracy.get_ylabel().startswith("accuracy, %, from 9")
    assert accuracy.lines[-1].get_xdata()[0] == 7


def test_labels_beside_lines_do_not_meet():
    ax = plots.course([[1, 0.1], [1, 0.1001], [1, 0.1002], [1, 0.5]])
    ax.figure.draw_without_rendering()
    boxes = sorted(
        (Text.get_window_extent(text).extents for text in ax.texts), key=lambda box: box[1]
    )
    assert len(boxes) == 4
    assert all(below[3] <= above[1] + 1 for below, above in itertools.pairwise(boxes))
    lowest_first = sorted(ax.texts, key=lambda text: Text.get_window_extent(text).y0)
    said = [text.get_text() for text in lowest_first]
    assert said == ["layer 1", "layer 2", "layer 3", "layer 4"]


def test_course_beside_the_book_s(tmp_path):
    ax = plots.course(
        [[0.1, 0.05, 0.0], [0.4, NAN, 0.2]], {0: (0.11, 0.38), 2: (0.03, 0.21)}, "a title"
    )
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_ydata()) for line in hollow] == [[0.11, 0.03], [0.38, 0.21]]
    assert [list(line.get_xdata()) for line in hollow] == [[0, 2], [0, 2]]
    ours = [line for line in ax.lines if line not in hollow]
    assert [line.get_color() for line in ours] == [line.get_color() for line in hollow]
    assert (
        len({str(line._unscaled_dash_pattern) for line in ours})
        == len({line.get_marker() for line in ours})
        == 2
    )
    assert {"a title", "layer 1", "layer 2", "ours", "the book's figure"} <= set(
        texts(ax, tmp_path)
    )
    plots.course([[0.0, NAN]])  # nothing that a logarithmic axis could show


def test_courses_bars_sigma(tmp_path):
    named = {
        name: [[0.1 * k, 0.01], [1, 0.2]]
        for k, name in enumerate(("one", "two", "three", "four"), 1)
    }
    axes = plots.courses(named)
    assert [ax.get_title(loc="left") for ax in axes] == list(named)
    assert len(axes[0].figure.axes) == 4
    assert len({ax.get_ylim() for ax in axes}) == 1
    ax = plots.bars([[0.1, -0.2], [0.3, 0.4, 0.5]])
    assert [bar.get_height() for bar in ax.patches] == [0.1, -0.2, 0.3, 0.4, 0.5]
    assert {"hidden layer 1", "hidden layer 2", "neuron", "dC/db"} <= set(texts(ax, tmp_path))
    sigma, slope = (line.get_ydata() for line in plots.sigma().lines)
    np.testing.assert_allclose(slope, sigma * (1 - sigma))
    assert slope.max() == 0.25


# Axes, figures, files


def test_axes_in_and_out(figures):
    """What is drawn on axes that are given is on these, of any figure.

    Of another number it is refused.
    """
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.curves(figures.network.history, [left, right]) == [left, right]
    for draw in (
        lambda ax: plots.filters(figures.network, 1, ax),
        lambda ax: plots.errors(
            figures.dataset.images, figures.dataset.labels, figures.predictions, ax
        ),
        lambda ax: plots.confusion(figures.dataset.labels, figures.predictions, ax),
        lambda ax: plots.digits(figures.dataset.images, ax=ax),
        lambda ax: plots.speeds(figures.network.history, ax),
        lambda ax: plots.bars([[1, 2]], ax),
        plots.sigma,
    ):
        ax = Figure().subplots()
        assert draw(ax) is ax
        assert ax.has_data()
    with pytest.raises(nbconv.SettingError, match="axes are 2: expected 6"):
        plots.feature_maps(figures.network, figures.dataset.images[0], [left, right])


@pytest.mark.slow
def test_notebooks_show_figures(figures):
    """Where they, their axes or the list of axes is a cell's result; those given are the user's."""
    one, several = figures.draw("speeds"), figures.draw("curves")
    for shown in (one.figure, one, several):
        assert shown._repr_png_() == plots.rendered(np.ravel(shown)[0].figure, "png")
    given = Figure().subplots(1, 2)
    assert not hasattr(plots.curves(figures.network.history, given), "_repr_png_")


@pytest.mark.slow
def test_no_global_state(path):
    """No pyplot, no setting of matplotlib changed by drawing and saving every kind."""
    script = f"""
import sys, matplotlib
# Not the backend, which imports pyplot when it is asked for.
names = [name for name in matplotlib.rcParams if name != "backend"]
settings = lambda: {{name: matplotlib.rcParams[name] for name in names}}
before = settings()
from nbconv import Network, plots
of = plots.Figures(Network.load({str(path)!r}))
for kind in plots.KINDS:
    plots.save(of.draw(kind), {str(path.with_name("state.svg"))!r})
assert "matplotlib.pyplot" not in sys.modules
assert settings() == before
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.slow
def test_the_same_picture_is_the_same_file(figures, tmp_path, ending):
    files = [tmp_path / f"{number}.{ending}" for number in (1, 2)]
    for file in files:
        plots.save(figures.draw("confusion"), file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])


@POSIX
def test_places_that_cannot_be_written(tmp_path):
    ax = plots.sigma()
    for place, said in {
        "a.gif": "a.gif has an unknown extension: expected .png, .svg, .pdf",
        "missing/a.png": "missing/a.png could not be written: No such file or directory; "
        "choose another place",
        "folder.png": "folder.png is a folder: expected the name of a file",
        f"{'a' * 300}.png": "could not be written: File name too long",
    }.items():
        (tmp_path / "folder.png").mkdir(exist_ok=True)
        with pytest.raises(nbconv.SettingError, match=said.replace(".", r"\.")):
            plots.save(ax, tmp_path / place)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.png"]


@POSIX
@pytest.mark.slow
def test_a_full_disk_leaves_the_old_file(tmp_path):
    old = tmp_path / "a.png"
    old.write_bytes(b"old")
    script = f"""
import resource
from nbconv import plots
ax = plots.sigma()
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    plots.save(ax, {str(old)!r})
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


@pytest.mark.slow
def test_without_matplotlib(path):
    script = f"""
import sys
sys.modules["matplotlib"] = None
from nbconv.cli import main
main(["plot", "curves", {str(path)!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert (
        done.stderr == "Error: matplotlib is not installed: expected pip install 'nbconv[plot]'\n"
    )


def test_colours_are_told_apart():
    """The lines' colours can be told apart, and can be read on white.

    For eyes without red or green they differ in lightness or blueness.
    """

    def luminance(color):
        channels = np.array(to_rgb(color))
        return np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        ) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    for color, _, _ in paper.STYLES:
        assert 1.05 / (luminance(color) + 0.05) >= 3, f"{color} is pale on white"
    assert (
        len({dashes for _, dashes, _ in paper.STYLES})
        == len({mark for _, _, mark in paper.STYLES})
        == len(paper.STYLES)
    )


# The command line


@pytest.mark.slow
def test_the_command(path, command, invoke, tmp_path):
    assert tuple(plots.KINDS) == KINDS
    done = command("plot", "curves", path)
    assert done.stdout == f"{path.with_name('run-curves.png')}\n"
    assert path.with_name("run-curves.png").read_bytes().startswith(b"\x89PNG")
    options = ("--layer", 2, "--weights", "last", "-o", "two.svg")
    assert invoke("plot", "filters", path, *options).stdout == "two.svg\n"
    assert "4C2: 4 filters of 2x2 on 6 feature maps" in (tmp_path / "two.svg").read_text()
    done = invoke("plot", "speeds", path, "-o", "missing/a.png", code=1)
    assert done.stderr == (
        "Error: missing/a.png could not be written: No such file or directory; "
        "choose another place\n"
    )


def test_the_command_s_errors(path, invoke, tmp_path):
    bare = tmp_path / "bare.h5"
    nbconv.Network([64, 5, 10]).save(bare)
    for arguments, said in {
        ("curves", bare): "the history has no epochs: expected that of a training",
        (
            "speeds",
            bare,
        ): "the history has no speeds of learning: expected a training with --monitor-layers "
        "(fit's monitor_layers=True)",
        (
            "filters",
            bare,
        ): "5N-10N has no filters: expected a network with a convolution, such as 20C5-MP2-10N",
        (
            "digits",
            bare,
        ): "the checkpoint does not say what data it was trained on: expected --data",
        ("filters", path, "--layer", 3): f"layer is 3: expected 1 to 2, the convolutions of {NET}",
        (
            "feature-maps",
            path,
            "--digit",
            300,
        ): "digit is 300: expected 0 to 299, one of the test images of digits",
        ("digits", path, "--data", "none.npz"): "none.npz does not exist",
        (
            "curves",
            path,
            "-o",
            "run.h5",
        ): "run.h5 has an unknown extension: expected .png, .svg, .pdf",
    }.items():
        result = invoke("plot", *arguments, code=1)
        assert result.stdout == ""
        assert result.stderr.splitlines()[-1].startswith(f"Error: {said}")
    invoke("plot", "digits", bare, "--data", "digits", "--split", "train", "-o", "train.png")
    assert (tmp_path / "train.png").exists()
    invoke("plot", "poster", path, code=2)


@pytest.mark.slow
def test_matplotlib_s_settings_are_not_needed(figures, tmp_path):
    """A reader's own style (dark, here) leaves the pictures as they are."""
    plain = (
        texts(figures.draw("confusion"), tmp_path),
        figures.draw("confusion").figure.get_facecolor(),
    )
    with matplotlib.rc_context(
        {"axes.facecolor": "black", "figure.facecolor": "black", "text.color": "white"}
    ):
        ax = figures.draw("confusion")
    assert (texts(ax, tmp_path), ax.figure.get_facecolor()) == plain
