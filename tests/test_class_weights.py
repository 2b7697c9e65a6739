"""The settings class_weights and label_smoothing: what they mean, what is refused, what they do."""

import json

import numpy as np
import oracle
import pytest

import nbconv
from nbconv import Dense, Network, SettingError, Softmax
from nbconv.checkpoint import schema
from nbconv.runs import run as runs
from nbconv.training.loop import weights_of_classes
from nbconv.training.settings import Settings

LABELS = np.array([0] * 6 + [2] * 3 + [3])
FAST = "train", "--net", "64-10", "--epochs", 1


@pytest.fixture(scope="module")
def few():
    return nbconv.Dataset(np.random.default_rng(0).random((10, 5)), LABELS)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("balanced", "balanced"),
        ("1, 2.50,1", "1,2.5,1"),
        ([1, 2.5, 0], "1,2.5,0"),
        ((0.1, np.float32(3)), "0.1,3"),
        (np.array([1e-3, 1e20]), "0.001,1e+20"),
        (None, None),
    ],
)
def test_class_weights_become_a_text(given, kept):
    settings = Settings(class_weights=given)
    assert settings.class_weights == kept
    assert Settings(**json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(
    "given",
    ["", "even", "1,x", "1,-2", "nan,1", "0,0",
     [1, np.inf], [1, None], [], [[1, 2]], 2, {0: 1, 1: 2}],
)  # fmt: skip
def test_wrong_class_weights(given):
    with pytest.raises(
        SettingError, match=r"^class_weights is .*: expected balanced, or a number "
    ):
        Settings(class_weights=given)


@pytest.mark.parametrize("given", [-0.1, 1, np.nan, "0.1"])
def test_wrong_label_smoothing(given):
    with pytest.raises(
        SettingError, match=r"^label_smoothing is .*: expected a number of 0 or more"
    ):
        Settings(label_smoothing=given)


def test_balanced():
    weights = weights_of_classes("balanced", LABELS, 5)
    assert weights == pytest.approx([10 / 18, 0, 10 / 9, 10 / 3, 0])
    assert weights[LABELS].mean() == pytest.approx(1)
    assert weights_of_classes(None, LABELS, 5).tolist() == [1] * 5
    assert weights_of_classes("0,1,2.5,0,0", LABELS, 5).tolist() == [0, 1, 2.5, 0, 0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1, 2], "class_weights is 1,2, numbers for 2 classes: .* the network's 4 classes"),
        ([0, 3, 0, 0], "of the classes with a weight there are no training images"),
    ],
)
def test_class_weights_that_do_not_fit(few, given, said):
    network = Network([5, 4])
    with pytest.raises(SettingError, match=said):
        network.fit(few, 1, 10, 0.1, class_weights=given)
    assert network.state.settings is None


def test_the_training_s_cost_has_them_and_no_other(few):
    network = Network([Softmax(4)], 5, dtype="float64")
    (layer,) = network.parameters()
    z = few.store.reshape(10, 5) @ layer["weights"].T + layer["biases"]
    weights, before = [1, 0, 2.5, 4], network.evaluate(few)["cost"]
    gradients = network.gradients(few.images, few.labels)
    history = network.fit(
        few, 1, 10, 1e-300, class_weights=weights, label_smoothing=0.2,
        monitor_training=True, validation=few, test=few,
    )  # fmt: skip
    rows = zip(z.tolist(), LABELS, strict=True)
    costs = [weights[label] * oracle.log_likelihood(row, label, 0.2)[0] for row, label in rows]
    assert history["cost"] == [pytest.approx(np.mean(costs), rel=1e-12)]
    for name in ("training_cost", "validation_cost", "test_cost"):
        assert history[name] == [before]
    assert np.array_equal(
        network.gradients(few.images, few.labels)[0]["weights"], gradients[0]["weights"]
    )


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_equal_weights_change_no_bit(digits, backend):
    """Nor do weights that an earlier fit had."""

    def trained(*each_epoch):
        layers = [Dense(12, activation="relu", dropout=0.2), Softmax(10)]
        network = Network(layers, 64, backend=backend)
        for settings in each_epoch:
            network.fit(digits[0][:200], 1, 7, 0.1, **settings)
        return network.engine.parameters, network.history["cost"]

    ones = {"class_weights": [1] * 10, "label_smoothing": 0.0}
    same = trained({}, {}), trained(ones, ones)
    assert np.array_equal(same[0][0], same[1][0])
    assert same[0][1] == same[1][1]
    twos = {"class_weights": [2] * 10}
    halves = Network([64, 10], backend=backend), Network([64, 10], backend=backend)
    halves[0].fit(digits[0][:70], 1, 7, 0.1)
    halves[1].fit(digits[0][:70], 1, 7, 0.05, **twos)
    assert np.array_equal(halves[0].engine.parameters, halves[1].engine.parameters)
    halves[0].fit(digits[0][:70], 1, 7, 0.1)
    halves[1].fit(digits[0][:70], 1, 7, 0.1)
    assert np.array_equal(halves[0].engine.parameters, halves[1].engine.parameters)


def test_balanced_finds_the_rare_class():
    """A twentieth of the images is of a class that is not quite apart from the other one."""
    random = np.random.default_rng(1)
    labels = np.array([0] * 950 + [1] * 50)
    images = np.clip(random.normal(0.4 + 0.2 * labels[:, None], 0.15, (1000, 2)), 0, 1)
    data, recalls = nbconv.Dataset(images, labels), {}
    for class_weights in (None, "balanced"):
        network = Network([Softmax(2)], 2)
        network.fit(data, 20, 10, 0.5, class_weights=class_weights)
        recalls[class_weights] = network.evaluate(data, per_class=True)["recall"]
    assert recalls[None][1] < 0.5
    assert recalls["balanced"][1] > 0.7
    assert recalls["balanced"][0] > 0.7


def test_smoothed_labels_leave_doubt(digits):
    """Right answers become less certain than without."""
    certain = []
    for smoothing in (0.0, 0.3):
        network = Network([64, 10])
        network.fit(digits[0], 20, 10, 0.5, label_smoothing=smoothing)
        certain.append(np.median(network.predict_proba(digits[0].images).max(axis=1)))
    assert certain[0] > 0.95
    assert certain[1] < 0.75  # at best it is 0.7 + 0.3 / 10


def test_options_and_configuration(invoke, tmp_path):
    (tmp_path / "list.toml").write_text(f"class-weights = {[2.5] + [1] * 9}\nlabel_smoothing = 0.1")
    (tmp_path / "text.toml").write_text('class_weights = "balanced"')
    weights = "2.5" + 9 * ",1"

    def settings(*arguments):
        said = json.loads(invoke(*FAST, "--json", *arguments).stdout)["settings"]
        return said["class_weights"], said["label_smoothing"]

    assert settings("list.toml") == (weights, 0.1)
    assert settings("text.toml") == ("balanced", 0.0)
    assert settings("text.toml", "--class-weights", "2.50" + 9 * ", 1") == (weights, 0.0)
    assert "numbers for 2 classes" in invoke(*FAST, "--class-weights", "1,2", code=1).stderr
    assert "class_weights is '1,x'" in invoke(*FAST, "--class-weights", "1,x", code=1).stderr


def test_resuming_wants_the_same(invoke):
    equal = ",".join("1" * 10)
    invoke(*FAST, "--class-weights", equal, "--label-smoothing", 0.1)
    on = "train", "--resume", "run.h5", "--epochs", 2
    said = invoke(*on, "--class-weights", "balanced", code=1).stderr
    assert f"was trained with class_weights {equal}, and balanced was given" in said
    said = invoke(*on, "--label-smoothing", 0.2, code=1).stderr
    assert "was trained with label_smoothing 0.1, and 0.2 was given" in said
    invoke(*on, "--class-weights", equal.replace(",", ", "))


def test_a_checkpoint_from_before(few):
    """It lacks the two settings, and goes on without weights."""
    network = Network([5, 4])
    network.state.run = runs.checked({})
    network.fit(few, 1, 10, 0.1)
    contents = schema.contents_of(network)
    for name in ("settings", "run"):
        stored = json.loads(contents.attributes["training"][name])
        del stored["class_weights"], stored["label_smoothing"]
        contents.attributes["training"][name] = json.dumps(stored)
    back = Network(**schema.arguments_of(contents, "cpu"))
    schema.take(back, contents)
    assert back.state.settings == Settings(**network.state.settings.to_dict())
    assert (back.state.settings.class_weights, back.state.settings.label_smoothing) == (None, 0)
    for each in (network, back):
        each.fit(few, 1, 10, 0.1)
    assert np.array_equal(network.engine.parameters, back.engine.parameters)
