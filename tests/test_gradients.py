"""Whole networks' gradients against central differences in float64."""

import numpy as np
import oracle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import nbconv
from nbconv.diagnostics import gradcheck
from nbconv.layers import AvgPool2D, Conv2D, Dense, L2Pool2D, MaxPool2D, Randomness, Softmax

BACKENDS = [pytest.param("cpu", marks=pytest.mark.slow), "reference"]  # conftest says why


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", gradcheck.CASES)
def test_every_layer_kind(name, backend):
    result = gradcheck.check(name, *gradcheck.CASES[name], backend=backend)
    assert result.error < gradcheck.BOUND, f"{result}"


@pytest.mark.slow
@settings(max_examples=25)
@given(
    channels=st.integers(1, 3), rows=st.integers(5, 9), columns=st.integers(5, 9),
    filters=st.integers(1, 5), kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), padding=st.integers(0, 2),
    pool=st.sampled_from([MaxPool2D, L2Pool2D, AvgPool2D]), size=st.integers(1, 3),
    pool_stride=st.integers(1, 3), seed=st.integers(0, 1000),
    activation=st.sampled_from(["sigmoid", "tanh", "linear"]), dropout=st.sampled_from([0.0, 0.4]),
)  # fmt: skip
def test_any_geometry(
    channels,
    rows,
    columns,
    filters,
    kernel,
    stride,
    padding,
    pool,
    size,
    pool_stride,
    seed,
    activation,
    dropout,
):
    layers = [
        Conv2D(2, 2, padding=1, activation="tanh"),
        Conv2D(filters, kernel, stride, padding, activation),
        pool(size, pool_stride),
        Softmax(3, dropout=dropout),
    ]
    try:
        nbconv.Network(layers, (channels, rows, columns))
    except nbconv.SettingError:
        assume(False)
    result = gradcheck.check("any", layers, (channels, rows, columns), None, seed)
    assert result.error < gradcheck.BOUND, f"{result}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["log-likelihood cost", "cross-entropy cost", "quadratic cost"])
def test_class_weights_and_label_smoothing(name, backend):
    """A step of one mini-batch against differences of the training's cost in the history."""
    layers, input_shape, cost = gradcheck.CASES[name]
    network = nbconv.Network(layers, input_shape, cost=cost, dtype="float64", backend=backend)
    engine, random = network.engine, np.random.default_rng(0)
    data = nbconv.Dataset(random.random((9, *input_shape)), np.arange(9) % 4)
    start = engine.read(engine.parameters).copy()

    def after_a_step(parameters, eta):
        """(the cost before the step, the parameters after it)."""
        engine.write(engine.parameters, parameters)
        history = network.fit(data, 1, 9, eta, class_weights="1,2.5,0,0.3", label_smoothing=0.2)
        return history["cost"][0], engine.read(engine.parameters).copy()

    gradient = start - after_a_step(start, 1.0)[1]
    steps = 1e-5 * np.eye(engine.count)
    costs = [[after_a_step(start + sign * step, 1e-300)[0] for sign in (1, -1)] for step in steps]
    differences = np.subtract(*np.transpose(costs)) / 2e-5
    assert gradcheck.relative_error(gradient, differences).max() < gradcheck.BOUND


@pytest.mark.slow
def test_a_wrong_gradient_is_found(monkeypatch):
    """The checker itself can fail."""
    from nbconv.layers.dense import DenseLayer

    right = DenseLayer.backward

    def wrong(self, *arguments):
        out = right(self, *arguments)
        self.kernels.add(self.d_weights.reshape(-1), np.full(self.d_weights.size, 1e-3))
        return out

    monkeypatch.setattr(DenseLayer, "backward", wrong)
    assert gradcheck.check("wrong", [Dense(4), Softmax(3)], (5,), None).error > 1e-4


@pytest.mark.slow
def test_public_gradients_are_the_mean_over_the_images():
    network = nbconv.Network([5, 4, 3], dtype="float64", seed=3)
    random = np.random.default_rng(0)
    images, labels = random.uniform(size=(7, 5)), random.integers(0, 3, 7)
    whole = network.gradients(images, labels)
    single = [network.gradients(images[n : n + 1], labels[n : n + 1]) for n in range(7)]
    for layer, arrays in enumerate(whole):
        for name, gradient in arrays.items():
            mean = np.mean([one[layer][name] for one in single], axis=0)
            assert np.allclose(gradient, mean, rtol=1e-12, atol=1e-15)
    data = nbconv.Dataset(images, labels)
    differences = network.engine.views(gradcheck.central_differences(network, data, None))
    for arrays, pair in zip(whole, differences, strict=True):
        assert np.allclose(arrays["weights"], pair[0], rtol=1e-6, atol=1e-10)
        assert np.allclose(arrays["biases"], pair[1], rtol=1e-6, atol=1e-10)


@pytest.mark.slow
def test_float32_gradients_agree_with_float64():
    layers = [Conv2D(3, 3, activation="tanh"), MaxPool2D(2), Dense(6, dropout=0.5), Softmax(4)]
    random = np.random.default_rng(5)
    data = nbconv.Dataset(random.uniform(size=(20, 1, 8, 8)), random.integers(0, 4, 20))
    double = nbconv.Network(layers, (1, 8, 8), dtype="float64")
    single = nbconv.Network(layers, (1, 8, 8))
    double.set_parameters(single.parameters())
    randomness = Randomness(1, 2)
    ours, right = (network.engine.mean_gradient(data, randomness) for network in (single, double))
    assert np.abs(ours - right).max() <= 1e-5 * np.abs(right).max()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 15, 64, 65, 150, 300])
@pytest.mark.parametrize("channels", [2, 20])
def test_slices_change_nothing(count, channels):
    """A mini-batch beyond one slice has its images' mean gradient, and leaves nothing behind."""
    layers = [Conv2D(channels, 3), MaxPool2D(2), Conv2D(3, 2), MaxPool2D(2), Dense(4), Softmax(3)]
    random = np.random.default_rng(count)
    data = nbconv.Dataset(random.random((count, 1, 9, 9)), random.integers(0, 3, count))
    network = nbconv.Network(layers, (1, 9, 9), dtype="float64")
    right = np.mean([network.engine.mean_gradient(data[n : n + 1]) for n in range(count)], axis=0)
    engine = network.engine
    for _ in range(2):
        np.testing.assert_allclose(
            engine.mean_gradient(data, size=count), right, rtol=1e-9, atol=1e-12
        )
    assert len(engine.planner.replicas) == {1: 1, 15: 1, 64: 4, 65: 4, 150: 4, 300: 5}[count]


@pytest.mark.slow
def test_dropout_leaves_the_mean_of_the_inputs():
    """While training z = w x' + b, x' the kept inputs over 1 - p."""
    network = nbconv.Network(
        [Dense(3, activation="linear", dropout=0.4)], (20,), cost="quadratic", dtype="float64"
    )
    x, labels = np.random.default_rng(0).random((4, 20)), np.array([0, 1, 2, 1])
    (layer,) = network.parameters()
    kept = np.array([oracle.uniform(1, 2, 0, i) >= 0.4 for i in range(x.size)]).reshape(x.shape)
    a = (x * kept / 0.6) @ layer["weights"].T + layer["biases"]
    cost, _ = network.engine.evaluate(nbconv.Dataset(x, labels), Randomness(1, 2))
    assert cost == pytest.approx(((a - np.eye(3)[labels]) ** 2).sum() / 2, rel=1e-12)
