"""Programs: calls in machine code do what the calls do."""

import gc
import json
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
from conftest import IS_COMPILED
from nbconv.kernels import cpu, reference
from nbconv.kernels.cpu import Program

from nbconv.activations import parse

both = pytest.mark.parametrize("kernels", [cpu, reference] if IS_COMPILED else [reference])
compiled = pytest.mark.skipif(not IS_COMPILED, reason="needs Numba's compiler")
SIDE_BY_SIDE = """
import hashlib, json, numba, numpy as np, nbconv
from nbconv import Conv2D, Dense, MaxPool2D, Softmax
random = np.random.default_rng(0)
data = nbconv.Dataset(random.random((150, 1, 10, 10)), random.integers(0, 3, 150))
layers = [
    Conv2D(6, 3), MaxPool2D(2), Conv2D(4, 3, padding=1), MaxPool2D(2), Dense(7), Softmax(3)
]
net = nbconv.Network(layers, (1, 10, 10))
net.fit(data, 2, 70, 0.5)
digest = hashlib.sha256(net.engine.parameters).hexdigest()
print(json.dumps([numba.threading_layer(), digest, numba.get_num_threads()]))
"""


@compiled
def test_arguments_of_every_kind_reach_the_kernel(dtype):
    """Arrays of one to five axes, whole numbers, floats and tuples."""
    random = np.random.default_rng(0)
    x, w = random.random((2, 6, 1, 7, 3)).astype(dtype), random.random((5, 2, 3, 2)).astype(dtype)
    b, taps = random.random(5).astype(dtype), np.arange(12, dtype=np.uint64)
    results = []
    for is_program in (False, True):
        a, argmax = np.zeros((5, 2, 3, 3), dtype), np.zeros((5, 2, 3, 3), np.int32)
        calls = [
            (
                cpu.conv2d_max_pool_forward,
                (a, argmax, x, w, b, taps, 7, 6, (2, 2, 2, 2), parse("activation", "tanh")),
            ),
            (cpu.dropout, (a.reshape(-1), a.reshape(-1), 0.25, 2.0, np.array([3, 4]), 5)),
        ]
        if is_program:
            Program(calls)(1)
        else:
            for kernel, arguments in calls:
                kernel(*arguments)
        results.append((a, argmax))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)
        assert one.any()


@both
def test_each_run_has_its_own_arrays(kernels):
    total, first = np.zeros(3), np.ones(3)
    program = kernels.Program(
        [(kernels.add, (total, first)), (kernels.add, (total, total))], (first,)
    )
    program(2, first)
    assert (total == 6).all()
    read_only = np.full(3, 0.5)
    read_only.flags.writeable = False
    program(1, read_only)
    assert (total == 13).all()


@both
def test_a_program_keeps_what_it_needs_and_nothing_else(kernels):
    total, part, given = np.zeros(3), np.ones(3), np.full(3, 5.0)
    alive = weakref.ref(part)
    program = kernels.Program(
        [(kernels.add, (total, part)), (kernels.add, (total, given))], (given,)
    )
    del part
    program(1, np.zeros(3))
    gc.collect()
    assert alive() is not None
    assert (total == 1).all()
    other = np.zeros(3)
    program(1, other)
    gone = weakref.ref(other)
    del other
    gc.collect()
    assert gone() is None


@both
def test_lists_side_by_side_are_all_gone_through(kernels):
    totals, part = [np.zeros(4) for _ in range(5)], np.ones(4)
    lists = [[(kernels.add, (total, part))] * (index + 1) for index, total in enumerate(totals)]
    program = kernels.Program([lists, (kernels.add, (totals[0], totals[4]))], (part,))
    program(1, part)
    assert [total[0] for total in totals] == [6, 2, 3, 4, 5]
    program(1, np.zeros(4))
    assert [total[0] for total in totals] == [11, 2, 3, 4, 5]


@compiled
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.slow
def test_every_threading_layer_gives_the_same_bits(threads):
    """workqueue's threads cannot call parallel kernels: there slices go one after the other."""
    results = {}
    for layer in ("default", "workqueue"):
        environment = os.environ | {
            "NUMBA_THREADING_LAYER": layer,
            "NUMBA_NUM_THREADS": str(threads),
        }
        done = subprocess.run(
            [sys.executable, "-c", SIDE_BY_SIDE],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        results[layer] = json.loads(done.stdout)
    assert results["workqueue"][0] == "workqueue"
    assert results["default"][1] == results["workqueue"][1]
    assert results["default"][2] == threads
