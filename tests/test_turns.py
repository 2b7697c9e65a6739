"""A network that is being trained, as other threads and its own callbacks may use it."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest

import nbconv
from nbconv import Dataset, Dense, Network, Softmax

FIT = {"mini_batch_size": 10, "eta": 0.01, "ema_decay": 0.9}
EPOCHS = 20


@pytest.fixture(scope="module")
def sets(digits):
    """Training data, and so many to validate with that it takes a while."""
    train, validation, _ = digits
    images = np.concatenate([validation.images[:]] * 20)
    return train, Dataset(images, np.tile(validation.labels, 20))


def network():
    return Network([Dense(100, activation="relu"), Softmax(10)], (1, 8, 8), seed=1)


def weights(net):
    return net.engine.parameters.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "checkpoint"])
def test_what_another_thread_takes_goes_on_to_the_same_bits(sets, how, tmp_path):
    """Whenever it is taken: within an epoch, and while the average is evaluated."""
    train, validation = sets
    whole, net, taken = network(), network(), []
    whole.fit(train, EPOCHS, validation=validation, **FIT)
    fitting = threading.Thread(target=lambda: net.fit(train, EPOCHS, validation=validation, **FIT))
    fitting.start()
    while fitting.is_alive():
        if how == "checkpoint":
            net.save(tmp_path / f"{len(taken)}.h5")
            taken.append(Network.load(tmp_path / f"{len(taken)}.h5"))
        else:
            taken.append(
                copy.deepcopy(net) if how == "deepcopy" else pickle.loads(pickle.dumps(net))
            )
        time.sleep(0.01)
    fitting.join()
    assert weights(net) == weights(whole)
    unfinished = [each for each in taken if each.state.epoch < EPOCHS]
    assert len({(each.state.epoch, each.state.epoch_step) for each in unfinished}) > 3
    for each in unfinished[:: max(1, len(unfinished) // 8)]:
        assert each.history.epochs == each.state.epoch
        each.fit(train, EPOCHS - each.state.epoch, validation=validation, **FIT)
        assert weights(each) == weights(whole)


def test_it_is_trained_once_at_a_time(sets):
    """A callback can neither train it nor move it; afterwards both can be done."""
    train, _ = sets
    net = network()
    for action in (
        lambda metrics: net.fit(train, 1, 10, 0.1),
        lambda metrics: net.to("reference"),
    ):
        with pytest.raises(
            nbconv.SettingError, match=r"being trained and cannot be (trained|moved)"
        ):
            net.fit(train, 1, 10, 0.1, callback=action)
    assert net.fit(train, 1, 10, 0.1).epochs == 1
    assert net.to("reference").backend == "reference"


def test_a_callback_may_save_copy_and_set_parameters(sets, tmp_path):
    train, _ = sets
    net, copies = network(), []

    def callback(metrics):
        net.save(tmp_path / "run.h5")
        copies.append(copy.deepcopy(net))
        net.set_parameters(net.parameters())

    net.fit(train, 2, 10, 0.01, callback=callback)
    assert [each.state.epoch for each in copies] == [1, 2]
    assert weights(copies[1]) == weights(net) == weights(Network.load(tmp_path / "run.h5"))
