"""A training in which nothing is learned is told, with its cause, and no other."""

import json

import numpy as np
import pytest

import nbconv
from nbconv import Conv2D, Dense, MaxPool2D, Network, Softmax
from nbconv.training.diagnosis import guessing

HIDDEN = [Conv2D(4, 3, activation="relu"), MaxPool2D(2), Dense(20, activation="relu"), Softmax(10)]


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (0.5, 2, 1, 3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_guessing_is_the_best_constant_answer(weights, smoothing):
    """Also where images count differently, and where labels are smoothed."""
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = np.array(weights)[labels]
    shares = np.bincount(labels, weights, 4) / weights.sum()
    t = (1 - smoothing) * np.eye(4)[labels] + smoothing / 4
    p = (1 - smoothing) * shares + smoothing / 4
    for cost, of in (
        ("log-likelihood", lambda a: -(t * np.log(a)).sum(axis=1)),
        ("cross-entropy", lambda a: -(t * np.log(a) + (1 - t) * np.log(1 - a)).sum(axis=1)),
        ("quadratic", lambda a: ((a - t) ** 2).sum(axis=1) / 2),
    ):
        found = guessing(cost, shares, smoothing)
        best = np.average(of(np.clip(p, 1e-12, 1)), weights=weights)
        assert found == pytest.approx(best, abs=1e-9)
        other = np.clip(p + np.array([0.05, -0.05, 0.01, -0.01]), 1e-12, 1)
        assert found < np.average(of(other), weights=weights)


def trained(digits, net, **settings):
    options = {"epochs": 6, "mini_batch_size": 10, "eta": 0.05} | settings
    net.fit(digits[0], validation=digits[1], **options)
    return net.state.warning


def test_dead_neurons(digits, caplog):
    net = Network(HIDDEN, (1, 8, 8))
    parameters = net.parameters()
    parameters[1]["biases"] -= 100
    net.set_parameters(parameters)
    line = trained(digits, net)
    assert "the network is no better than guessing: cost 2.3" in line
    assert "100 % of the ReLUs of layer 2 are dead" in line
    assert caplog.messages == [line]


def test_saturated_neurons(digits):
    layers = [Dense(20, activation="tanh"), Softmax(10)]
    net = Network(layers, 64)
    parameters = net.parameters()
    parameters[0]["biases"] += 100
    net.set_parameters(parameters)
    line = trained(digits, net)
    assert "100 % of the neurons of layer 1 are saturated" in line
    assert "a smaller eta than 0.05" in line


def test_vanishing_gradients(digits):
    line = trained(digits, Network([64, *[20] * 7, 10]), eta=0.1)
    assert "The gradient vanishes: layer 1 learns" in line


def test_what_learns_is_not_told(digits, caplog):
    assert trained(digits, Network(HIDDEN, (1, 8, 8))) == ""
    assert trained(digits, Network([64, 30, 10]), eta=0.5) == ""
    one = nbconv.Dataset(digits[0].images, np.zeros(len(digits[0]), int))
    Network([64, 30, 10]).fit(one, 6, 10, 0.1)
    few = [part[:100] for part in digits]
    assert (
        trained(few, Network([64, *[20] * 7, 10])) == ""
    )  # a hundred steps are not enough to tell
    assert not caplog.messages


@pytest.mark.parametrize("cost", ["cross-entropy", "quadratic"])
@pytest.mark.parametrize(
    "settings",
    [{"class_weights": [0.2] * 10}, {"class_weights": "balanced"}, {"label_smoothing": 0.9}],
)
def test_guessing_with_class_weights_and_label_smoothing(digits, settings, cost):
    """With weights of 0.2 guessing costs a fifth; quadratic, with smoothed labels, a hundredth."""
    net = Network([64, *[20] * 7, 10], cost=cost)
    line = trained(digits, net, eta=0.1, **settings)
    assert "the network is no better than guessing" in line
    assert trained(digits, Network([64, 30, 10], cost=cost), eta=2, **settings) == ""


def test_a_rare_class_that_is_learned_with_smoothed_labels(digits):
    """No accuracy shows it, and the cost is above 97 % of the cost of guessing, as the least is."""
    rare = [nbconv.Dataset(part.images, part.labels == 0) for part in digits]
    net = Network([Softmax(2)], 64)
    assert trained(rare, net, label_smoothing=0.8) == ""
    assert net.history["cost"][4] > 0.97 * guessing("log-likelihood", np.array([0.9, 0.1]), 0.8)


def test_a_class_that_alone_has_a_weight_is_learned(digits, caplog):
    few = digits[0].labels < 4
    data = nbconv.Dataset(digits[0].images[few], digits[0].labels[few])
    net = Network([Softmax(4)], 64)
    net.fit(data, 30, 10, 0.1, class_weights=[0, 0, 1, 0], label_smoothing=0.2)
    assert not caplog.messages


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "linear"])
def test_auto_initialises_for_the_activation(digits, activation, seed):
    """Biases 0 and the deviation that keeps signals alive, but for sigmoid neurons: the book's."""
    layers = [Dense(400, activation=activation), Dense(300, activation=activation), Softmax(10)]
    net = Network(layers, 784, seed=seed)
    first, second, last = net.parameters()
    deviation = {
        "sigmoid": 1 / np.sqrt(400), "tanh": np.sqrt(2 / 700), "linear": np.sqrt(2 / 700),
        "relu": np.sqrt(2 / 400), "leaky_relu": np.sqrt(2 / 400),
    }[activation]  # fmt: skip
    assert second["weights"].std() == pytest.approx(deviation, rel=0.02)
    assert (second["biases"].std() > 0.9) == (activation == "sigmoid")
    assert last["weights"].std() == pytest.approx(np.sqrt(2 / 310), rel=0.05)
    assert not last["biases"].any()
    assert first["weights"].shape == (400, 784)


def test_the_command_says_it_again(invoke, tmp_path):
    arguments = ("train", "--net", "64-20-20-20-20-20-20-20-10", "--epochs", 6)
    done = invoke(*arguments)
    assert "Nothing was learned. After 5 epochs the network is no better than" in done.stdout
    told = json.loads(invoke(*arguments, "--json").stdout)["warning"]
    assert told.startswith("After 5 epochs")
    fine = ("train", "--net", "64-30-10", "--eta", 0.5, "--epochs", 6, "--json")
    assert json.loads(invoke(*fine).stdout)["warning"] is None


def test_a_wild_cost_is_told_after_two_epochs(digits):
    line = trained(digits, Network([Dense(30, activation="tanh"), Softmax(10)], 64), eta=30.0)
    assert line.startswith("After 2 epochs the network is no better than guessing")
    assert "try a smaller eta than 30" in line


def test_exploding_gradients_name_the_layer(digits):
    """Weights of N(0, 1) and no squashing: each layer multiplies the gradient by the root of 30."""
    layers = [*[Dense(30, activation="linear")] * 6, Softmax(10)]
    net = Network(layers, 64, initialiser="large")
    line = trained(digits, net, eta=1e-12)
    assert "The gradient explodes: layer 1 learns" in line
    assert "clip_norm" in line


def test_what_stops_to_learn_later_is_told(digits):
    """A network that has learned and then dies."""
    net = Network(HIDDEN, (1, 8, 8))
    killed = []

    def kill(report):
        if report["epoch"] == 6:
            killed.append(net.state.warning)
            parameters = net.parameters()
            parameters[1]["biases"] -= 100
            net.set_parameters(parameters)

    line = trained(digits, net, epochs=8, callback=kill)
    assert killed == [""]
    assert "of the ReLUs of layer 2 are dead" in line


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"eta": 1e-9}, "does not move: try a larger eta than 1e-09"),
        ({"eta": 1e-5, "clip_norm": 1e-5}, "try a larger eta than 1e-05, or a larger clip_norm"),
        ({"eta": 1e-4}, "and falls: train for more epochs"),
        ({"eta": 60.0}, "try a smaller eta than 60"),
    ],
)
def test_a_cost_far_above_guessing(digits, settings, advice):
    """What to do depends on where it goes."""
    assert advice in trained(digits, Network([64, 30, 10]), **settings)
