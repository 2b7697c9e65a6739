"""Activations, dropout, costs, update and layout kernels against the oracle."""

import math

import numpy as np
import oracle
import pytest
from conftest import close, unless_simulated
from nbconv.kernels import scalar

from nbconv.activations import parse
from nbconv.engine.engine import UNCHANGED
from nbconv.layers import Rates

KINDS = {name: parse("activation", name) for name in oracle.ACTIVATIONS}
Z = np.concatenate(
    [
        np.linspace(-30, 30, unless_simulated(1001, 51)),
        [-1e4, 1e4, -800, 800, -0.0, 1e-30, -709, -708, 36.9],
    ]
)


@pytest.mark.parametrize("name", KINDS)
def test_activation(kernels, dtype, name):
    z = Z.astype(dtype)
    a = z.copy()
    kernels.activation_forward(a, KINDS[name])
    right = np.array([oracle.ACTIVATIONS[name](float(v)) for v in z])
    assert np.abs(a - right).max() <= 4 * np.finfo(dtype).eps * max(1, np.abs(right).max())
    # relative, too, where it is no denormal number
    normal = np.abs(right) > 1e-37
    if name == "sigmoid":
        assert (np.abs(a - right)[normal] <= 8 * np.finfo(dtype).eps * np.abs(right)[normal]).all()
    dz = np.full(len(z), 3, dtype)
    kernels.activation_backward(dz, a, KINDS[name])
    slopes = np.array([oracle.DERIVATIVES[name](float(v)) for v in z])
    assert np.abs(dz - 3 * slopes).max() <= 16 * np.finfo(dtype).eps


@pytest.mark.parametrize("name", KINDS)
def test_activation_of_nan_and_infinity(kernels, dtype, name):
    a = np.array([np.nan, np.inf, -np.inf], dtype)
    kernels.activation_forward(a, KINDS[name])
    assert math.isnan(a[0])
    assert (a[2], a[1]) == oracle.LIMITS[name]


def test_exp_negative_is_good_to_two_ulp():
    x = -np.concatenate([np.linspace(0, 40, 20001), np.linspace(40, 707, 5001)])
    ours = np.array([float(scalar.exp_negative(v)) for v in x])
    assert (np.abs(ours - np.exp(x)) <= 2 * np.spacing(np.exp(x))).all()


def test_dropout_is_the_oracle_mask(kernels, dtype):
    a = np.arange(1, unless_simulated(5001, 301), dtype=dtype)
    out = np.empty_like(a)
    kernels.dropout(out, a, 0.3, 1.6, np.array([7, 11]), 2)
    kept = np.array([oracle.uniform(7, 11, 2, i) >= 0.3 for i in range(len(a))])
    assert np.array_equal(out != 0, kept)
    close(out[kept], 1.6 * a[kept], dtype)
    assert abs(kept.mean() - 0.7) < unless_simulated(0.02, 0.1)


@pytest.mark.parametrize("change", [(8, 11, 2), (7, 12, 2), (7, 11, 3)])
def test_dropout_masks_of_other_seeds_steps_and_layers_are_independent(kernels, change):
    ones = np.ones(unless_simulated(20_000, 500))
    mine, other = np.empty_like(ones), np.empty_like(ones)
    kernels.dropout(mine, ones, 0.5, 1.0, np.array([7, 11]), 2)
    kernels.dropout(other, ones, 0.5, 1.0, np.array(change[:2]), change[2])
    both = ((mine > 0) & (other > 0)).mean()
    assert abs(both - 0.25) < unless_simulated(0.015, 0.08)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "name", ["log_likelihood", "cross_entropy", "sigmoid", "tanh", "relu", "linear"]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cost(kernels, dtype, name, scale, smoothing):
    random = np.random.default_rng(3)
    z = (random.uniform(-1, 1, (9, 6)) * scale).astype(dtype)
    z[0] = scale * np.array([1, -1, 1, -1, 0, 1])
    labels = random.integers(0, 6, 9)
    delta, sums = np.full(z.shape, np.nan, dtype), np.array([2.0, 1.0])
    weights = np.array([1.0, 0.0, 0.5, 2.0, 1.0, 3.0]) if smoothing else np.ones(6)
    arguments = delta, sums, z, labels, weights, smoothing, 0.25
    rows = [[float(v) for v in row] for row in z]
    if name in KINDS:
        kernels.quadratic(*arguments, KINDS[name])
        right = [
            oracle.quadratic(row, label, name, smoothing)
            for row, label in zip(rows, labels, strict=True)
        ]
    else:
        getattr(kernels, name)(*arguments)
        right = [
            getattr(oracle, name)(row, label, smoothing)
            for row, label in zip(rows, labels, strict=True)
        ]
    costs = weights[labels] * [cost for cost, _ in right]
    assert sums[0] == pytest.approx(2 + costs.sum(), rel=1e-9)
    assert sums[1] == 1 + (z.argmax(axis=1) == labels).sum()
    deltas = 0.25 * weights[labels, None] * [row for _, row in right]
    assert np.isfinite(delta).all()
    assert np.abs(delta - deltas).max() <= 4 * np.finfo(dtype).eps * max(1, np.abs(deltas).max())


def test_softmax(kernels, dtype):
    z = np.array([[0, 0, 0], [1e4, 0, -1e4], [-1e4, -1e4, -1e4], [1, 2, 3]], dtype)
    a = np.empty_like(z)
    kernels.softmax(a, z)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    close(a, powers / powers.sum(axis=1, keepdims=True), dtype)


def test_nan_shows_in_the_cost(kernels, dtype):
    for name in ("log_likelihood", "cross_entropy"):
        delta, sums = np.empty((1, 3), dtype), np.zeros(2)
        z, labels = np.array([[0, np.nan, 0]], dtype), np.array([0])
        getattr(kernels, name)(delta, sums, z, labels, np.ones(3), 0.0, 1.0)
        assert math.isnan(sums[0]), name


def test_an_answer_of_minus_infinity_costs_nothing_where_it_is_right(kernels, dtype):
    delta, sums = np.empty((1, 3), dtype), np.zeros(2)
    z, labels = np.array([[0, -np.inf, 0]], dtype), np.array([0])
    kernels.log_likelihood(delta, sums, z, labels, np.ones(3), 0.0, 1.0)
    assert sums.tolist() == [pytest.approx(math.log(2)), 1]
    close(delta, [[-0.5, 0, 0.5]], dtype)


def halved(weights, *arrays):
    """The weights' part and the biases' part of each array."""
    return [half for array in arrays for half in (array[:weights], array[weights:])]


@pytest.mark.parametrize("weights", unless_simulated([0, 1, 20_000, 16_384, 40_000], [0, 7, 9]))
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd(kernels, dtype, weights, momentum, nesterov):
    random = np.random.default_rng(1)
    size = unless_simulated(40_000, 9)
    parameters, velocity, gradient = (random.standard_normal(size).astype(dtype) for _ in range(3))
    parameters[::7] = 0
    right = oracle.sgd(parameters, velocity, gradient, weights, 0.1, 0.01, 0.02, momentum, nesterov)
    halves = halved(weights, parameters, velocity, gradient)
    kernels.sgd(*halves, np.array(Rates(0.1, 0.01, 0.02, momentum, nesterov), np.float64))
    close(parameters, right[0], dtype, 4)
    if momentum:
        close(velocity, right[1], dtype, 4)


@pytest.mark.parametrize("weights", unless_simulated([0, 1, 20_000, 16_384, 40_000], [0, 7, 9]))
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("step", [1, 3])
def test_adam(kernels, dtype, weights, decoupled, step):
    random = np.random.default_rng(1)
    size, betas = unless_simulated(40_000, 9), (0.7, 0.9)
    parameters, m, s, gradient = (random.standard_normal(size).astype(dtype) for _ in range(4))
    parameters[::7], s = 0, s**2
    settings = {"eta": 0.1, "decay": 0.01, "decay_l1": 0.02, "betas": betas, "decoupled": decoupled}
    right = oracle.adam(parameters, m, s, gradient, weights, step, **settings)
    bias1, bias2 = 1 - betas[0] ** step, 1 - betas[1] ** step
    rates = Rates(0.1, 0.01, 0.02, betas[0], False, betas[1], bias1, bias2, decoupled)
    kernels.adam(*halved(weights, parameters, m, s, gradient), np.array(rates, np.float64))
    for found, expected in zip((parameters, m, s), right, strict=True):
        close(found, expected, dtype, 8)


@pytest.mark.parametrize("size", unless_simulated([1, 64, 1000, 40_001], [1, 70]))
@pytest.mark.parametrize("share", [0.5, 1.5])
def test_clip(kernels, dtype, size, share):
    """Scaled down to the limit, its direction kept; a shorter gradient is left as it is."""
    g = np.random.default_rng(1).standard_normal(size).astype(dtype)
    before, norm = g.copy(), math.sqrt((g.astype(np.float64) ** 2).sum())
    kernels.clip(g, np.empty(64), np.array(Rates(0.1, limit=share * norm), np.float64))
    if share > 1:
        assert np.array_equal(g, before)
    else:
        close(g, before.astype(np.float64) * share, dtype, 4)


@pytest.mark.parametrize("size", unless_simulated([1, 16_384, 40_001], [1, 70]))
def test_add(kernels, dtype, size):
    total, part = np.arange(size, dtype=dtype), np.full(size, 2, dtype)
    kernels.add(total, part)
    assert np.array_equal(total, np.arange(2, size + 2, dtype=dtype))


def test_advance(kernels):
    """Mini-batches count up to the first that leaves the summed cost above the bound."""
    counters, rows = np.array([7, 40, 0, 0]), np.arange(12.0).reshape(4, 3)
    rates = rows[0].copy()
    for cost, expected in ((1.0, [7, 41, 1, 1]), (np.nan, [7, 42, 2, 1]), (1.0, [7, 43, 3, 1])):
        kernels.advance(counters, rates, np.array([cost, 0.0]), rows, 2.0)
        assert counters.tolist() == expected
        assert np.array_equal(rates, rows[counters[2]])


# The gathers are compiled for each pair of dtypes and each layout: not every combination is.
@pytest.mark.parametrize(
    ("stored", "flat"),
    [(np.uint8, True), (np.uint8, False), (np.float32, True), (np.float64, False)],
)
def test_gather_with_moves(kernels, dtype, stored, flat):
    random, standard = np.random.default_rng(2), np.array([[0.3, 0.9], [0.2, 0.25]], dtype)
    images = random.integers(0, 256, (6, 2, 4, 3)).astype(stored)
    scale = 1 / 255 if stored == np.uint8 else 1.0
    images = images if stored == np.uint8 else images / images.dtype.type(255)
    labels = np.arange(6) * 3
    order = random.permutation(30)
    a = np.full((30, 24, 1) if flat else (1, 24, 30), np.nan, dtype)
    y = np.full(30, -1)
    orders = np.stack([order[::-1], np.concatenate([order[:2], order[:-2]]), order])
    counters = np.array([0, 0, 1, 0])
    kernels.gather(
        a[:10] if flat else a[..., :10].copy(),
        y[:10],
        images,
        labels,
        orders,
        counters,
        2,
        5,
        scale,
        standard,
    )
    assert np.array_equal(y[:10], labels[order[:10] // 5])
    counters[2] = 2
    moved = [oracle.moved(images[code // 5] * np.float64(scale), code % 5) for code in order]
    # Each channel by its own numbers, all by one pair of numbers, and as they are.
    one = np.array([[0.5], [0.25]], dtype)
    for given, each in ((standard, standard), (one, one.repeat(2, axis=1)), (UNCHANGED, None)):
        kernels.gather(a, y, images, labels, orders, counters, 0, 5, scale, given.astype(dtype))
        assert np.array_equal(y, labels[order // 5])
        right = moved if each is None else [oracle.standardised(image, each) for image in moved]
        ours = a.reshape(30, 2, 4, 3) if flat else oracle.first(a.reshape(2, 4, 3, 30))
        close(ours, right, dtype)
    pixels = dtype.type(scale) * images.astype(dtype)
    assert np.array_equal(ours[order % 5 == 0], pixels[order[order % 5 == 0] // 5])


def drawn(kernels, count, rows, columns, amounts, counters, first=0):
    """The lines of the distortions of so many images."""
    lines = np.full((count, rows, kernels.LINE_LENGTH), np.nan, np.float32)
    points = np.full((count, 2, kernels.POINTS, kernels.POINTS), np.nan, np.float32)
    kernels.draw_distortions(lines, points, amounts, columns, counters, first)
    return lines


@pytest.mark.parametrize(
    ("stored", "flat"),
    [
        (np.uint8, True),
        (np.uint8, False),
        pytest.param(np.float32, False, marks=pytest.mark.slow),  # seconds of compilation each
    ],
)
@pytest.mark.parametrize(
    "amounts",
    [
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0.4, 0.2, 2.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 1.5, 0.0, 0.0),
        (0.3, 0.3, 9.0, 1.0, 0.0, 0.0),
        (0.3, 0.2, 0.5, 1.0, 0.5, 2.0),
    ],
)
def test_gather_distorted(kernels, dtype, stored, flat, amounts):
    """What the equations say, to single precision; of no distortion the image to the bit.

    a slice as in the whole mini-batch.
    """
    random, count, (channels, rows, columns) = np.random.default_rng(3), 5, (2, 7, 6)
    images = random.integers(0, 256, (4, channels, rows, columns)).astype(stored)
    scale = 1 / 255 if stored == np.uint8 else 1.0
    images = images if stored == np.uint8 else images / images.dtype.type(255)
    labels, order, counters = (
        np.arange(4) * 3,
        np.array([[0, 0, 0, 0, 0], [3, 1, 2, 1, 0]]),
        np.array([11, 7, 1, 0]),
    )

    def gathered(first, after, standard=UNCHANGED):
        size = after - first
        pixels = channels * rows * columns
        a = np.full((size, pixels, 1) if flat else (1, pixels, size), np.nan, dtype)
        y, lines = np.full(size, -1), drawn(kernels, size, rows, columns, amounts, counters, first)
        framed = np.zeros((size, channels, rows + 2, columns + 2), np.float32)
        source = images, labels, order, counters, first
        kernels.gather_distorted(a, y, *source, lines, framed, scale, standard.astype(dtype))
        assert np.array_equal(y, labels[order[1, first:after]])
        shape = channels, rows, columns
        return a.reshape(size, *shape) if flat else oracle.first(a.reshape(*shape, size))

    ours = gathered(0, count)
    for n, image in enumerate(order[1]):
        right = oracle.distorted(images[image] * np.float64(scale), n, 11, 7, *amounts)
        np.testing.assert_allclose(ours[n], right, atol=2e-5)
    if not any(amounts):
        assert np.array_equal(
            ours, (np.float32(scale) * images[order[1]].astype(np.float32)).astype(dtype)
        )
    assert np.array_equal(ours[2:4], gathered(2, 4))
    standard = np.array([[0.3, 0.9], [0.2, 0.25]])
    right = [oracle.standardised(image, standard) for image in ours]
    np.testing.assert_allclose(gathered(0, count, standard), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 5, 8), (3, 8, 5), (1, 6, 6), (2, 7, 7)])
@pytest.mark.parametrize(("flip", "crop"), [(0.5, 0), (0.0, 3), (0.5, 2)])
def test_flips_and_crops_are_exact(kernels, shape, flip, crop):
    """To the bit the picture's own pixels, moved and then mirrored, and 0 outside."""
    count, seed, step, (channels, rows, columns) = 12, 3, 70, shape
    images = np.random.default_rng(4).integers(1, 256, (count, *shape)).astype(np.uint8)
    labels, order, counters = np.arange(count), np.arange(count)[None], np.array([seed, step, 0, 0])
    a, y = np.full((*shape, count), np.nan, np.float32), np.full(count, -1)
    lines = drawn(kernels, count, rows, columns, (0.0, 0.0, 0.0, 0.0, flip, float(crop)), counters)
    framed = np.zeros((count, channels, rows + 2, columns + 2), np.float32)
    source, standard = (images, labels, order, counters, 0), UNCHANGED.astype(np.float32)
    out = a.reshape(1, -1, count)
    kernels.gather_distorted(out, y, *source, lines, framed, 1 / 255, standard)
    pixels = np.float32(1 / 255) * images.astype(np.float32)
    padded = np.pad(pixels, ((0, 0), (0, 0), (crop, crop), (crop, crop)))
    seen = set()
    for n, ours in enumerate(oracle.first(a)):
        is_mirrored, (down, across) = oracle.flip_and_crop(n, seed, step, flip, crop)
        top, left = crop - down, crop - across
        right = padded[n, :, top : top + rows, left : left + columns]
        assert ours.tobytes() == (right[..., ::-1] if is_mirrored else right).tobytes()
        seen.add((is_mirrored, down, across))
    assert {is_mirrored for is_mirrored, *_ in seen} == ({False, True} if flip else {False})
    assert len(seen) > (6 if crop else 1)


def test_flips_and_crops_are_uniform(kernels):
    """Half of the images are mirrored, each crop is as frequent, and none tells of another."""
    count, columns, crop, kinds = unless_simulated(4000, 60), 8, 2, 50
    tables = []
    for step in (5, 6):
        amounts, counters = (0.0, 0.0, 0.0, 0.0, 0.5, float(crop)), np.array([1, step, 0, 0])
        sy, down, sx, across = drawn(kernels, count, 1, columns, amounts, counters)[:, 0, :4].T
        is_mirrored = across < 0
        assert set(across) == {-1, 1}
        assert not down.any()
        assert abs(is_mirrored.mean() - 0.5) < 4 * 0.5 / count**0.5
        places = -sy, np.where(is_mirrored, columns - 1 - sx, -sx)
        for place in places:
            assert set(place) == set(range(-crop, crop + 1))
        kind = (is_mirrored * 5 + places[0] + crop) * 5 + places[1] + crop
        tables.append(kind.astype(int))
        often = np.bincount(tables[-1], minlength=kinds)
        # Pearson's statistic has a mean of kinds - 1 and a standard deviation of about 10.
        assert ((often - count / kinds) ** 2).sum() / (count / kinds) < kinds - 1 + 4 * 10
    assert np.mean(tables[0] == tables[1]) < 0.1  # another step, other numbers


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 1, 3, 4)])
def test_outside_unit(kernels, dtype, shape):
    a, count = np.zeros(shape, dtype), np.array([2])
    a.reshape(-1)[0] = 1
    a.reshape(-1)[-1] = -0.0
    kernels.outside_unit(count, a)
    assert count[0] == 2
    a.reshape(-1)[-1] = np.nan
    a.reshape(-1)[0] = np.nextafter(dtype.type(1), dtype.type(2))
    kernels.outside_unit(count, a)
    assert count[0] == 2 + len({0, a.size - 1})
    for outside in (-np.inf, np.inf, -1e-6, 255):
        a[...], count[...] = outside, 0
        kernels.outside_unit(count, a)
        assert count[0] == a.size


def test_images_first_and_last_are_transposes(kernels, dtype):
    a = np.arange(35, dtype=dtype).reshape(5, 7)
    out, back = np.empty((7, 5), dtype), np.empty_like(a)
    kernels.images_first(out, a)
    kernels.images_last(back, out)
    assert np.array_equal(out, a.T)
    assert np.array_equal(back, a)


def test_compiled_tanh_and_softmax_keep_float64_precision(kernels):
    """The compiler may not reorder what the order makes precise."""
    z = np.concatenate(
        [
            10.0 ** np.arange(-300.0, 1.5, unless_simulated(1, 10)),
            np.linspace(0, 30, unless_simulated(3001, 31)),
        ]
    )
    a = z.copy()
    kernels.activation_forward(a, parse("activation", "tanh"))
    assert (np.abs(a - np.tanh(z)) <= 4 * np.spacing(np.tanh(z))).all()
    z = np.stack(
        [np.zeros(unless_simulated(5001, 51)), -np.linspace(0, 700, unless_simulated(5001, 51))],
        axis=1,
    )
    a = np.empty_like(z)
    kernels.softmax(a, z)
    right = np.exp(z[:, 1]) / (1 + np.exp(z[:, 1]))
    assert (np.abs(a[:, 1] - right) <= 6 * np.spacing(right)).all()
