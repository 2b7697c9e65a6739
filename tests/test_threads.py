"""How many threads: what the machine offers, and what is found to be the fastest."""

import os
import random

import numpy as np
import pytest
from conftest import LINUX

import nbconv
from nbconv import Dense, Network, SettingError, Softmax, threads
from nbconv.threads import Pace


@pytest.fixture(autouse=True)
def automatic():
    yield
    nbconv.set_threads("auto")
    threads._everywhere["most"] = None


def run(pace, seconds_of, until):
    """Work until so many seconds have passed: (the time, the number of threads) of each step.

    seconds_of: how long a unit takes at a time with so many threads. The clock is made up; as in a
    training, a step takes about 20 ms.
    """
    now, steps, together = 0.0, [], 1
    while now < until:
        number, units = pace.now(), pace.units(together)
        unit = seconds_of(now, number)
        seconds = units * unit
        together = max(1, min(2 * together, int(0.02 / unit)))
        pace.measured(units, seconds)
        now += seconds
        steps.append((now, number))
    return steps


def share(steps, number, since=0.0, until=np.inf):
    """The share of the time from since to until that was done with so many threads."""
    total = spent = before = 0.0
    for now, used in steps:
        if since <= before < until:
            total += now - before
            spent += (now - before) * (used == number)
        before = now
    return spent / total


def test_where_two_are_faster_two_stay():
    steps = run(Pace(2), lambda now, number: 0.001 * (1.6 if number == 1 else 1), 20)
    assert share(steps, 2) > 0.98


def test_where_one_is_faster_one_is_found():
    steps = run(Pace(2), lambda now, number: 0.001 * (3 if number == 2 else 1), 20)
    assert share(steps, 1, since=0.3) > 0.97


def test_one_sample_without_a_core_fails_no_trial_of_fewer():
    """Beside busy programs the system may take the only core away, just then."""
    seen = []

    def seconds_of(now, number):
        seen.append(number)
        return 0.001 * (3 if number == 2 else 1 if seen.count(1) > 1 else 50)

    assert share(run(Pace(2), seconds_of, 20), 1, since=0.5) > 0.97


def test_one_sample_without_a_core_puts_off_no_trial_of_more():
    """At first another program wants a core, and for a moment more when two are tried again."""
    tried = []

    def seconds_of(now, number):
        if number == 2 and now > 0.4:
            tried.append(now)
        is_busy = now < 0.4 or len(tried) == 1
        return 0.001 * {1: 1.9, 2: 6 if is_busy else 1}[number]

    assert share(run(Pace(2), seconds_of, 20), 2, since=1.8) > 0.97


def test_trials_that_fail_cost_a_tenth_at_most():
    """A mini-batch of 20 ms is the least that a trial does, here with two threads of many more."""
    steps = run(Pace(2), lambda now, number: 0.02 * (10 if number == 2 else 1), 5)
    assert share(steps, 1, since=0.5) > 0.85


def test_it_follows_what_happens_on_the_machine():
    """From the fifth to the tenth second another program wants a core."""

    def seconds_of(now, number):
        is_busy = 5 < now < 10
        return (
            0.001 * {(1, False): 1.6, (2, False): 1, (1, True): 1.6, (2, True): 6}[number, is_busy]
        )

    steps = run(Pace(2), seconds_of, 20)
    assert share(steps, 2, until=5) > 0.97
    assert share(steps, 1, since=5.3, until=10) > 0.9
    assert share(steps, 2, since=14) > 0.95


def test_sixty_four_come_down_to_two_within_a_second():
    """Each thread beyond two costs another slice of the system's time."""
    steps = run(Pace(64), lambda now, number: 0.001 * max(2, number) / min(number, 2), 10)
    first = next(now for now, number in steps if number == 2)
    assert first < 1
    assert share(steps, 2, since=1) > 0.9


def test_noise_is_no_reason_to_change():
    numbers = random.Random(1)
    pace = Pace(2)
    steps = run(
        pace,
        lambda now, number: 0.001 * (1.5 if number == 1 else 1) * numbers.uniform(0.8, 1.3),
        30,
    )
    assert share(steps, 2) > 0.95


def test_a_fixed_number_is_not_left():
    pace = Pace(8)
    with threads.using(1):
        assert {number for _, number in run(pace, lambda now, number: 0.001, 2)} == {1}
    assert pace.now() == 8


@pytest.mark.parametrize("wrong", [0, -1, 10**6, 1.5, "two", "", None, True, [1]])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(SettingError, match=r"threads is .*: expected 'auto' or 1 to \d+"):
        nbconv.set_threads(wrong)
    with pytest.raises(SettingError, match="threads is"):
        Network([2, 2]).fit(
            nbconv.Dataset(np.ones((4, 2)), np.zeros(4, int)), 1, 2, 0.1, threads=wrong
        )


def test_numbers_of_numpy_are_taken():
    nbconv.set_threads(np.int64(1))
    assert threads.most() == threads.fixed() == 1


def test_what_bounds_it(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
    assert threads.limits()["OMP_NUM_THREADS"] == 1
    assert threads.offered() == 1
    for wrong in ("", "0", "-1", "x"):
        monkeypatch.setenv("OMP_NUM_THREADS", wrong)
        assert "OMP_NUM_THREADS" not in threads.limits()


@LINUX
def test_affinity_bounds_it():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert threads.offered() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("lines", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 0),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/gone\n", {"cpu.max": "300000 100000\n"}, 3),
        (
            "4:cpu,cpuacct:/x\n1:name=systemd:/y\n",
            {
                "cpu,cpuacct/x/cpu.cfs_quota_us": "250000",
                "cpu,cpuacct/x/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 0),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "1", "cpu.max": "x"}, 0),
        ("nonsense\n", {}, 0),
    ],
)
def test_the_quota_of_a_container(tmp_path, lines, files, quota):
    """Version 1 and 2 of Linux's control groups; the least of a group and those above it."""
    (tmp_path / "self").write_text(lines)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    assert threads._quota(tmp_path / "root", tmp_path / "self") == quota
    assert threads._quota(tmp_path / "root", tmp_path / "none") == 0


def test_auto_is_not_bound_by_an_earlier_number():
    """The same network, the same mini-batches: first one thread, then whatever is fastest."""
    data = nbconv.Dataset(np.random.default_rng(0).random((40, 9)), np.arange(40) % 3)
    net = Network([Dense(5), Softmax(3)], (9,))
    net.fit(data, 1, 10, 0.1, threads=1)
    net.fit(data, 1, 10, 0.1)
    assert {plan._pace.most for plan in net.engine.plans.values()} == {threads.offered()}


def test_the_history_says_how_many():
    data = nbconv.Dataset(np.random.default_rng(0).random((40, 9)), np.arange(40) % 3)
    net = Network([Dense(5), Softmax(3)], (9,))
    seen = []
    history = net.fit(data, 2, 10, 0.1, threads=1, callback=lambda metrics: seen.append(metrics))
    assert history.threads == [1, 1]
    assert [metrics["threads"] for metrics in seen] == [1, 1]
    assert "threads" not in history
    assert net.fit(data, 1, 10, 0.1).threads[0] in range(1, threads.offered() + 1)
    assert len(net.history.threads) == 3
