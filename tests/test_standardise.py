"""Standardised inputs: what the network reads, wherever images come in."""

import copy
import pickle

import numpy as np
import oracle
import pytest

from nbconv import Conv2D, DataError, Dataset, Dense, MaxPool2D, Network, SettingError, Softmax
from nbconv.layers import Distortion, Randomness, Rates
from nbconv.training import standard
from nbconv.training.settings import Settings

FIT = {"mini_batch_size": 8, "eta": 0.05}
SHAPE = (3, 8, 8)


def pixels(count=40, stored=np.uint8):
    """Pictures whose second channel is dark and whose third is constant."""
    numbers = np.random.default_rng(7)
    images = numbers.integers(0, 256, (count, *SHAPE)).astype(np.uint8)
    images[:, 1] //= 5
    images[:, 2] = 77
    return images if stored == np.uint8 else (images / 255).astype(stored)


def data(stored=np.uint8, shape=SHAPE):
    return Dataset(pixels(stored=stored).reshape(-1, *shape), np.arange(40) % 4)


def network(shape=SHAPE, **options):
    layers = [Conv2D(2, 3, padding=1), MaxPool2D(2)] if len(shape) == 3 else []
    return Network([*layers, Dense(5, activation="relu"), Softmax(4)], shape, seed=3, **options)


def trained(shape=SHAPE, stored=np.uint8, **options):
    net = network(shape, **options)
    net.fit(data(stored), 2, standardise=True, **FIT)
    return net


def by_hand(train, images):
    """The images as the network reads them. Two passes in float64, one channel after the other."""
    train, out = np.float64(train), np.float64(images).copy()
    for c in range(train.shape[1]):
        deviation = np.sqrt(np.mean((train[:, c] - train[:, c].mean()) ** 2))
        out[:, c] -= train[:, c].mean()
        out[:, c] /= deviation if deviation > 1e-6 else 1
    return out


@pytest.mark.parametrize("stored", [np.uint8, np.float32, np.float64])
def test_means_and_deviations(stored, monkeypatch):
    images = pixels(stored=stored)
    unit = np.float64(images) / (255 if stored == np.uint8 else 1)
    for axes, channels in (((0, 2, 3), 3), ((0, 1, 2, 3), 1)):
        for step in (2**20, 1000, 1):  # in one piece and in many
            monkeypatch.setattr(standard, "PIXELS", step)
            mean, deviation = standard.of_channels(images, channels)
            np.testing.assert_allclose(mean, unit.mean(axis=axes).reshape(-1), atol=1e-7)
            expected = unit.std(axis=axes).reshape(-1)
            expected[expected < 1e-6] = 1
            np.testing.assert_allclose(deviation, expected, atol=1e-7)


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_channel_is_centred(level, dtype):
    """Its deviation is exactly 0, whatever the rounding of its mean, and no NaN comes of it."""
    images = np.full((501, 1, 7, 3), level, dtype)
    mean, deviation = standard.of_channels(images, 1)
    assert deviation.tolist() == [1.0]
    assert mean.tolist() == [float(dtype(level))]
    net = Network([Dense(3), Softmax(2)], (1, 7, 3), dtype=np.dtype(dtype).name)
    net.fit(Dataset(images, np.arange(501) % 2), 1, 10, 0.1, standardise=True)
    assert not net.engine.standardised(images).any()
    assert np.isfinite(net.predict_proba(np.zeros((1, 1, 7, 3)))).all()


def test_one_pixel_that_differs_is_no_deviation():
    """Or a pixel of another picture would be read as millions."""
    images = np.full((1000, 1, 50, 50), 0.5, np.float64)
    images[3, 0, 1, 2] += 1e-5
    assert standard.of_channels(images, 1)[1].tolist() == [1.0]


@pytest.mark.parametrize("stored", [np.uint8, np.float32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [SHAPE, (192,)])
def test_every_way_in(stored, dtype, shape):
    """A network that standardises is one that does not, on images standardised by hand.

    That network cannot be given such images, so its first layer's weights take them in: w (x - m) /
    s + b. Its input is not padded, where the mean stands for nothing.
    """
    layers = [Conv2D(2, 3), MaxPool2D(2)] if len(shape) == 3 else [Dense(5, activation="tanh")]
    net, plain = (
        Network([*layers, Softmax(4)], shape, seed=3, dtype=dtype, backend="cpu") for _ in range(2)
    )
    train = data(stored, shape)
    net.fit(train, 1, standardise=True, **FIT)
    mean, deviation = np.float64(net.engine.read(net.engine.standard))
    first, *rest = net.parameters()
    w, b = np.float64(first["weights"]), np.float64(first["biases"])
    each = (slice(None), None, None) if len(shape) == 3 else slice(None)
    biases = b - (w * (mean / deviation)[each]).reshape(len(w), -1).sum(axis=1)
    plain.set_parameters([{"weights": w / deviation[each], "biases": biases}, *rest])
    close = {"rtol": 2e-4, "atol": 2e-5}
    x = pixels(9, stored).reshape(-1, *shape)
    np.testing.assert_allclose(net.predict_proba(x), plain.predict_proba(x), **close)
    np.testing.assert_allclose(net.predict_proba(x[0]), plain.predict_proba(x[0]), **close)
    for (name, ours), (_, right) in zip(net.activations(x), plain.activations(x), strict=True):
        np.testing.assert_allclose(ours, right, **close, err_msg=name)
    assert net.evaluate(train)["cost"] == pytest.approx(plain.evaluate(train)["cost"], rel=1e-4)
    ours, right = net.gradients(x, np.arange(9) % 4), plain.gradients(x, np.arange(9) % 4)
    np.testing.assert_allclose(ours[1]["weights"], right[1]["weights"], **close)
    np.testing.assert_allclose(ours[0]["biases"], right[0]["biases"], **close)
    assert net.monitor(train)["speed_1"] == pytest.approx(plain.monitor(train)["speed_1"], rel=1e-3)


def test_a_step_is_the_oracle_s():
    """Forward, backward and update on standardised images; the padding behind it is 0."""
    train = data(np.float64)
    net = Network([Conv2D(2, 3, padding=1, activation="linear"), Softmax(4)], SHAPE,
                  dtype="float64", backend="cpu")  # fmt: skip
    conv, last = net.parameters()
    net.fit(train, 1, 40, 0.1, standardise=True)
    x = by_hand(train.images[:], train.images[:])
    z = oracle.conv2d_forward(x, conv["weights"], conv["biases"], padding=(1, 1))
    flat = z.reshape(40, -1)
    out = oracle.dense_forward(flat, last["weights"], last["biases"])
    deltas = [oracle.log_likelihood(row, k) for row, k in zip(out, train.labels, strict=True)]
    dz = np.array([delta for _, delta in deltas]) / 40
    dw, _, da = oracle.dense_backward(dz, flat, last["weights"])
    dw_conv, _, _ = oracle.conv2d_backward(da.reshape(z.shape), x, conv["weights"], padding=(1, 1))
    ours = net.parameters()
    np.testing.assert_allclose(ours[1]["weights"], last["weights"] - 0.1 * dw, atol=1e-9)
    np.testing.assert_allclose(ours[0]["weights"], conv["weights"] - 0.1 * dw_conv, atol=1e-9)


@pytest.mark.parametrize("flat", [False, True])
def test_what_is_outside_a_moved_picture_is_black(flat):
    """As the picture's own black it is read as (0 - mean) / deviation, by expand and by a shift."""
    shape = (192,) if flat else SHAPE
    black = Dataset(np.zeros((10, *SHAPE), np.uint8), np.zeros(10, int))
    results = []
    for options in ({}, {"shifts": 5}, {"distortion": Distortion(0.0, 0.0, 3.0, 0.0, 0.0, 0.0)}):
        net = network(shape, dtype="float64", backend="cpu")
        channels = net.engine.pixels[0]
        net.engine.standardise(np.array([[0.25] * channels, [0.5] * channels]))
        rates = np.array([Rates(0.1)])
        net.engine.descend(black, np.arange(10)[None], Randomness(0, 0), rates, **options)
        results.append(net.engine.parameters.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
@pytest.mark.parametrize("shape", [SHAPE, (192,)])
def test_copies_and_other_backends_read_the_same(how, shape):
    net = trained(shape)
    x = pixels(6, np.float32)
    right = net.predict_proba(x)
    assert np.array_equal(how(net).predict_proba(x), right)
    other = network(shape, backend="reference")
    before = other.predict_proba(x)  # a plan from before it standardised
    other.engine.learn(net.engine.learned())
    np.testing.assert_allclose(other.predict_proba(x), right, rtol=1e-4, atol=1e-6)
    assert not np.allclose(other.predict_proba(x), before)
    np.testing.assert_allclose(how(net).to("reference").predict_proba(x), right, rtol=1e-4)


def test_a_first_layer_no_longer_reads_images_where_they_are():
    net = network((192,), backend="cpu")
    x = pixels(6, np.float32).reshape(6, -1)
    before = net.predict_proba(x)
    net.fit(data(), 1, mini_batch_size=8, eta=1e-12, standardise=True)
    assert not np.allclose(net.predict_proba(x), before)


def test_it_cannot_change(tmp_path):
    net, plain = trained(), network()
    plain.fit(data(), 1, **FIT)
    before = net.engine.parameters.tobytes()
    with pytest.raises(SettingError, match="standardise is off, and the network was trained with"):
        net.fit(data(), 1, **FIT)
    with pytest.raises(SettingError, match="standardise is on, and the network was trained with"):
        plain.fit(data(), 1, standardise=True, **FIT)
    assert net.engine.parameters.tobytes() == before
    net.save(tmp_path / "net.h5")
    with pytest.raises(SettingError, match="standardise is off"):
        Network.load(tmp_path / "net.h5").fit(data(), 1, **FIT)


def test_other_images_are_read_as_the_first_ones():
    net = trained()
    was = net.engine.read(net.engine.standard).copy()
    bright = Dataset(pixels() // 2 + 128, np.arange(40) % 4)
    net.fit(bright, 1, standardise=True, **FIT)
    assert np.array_equal(net.engine.read(net.engine.standard), was)


def test_a_training_that_diverged_at_once_can_begin_again_without():
    from nbconv import DivergedError

    net, plain = network(), network()
    with pytest.raises(DivergedError):
        net.fit(data(), 1, 8, 1e30, standardise=True)
    for each in (net, plain):
        each.fit(data(), 1, **FIT)
    assert net.engine.parameters.tobytes() == plain.engine.parameters.tobytes()


def test_images_are_still_in_the_unit_range():
    net = trained()
    with pytest.raises(DataError, match=r"expected \[0, 1\]"):
        net.predict(by_hand(pixels(), pixels()).astype(np.float32))
    prepared = net.prepare(pixels()[0])
    assert 0 <= prepared.min() <= prepared.max() <= 1


@pytest.mark.slow
def test_a_run_standardises(command, tmp_path):
    (tmp_path / "run.toml").write_text('net = "8N-10N"\nepochs = 2\nstandardise = true\n')
    command("train", "run.toml", "--out", "run.h5")
    net = Network.load(tmp_path / "run.h5")
    assert net.state.settings == Settings(epochs=2, eta=net.state.settings.eta, standardise=True)
    mean, deviation = net.engine.read(net.engine.standard)
    assert 0.2 < mean < 0.4 < deviation + 0.1
    command("train", "--resume", "run.h5", "--epochs", "3")
    refused = command("train", "--resume", "run.h5", "--no-standardise", "--epochs", "4", code=1)
    assert "was trained with standardise True, and False was given" in refused.stderr
