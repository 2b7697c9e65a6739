"""The book's `network3` and `expand_mnist`, against the same algorithm in plain loops.

What is compared is what a script of the book sees.
"""

import copy
import gzip
import os
import pickle
import re
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import oracle
import pytest
from conftest import POSIX

import nbconv
from nbconv.book import expand_mnist, network3
from nbconv.book.network3 import (
    ConvPoolLayer,
    FullyConnectedLayer,
    Network,
    ReLU,
    Shared,
    SoftmaxLayer,
    linear,
    tanh,
)

MB, COUNT, DROPOUTS = 2, 7, (0.4, 0.25)
ETA, LMBDA = 0.3, 0.5


@pytest.fixture(autouse=True)
def _one_thread_of_the_cpu(monkeypatch):
    """Two threads would wait for each other most of the time over images of 72 pixels."""
    monkeypatch.setattr(network3, "GPU", False)
    nbconv.set_threads(1)
    yield
    nbconv.set_threads("auto")


def data(seed=0, count=COUNT):
    numbers = np.random.default_rng(seed)
    return Shared(numbers.random((count, 72), np.float32)), Shared(
        numbers.integers(0, 3, count, np.int32)
    )


def made(dropouts=DROPOUTS, activation_fn=ReLU):
    np.random.seed(3)
    layers = [
        ConvPoolLayer((3, 2, 3, 3), (MB, 2, 6, 6), (2, 2), activation_fn),
        FullyConnectedLayer(12, 5, activation_fn, dropouts[0]),
        SoftmaxLayer(5, 3, dropouts[1]),
    ]
    net = Network(layers, MB)
    net.layers[2].w.set_value(np.random.default_rng(5).normal(0, 1, (5, 3)))
    return net


class Plain:
    """The book's algorithm for `made`, in the book's layouts.

    The convolution is a true one, the masks are on inputs, and weights are (inputs, neurons).
    """

    def __init__(self, net):
        self.params = [param.eval().astype(np.float64) for param in net.params]

    def forward(self, x, masks):
        """(what backward needs, z of the softmax layer).

        Masks: of the inputs of both dense layers.
        """
        w, b, w1, b1, w2, b2 = self.params
        z = oracle.conv2d_forward(x.reshape(-1, 2, 6, 6), w[:, :, ::-1, ::-1], np.zeros(3))
        pooled = oracle.pool2d_forward("max", z, (2, 2), (2, 2))
        a = np.maximum(0, pooled + b[:, None, None])
        kept = a.reshape(len(a), -1) * masks[0]
        a1 = np.maximum(0, kept @ w1 + b1)
        kept1 = a1 * masks[1]
        return (x.reshape(-1, 2, 6, 6), z, a, kept, a1, kept1), kept1 @ w2 + b2

    def step(self, x, y, masks, decay):
        _, _, w1, _, w2, _ = self.params
        (images, z, a, kept, a1, kept1), out = self.forward(x, masks)
        delta = np.array(
            [oracle.log_likelihood(row, label)[1] for row, label in zip(out, y, strict=True)]
        ) / len(x)
        delta1 = delta @ w2.T * masks[1] * (a1 > 0)
        da = (delta1 @ w1.T * masks[0]).reshape(a.shape) * (a > 0)
        dw, _, _ = oracle.conv2d_backward(
            oracle.pool2d_backward("max", da, z, (2, 2), (2, 2)),
            images,
            self.params[0][:, :, ::-1, ::-1],
        )
        gradients = (
            dw[:, :, ::-1, ::-1], da.sum(axis=(0, 2, 3)),
            kept.T @ delta1, delta1.sum(axis=0), kept1.T @ delta, delta.sum(axis=0),
        )  # fmt: skip
        for number, gradient in enumerate(gradients):
            is_weight = number % 2 == 0
            self.params[number] -= ETA * (gradient + is_weight * decay * self.params[number])

    def labels(self, x, dropouts):
        return self.forward(x, [1 - p for p in dropouts])[1].argmax(axis=1)


def masks(step, dropouts):
    """Which inputs of the layers 2 and 3 of the engine are kept, as 0 and 1."""
    return [
        np.array([oracle.uniform(0, step, layer, i) >= p for i in range(MB * neurons)]).reshape(
            MB, neurons
        )
        for layer, neurons, p in zip((2, 3), (12, 5), dropouts, strict=True)
    ]


@pytest.mark.parametrize("dropouts", [(0.0, 0.0), DROPOUTS])
def test_sgd_is_the_book_s(dropouts, capsys):
    """Two calls: mini-batches in their order, masks that go on.

    The seventh image is left out, and lmbda is over three mini-batches.
    """
    net = made(dropouts)
    plain, pair, others = Plain(net), data(), data(1)
    net.SGD(pair, 2, MB, ETA, others, others, LMBDA)
    net.SGD(pair, 1, MB, ETA, others, others, lmbda=LMBDA)
    x, y = (part.eval() for part in pair)
    for step in range(9):
        part = slice(step % 3 * MB, step % 3 * MB + MB)
        plain.step(np.float64(x[part]), y[part], masks(step, dropouts), LMBDA / 3)
    for ours, right in zip(net.params, plain.params, strict=True):
        np.testing.assert_allclose(ours.get_value(borrow=True), right, rtol=2e-4, atol=2e-6)


def test_printed_lines_and_predictions(capsys):
    """What it prints over 1,001 mini-batches an epoch, and accuracies with inputs times 1 - p."""
    net, validation, test = made(), data(1, 41), data(2, 31)
    assert not hasattr(net, "test_mb_predictions")
    net.SGD(data(0, 1001 * MB), 2, MB, 1e-9, validation, test)
    plain = Plain(net)
    right = []
    for x, y in (validation, test):
        whole = len(y.eval()) // MB * MB
        labels = plain.labels(np.float64(x.eval()[:whole]), DROPOUTS)
        right.append(f"{np.mean(labels == y.eval()[:whole]):.2%}")
    best = [
        "This is the best validation accuracy to date.",
        f"The corresponding test accuracy is {right[1]}",
    ]
    assert capsys.readouterr().out.splitlines() == [
        "Training mini-batch number 0", "Training mini-batch number 1000",
        f"Epoch 0: validation accuracy {right[0]}", *best,
        "Training mini-batch number 2000",
        f"Epoch 1: validation accuracy {right[0]}", *best,  # an equal one counts
        "Finished training network.",
        f"Best validation accuracy of {right[0]} obtained at iteration 2001",
        f"Corresponding test accuracy of {right[1]}",
    ]  # fmt: skip
    predicted = np.concatenate([net.test_mb_predictions(j) for j in range(15)])
    np.testing.assert_array_equal(predicted, labels)


@pytest.mark.parametrize("activation_fn", [linear, tanh, network3.sigmoid])
def test_the_other_activations(activation_fn):
    net, images = made((0, 0), activation_fn), data()[0].eval().reshape(-1, 2, 6, 6)
    w, b, w1, b1, w2, b2 = Plain(net).params
    z = oracle.conv2d_forward(images, w[:, :, ::-1, ::-1], b)
    a = activation_fn(oracle.pool2d_forward("max", z, (2, 2), (2, 2))).reshape(COUNT, -1)
    out = net.engine.outputs(images, has_activation=False)
    np.testing.assert_allclose(out, activation_fn(a @ w1 + b1) @ w2 + b2, rtol=1e-4)


def test_initial_values_are_numpy_s_in_the_book_s_order():
    net = made()
    np.random.seed(3)
    expected = [
        np.random.normal(0, np.sqrt(4 / 27), (3, 2, 3, 3)), np.random.normal(0, 1, 3),
        np.random.normal(0, np.sqrt(1 / 5), (12, 5)), np.random.normal(0, 1, 5),
    ]  # fmt: skip
    for param, values in zip(net.params, expected, strict=False):
        assert param.eval().dtype == np.float32
        np.testing.assert_array_equal(param.eval(), np.float32(values))
    softmax = SoftmaxLayer(5, 3)
    assert not softmax.w.eval().any()
    assert not softmax.b.eval().any()
    assert (net.layers[0].w, net.mini_batch_size) == (net.params[0], MB)


def test_values_are_taken_and_given(capsys):
    """A value that is set is used and comes back, and a copy is no way in."""
    net, other = made(), made()
    for mine, theirs in zip(net.params, other.params, strict=True):
        values = np.random.default_rng(8).normal(0, 0.5, theirs.eval().shape).astype(np.float32)
        kept = values.copy()
        theirs.set_value(values)
        mine.set_value(kept, borrow=True)
        values[...] = 9
        theirs.eval()[...] = 9
        theirs.get_value()[...] = 9
        for param in (mine, theirs):
            np.testing.assert_array_equal(param.get_value(borrow=True), kept)
    net.SGD(data(), 1, MB, ETA, data(1), data(2))
    assert net.layers[1].w.get_value().shape == (12, 5)
    assert not np.array_equal(net.layers[2].b.eval(), other.layers[2].b.eval())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_copies_and_pickles_are_networks_of_their_own(copied):
    net, pair, others = made(), data(), data(1)
    net.SGD(pair, 1, MB, ETA, others, others)
    other, kept = copied(net), [param.get_value() for param in net.params]
    assert all(param in (layer.w, layer.b) for layer in other.layers for param in layer.params)
    net.SGD(pair, 1, MB, ETA, others, others)
    for param, values in zip(other.params, kept, strict=True):
        np.testing.assert_array_equal(param.eval(), values)
    other.SGD(pair, 1, MB, ETA, others, others)
    for param, values in zip(other.params, net.params, strict=True):
        np.testing.assert_array_equal(param.eval(), values.eval())  # the same masks too
    again = copied(other)
    other.params[-1].set_value(np.eye(3)[0] * 1e6)
    assert set(other.test_mb_predictions(0)) == {0}
    np.testing.assert_array_equal(again.test_mb_predictions(0), net.test_mb_predictions(0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda: ConvPoolLayer((3, 2, 3), (MB, 2, 6, 6)),
            r"filter_shape is \(3, 2, 3\): expected four numbers",
        ),
        (
            lambda: ConvPoolLayer((3, 1, 3, 3), (MB, 2, 6, 6)),
            r"expected 2 channels, as in image_shape",
        ),
        (lambda: ConvPoolLayer((3, 2, 0, 3), (MB, 2, 6, 6)), "a part of filter_shape is 0"),
        (
            lambda: FullyConnectedLayer(12, 5, np.cos),
            "activation_fn is .*: expected network3's linear, ReLU",
        ),
        (lambda: FullyConnectedLayer(12, 5, p_dropout=1.0), "dropout is 1.0: expected a number"),
        (lambda: Network([FullyConnectedLayer(12, 5)], MB), "the last layer is not a SoftmaxLayer"),
        (
            lambda: Network([FullyConnectedLayer(12, 5), SoftmaxLayer(6, 3)], MB),
            r"layer 2 takes an input of \(6,\)",
        ),
        (
            lambda: Network([ConvPoolLayer((3, 2, 3, 3), (9, 2, 6, 6)), SoftmaxLayer(12, 3)], MB),
            r"image_shape \(9, 2, 6, 6\): expected mini_batch_size, 2, first",
        ),
        (
            lambda: made().params[0].set_value(np.zeros((3, 2))),
            r"shape \(3, 2\): expected \(3, 2, 3, 3\)",
        ),
        (
            lambda: made().SGD(data(), 1, 5, ETA, data(), data()),
            "mini_batch_size is 5: expected the network's, 2",
        ),
        (lambda: made().SGD(data(), 0, MB, ETA, data(), data()), "epochs is 0"),
        (
            lambda: made().SGD((Shared(np.zeros((7, 71))), data()[1]), 1, MB, ETA, data(), data()),
            r"training_data: images have the shape \(71,\): expected 72 pixels",
        ),
        (
            lambda: made().SGD(data(), 1, MB, ETA, data(0, 1), data()),
            "validation_data: 1 images with labels up to",
        ),
        (
            lambda: made().SGD(data(), 1, MB, ETA, data(), (data()[0], Shared([3] * 7))),
            "test_data: 7 images with labels up to 3: expected .* labels below 3",
        ),
        (
            lambda: made().SGD(data(), 9, MB, 1e9, data(), data()),
            "beyond all bounds at iteration .*smaller eta",
        ),
    ],
)
def test_errors_are_one_line(wrong, message):
    with pytest.raises(nbconv.errors.NbconvError, match=message) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_load_data_shared(tmp_path):
    numbers = np.random.default_rng(0)
    sets = [(numbers.random((n, 9), np.float32), numbers.integers(0, 10, n)) for n in (5, 3, 2)]
    file = tmp_path / "mnist.pkl.gz"
    with gzip.open(file, "wb") as out:
        pickle.dump(sets, out, protocol=2)
    for (x, y), (images, labels) in zip(network3.load_data_shared(file), sets, strict=True):
        np.testing.assert_array_equal(x.get_value(borrow=True), images)
        np.testing.assert_array_equal(y.eval(), labels)
        assert (x.eval().dtype, y.eval().dtype, network3.size((x, y))) == (
            np.float32,
            np.int32,
            len(images),
        )
    file.write_bytes(b"no gzip")
    with pytest.raises(nbconv.DataError, match="is damaged or is not"):
        network3.load_data_shared(file)
    for name, message in (
        (
            "mnist_expanded.pkl.gz",
            r"make it with python -m nbconv\.book\.expand_mnist .*expanded\.pkl\.gz$",
        ),
        ("other.pkl.gz", "does not exist: expected the book's mnist.pkl.gz"),
    ):
        with pytest.raises(nbconv.DataError, match=message):
            network3.load_data_shared(tmp_path / name)


def test_mnist_where_the_file_is_missing(mnist, tmp_path):
    training, validation, test = network3.load_data_shared(tmp_path / "mnist.pkl.gz")
    assert [network3.size(pair) for pair in (training, validation, test)] == [
        50_000,
        10_000,
        10_000,
    ]
    for part in test:
        part.set_value(part.get_value(borrow=True)[:9])  # data may become less
    assert network3.size(test) == 9
    np.testing.assert_array_equal(
        test[0].get_value(borrow=True)[7], np.asarray(mnist[2].images[7]).reshape(-1)
    )


# expand_mnist


def small_sets():
    numbers = np.random.default_rng(1)
    return tuple(
        nbconv.Dataset(numbers.integers(0, 256, (n, 4, 4), np.uint8), np.arange(n))
        for n in (6, 3, 2)
    )


def test_expanded_data(tmp_path, capsys):
    """Every image and its four moves with its label, in another order; the others as they are.

    The same file each time.
    """
    sets, file = small_sets(), tmp_path / "expanded.pkl.gz"
    expand_mnist.write(file, sets)
    (x, y), *others = network3.load_data_shared(file)
    found = {(image.tobytes(), int(label)) for image, label in zip(x.eval(), y.eval(), strict=True)}
    expected = [
        (oracle.moved(image, move).astype(np.float32).tobytes(), label)
        for label, image in enumerate(np.asarray(sets[0].images))
        for move in range(5)
    ]
    assert (len(x.eval()), found) == (30, set(expected))
    assert [int(label) for label in y.eval()] != sorted(y.eval())
    for (images, labels), was in zip(others, sets[1:], strict=True):
        np.testing.assert_array_equal(images.eval(), np.asarray(was.images).reshape(len(was), -1))
        np.testing.assert_array_equal(labels.eval(), was.labels)
    expand_mnist.write(tmp_path / "again.pkl.gz", sets)
    assert (tmp_path / "again.pkl.gz").read_bytes() == file.read_bytes()


@POSIX
def test_a_full_disk_leaves_nothing(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        with pytest.raises(
            nbconv.DataError, match="could not be written: File too large; no file was written"
        ):
            expand_mnist.write(tmp_path / "expanded.pkl.gz", small_sets())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


def started(tmp_path, *arguments):
    heeds = partial(
        signal.signal, signal.SIGINT, signal.SIG_DFL
    )  # what is in the background does not
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "nbconv.book.expand_mnist", *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heeds if os.name == "posix" else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["here.pkl.gz"], 0, "already exists"),
        (["no/expanded.pkl.gz"], 1, "could not be saved: No such file or directory"),
        (["expanded"], 1, r"expected one ending in \.pkl\.gz"),
        (["a", "b"], 2, "usage: python -m nbconv"),
        (["--help"], 0, "usage: python -m nbconv"),
    ],
)
@pytest.mark.slow
def test_the_command_s_ends(tmp_path, arguments, code, message):
    (tmp_path / "here.pkl.gz").write_text("as it was")
    process = started(tmp_path, *arguments)
    printed, error = process.communicate()
    assert process.returncode == code
    assert re.search(message, printed + error)
    assert len(error.splitlines()) <= 1
    assert os.listdir(tmp_path) == ["here.pkl.gz"]
    assert (tmp_path / "here.pkl.gz").read_text() == "as it was"


@pytest.mark.slow
@POSIX
def test_ctrl_c_leaves_nothing(mnist, tmp_path):
    with started(tmp_path, "expanded.pkl.gz") as process:
        for line in process.stdout:
            if line.startswith("Saving"):
                process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "Stopped: no file was written\n"
    assert process.returncode == 130
    assert os.listdir(tmp_path) == []
