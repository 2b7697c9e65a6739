"""What a network shows of its inside: activations, learning speeds, neurons that cannot learn."""

import numpy as np
import oracle
import pytest

import nbconv
from nbconv import AvgPool2D, Conv2D, Dense, MaxPool2D, Softmax

IMAGES = 70  # more than are looked at together, and not a whole number of those
SIGMA = {
    "sigmoid": oracle.sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: max(z, 0.0),
    "linear": lambda z: z,
}


def network(kinds, dtype="float32"):
    layers = [
        Conv2D(3, 3, activation=kinds[0]), MaxPool2D(2),
        Conv2D(2, 2, padding=1, activation=kinds[1]), AvgPool2D(2, 1),
        Dense(4, activation=kinds[2], dropout=0.5), Softmax(3),
    ]  # fmt: skip
    return nbconv.Network(layers, (1, 6, 6), seed=3, dtype=dtype)


@pytest.fixture
def data():
    numbers = np.random.default_rng(0)
    return nbconv.Dataset(numbers.random((IMAGES, 1, 6, 6)), numbers.integers(0, 3, IMAGES))


def sigma(kind, z):
    return np.vectorize(SIGMA[kind])(z)


def by_hand(net, x, kinds):
    """The oracle's activations, the max pooling's before its activation."""
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = ((p["weights"], p["biases"]) for p in net.parameters())
    z = oracle.conv2d_forward(np.asarray(x), w1, b1)
    one = sigma(kinds[0], z.reshape(*z.shape[:2], 2, 2, 2, 2).max(axis=(3, 5)))
    two = sigma(kinds[1], oracle.conv2d_forward(one, w2, b2, padding=(1, 1)))
    three = (two[..., :-1, :] + two[..., 1:, :])[..., :-1] / 4 + (
        two[..., :-1, :] + two[..., 1:, :]
    )[..., 1:] / 4
    four = sigma(kinds[2], oracle.dense_forward(three.reshape(len(three), -1), w3, b3))
    z = oracle.dense_forward(four, w4, b4)
    return [one, two, three, four, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)]


@pytest.mark.parametrize("kinds", [("sigmoid", "tanh", "relu"), ("relu", "linear", "sigmoid")])
def test_activations(data, kinds):
    net = network(kinds, "float64")
    found = net.activations(data.images)
    assert [name for name, _ in found] == ["3C3-MP2", "2C2p1", "AP2s1", "4N", "3N"]
    for (_, ours), right in zip(found, by_hand(net, data.images, kinds), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-12, atol=1e-14)
    maps, pooled, *others = net.activations(data.images, each_layer=True)
    assert (maps[0], pooled[0]) == ("3C3", "MP2")
    largest = maps[1].reshape(*maps[1].shape[:2], 2, 2, 2, 2).max(axis=(3, 5))
    np.testing.assert_allclose(largest, found[0][1], rtol=1e-12, atol=1e-14)
    for (name, ours), (_, right) in zip((pooled, *others), found, strict=True):
        np.testing.assert_array_equal(ours, right, name)


def test_activations_refuse_other_images(data):
    with pytest.raises(nbconv.DataError, match="images are 1x5x5: expected 1x6x6"):
        network(("relu", "relu", "relu")).activations(data.images[:, :, :5, :5])


@pytest.mark.parametrize("kinds", [("sigmoid", "tanh", "relu"), ("relu", "linear", "sigmoid")])
def test_monitor(data, kinds):
    net = network(kinds, "float64")
    given = net.parameters()
    for parameters in given:  # large ones: some neurons are saturated or dead, some are not
        parameters["weights"] *= 4
        parameters["biases"] -= 1
    net.set_parameters(given)
    found = net.monitor(data)
    gradients, parameters = net.gradients(data.images, data.labels), net.parameters()
    for k in range(1, 5):
        assert found.pop(f"speed_{k}") == pytest.approx(np.linalg.norm(gradients[k - 1]["biases"]))
        assert found.pop(f"gradient_norm_{k}") == pytest.approx(
            np.linalg.norm(gradients[k - 1]["weights"])
        )
        assert found.pop(f"weight_norm_{k}") == pytest.approx(
            np.linalg.norm(parameters[k - 1]["weights"])
        )
    one, two, _, four, _ = by_hand(net, data.images, kinds)
    expected = {}
    for k, (kind, a) in enumerate(zip(kinds, (one, two, four), strict=True), 1):
        if kind == "relu":
            expected[f"dead_{k}"] = float(
                np.mean(a.reshape(IMAGES, a.shape[1], -1).max(axis=(0, 2)) == 0)
            )
        elif kind != "linear":
            slope = a * (1 - a) * 4 if kind == "sigmoid" else 1 - a**2
            expected[f"saturated_{k}"] = float(np.mean(slope < 0.05))
    assert found == pytest.approx(expected)
    assert any(0 < share < 1 for share in expected.values())


def test_monitors_in_history_and_checkpoint(data, tmp_path):
    """They stand in both, change nothing, go on after a resume.

    a checkpoint that lacks one of them is refused.
    """
    kinds = "sigmoid", "tanh", "relu"
    plain, whole, halves = (network(kinds) for _ in range(3))
    options = {"mini_batch_size": 7, "eta": 0.1}
    plain.fit(data, 4, **options)
    whole.fit(data, 4, **options, monitor_layers=True)
    halves.fit(data, 2, **options, monitor_layers=True, checkpoint=tmp_path / "run.h5")
    halves = nbconv.Network.load(tmp_path / "run.h5")
    halves.fit(data, 2, **options, monitor_layers=True)
    metrics = {"speed_4", "gradient_norm_1", "weight_norm_2", "saturated_2", "dead_3"}
    assert metrics <= set(whole.history)
    for metric in set(whole.history) - {"seconds"}:
        assert whole.history[metric] == halves.history[metric], metric
    for one, other in zip(plain.parameters(), whole.parameters(), strict=True):
        assert (one["weights"] == other["weights"]).all()
    assert whole.history["speed_1"][-1] == whole.monitor(data)["speed_1"]
    del halves.state.history._metrics["saturated_2"]
    halves.save(tmp_path / "run.h5")
    with pytest.raises(nbconv.CheckpointError, match="its history has the metrics"):
        nbconv.Network.load(tmp_path / "run.h5")


def test_the_book_s_speeds(mnist):
    """Chapter 5's speeds at the start: the later layer is four times as fast as the one before.

    The book has 0.07 and 0.31.
    """
    train, _, _ = mnist
    found = nbconv.Network([784, 30, 30, 10], seed=0).monitor(train[:1000])
    assert 2 < found["speed_2"] / found["speed_1"] < 10
