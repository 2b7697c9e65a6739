"""Going on from a checkpoint gives the bits of a training that never stopped."""

import signal

import pytest

from nbconv import Interrupted, Network
from nbconv.training import loop as training

from .conftest import FIT, network, same


@pytest.fixture
def one_by_one(monkeypatch):
    """Mini-batches run one at a time, not as many together as take training.PACE seconds."""
    monkeypatch.setattr(training, "PACE", 0.0)


def test_going_on_from_any_mini_batch_gives_the_same_bits(few, tmp_path, one_by_one):
    """A checkpoint of every mini-batch, taken from within, and a fit from each of some of them."""
    train, validation, test = few
    weighted = {"class_weights": "balanced", "label_smoothing": 0.1}
    options = {**FIT, "validation": validation, "test": test, "expand": True, **weighted}
    options |= {"standardise": True, "ema_decay": 0.7}
    net = network()
    saved = []

    def save(done, count):
        saved.append(tmp_path / f"{len(saved)}.h5")
        net.save(saved[-1])

    net.fit(train[:20], 3, progress=save, **options)
    assert len(saved) == 3 * 15
    for path in (saved[0], saved[13], saved[14], saved[15], saved[37], saved[44]):
        back = Network.load(path)
        assert back.state.epoch_step == int(path.stem) % 15 + 1
        back.fit(train[:20], 3 - back.state.epoch, **options)
        same(net, back)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("schedule", ["halve:1", "one-cycle"])
def test_going_on_after_a_signal_gives_the_same_bits(few, tmp_path, number, schedule, one_by_one):
    train, validation, test = few
    options = {
        **FIT,
        "validation": validation,
        "test": test,
        "schedule": schedule,
        "ema_decay": 0.7,
        "checkpoint": tmp_path / "a.h5",
    }
    whole = network()
    whole.fit(train, 4, **options)
    done = []

    def stop(*_):
        done.append(1)
        if len(done) in (3, 13, 29):
            signal.raise_signal(number)

    net, stops = network(), []
    while net.state.epoch < 4:
        try:
            net.fit(train, 4 - net.state.epoch, progress=stop, **options)
        except Interrupted as stopped:
            net = Network.load(tmp_path / "a.h5")
            stops.append((net.state.epoch, net.state.epoch_step, stopped.signal_number))
    assert stops == [(0, 3, number), (1, 4, number), (3, 2, number)]
    same(whole, net)
    same(whole, Network.load(tmp_path / "a.h5"))
