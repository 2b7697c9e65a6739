"""Training: what it reports, that it has the same bits again, and how it stops."""

import math
import signal
import threading

import numpy as np
import oracle
import pytest

import nbconv
from nbconv import Conv2D, Dense, DivergedError, MaxPool2D, Network, SettingError, Softmax, threads
from nbconv.training import loop as training
from nbconv.training import schedules
from nbconv.training.order import shuffled

LAYERS = [
    Conv2D(6, 3, activation="relu"),
    MaxPool2D(2),
    Dense(20, activation="relu", dropout=0.3),
    Softmax(10, dropout=0.2),
]
ALL_ON = {
    "mini_batch_size": 7, "eta": 0.05, "lmbda": 0.5, "lmbda_l1": 0.1, "momentum": 0.8,
    "nesterov": True, "schedule": "cosine:6", "expand": True,
}  # fmt: skip


def network(**options):
    return Network(LAYERS, (1, 8, 8), **options)


@pytest.fixture
def few(digits):
    return digits[0][:103], digits[1][:50], digits[2][:50]


def same(one, other):
    return np.array_equal(one.engine.parameters, other.engine.parameters)


def test_it_learns(digits):
    train, valid, test = digits
    net = Network(
        [Conv2D(10, 3, activation="relu"), MaxPool2D(2), Dense(30, activation="relu"), Softmax(10)],
        (1, 8, 8),
        initialiser="he",
    )
    reports = []
    history = net.fit(
        train,
        15,
        10,
        0.05,
        validation=valid,
        test=test,
        monitor_training=True,
        callback=reports.append,
    )
    assert history["validation_accuracy"][-1] > 0.9
    assert history.epochs == len(reports) == 15
    assert reports[-1]["epoch"] == 15
    for name in (
        "cost", "seconds", "training_cost", "training_accuracy", "validation_cost",
        "validation_accuracy", "test_cost", "test_accuracy",
    ):  # fmt: skip
        assert len(history[name]) == 15, name
        assert all(math.isfinite(number) for number in history[name]), name
    accuracies = history["validation_accuracy"]
    best = accuracies.index(max(accuracies))
    assert net.state.best.epoch == best + 1
    assert (
        history["test_accuracy"][best]
        == history["test_accuracy"][-1]
        == net.state.best.test_accuracy
    )
    net.restore_best()
    assert net.evaluate(valid)["accuracy"] == max(accuracies)
    assert net.evaluate(test)["accuracy"] == history["test_accuracy"][-1]


@pytest.mark.slow
def test_one_step_is_the_equations(digits):
    """One mini-batch by hand: gradient from the public face, update from the oracle.

    Both have L2 over n images.
    """
    train = digits[0][:10]
    net = Network([64, 12, 10], dtype="float64", seed=2)
    gradient = net.engine.mean_gradient(train)
    right, _ = oracle.sgd(
        net.engine.parameters,
        net.engine.velocity,
        gradient,
        net.engine.weights_count,
        0.5,
        3.0 / 10,
        0,
        0,
        False,
    )
    net.fit(train, epochs=1, mini_batch_size=10, eta=0.5, lmbda=3.0)
    assert np.allclose(net.engine.parameters, right, rtol=1e-12, atol=1e-14)


def test_the_last_smaller_mini_batch_is_trained_on(few):
    net = network()
    net.fit(few[0], epochs=2, mini_batch_size=10, eta=0.01)
    assert net.state.step == 22  # 103 images


def test_orders_are_functions_of_seed_and_epoch():
    orders = [shuffled(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    for index, order in enumerate(orders):
        assert sorted(order) == list(range(50))
        assert all(not np.array_equal(order, other) for other in orders[:index])
    assert np.array_equal(shuffled(1, 1, 50), orders[3])


def test_same_seed_same_bits(few):
    runs = [network(seed=5) for _ in range(2)]
    for net in runs:
        net.fit(few[0], epochs=3, **ALL_ON)
    assert same(*runs)
    other = network(seed=6)
    other.fit(few[0], epochs=3, **ALL_ON)
    assert not same(runs[0], other)


@pytest.mark.skipif(threads.limit() < 2, reason="needs two CPU threads")
def test_same_bits_with_one_and_two_threads(few):
    runs = []
    for number in (1, 2):
        nbconv.set_threads(number)
        runs.append(network())
        runs[-1].fit(few[0], epochs=3, **ALL_ON)
    nbconv.set_threads("auto")
    assert same(*runs)


def test_five_epochs_are_two_and_three(few, tmp_path):
    whole, parts = network(), network()
    history = whole.fit(few[0], epochs=5, validation=few[1], test=few[2], **ALL_ON)
    parts.fit(few[0], epochs=2, validation=few[1], test=few[2], **ALL_ON)
    parts.save(tmp_path / "two.h5")
    resumed = Network.load(tmp_path / "two.h5")
    rest = resumed.fit(few[0], epochs=3, validation=few[1], test=few[2], **ALL_ON)
    parts.fit(few[0], epochs=3, validation=few[1], test=few[2], **ALL_ON)
    assert same(whole, resumed)
    assert same(whole, parts)
    assert rest.epochs == 3
    for name in history:
        if name != "seconds":
            assert resumed.history[name] == whole.history[name], name
    assert resumed.state.best.epoch == whole.state.best.epoch
    assert np.array_equal(resumed.state.best.parameters, whole.state.best.parameters)


def test_divergence_names_epoch_and_step_and_keeps_what_was_good(few, tmp_path):
    net = network()
    net.fit(few[0], epochs=1, mini_batch_size=10, eta=0.01, checkpoint=tmp_path / "good.h5")
    before, content = net.engine.parameters.copy(), (tmp_path / "good.h5").read_bytes()
    with pytest.raises(DivergedError, match=r"epoch 2, mini-batch \d+ \(eta 1e[+]30\)"):
        net.fit(
            few[0],
            epochs=20,
            mini_batch_size=10,
            eta=1e30,
            momentum=0.99,
            checkpoint=tmp_path / "good.h5",
        )
    assert np.array_equal(net.engine.parameters, before)
    assert net.state.epoch == 1
    assert (tmp_path / "good.h5").read_bytes() == content


@pytest.mark.parametrize("change", [{}, {"lmbda": 0.1}])
def test_divergence_in_half_an_epoch_goes_back_to_it(few, monkeypatch, change):
    """With the same settings the epoch goes on, with others it begins anew."""
    monkeypatch.setattr(training, "PACE", 0.0)
    net, done = network(), []

    def stop(images, _):
        done.append(images)
        if len(done) == 13:  # of 11 mini-batches an epoch
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(nbconv.Interrupted):
        net.fit(few[0], 3, 10, 0.01, progress=stop)
    place, before = (net.state.step, net.state.epoch_step), net.engine.learned()
    assert place == (13, 2)

    def spoil(*_):
        net.engine.write(net.engine.parameters, np.float32(1e30))

    with pytest.raises(DivergedError, match="the weights are back as they were before this fit"):
        net.fit(few[0], 2, 10, 0.01, progress=spoil, **change)
    assert (net.state.step, net.state.epoch_step) == (place if not change else (13, 0))
    assert all(np.array_equal(v, before[k]) for k, v in net.engine.learned().items())


def test_a_schedule_begins_anew_with_other_settings(few):
    net = network()
    net.fit(few[0], 3, 10, 0.05)
    before = net.engine.parameters.copy()
    net.fit(few[0], 1, 103, 0.05, schedule="cosine:1", warm_up=0.5)
    assert np.abs(net.engine.parameters - before).max() > 1e-5
    net.fit(few[0], 1, 103, 0.05, schedule="cosine:1", warm_up=0.5)  # goes on behind its end
    after = net.engine.parameters.copy()
    net.fit(few[0], 1, 103, 0.05, schedule="cosine:1", warm_up=0.5)
    assert np.array_equal(net.engine.parameters, after)


def test_test_scores_are_the_best_epochs_on_these_test_data(few):
    train, valid, test = few
    wrong = nbconv.Dataset(test.images, (test.labels + 1) % 10)
    net = network()
    net.fit(train, 8, 10, 0.05, validation=valid, test=test)
    best = net.state.best.epoch
    history = net.fit(train, 1, 10, 1e-9, validation=valid, test=wrong)
    assert net.state.best.epoch == best
    net.restore_best()
    assert history["test_accuracy"] == [net.evaluate(wrong)["accuracy"]]
    assert history["test_cost"] == [pytest.approx(net.evaluate(wrong)["cost"])]


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "linear"])
@pytest.mark.parametrize("cost", [None, "quadratic"])
def test_divergence_is_seen_where_neurons_saturate(few, activation, cost):
    """A finite cost of 1e30, or a small one of saturated neurons, is no training either.

    The neurons are saturated by weights of 1e30.
    """
    net = Network([Dense(10, activation)], (64,), cost=cost)
    with pytest.raises(DivergedError, match="epoch 1, mini-batch"):
        net.fit(few[0], epochs=2, mini_batch_size=10, eta=1e30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is 0"), ({"epochs": -3}, "epochs is -3"),
        ({"epochs": 1.5}, "epochs is 1.5"), ({"mini_batch_size": 0}, "mini_batch_size is 0"),
        ({"mini_batch_size": 104}, "at most the 103 training images"),
        ({"eta": float("nan")}, "eta is nan"), ({"eta": -1.0}, "eta is -1.0"),
        ({"eta": 0}, "eta is 0"), ({"eta": float("inf")}, "eta is inf"),
        ({"eta": "fast"}, "eta is 'fast'"), ({"lmbda": -1}, "lmbda is -1"),
        ({"momentum": 1.0}, "momentum is 1.0"), ({"nesterov": True}, "momentum"),
        ({"schedule": "warm"}, "schedule is 'warm'"), ({"schedule": "halve:2"}, "validation data"),
        ({"patience": 0}, "patience is 0"), ({"patience": 3}, "validation data"),
        ({"rotate": -5}, "rotate is -5"), ({"zoom": 1.0}, "zoom is 1.0"),
        ({"elastic": float("nan")}, "elastic is nan"),
        ({"expand": True, "shift": 1.0}, "expected one of the two"),
        ({"expand": True, "flip": True}, "crop): expected one of the two"),
        ({"expand": True, "crop": 1}, "one of the two"),
        ({"flip": 1}, "flip is 1"), ({"crop": -1}, "crop is -1"), ({"crop": 1.5}, "crop is 1.5"),
        ({"elastic": 1e39}, "elastic is 1e+39: expected less than 8"),
        ({"shift": 8}, "shift is 8: expected less than 8"),
        ({"crop": 8}, "crop is 8: expected less than 8, as the pictures are 8x8"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(few, change, message):
    net = network()
    before = net.engine.parameters.copy()
    with pytest.raises(SettingError, match="expected") as refused:
        net.fit(few[0], **{"epochs": 1, "mini_batch_size": 10, "eta": 0.1, **change})
    assert message in str(refused.value)
    assert np.array_equal(net.engine.parameters, before)


def test_data_that_does_not_fit(few):
    net = Network([Softmax(5)], (1, 8, 8))
    with pytest.raises(nbconv.DataError, match="train: the largest label is 9"):
        net.fit(few[0], 1, 10, 0.1)
    net = Network([Softmax(10)], (64,))
    flat = nbconv.Dataset(np.asarray(few[0].images).reshape(103, 64), few[0].labels)
    net.fit(flat, 1, 10, 0.1)
    for option in ({"expand": True}, {"shift": 1.0}, {"flip": True}, {"crop": 1}):
        with pytest.raises(nbconv.DataError, match="are for pictures: expected images of"):
            net.fit(flat, 1, 10, 0.1, **option)
    with pytest.raises(nbconv.DataError, match="validation: images are 1x2x2"):
        net.fit(few[0], 1, 10, 0.1, validation=nbconv.Dataset(np.zeros((3, 1, 2, 2)), [0, 1, 2]))


def test_a_test_set_that_comes_later(few):
    net = Network([64, 10])
    net.fit(few[0], 3, 10, 0.5, validation=few[1])
    history = net.fit(few[0], 3, 10, 1e-9, validation=few[1], test=few[2])
    assert history.epochs == 3


def test_numpy_numbers_are_settings_too(few, tmp_path):
    one, other = network(), network()
    one.fit(few[0], np.int64(1), np.int32(10), np.float32(0.01), np.float64(0.5))
    other.fit(few[0], 1, 10, float(np.float32(0.01)), 0.5)
    one.save(tmp_path / "a.h5")
    assert same(one, Network.load(tmp_path / "a.h5"))
    assert same(one, other)


def test_early_stopping(few):
    net = Network([64, 10])
    history = net.fit(
        few[0], epochs=500, mini_batch_size=10, eta=0.5, validation=few[1], patience=4
    )
    accuracies = history["validation_accuracy"]
    assert history.epochs < 500
    assert len(accuracies) - 1 - accuracies.index(max(accuracies)) == 4


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_together_or_one_by_one_mini_batches_give_the_same_bits(few, monkeypatch, schedule):
    nets = []
    for pace in (0.0, 60.0):
        monkeypatch.setattr(training, "PACE", pace)
        seen = []
        nets.append(network())
        nets[-1].fit(
            few[0],
            2,
            10,
            0.1,
            momentum=0.5,
            schedule=schedule,
            progress=lambda done, _, seen=seen: seen.append(done),
        )
        assert (len(seen) == 2 * 11) == (pace == 0)
    assert np.array_equal(nets[0].engine.parameters, nets[1].engine.parameters)
    assert nets[0].history["cost"] == nets[1].history["cost"]


def test_expand_trains_on_five_times_as_many(few):
    net = network()
    seen = []
    net.fit(
        few[0], 1, 10, 0.01, expand=True, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (515, 515)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(net.history["cost"]) == 1
    assert net.state.step == 52


DISTORTED = {"rotate": 20.0, "zoom": 0.2, "shift": 1.0, "elastic": 0.7, "flip": True, "crop": 1}


def test_distortions_are_the_same_bits_again(few, tmp_path):
    """With one thread and two, stopped within an epoch and gone on with, in slices or not.

    And each epoch others. With 40 images there are slices.
    """

    def stop(done, total):
        signal.raise_signal(signal.SIGINT)

    options = {"mini_batch_size": 40, "eta": 0.1, "momentum": 0.5, **DISTORTED}
    whole, halves = network(), network()
    whole.fit(few[0], 2, **options)
    nbconv.set_threads(1)
    try:
        with pytest.raises(nbconv.Interrupted):
            halves.fit(few[0], 2, **options, checkpoint=tmp_path / "run.h5", progress=stop)
        halves = Network.load(tmp_path / "run.h5")
        assert halves.state.settings.rotate == 20
        assert (halves.state.epoch, halves.state.epoch_step) == (0, 1)
        halves.fit(few[0], 2, **options)
    finally:
        nbconv.set_threads("auto")
    assert same(whole, halves)
    plain = network()
    plain.fit(few[0], 2, **{**options, **dict.fromkeys(DISTORTED, 0), "flip": False})
    assert not same(whole, plain)


def test_flips_of_symmetric_pictures_change_nothing(few):
    """And crops of black ones, to the bit; else both do."""

    def trained(images, **options):
        net = network()
        net.fit(nbconv.Dataset(images, few[0].labels), 1, 10, 0.1, **options)
        return net

    images = np.asarray(few[0].images)
    halves = np.concatenate([images[..., :4], images[..., 3::-1]], axis=-1)
    assert same(trained(halves, flip=True), trained(halves))
    assert same(trained(0 * images, crop=3), trained(0 * images))
    plain, flipped, cropped = (trained(images, **o) for o in ({}, {"flip": True}, {"crop": 1}))
    assert not same(plain, flipped)
    assert not same(plain, cropped)
    assert not same(flipped, cropped)


@pytest.mark.parametrize("shape", [(1, 8, 8), (64,)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dense_network_on_distorted_pictures(few, dtype, shape):
    net = Network([Dense(20), Softmax(10)], shape, dtype=dtype)
    before = net.evaluate(few[0])
    net.fit(few[0], 3, 10, 0.3, **DISTORTED)
    assert net.evaluate(few[0])["cost"] < before["cost"]
    assert net.evaluate(few[0]) == net.evaluate(few[0])  # nothing but training is distorted


def test_schedules():
    constant = schedules.parse("constant")(10, [])
    assert constant(0) == constant(9.5) == 1
    halve = schedules.parse("halve:2")
    assert halve(10, [0.1, 0.2, 0.2])(3) == 1
    assert halve(10, [0.1, 0.2, 0.2, 0.2])(4) == 0.5
    assert halve(10, [0.1, 0.2, 0.2, 0.2, 0.1])(5) == 0.5
    assert halve(10, [0.1, 0.2, 0.2, 0.2, 0.1, 0.2])(6) == 0.25
    step = schedules.parse("step:3:0.5")(10, [])
    assert [step(epoch) for epoch in (0, 2.99, 3, 6)] == [1, 1, 0.5, 0.25]
    assert schedules.parse("step:3")(10, [])(3) == pytest.approx(0.1)
    cosine = schedules.parse("cosine")(10, [])
    assert [cosine(epoch) for epoch in (0, 5, 10)] == pytest.approx([1, 0.5, 0])
    assert schedules.parse("cosine:5")(10, [])(5) == pytest.approx(0)
    cycle = schedules.parse("one-cycle")(10, [])
    assert [cycle(epoch) for epoch in (0, 3, 10)] == pytest.approx([1 / 25, 1, 1 / 10_000])
    for wrong in (
        "halve",
        "halve:0",
        "halve:x",
        "step:1:0",
        "step:1:nan",
        "cosine:0",
        "cosine:-1",
        "constant:1",
        "",
        "step",
    ):
        with pytest.raises(SettingError, match="expected"):
            schedules.parse(wrong)


def test_a_schedule_reaches_the_update(few):
    plain, stepped = network(), network()
    plain.fit(few[0], 1, 10, 0.01)
    stepped.fit(few[0], 1, 10, 0.01, schedule="step:1:0.5")
    assert same(plain, stepped)
    plain.fit(few[0], 1, 10, 0.01)
    stepped.fit(few[0], 1, 10, 0.01, schedule="step:1:0.5")
    assert not same(plain, stepped)


def test_training_from_another_thread(few):
    """Signals are the main thread's; elsewhere fit trains all the same."""
    net, done = network(), []
    thread = threading.Thread(target=lambda: done.append(net.fit(few[0], 1, 10, 0.01)))
    thread.start()
    thread.join()
    assert done[0].epochs == 1


def test_patience_begins_with_its_settings(few):
    net = Network([64, 10])
    net.fit(few[0], 8, 10, 0.3, validation=few[1])
    net.fit(few[0], 2, 10, 20.0, validation=few[1])
    history = net.fit(few[0], 10, 10, 0.1, validation=few[1], patience=2)
    assert history.epochs >= 3
    again = net.fit(few[0], 10, 10, 0.1, validation=few[1], patience=2)
    assert again.epochs >= 3


def test_a_best_epoch_belongs_to_its_validation_data(few):
    net = Network([64, 10])
    net.fit(few[0], 3, 10, 0.3, validation=few[1])
    hard = nbconv.Dataset(few[1].images[:1], (net.predict(few[1].images[:1]) + 1) % 10)
    net.fit(few[0], 1, 10, 1e-9, validation=hard)
    assert net.state.best.epoch == 4


def test_no_epoch_is_the_best_after_a_training_without_validation(few, tmp_path):
    """Nor are weights that were set: with the best ones of before, another network would answer."""
    net = Network([64, 10])
    net.fit(few[0], 2, 10, 0.3, validation=few[1])
    assert net.state.best
    net.fit(few[0], 1, 10, 0.3)
    assert net.state.best is None
    net.save(tmp_path / "run.h5")
    answering = Network.load(tmp_path / "run.h5", weights="best")
    assert np.array_equal(answering.engine.parameters, net.engine.parameters)
    net.fit(few[0], 1, 10, 0.3, validation=few[1])
    assert net.state.best.epoch == 4
    net.set_parameters(net.parameters())
    assert net.state.best is None


def test_gradients_within_a_training_leave_its_costs_alone(few):
    one, other = network(), network()
    history = one.fit(few[0], 1, 10, 0.01)
    watched = other.fit(
        few[0], 1, 10, 0.01, progress=lambda *_: other.gradients(few[1].images, few[1].labels)
    )
    assert history["cost"] == watched["cost"]
    assert same(one, other)


def test_a_checkpoint_that_cannot_be_written_is_found_at_once(few):
    net = network()
    with pytest.raises(nbconv.CheckpointError, match="could not be saved"):
        net.fit(few[0], 1, 10, 0.01, checkpoint="/nonexistent/run.h5")
    assert net.state.epoch == 0


def test_a_signal_after_the_last_epoch_is_not_lost(few):
    net = network()
    with pytest.raises(nbconv.Interrupted) as stopped:
        net.fit(few[0], 1, 10, 0.01, callback=lambda report: signal.raise_signal(signal.SIGINT))
    assert stopped.value.signal_number == signal.SIGINT
    assert stopped.value.saved
    assert net.state.epoch == 1
