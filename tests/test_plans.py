"""Plans: what is recorded is run, as often as it is asked for, with the numbers of the day."""

import numpy as np
import pytest
from nbconv.kernels import cpu

from nbconv import Dense, Network
from nbconv.engine.engine import EVALUATION_ROWS, MAX_PLANS, OUTPUTS, _orders
from nbconv.layers import Randomness, Rates
from nbconv.layers.recorder import Recorder


def test_calls_are_noted_and_run_later():
    recorder, total, part = Recorder(cpu), np.zeros(3), np.ones(3)
    program = recorder.program(
        lambda: [recorder.kernels.add(total, part) for _ in range(2)], (part,)
    )
    assert not total.any()
    program(1, part)
    program(3, np.full(3, 10.0))
    assert (total == 62).all()
    program(0, part)
    recorder.program(lambda: None)(5)
    assert (total == 62).all()


def test_an_unknown_kernel_is_no_attribute():
    with pytest.raises(AttributeError, match="dense_sideways"):
        Recorder(cpu).kernels.dense_sideways  # noqa: B018 -- the attribute is what is tested


def test_rates_and_randomness_are_read_anew(digits):
    """One plan, other numbers: eta 0 changes nothing, another step has another dropout mask."""
    net = Network([Dense(8, dropout=0.5), Dense(10)], (64,), dtype="float64")
    engine, data, order = net.engine, digits[0], np.arange(10)[None]
    before = engine.parameters.copy()
    changes = []
    for step, eta in ((0, 0.0), (0, 1.0), (1, 1.0), (1, 2.0)):
        engine.parameters[:] = before
        engine.descend(data, order, Randomness(3, step), np.array([Rates(eta)]))
        changes.append(engine.parameters - before)
    assert len(engine.plans) == 1
    assert not changes[0].any()
    assert not np.allclose(changes[1], changes[2])
    np.testing.assert_allclose(changes[3], 2 * changes[2], rtol=1e-9, atol=1e-12)


def test_ever_new_sizes_do_not_pile_up(digits):
    net = Network([64, 5, 10])
    right = net.predict(digits[0].images[:100])
    for count in range(1, 101):
        assert np.array_equal(net.predict(digits[0].images[:count]), right[:count])
        assert len(net.engine.plans) <= MAX_PLANS
    assert (OUTPUTS[False], 100, np.dtype(np.float32)) in net.engine.plans


@pytest.mark.parametrize(("count", "size"), [(1, 4), (8, 4), (130, 2), (131, 2)])
def test_an_evaluation_s_runs_end_soon(count, size):
    """All images in their order, few rows at a time: nothing can interrupt a run."""
    orders = list(_orders(range(count), size))
    assert np.concatenate([order.ravel() for order in orders]).tolist() == list(range(count))
    assert all(
        len(order) <= EVALUATION_ROWS and order.shape[1] in (size, count % size) for order in orders
    )
