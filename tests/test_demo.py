"""The page of nbconv demo in a real browser: its mathematics beside Python's, and what one does.

Each page is opened from a file by Chromium, which can reach no network; a message on its console, a
request or an exception fails the test.
"""

import shutil

import numpy as np
import pytest

import nbconv
from nbconv import demo, notation

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
LAYERS = {
    "max": [
        nbconv.Conv2D(6, 3, padding=1, activation="relu"), nbconv.MaxPool2D(2),
        nbconv.Conv2D(8, 3, activation="leaky_relu:0.1"),
        nbconv.Dense(20, activation="tanh", dropout=0.5, dropout_scaling="book"),
        nbconv.Softmax(10, dropout=0.2),
    ],
    "l2": [
        nbconv.Conv2D(5, (3, 2), stride=(2, 1), padding=(1, 2), activation="tanh"),
        nbconv.L2Pool2D((2, 3)), nbconv.Dense(12, dropout=0.5), nbconv.Dense(10),
    ],
    "average": [
        nbconv.Conv2D(4, 3, activation="relu"), nbconv.BatchNorm(), nbconv.MaxPool2D(3, 2),
        nbconv.AvgPool2D(2, 1), nbconv.Dense(15, activation="leaky_relu"), nbconv.BatchNorm(),
        nbconv.Dense(10, activation="linear"),
    ],
    "pooling first": [nbconv.MaxPool2D(2), nbconv.Conv2D(3, 2), nbconv.Softmax(10)],
    "dense": [nbconv.Dense(30), nbconv.Dense(10, activation="tanh")],
}  # fmt: skip


def trained(layers, train, input_shape, **options):
    """A network that has learned a little: so that batch normalisations have statistics."""
    net = nbconv.Network(layers, input_shape, **options)
    net.fit(train, epochs=1, mini_batch_size=20, eta=0.05)
    return net


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        options = (
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        )  # fmt: skip
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Open a network's page: network, examples, and options of the browser's context."""
    faults, contexts = [], []

    def open_page(network, examples=None, **options):
        path = tmp_path / "demo.html"
        demo.save(network, path, examples)
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url))
        page.goto(path.as_uri())
        assert faults == [path.as_uri()], "the page itself is all that is asked for"
        faults.clear()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def outputs_and_gradients(page, images, labels):
    """What the page's network makes of images: outputs, costs, maps of five, mean gradients."""
    return page.evaluate(
        """([images, labels]) => {
            const layers = page.net.layers.filter((layer) => layer.w);
            const sums = layers.map(({ w, b }) => [w.map(() => 0), b.map(() => 0)]);
            const outputs = [], costs = [], maps = [];
            images.forEach((image, n) => {
                outputs.push([...page.net.forward(image)]);
                if (n < 5) maps.push(page.net.layers.map(({ a }) => [...a]));
                costs.push(page.net.backward(labels[n]));
                layers.forEach(({ dw, db }, k) => {
                    const [w, b] = sums[k];
                    for (let t = 0; t < w.length; t++) w[t] += dw[t] / images.length;
                    for (let t = 0; t < b.length; t++) b[t] += db[t] / images.length;
                });
            });
            return { outputs, costs, maps, gradients: sums.map((pair) => pair.map((d) => [...d])) };
        }""",
        [images.reshape(len(images), -1).tolist(), labels.tolist()],
    )


def assert_same(net, page, data, bound):
    images, labels = data.images[:100].astype(np.float64), data.labels[:100]
    ours = outputs_and_gradients(page, images, labels)
    given = nbconv.Dataset(images, labels)
    np.testing.assert_allclose(ours["outputs"], net.predict_proba(images), rtol=0, atol=bound)
    assert np.mean(ours["costs"]) == pytest.approx(net.evaluate(given)["cost"], abs=10 * bound)
    for one, other in zip(ours["gradients"], net.gradients(images, labels), strict=True):
        for values, name in zip(one, ("weights", "biases"), strict=True):
            np.testing.assert_allclose(values, other[name].ravel(), rtol=0, atol=bound)
            assert np.abs(values).max() > 1000 * bound or bound > 1e-9
    return ours


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in LAYERS), ("average", "float64")]
)
def test_the_mathematics(name, dtype, digits, opened):
    """Outputs, cost and gradients of 100 images are Python's, and so are the feature maps."""
    train, _, test = digits
    shape = (64,) if name == "dense" else (1, 8, 8)
    cost = "quadratic" if name == "l2" else None
    net = trained(LAYERS[name], train, shape, dtype=dtype, cost=cost)
    page = opened(net)
    bound = 1e-5 if dtype == "float32" else 1e-12
    ours = assert_same(net, page, test, bound)
    at = 0
    for unit, a in net.activations(test.images[:5]):
        at += unit.count("-") + 1  # a convolution and its max pooling are one: those behind it
        maps = [image[at - 1] for image in ours["maps"]]
        np.testing.assert_allclose(maps, a.reshape(5, -1), rtol=0, atol=bound)


def test_colours(opened):
    """Three channels, and class names that a page must not obey."""
    random = np.random.default_rng(0)
    names = ["</script><script>alert(1)", "<b>&amp;", "dog"]
    train = nbconv.Dataset(random.random((120, 3, 9, 7)), np.arange(120) % 3, class_names=names)
    layers = [nbconv.Conv2D(4, 3, activation="relu"), nbconv.MaxPool2D(2), nbconv.Softmax(3)]
    net = trained(layers, train, (3, 9, 7))
    page = opened(net, train)
    assert_same(net, page, train, 1e-5)
    assert page.locator(".labels span").all_inner_texts() == names
    shown = page.evaluate("[...page.seen.context.getImageData(0, 0, 7, 9).data]")
    levels = np.rint(train.images[0].transpose(1, 2, 0) * 255)
    np.testing.assert_allclose(np.reshape(shown, (9, 7, 4))[..., :3], levels, atol=1)


@pytest.fixture(scope="module")
def third(mnist):
    """The book's third network, after a little training on MNIST."""
    layers = notation.parse("20C5-MP2-40C5-MP2-100N-10N")
    train = nbconv.Dataset(mnist[0].images[:3000], mnist[0].labels[:3000])
    return trained(layers, train, (1, 28, 28))


def test_mnist(third, mnist, opened):
    assert_same(third, opened(third), mnist[2], 1e-5)
