"""The moving average of the weights: what answers, and what the training goes on with."""

import copy
import pickle
import signal

import h5py
import numpy as np
import pytest

from nbconv import (
    BatchNorm,
    Conv2D,
    DivergedError,
    Interrupted,
    MaxPool2D,
    Network,
    SettingError,
    Softmax,
)

FIT = {"mini_batch_size": 10, "eta": 0.1, "momentum": 0.5}
DECAY = {**FIT, "ema_decay": 0.6}


@pytest.fixture(scope="module")
def few(digits):
    return digits[0][:100], digits[1][:60], digits[2][:60]


def network(dtype="float32", backend="cpu"):
    layers = [Conv2D(3, 3, activation="relu"), BatchNorm(), MaxPool2D(2), Softmax(10)]
    return Network(layers, (1, 8, 8), seed=2, dtype=dtype, backend=backend)


def weights(net):
    """Everything that answers depend on, as one array."""
    return np.concatenate(list(net.engine.weights().values()))


def own(net):
    """The training's own weights."""
    return np.concatenate(list(net.state.own.values()))


def same(one, other):
    """Whether two trainings are as far, to the bit."""
    return (
        weights(one).tobytes() == weights(other).tobytes()
        and own(one).tobytes() == own(other).tobytes()
        and one.engine.velocity.tobytes() == other.engine.velocity.tobytes()
        and one.state.average.epochs == other.state.average.epochs
        and one.history["validation_accuracy"] == other.history["validation_accuracy"]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_the_equation(few, dtype):
    """m_t = d m_(t-1) + (1 - d) w_t from m_0 = 0, divided by 1 - d^t, of a training without."""
    train, validation, test = few
    net, plain = network(dtype), network(dtype)
    scores, mean = [], 0.0
    for epoch in range(1, 6):
        plain.fit(train, 1, validation=validation, **FIT)
        mean = 0.6 * mean + 0.4 * np.float64(weights(plain))
        right = mean / (1 - 0.6**epoch)
        net.fit(train, 1, validation=validation, test=test, **DECAY)
        np.testing.assert_allclose(weights(net), right, rtol=1e-5, atol=1e-6)
        assert own(net).tobytes() == weights(plain).tobytes()
        assert net.engine.velocity.tobytes() == plain.engine.velocity.tobytes()
        scores.append(net.evaluate(validation)["accuracy"])
    assert net.history["cost"] == plain.history["cost"]
    assert net.history["validation_accuracy"] == scores
    assert net.history["validation_accuracy"] != plain.history["validation_accuracy"]
    best = net.state.best
    assert best.validation_accuracy == max(scores)
    net.restore_best()
    assert net.evaluate(validation)["accuracy"] == max(scores)
    assert net.evaluate(test)["accuracy"] == best.test_accuracy


def test_without_it_nothing_changes(few):
    one, other = network(), network()
    one.fit(few[0], 2, validation=few[1], **FIT)
    other.fit(few[0], 2, validation=few[1], ema_decay=0.0, **FIT)
    assert weights(one).tobytes() == weights(other).tobytes()
    assert other.state.average is None
    assert other.state.own is None


def test_five_epochs_are_two_and_three(few, tmp_path):
    whole, parts = network(), network()
    whole.fit(few[0], 5, validation=few[1], **DECAY)
    parts.fit(few[0], 2, validation=few[1], **DECAY)
    parts.save(tmp_path / "parts.h5")
    back = Network.load(tmp_path / "parts.h5")
    assert same(parts, back)
    copies = [parts, back, copy.deepcopy(parts), pickle.loads(pickle.dumps(parts))]
    for net in copies:
        net.fit(few[0], 3, validation=few[1], **DECAY)
        assert same(net, whole)


def test_it_goes_along_to_another_backend(few):
    net = network()
    net.fit(few[0], 1, **DECAY)
    x, before = few[1].images[:], own(net).tobytes()
    right = net.predict_proba(x)
    net.to("reference")
    np.testing.assert_allclose(net.predict_proba(x), right, rtol=1e-3, atol=1e-5)
    assert own(net).tobytes() == before


def test_a_file_says_which_weights_are_which(few, tmp_path):
    net, plain = network(), network()
    net.fit(few[0], 3, **DECAY)
    plain.fit(few[0], 3, **FIT)
    net.save(tmp_path / "net.h5")
    plain.save(tmp_path / "plain.h5")
    with h5py.File(tmp_path / "net.h5") as one, h5py.File(tmp_path / "plain.h5") as other:
        name = "0-conv2d/weights"
        assert np.array_equal(one[f"layers/{name}"], net.parameters()[0]["weights"])
        assert np.array_equal(one[f"unaveraged/{name}"], other[f"layers/{name}"])
        assert one["unaveraged"].attrs["epochs"] == 3
        (layer,) = one["statistics"]
        mean = f"{layer}/mean"
        assert np.array_equal(one[f"unaveraged_statistics/{mean}"], other[f"statistics/{mean}"])
        assert not np.array_equal(one[f"statistics/{mean}"], other[f"statistics/{mean}"])
        assert "unaveraged" not in other


def test_a_callback_and_what_it_saves_have_the_average(few, tmp_path):
    net, seen = network(), []

    def callback(metrics):
        seen.append(net.evaluate(few[1])["accuracy"] == metrics["validation_accuracy"])
        net.save(tmp_path / "now.h5")
        seen.append(Network.load(tmp_path / "now.h5").engine.parameters.tobytes()
                    == net.engine.parameters.tobytes())  # fmt: skip

    net.fit(few[0], 3, validation=few[1], callback=callback, **DECAY)
    assert seen == [True] * 6


def test_an_interruption_leaves_the_average_of_whole_epochs(few):
    net, whole, done = network(), network(), []

    def stop(*_):
        done.append(1)
        if len(done) == 3:
            signal.raise_signal(signal.SIGINT)

    net.fit(few[0], 2, validation=few[1], **DECAY)
    before = weights(net).tobytes()
    with pytest.raises(Interrupted):
        net.fit(few[0], 1, validation=few[1], progress=stop, **DECAY)
    assert net.state.epoch_step
    assert weights(net).tobytes() == before
    net.fit(few[0], 1, validation=few[1], **DECAY)
    whole.fit(few[0], 3, validation=few[1], **DECAY)
    assert same(net, whole)


def test_an_epoch_whose_evaluation_was_broken_off_counts_once(few, monkeypatch):
    """A second Ctrl-C stops at once, wherever the training is."""
    net, whole = network(), network()
    net.fit(few[0], 1, validation=few[1], **DECAY)
    before = weights(net).tobytes()

    def broken(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(net.engine, "evaluate", broken)
        with pytest.raises(KeyboardInterrupt):
            net.fit(few[0], 1, validation=few[1], **DECAY)
    assert weights(net).tobytes() == before
    net.fit(few[0], 1, validation=few[1], **DECAY)
    whole.fit(few[0], 2, validation=few[1], **DECAY)
    assert same(net, whole)


def test_a_divergence_leaves_the_average_of_whole_epochs(few):
    net = network()
    net.fit(few[0], 2, **DECAY)
    answers, training = weights(net).tobytes(), own(net).tobytes()
    with pytest.raises(DivergedError):
        net.fit(few[0], 1, **{**DECAY, "eta": 1e30})
    assert (weights(net).tobytes(), own(net).tobytes()) == (answers, training)


def test_other_weights_begin_it_anew(few):
    """After restore_best and set_parameters training goes on with what answers."""
    net = network()
    net.fit(few[0], 3, validation=few[1], **DECAY)
    other = copy.deepcopy(net)
    net.restore_best()
    other.set_parameters(other.parameters())
    for each in (net, other):
        start = each.engine.weights()
        plain = copy.deepcopy(each)
        assert np.array_equal(plain.predict(few[1].images), each.predict(few[1].images))
        each.fit(few[0], 1, **DECAY)
        assert each.state.average.epochs == 1
        assert weights(each).tobytes() == own(each).tobytes()
        plain.engine.learn(start)
        plain.fit(few[0], 1, **FIT)
        assert weights(plain).tobytes() == own(each).tobytes()


def test_another_decay_begins_it_anew_and_none_ends_it(few, tmp_path):
    net, plain = network(), network()
    net.fit(few[0], 2, **DECAY)
    net.fit(few[0], 1, **{**DECAY, "ema_decay": 0.9})
    plain.fit(few[0], 3, **FIT)
    assert net.state.average.epochs == 1
    assert weights(net).tobytes() == own(net).tobytes() == weights(plain).tobytes()
    net.fit(few[0], 1, **FIT)
    plain.fit(few[0], 1, **FIT)
    assert weights(net).tobytes() == weights(plain).tobytes()
    assert (net.state.average, net.state.own) == (None, None)
    net.save(tmp_path / "net.h5")
    assert Network.load(tmp_path / "net.h5").state.average is None


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan"), "0.9"])
def test_a_decay_is_a_share(few, decay):
    with pytest.raises(SettingError, match=r"^ema_decay is .*: expected a number of 0 or more and"):
        network().fit(few[0], 1, **{**FIT, "ema_decay": decay})
