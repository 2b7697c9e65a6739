"""Batch normalisation in a network: its place, its statistics, and what becomes of them."""

import copy
import math
import pickle

import numpy as np
import oracle
import pytest

import nbconv
from nbconv import (
    BatchNorm,
    CheckpointError,
    Conv2D,
    Dataset,
    Dense,
    DivergedError,
    MaxPool2D,
    Network,
    SettingError,
    Softmax,
)
from nbconv.engine.plan import Descent
from nbconv.layers import Randomness, Rates
from nbconv.layers.dense import DenseLayer
from nbconv.threads import limit
from nbconv.training.order import shuffled

LAYERS = [
    Conv2D(4, 3, activation="relu"), BatchNorm(), MaxPool2D(2),
    Dense(6, activation="tanh"), BatchNorm(), Softmax(10),
]  # fmt: skip
FIT = {"mini_batch_size": 10, "eta": 0.05}
EPSILON = 1e-5
IN_FLOAT64 = pytest.mark.slow  # the CPU's kernels are compiled for it: see conftest.py


def network(**options):
    return Network(LAYERS, (1, 8, 8), **{"seed": 3, "dtype": "float64", **options})


class DoubledLayer(DenseLayer):
    """z = 2 (w x + b)."""

    def forward(self, x, randomness):
        a = super().forward(x, randomness)
        self.kernels.add(a.reshape(-1), a.reshape(-1))
        return a


class Doubled(Dense):
    def build(self, input_shape, index, recorder, dtype):
        return DoubledLayer(self, math.prod(input_shape), index, recorder, dtype)


def scaled(net, seed=0):
    """The network with scales of both signs and shifts."""
    random, parameters = np.random.default_rng(seed), net.parameters()
    for index in (1, 3):
        for name, array in parameters[index].items():
            parameters[index][name] = random.uniform(-2, 2, array.shape)
    net.set_parameters(parameters)
    return net


@pytest.fixture
def few(digits):
    return digits[0][:103], digits[1][:50]


def by_hand(net, images, statistics=None):
    """(z of the last layer, statistics) by the oracle; those of these images, unless given."""
    conv, first, dense, second, last = net.parameters()
    images = images / 255
    relu, tanh = (np.vectorize(oracle.ACTIVATIONS[name]) for name in ("relu", "tanh"))
    z = oracle.conv2d_forward(images, conv["weights"], conv["biases"])
    used = [statistics[0] if statistics else oracle.batch_norm_statistics(z)]
    z = oracle.batch_norm_forward(z, first["weights"], first["biases"], used[0], EPSILON)
    a = oracle.pool2d_forward("max", relu(z), (2, 2), (2, 2)).reshape(len(images), -1)
    z = oracle.dense_forward(a, dense["weights"], dense["biases"])
    used.append(statistics[1] if statistics else oracle.batch_norm_statistics(z))
    z = oracle.batch_norm_forward(z, second["weights"], second["biases"], used[1], EPSILON)
    return oracle.dense_forward(tanh(z), last["weights"], last["biases"]), used


def test_it_begins_with_what_changes_nothing():
    net = network()
    for index in (1, 3):
        assert (net.parameters()[index]["weights"] == 1).all()
        assert not net.parameters()[index]["biases"].any()
    for mean, variance in net.engine.statistics_views(net.engine.statistics):
        assert not mean.any()
        assert (variance == 1).all()


@IN_FLOAT64
def test_training_uses_the_mini_batch_s_statistics(few):
    net, data = scaled(network()), few[0][:12]
    z, _ = by_hand(net, data.store)
    right = sum(oracle.log_likelihood(*pair)[0] for pair in zip(z, data.labels, strict=True))
    cost, _ = net.engine.evaluate(data, Randomness(0, 0))
    assert cost == pytest.approx(right, rel=1e-12)


@IN_FLOAT64
def test_the_running_statistics_are_the_training_s(few):
    """Two mini-batches: 0.9 of what was, 0.1 of the new. Nothing else changes them."""
    net, data = scaled(network()), few[0][:24]
    engine, running = net.engine, [np.zeros((2, 4)), np.zeros((2, 6))]
    for each in running:
        each[1] = 1
    for step in range(2):
        _, used = by_hand(net, data.store[12 * step : 12 * step + 12])
        for index, count in enumerate((12 * 36, 12)):
            running[index] = oracle.batch_norm_track(running[index], used[index], 0.1, count)
        order = np.arange(12 * step, 12 * step + 12)[None]
        engine.descend(data, order, Randomness(0, step), np.array([Rates(0.1)]))
    for ours, right in zip(engine.statistics_views(engine.statistics), running, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-12)
    before = engine.statistics.copy()
    net.evaluate(data)
    net.gradients(data.images, data.labels)
    net.monitor(data)
    engine.mean_gradient(data, Randomness(0, 0))
    z, _ = by_hand(net, data.store, running)
    np.testing.assert_allclose(engine.outputs(data.store, has_activation=False), z, rtol=1e-11)
    assert np.array_equal(engine.statistics, before)


@IN_FLOAT64
def test_public_gradients_take_the_running_statistics(few):
    """So they are the mean over the images, however many at a time."""
    net, data = scaled(network()), few[0]
    net.fit(data, 1, **FIT)
    engine = net.engine
    whole = engine.mean_gradient(data)
    for size in (1, 103):
        np.testing.assert_allclose(
            engine.mean_gradient(data, size=size), whole, rtol=1e-9, atol=1e-12
        )


@IN_FLOAT64
def test_plain_descent_is_sgd_s(few):
    """Neurons are updated on the way back, feature maps at the end. Gamma, too, has L2."""
    nets = []
    for optimiser in ("plain", "sgd"):
        net = scaled(network())
        order, rates = np.arange(20)[None], np.array([Rates(0.1, 0.2)])
        net.engine.descend(few[0], order, Randomness(0, 0), rates, Descent(optimiser))
        nets.append(net.engine.parameters)
    np.testing.assert_allclose(*nets, rtol=1e-12, atol=1e-14)
    assert not np.allclose(nets[0], scaled(network()).engine.parameters)


def test_behind_a_layer_of_another_kind(few):
    """What its z is, nbconv does not know: predictions normalise it as training does."""
    net = Network([Doubled(6, "relu"), BatchNorm(), Softmax(10)], (64,), seed=1)
    net.fit(few[0], 1, **FIT)
    np.testing.assert_allclose(
        net.predict_proba(few[1].images), net.activations(few[1].images)[-1][1], rtol=1e-5
    )


@pytest.mark.parametrize("size", [10, 100])
def test_threads_change_no_bit(few, size):
    """The layers of feature maps take the mini-batch whole, for it has one mean."""
    found = set()
    for threads in range(1, limit() + 1):
        net = network(dtype="float32")
        net.fit(few[0], 2, size, 0.05, threads=threads)
        assert len(net.engine.planner.replicas) == 1
        found.add(net.engine.parameters.tobytes() + net.engine.statistics.tobytes())
    assert len(found) == 1


@IN_FLOAT64
def test_copies_and_checkpoints_go_on_with_the_same_bits(few, tmp_path):
    net = network()
    net.fit(few[0], 2, validation=few[1], **FIT)
    net.save(tmp_path / "run.h5")
    others = [
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
        Network.load(tmp_path / "run.h5"),
    ]
    moved = copy.deepcopy(net).to("reference")
    assert np.array_equal(moved.engine.statistics, net.engine.statistics)
    net.fit(few[0], 1, validation=few[1], **FIT)
    for other in others:
        assert not np.array_equal(other.engine.statistics, net.engine.statistics)
        other.fit(few[0], 1, validation=few[1], **FIT)
        for name in ("parameters", "statistics"):
            ours, right = (getattr(each.engine, name).tobytes() for each in (other, net))
            assert ours == right, name
        assert np.array_equal(other.state.best.statistics, net.state.best.statistics)


def test_the_best_epoch_has_its_own_statistics(few, tmp_path):
    net = network(dtype="float32")
    net.fit(few[0], 6, validation=few[1], **FIT)
    net.fit(few[0], 1, 10, 3.0, validation=few[1])  # it forgets
    net.save(tmp_path / "run.h5")
    loaded = Network.load(tmp_path / "run.h5", weights="best")
    net.restore_best()
    best, at = net.state.best, net.state.best.epoch - 1
    for each in (net, loaded):
        scores = each.evaluate(few[1])
        assert scores["cost"] == net.history["validation_cost"][at]
        assert scores["accuracy"] == best.validation_accuracy
    assert np.array_equal(loaded.engine.statistics, best.statistics)


@IN_FLOAT64
def test_a_divergence_takes_them_back(few):
    net = network()
    net.fit(few[0], 1, **FIT)
    before = net.engine.statistics.copy()
    with pytest.raises(DivergedError):
        net.fit(few[0], 1, 10, 1e15)
    assert np.array_equal(net.engine.statistics, before)


@IN_FLOAT64
def test_a_last_mini_batch_of_one_image(few):
    """Its neurons have no variance: they are beta, and the running statistics stay."""
    net, data = network(), few[0][:11]
    with pytest.raises(SettingError, match="mini_batch_size is 1: expected at least 2, as a BN"):
        net.fit(data, 1, 1, 0.1)
    net.fit(data, 1, 10, 0.1)
    other, order = network(), shuffled(3, 0, 11)
    rates = np.array([Rates(0.1)])
    other.engine.descend(data, order[None, :10], Randomness(3, 0), rates)
    ours, right = (each.engine.statistics_views(each.engine.statistics) for each in (net, other))
    assert np.array_equal(ours[1], right[1])
    assert not np.array_equal(ours[0], right[0])  # a feature map has more than one number
    assert np.isfinite(net.engine.parameters).all()


def test_feature_maps_take_one_image_at_a_time(few):
    net = Network([Conv2D(3, 3), BatchNorm(), Softmax(10)], (1, 8, 8))
    net.fit(few[0], 1, 1, 0.01)
    assert math.isfinite(net.history["cost"][-1])


@pytest.mark.parametrize(
    ("layers", "position"),
    [
        ([BatchNorm(), Softmax(10)], 1),
        ([Conv2D(3, 3), MaxPool2D(2), BatchNorm(), Softmax(10)], 3),
        ([Dense(3), BatchNorm(), BatchNorm(), Softmax(10)], 3),
    ],
)
def test_its_place_is_behind_a_convolution_or_a_dense_layer(layers, position):
    with pytest.raises(SettingError, match=f"layer {position} is BN: expected it directly behind"):
        Network(layers, (1, 8, 8))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Dense(3), Softmax(10), BatchNorm()], "the last layer is BN: expected Softmax or Dense"),
        ([Dense(3), Dense(10), BatchNorm()], "the last layer is BN: expected Softmax or Dense"),
        ([Dense(3), BatchNorm(), MaxPool2D(2), Softmax(10)], "layer 3, MP2: it was given 3"),
    ],
)
def test_other_places_are_refused(layers, message):
    with pytest.raises(SettingError, match=message):
        Network(layers, (1, 8, 8))


@IN_FLOAT64
def test_a_checkpoint_has_them_only_if_the_network_has(few, tmp_path):
    import h5py

    plain = Network([Dense(3), Softmax(10)], (64,))
    plain.save(tmp_path / "plain.h5")
    net = network()
    net.fit(few[0], 1, validation=few[1], **FIT)
    net.save(tmp_path / "run.h5")
    with h5py.File(tmp_path / "plain.h5") as file:
        assert "statistics" not in file
    with h5py.File(tmp_path / "run.h5") as file:
        for group in ("statistics", "best_statistics"):
            assert list(file[group]) == ["1-batch_norm", "3-batch_norm"]
            assert set(file[group]["1-batch_norm"]) == {"mean", "variance"}
    net.engine.statistics[4] = -1
    net.save(tmp_path / "run.h5")
    with pytest.raises(CheckpointError, match="statistics/1-batch_norm/variance has negative"):
        Network.load(tmp_path / "run.h5")


def test_other_networks_are_as_they_were():
    """Micro-batches are cut as before, and nothing is drawn for the layers that need no numbers."""
    net, with_norm = (
        Network([Conv2D(4, 3), *norm, MaxPool2D(2), Softmax(10)], (1, 8, 8))
        for norm in ([], [BatchNorm()])
    )
    assert np.array_equal(net.parameters()[0]["weights"], with_norm.parameters()[0]["weights"])
    data = Dataset(np.zeros((64, 1, 8, 8), np.uint8), np.arange(64) % 10)
    net.fit(data, 1, 64, 0.1)
    assert len(net.engine.planner.replicas) == 4


def test_it_learns(digits):
    train, validation, _ = digits
    costs = []
    for norm in ([], [BatchNorm()]):
        layers = [
            Conv2D(10, 3, activation="relu"), *norm, MaxPool2D(2),
            Dense(30, activation="relu"), *norm, Softmax(10),
        ]  # fmt: skip
        net = nbconv.Network(layers, (1, 8, 8))
        net.fit(train, 5, 10, validation=validation)
        costs.append(net.history["validation_cost"][-1])
    assert costs[1] < costs[0] < 1
