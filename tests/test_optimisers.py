"""Adam, AdamW, clipping and warm-up; the eta that suits, and find_eta."""

import copy
from dataclasses import replace

import numpy as np
import oracle
import pytest
from nbconv.kernels import scalar

from nbconv import Conv2D, Dense, DivergedError, MaxPool2D, Network, SettingError, Softmax
from nbconv.layers import Rates
from nbconv.training import loop as training
from nbconv.training.optimisers import with_eta
from nbconv.training.order import shuffled
from nbconv.training.settings import Settings

LAYERS = [
    Conv2D(6, 3, activation="relu"),
    MaxPool2D(2),
    Dense(20, activation="tanh", dropout=0.3),
    Softmax(10),
]
ADAM = {"mini_batch_size": 7, "eta": 0.01, "optimiser": "adam", "lmbda": 2.0, "clip_norm": 1.0}


@pytest.fixture
def few(digits):
    return digits[0][:103], digits[1][:50]


def network(**options):
    return Network(LAYERS, (1, 8, 8), **options)


def flat(net):
    return net.engine.read(net.engine.parameters).copy()


@pytest.mark.parametrize("optimiser", ["adam", "adamw"])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_hundred_steps_are_adam_s(few, optimiser, backend):
    """Beside Adam written down once more, with the gradients of a second network."""
    train, size, lmbda = few[0][:100], 5, 3.0
    settings = {"eta": 0.01, "betas": (0.8, 0.95), "decay_l1": 0.01, "decay": lmbda / len(train)}
    layers = [Dense(7, activation="tanh"), Softmax(10)]
    net, other = (Network(layers, (64,), dtype="float64", backend=backend) for _ in range(2))
    parameters = flat(net)
    m = s = np.zeros_like(parameters)
    for step in range(100):
        epoch, batch = divmod(step, len(train) // size)
        chosen = shuffled(0, epoch, len(train)).reshape(-1, size)[batch]
        other.engine.write(other.engine.parameters, parameters)
        gradient = other.engine.mean_gradient(train.select(chosen))
        parameters, m, s = oracle.adam(
            parameters, m, s, gradient, other.engine.weights_count, step + 1,
            **settings, decoupled=optimiser == "adamw",
        )  # fmt: skip
    net.fit(
        train, 5, size, 0.01, lmbda=lmbda, lmbda_l1=0.01 * len(train), optimiser=optimiser,
        beta1=0.8, beta2=0.95,
    )  # fmt: skip
    np.testing.assert_allclose(flat(net), parameters, rtol=0, atol=1e-11)


def test_stopped_and_gone_on_with_it_has_the_same_bits(few, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "PACE", 0.0)
    train, validation = few
    whole, saved = network(), []

    def save(done, count):
        saved.append(tmp_path / f"{len(saved)}.h5")
        whole.save(saved[-1])

    whole.fit(train[:21], 3, validation=validation, progress=save, **ADAM)
    for path in (saved[0], saved[4], saved[5]):
        back = Network.load(path)
        copied = copy.deepcopy(back)
        for net in (back, copied):
            net.fit(train[:21], 3 - net.state.epoch, validation=validation, **ADAM)
            assert np.array_equal(flat(net), flat(whole))
            second = net.engine.second_moment
            assert np.array_equal(second, whole.engine.second_moment)
            assert net.state.updates == 9


def test_another_optimiser_begins_anew(few):
    """What one has kept of the gradients means nothing to another."""
    train = few[0]
    momentum = {"mini_batch_size": 7, "eta": 0.01, "momentum": 0.9}
    for first, second in ((ADAM, momentum), (momentum, ADAM)):
        net = network()
        net.fit(train, 1, **first)
        fresh = network()
        fresh.set_parameters(net.parameters())
        fresh.state.epoch, fresh.state.step = net.state.epoch, net.state.step
        net.fit(train, 1, **second)
        fresh.fit(train, 1, **second)
        assert np.array_equal(flat(net), flat(fresh))
        assert net.state.updates == (15 if second is ADAM else 0)


def test_after_a_divergence_everything_is_as_it_was(few):
    train = few[0]
    net = network()
    net.fit(train, 1, **ADAM)
    before = net.engine.learned()
    with pytest.raises(DivergedError):
        net.fit(train, 1, **{**ADAM, "eta": 1e30})
    for name in ("parameters", "velocity", "second_moment"):
        assert np.array_equal(before[name], net.engine.learned()[name]), name
    assert net.state.updates == 15


def test_a_step_is_as_long_as_the_limit(few):
    train = few[0][:20]
    net = network(dtype="float64")
    before, limit = flat(net), 1e-3
    net.fit(train, 1, 20, 0.5, clip_norm=limit)
    assert np.linalg.norm(flat(net) - before) == pytest.approx(0.5 * limit)


def test_warm_up_begins_low(few):
    """The first of ten mini-batches over which eta rises has a tenth of it."""
    nets = []
    for eta, warm_up in ((0.1, 10.0), (0.01, 0.0)):
        nets.append(network(dtype="float64"))
        nets[-1].fit(few[0][:20], 1, 20, eta, warm_up=warm_up)
    np.testing.assert_allclose(flat(nets[0]), flat(nets[1]), rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimiser": "rmsprop"}, "optimiser is 'rmsprop': expected one of sgd, adam, adamw"),
        ({"optimiser": "adam", "momentum": 0.9}, "expected beta1, which is Adam's momentum"),
        ({"beta1": 1.0}, "beta1 is 1.0"),
        ({"beta2": -0.1}, "beta2 is -0.1"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0: expected a number greater than 0"),
        ({"warm_up": float("nan")}, "warm_up is nan"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Settings(eta=0.1, **settings)


def test_the_eta_that_suits():
    def eta(*activations, **settings):
        layers = [Dense(5, activation=activation) for activation in activations]
        return with_eta(Settings(**settings), [*layers, Softmax(10)]).eta

    assert eta("sigmoid") > eta("tanh") > eta("relu") == eta("leaky_relu:0.2") == eta()
    assert eta("sigmoid", "relu") == eta("relu")
    assert eta("relu", mini_batch_size=40) == 2 * eta("relu")
    assert eta("relu", momentum=0.9) == pytest.approx(eta("relu") / 10)
    assert eta("sigmoid", optimiser="adam") == eta("relu", optimiser="adamw") == 0.002
    assert with_eta(Settings(eta=7.0), [Softmax(10)]).eta == 7.0


def test_fit_without_eta_uses_it(few):
    nets = [network(), network()]
    nets[0].fit(few[0], 1, 7)
    assert nets[0].state.settings == replace(Settings(1, 7), eta=0.042)
    nets[1].fit(few[0], 1, 7, 0.042)
    assert np.array_equal(flat(nets[0]), flat(nets[1]))


def test_find_eta(digits):
    net = network()
    before = flat(net)
    found = net.find_eta(digits[0], 10, momentum=0.5)
    assert np.array_equal(flat(net), before)
    assert net.state.epoch == 0
    etas, costs = found["etas"], found["costs"]
    assert etas.shape == costs.shape
    assert (np.diff(etas) > 0).all()
    assert 0.005 < found["eta"] < 0.5
    assert costs[np.argmin(abs(etas - found["eta"]))] < 0.7 * costs[0]
    assert costs[-1] > 2
    assert np.array_equal(costs, net.find_eta(digits[0], 10, momentum=0.5)["costs"])
    with pytest.raises(SettingError, match="wobble is not a setting"):
        net.find_eta(digits[0], wobble=1)


def test_find_eta_of_a_network_that_always_diverges(few):
    net = network()
    huge = [{name: array * 1e11 for name, array in each.items()} for each in net.parameters()]
    net.set_parameters(huge)
    with pytest.raises(SettingError, match="diverges with every eta from 1e-05 to"):
        net.find_eta(few[0])


def test_kernels_read_the_rates_in_their_order():
    expected = ["eta", "decay", "decay_l1", "momentum", "nesterov", "beta2", "bias1", "bias2"]
    assert [*expected, "is_decoupled", "limit"] == list(Rates._fields)
    names = ("ETA", "DECAY", "DECAY_L1", "MOMENTUM", "NESTEROV", "BETA2", "BIAS1", "BIAS2")
    indices = [getattr(scalar, name) for name in (*names, "DECOUPLED", "LIMIT")]
    assert indices == list(range(len(Rates._fields)))
