"""The book's programs: what its scripts see, against the same algorithm in plain loops.

The loops are over columns.
"""

import random

import numpy as np
import oracle
import pytest

import nbconv
from nbconv.book import mnist_loader, network, network2

SIZES = [6, 5, 4, 3]
LABELS = [0, 2, 1, 1, 0, 2, 2]


def pairs(labels=False, seed=0):
    numbers = np.random.default_rng(seed)
    wanted = LABELS if labels else [np.array([oracle.unit(y, 3)]).T for y in LABELS]
    return [(numbers.random((6, 1)).astype(np.float32), y) for y in wanted]


def feedforward(net, a):
    for w, b in zip(net.weights, net.biases, strict=True):
        a = np.vectorize(oracle.sigmoid)(w @ a + b)
    return a


def gradient(net, x, y, is_quadratic):
    """(BP1) to (BP4) for one column."""
    activations = [np.float64(x)]
    for w, b in zip(net.weights, net.biases, strict=True):
        activations.append(np.vectorize(oracle.sigmoid)(w @ activations[-1] + b))
    a = activations[-1]
    delta = (a - y) * (a * (1 - a) if is_quadratic else 1)
    nabla_b, nabla_w = [], []
    for layer in reversed(range(len(net.weights))):
        nabla_b.insert(0, delta)
        nabla_w.insert(0, delta @ activations[layer].T)
        if layer:
            a = activations[layer]
            delta = net.weights[layer].T @ delta * a * (1 - a)
    return nabla_b, nabla_w


def step(net, batch, eta, lmbda, n, is_quadratic):
    sums = [gradient(net, x, y, is_quadratic) for x, y in batch]
    for layer in range(len(net.weights)):
        nabla_b, nabla_w = (sum(one[kind][layer] for one in sums) for kind in range(2))
        net.weights[layer] = (1 - eta * lmbda / n) * net.weights[layer] - eta / len(batch) * nabla_w
        net.biases[layer] = net.biases[layer] - eta / len(batch) * nabla_b


def same(ours, right):
    for mine, other in zip(ours, right, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-13)


@pytest.fixture(params=["network", "network2", "network2, quadratic"])
def made(request):
    """(a network, another with the same weights, whether its cost is quadratic)"""

    def make():
        np.random.seed(4)
        if request.param == "network":
            return network.Network(SIZES)
        return network2.Network(
            SIZES,
            network2.QuadraticCost if "quadratic" in request.param else network2.CrossEntropyCost,
        )

    return make(), make(), request.param != "network2"


def test_initial_weights_are_numpy_s_in_the_book_s_order():
    np.random.seed(1)
    net = network2.Network([3, 2, 4])
    np.random.seed(1)
    biases = [np.random.randn(2, 1), np.random.randn(4, 1)]
    weights = [np.random.randn(2, 3) / np.sqrt(3), np.random.randn(4, 2) / np.sqrt(2)]
    same(net.biases, biases)
    same(net.weights, weights)
    assert (net.num_layers, net.sizes) == (3, [3, 2, 4])


def test_backprop(made):
    net, _, is_quadratic = made
    for x, y in pairs():
        for ours, right in zip(net.backprop(x, y), gradient(net, x, y, is_quadratic), strict=True):
            same(ours, right)


def test_sgd_is_the_book_s(made, capsys):
    """The same order from random.seed, the same weights, and lists that are new."""
    net, other, is_quadratic = made
    before, data, copy = net.weights, pairs(), pairs()
    random.seed(7)
    if isinstance(net, network.Network):
        lmbda = 0
        net.SGD(data, 3, 2, 0.7, test_data=pairs(labels=True))
    else:
        lmbda = 0.9
        net.SGD(data, 3, 2, 0.7, lmbda)
    random.seed(7)
    for _ in range(3):
        random.shuffle(copy)
        for first in range(0, len(copy), 2):
            step(other, copy[first : first + 2], 0.7, lmbda, len(copy), is_quadratic)
    same(net.weights, other.weights)
    same(net.biases, other.biases)
    assert net.weights is not before
    assert all(one is not old for one, old in zip(net.weights, before, strict=True))
    assert all(np.array_equal(x, other_x) for (x, _), (other_x, _) in zip(data, copy, strict=True))
    printed = capsys.readouterr().out.splitlines()
    right = sum(feedforward(net, x).argmax() == y for x, y in pairs(labels=True))
    assert printed[-1 if lmbda == 0 else -2] == (
        "Epoch 2 training complete" if lmbda else f"Epoch 2: {right} / 7"
    )


def test_monitors(capsys):
    np.random.seed(0)
    net = network2.Network(SIZES)
    training, evaluation = pairs(), pairs(labels=True, seed=1)
    costs = net.SGD(iter(training), 2, 3, 0.5, 0.2, evaluation, True, True, True, True)
    assert [len(each) for each in costs] == [2] * 4
    right = sum(feedforward(net, x).argmax() == y for x, y in evaluation)
    assert costs[1][-1] == net.accuracy(evaluation) == right
    assert costs[3][-1] == net.accuracy(training, convert=True)
    mean = np.mean(
        [oracle.cross_entropy_of(feedforward(net, x)[:, 0], y[:, 0]) for x, y in training]
    )
    squares = sum((w**2).sum() for w in net.weights)
    assert costs[2][-1] == pytest.approx(mean + 0.2 / (2 * 7) * squares, rel=1e-10)
    assert costs[0][-1] == net.total_cost(evaluation, 0.2, convert=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[6:] == [
        "Epoch 1 training complete",
        f"Cost on training data: {costs[2][1]}", f"Accuracy on training data: {costs[3][1]} / 7",
        f"Cost on evaluation data: {costs[0][1]}", f"Accuracy on evaluation data: {right} / 7", "",
    ]  # fmt: skip
    assert net.SGD(training, 1, 3, 0.5) == ([], [], [], [])


def test_a_cost_of_one_s_own():
    class Cubic:
        @staticmethod
        def fn(a, y):
            return float((abs(a - y) ** 3).sum() / 3)

        @staticmethod
        def delta(z, a, y):
            return (a - y) * abs(a - y) * a * (1 - a)

    np.random.seed(2)
    net = network2.Network([6, 4, 3], cost=Cubic)
    x, y = pairs()[0]
    nabla_b, nabla_w = net.backprop(x, y)
    for array, nabla in ((net.weights[0], nabla_w[0]), (net.biases[1], nabla_b[1])):
        kept, costs = array[1, 0], []
        for moved in (kept + 1e-5, kept - 1e-5):
            array[1, 0] = moved
            costs.append(Cubic.fn(net.feedforward(x), y))
        array[1, 0] = kept
        assert nabla[1, 0] == pytest.approx((costs[0] - costs[1]) / 2e-5, rel=1e-7)
    before = net.total_cost(pairs(), 0)
    net.SGD(pairs(), 30, 7, 3.0)
    assert net.total_cost(pairs(), 0) < before


class Softmax:
    """A cost of chapter 3's problems, whose delta is of a single column."""

    @staticmethod
    def fn(a, y):
        return -np.log(a[np.argmax(y)][0])

    @staticmethod
    def delta(z, a, y):
        e = np.exp(z - z.max())
        return e / e.sum() - y


def test_a_cost_sees_one_column_at_a_time():
    np.random.seed(2)
    net, other = network2.Network([6, 4, 3], Softmax), network2.Network([6, 4, 3], Softmax)
    other.weights, other.biases = [w.copy() for w in net.weights], [b.copy() for b in net.biases]
    random.seed(7)
    net.SGD(pairs(), 2, 3, 0.7, 0.4)
    random.seed(7)
    data = pairs()
    for _ in range(2):
        random.shuffle(data)
        for first in range(0, len(data), 3):
            batch = data[first : first + 3]
            each = [other.backprop(x, y) for x, y in batch]
            for k in range(2):
                dw = sum(nabla_w[k] for _, nabla_w in each) / len(batch)
                db = sum(nabla_b[k] for nabla_b, _ in each) / len(batch)
                other.weights[k] = (1 - 0.7 * 0.4 / len(data)) * other.weights[k] - 0.7 * dw
                other.biases[k] = other.biases[k] - 0.7 * db
    same(net.weights, other.weights)
    same(net.biases, other.biases)


@pytest.mark.parametrize("name", ["update_mini_batch", "backprop", "feedforward"])
@pytest.mark.parametrize("module", [network, network2])
def test_a_script_s_own_methods_are_called(module, name, capsys):
    """As in the book, and with the same result if they do the same."""
    calls = []

    def method(self, *arguments):
        calls.append(name)
        return getattr(super(Own, self), name)(*arguments)

    Own = type("Own", (module.Network,), {name: method})
    nets = []
    for kind in (module.Network, Own):
        np.random.seed(3)
        random.seed(3)
        net = kind(SIZES)
        options = {} if module is network else {"monitor_evaluation_accuracy": True}
        tests = {"test_data" if module is network else "evaluation_data": pairs(labels=True)}
        net.SGD(pairs(), 2, 3, 0.7, **tests, **options)
        nets.append(net)
    assert len(calls) == {"update_mini_batch": 2 * 3, "backprop": 2 * 7, "feedforward": 2 * 7}[name]
    same(nets[1].weights, nets[0].weights)
    same(nets[1].biases, nets[0].biases)
    printed = capsys.readouterr().out
    assert printed[: len(printed) // 2] == printed[len(printed) // 2 :]


def test_a_script_s_own_measures_are_printed(capsys):
    class Own(network2.Network):
        def accuracy(self, data, convert=False):
            return 3 + convert

        def total_cost(self, data, lmbda, convert=False):
            return 0.5 + convert

    class Simple(network.Network):
        def evaluate(self, test_data):
            return 5

        def cost_derivative(self, output_activations, y):
            assert output_activations.shape == y.shape == (3, 1)
            return output_activations - y

    found = Own(SIZES).SGD(pairs(), 1, 3, 0.5, 0.2, pairs(labels=True), True, True, True, True)
    assert found == ([1.5], [3], [0.5], [4])
    Simple(SIZES).SGD(pairs(), 1, 3, 0.5, pairs(labels=True))
    assert capsys.readouterr().out.endswith("Epoch 0: 5 / 7\n")


def test_columns_side_by_side(made):
    net, *_ = made
    x = np.hstack([x for x, _ in pairs()])
    np.testing.assert_allclose(net.feedforward(x), feedforward(net, x), rtol=1e-12)
    net.update_mini_batch(pairs()[:3], 0.1, *(() if isinstance(net, network.Network) else (0.0, 7)))


def test_saved_and_loaded(tmp_path):
    net = network2.Network(SIZES, cost=network2.QuadraticCost)
    net.save(tmp_path / "net.json")
    back = network2.load(tmp_path / "net.json")
    assert (back.sizes, back.cost) == (SIZES, network2.QuadraticCost)
    same(back.weights, net.weights)
    same(back.biases, net.biases)
    for content in ("{", "[1]", '{"sizes": [2, 1], "cost": "Nothing"}'):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(nbconv.DataError, match=r"bad\.json was not written by network2's save"):
            network2.load(tmp_path / "bad.json")


def test_sigmoid():
    z = np.array([[-800.0, 0.0], [1.0, 800.0]])
    np.testing.assert_allclose(network.sigmoid(z), np.vectorize(oracle.sigmoid)(z), rtol=1e-15)
    assert network2.sigmoid_prime(0) == 0.25
    assert z[0, 0] == -800


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            lambda net: net.feedforward(np.zeros((5, 1))),
            r"shape \(5, 1\) was given: expected columns, \(6, 1\)",
        ),
        (lambda net: net.feedforward([["a"] * 6]), "expected a column of 6 numbers"),
        (
            lambda net: net.SGD([(np.zeros((6, 1)), np.zeros((2, 1)))], 1, 1, 1.0),
            r"shape \(2, 1\): expected \(3, 1\), or a label below 3",
        ),
        (lambda net: net.accuracy([(np.zeros((6, 1)), 3)]), "image 0's output is 3: expected"),
        (
            lambda net: net.SGD([(np.zeros((7, 1)), np.zeros((3, 1)))], 1, 1, 1.0),
            r"image 0 has the shape \(7, 1\)",
        ),
    ],
)
def test_wrong_shapes_are_one_line(wrong, message):
    with pytest.raises(nbconv.DataError, match=message):
        wrong(network2.Network(SIZES))


def test_mnist_loader(mnist, capsys):
    training, validation, test = mnist_loader.load_data_wrapper()
    assert [len(data) for data in (training, validation, test)] == [50_000, 10_000, 10_000]
    x, y = training[0]
    assert (x.shape, x.dtype, y.shape, y.sum(), y[5, 0]) == ((784, 1), np.float32, (10, 1), 1, 1)
    assert [int(validation[0][1]), int(test[0][1])] == [3, 7]
    np.random.seed(0)
    random.seed(0)
    net = network2.Network([784, 30, 10])
    _, accuracy, _, _ = net.SGD(
        training, 1, 10, 0.1, 5.0, validation, monitor_evaluation_accuracy=True
    )
    assert accuracy[0] > 9000
