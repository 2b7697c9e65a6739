"""Dense kernels against the oracle."""

import numpy as np
import oracle
import pytest
from conftest import close, unless_simulated

from nbconv.activations import LINEAR, parse

# images, neurons in, neurons out; 512 columns are one thread's chunk
SIZES = [
    (1, 1, 1),
    (1, 1030, 13),
    (6, 90, 101),
    (10, 13, 7),
    (7, 4, 17),
    (3, 512, 5),
    (5, 513, 4),
    (4, 1030, 6),
    (33, 3, 2),
    (100, 30, 10),
]
FEW = unless_simulated(SIZES, [(1, 1, 1), (7, 5, 9), (9, 17, 3)])


@pytest.mark.parametrize(("images", "n_in", "n_out"), FEW)
def test_agrees_with_the_oracle(kernels, dtype, images, n_in, n_out):
    random = np.random.default_rng(images)
    a = random.standard_normal((images, n_in)).astype(dtype)
    w = random.standard_normal((n_out, n_in)).astype(dtype)
    b = random.standard_normal(n_out).astype(dtype)
    dz = random.standard_normal((images, n_out)).astype(dtype)
    z, dw, db, da = (
        np.full(shape, np.nan, dtype) for shape in (dz.shape, w.shape, b.shape, a.shape)
    )
    kernels.dense_forward(z, a, w, b, LINEAR)
    kernels.dense_backward_weights(dw, dz, a)
    kernels.dense_backward_biases(db, dz)
    kernels.dense_backward_input(da, dz, w)
    close(z, oracle.dense_forward(a, w, b), dtype, n_in)
    for ours, right in zip((dw, db, da), oracle.dense_backward(dz, a, w), strict=True):
        close(ours, right, dtype, max(images, n_out))


@pytest.mark.parametrize("name", [name for name in oracle.ACTIVATIONS if name != "linear"])
@pytest.mark.parametrize(
    ("images", "n_in", "n_out"),
    unless_simulated(
        [(1, 3, 1), (3, 4, 33), pytest.param(7, 20_000, 11, marks=pytest.mark.slow)], [(3, 4, 9)]
    ),
)
def test_activation_comes_last(kernels, dtype, images, n_in, n_out, name):
    random = np.random.default_rng(images)
    x, w = (
        random.standard_normal((images, n_in)).astype(dtype),
        random.standard_normal((n_out, n_in)).astype(dtype),
    )
    b, a = random.standard_normal(n_out).astype(dtype), np.full((images, n_out), np.nan, dtype)
    kernels.dense_forward(a, x, w / n_in, b, parse("activation", name))
    right = np.vectorize(oracle.ACTIVATIONS[name])(oracle.dense_forward(x, w / n_in, b))
    close(a, right, dtype, n_in)


def test_neighbouring_memory_is_left_alone(kernels, dtype):
    a, w, b = np.ones((5, 9), dtype), np.ones((3, 9), dtype), np.ones(3, dtype)
    rooms = [np.full(size + 64, 7, dtype) for size in (15, 27, 45)]
    z, dw, da = (room[32:-32] for room in rooms)
    kernels.dense_forward(z.reshape(5, 3), a, w, b, LINEAR)
    kernels.dense_backward_weights(dw.reshape(3, 9), z.reshape(5, 3), a)
    kernels.dense_backward_input(da.reshape(5, 9), z.reshape(5, 3), w)
    assert (z == 10).all()
    assert (dw == 50).all()
    assert (da == 30).all()
    for room in rooms:
        assert (room[:32] == 7).all()
        assert (room[-32:] == 7).all()


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("images", "n_in", "n_out"), FEW)
def test_plain_descent_is_the_gradient_s(kernels, dtype, images, n_in, n_out, decay):
    random = np.random.default_rng(images)
    a, dz = (
        random.standard_normal((images, n_in)).astype(dtype),
        random.standard_normal((images, n_out)).astype(dtype),
    )
    w, b = (
        random.standard_normal((n_out, n_in)).astype(dtype),
        random.standard_normal(n_out).astype(dtype),
    )
    dw, db, _ = oracle.dense_backward(dz, a, w)
    right = oracle.sgd(
        np.append(w, b),
        np.zeros(w.size + n_out),
        np.append(dw, db),
        w.size,
        0.1,
        decay,
        0,
        0,
        False,
    )[0]
    kernels.dense_descend(w, b, dz, a, np.array([0.1, decay]))
    close(np.append(w, b), right, dtype, images + 2)
