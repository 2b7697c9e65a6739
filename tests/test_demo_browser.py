"""The page of nbconv demo in a real browser: its mathematics beside Python's, and what one does.

Each page is opened from a file by Chromium, which can reach no network; a message on its console, a
request or an exception fails the test.
"""

import base64
import copy
import dataclasses
import itertools
import re
import shutil

import numpy as np
import pytest
from nbconv.kernels.activations import NAMES

import nbconv
from nbconv import demo, notation
from nbconv.data.preparation import Ink, Preparation

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
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
    "each activation": [*(nbconv.Dense(12, name) for name in NAMES), nbconv.Softmax(10)],
}  # fmt: skip


def trained(layers, train, input_shape, standardise=False, **options):
    """A network that has learned a little: so that batch normalisations have statistics."""
    net = nbconv.Network(layers, input_shape, **options)
    net.fit(train, epochs=1, mini_batch_size=20, eta=0.05, standardise=standardise)
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
    standardise = name in ("max", "dense")
    net = trained(LAYERS[name], train, shape, standardise, dtype=dtype, cost=cost)
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
    net = trained(layers, train, (3, 9, 7), standardise=True)
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


def drawings():
    """Pictures as people have them, by name: (rows, columns), or with three channels last."""
    draw = pytest.importorskip("PIL.ImageDraw")
    image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(1)

    def drawn(size, lines, width, paper=255, ink=20):
        picture = image.new("L", size, paper)
        for line in lines:
            draw.Draw(picture).line(line, fill=ink, width=width, joint="curve")
        return np.asarray(picture)

    seven = [[(60, 60), (180, 55), (110, 220)]]
    four = [[(90, 40), (60, 150), (190, 150)], [(150, 90), (140, 230)]]
    large = [[(x * 2 + 100, y * 2) for x, y in line] for line in four]
    y, x = np.mgrid[0:520, 0:600]
    light = 215 - 60 * x / 600 - 25 * y / 520 - 50 * (y > 330)
    photo = np.where(drawn((600, 520), large, 26, 0, 255) > 0, light - 130, light)
    photo = (photo + random.normal(0, 4, photo.shape)).clip(0, 255).astype(np.uint8)
    specks = drawn((256, 256), four, 18).copy()
    specks[5:9, 240:244] = specks[250:, :3] = 30
    part = photo[::3, ::3]
    blue = np.stack([part, part, (part * 0.6 + 90).astype(np.uint8)], axis=2)
    return {
        "drawing": drawn((256, 256), seven, 19),
        "thin": drawn((256, 256), four, 4),
        "chalk": drawn((256, 256), four, 19, 0, 255),
        "faint": drawn((200, 120), [[(60, 10), (66, 110)]], 9, 200, 160),
        "at the border": drawn((256, 256), [[(0, 0), (255, 255)], [(255, 0), (0, 255)]], 40),
        "specks": specks,
        "photo": photo,
        "blue": blue,
        "small": drawn((28, 28), [[(6, 5), (20, 5), (12, 25)]], 3, 0, 255),
        "small, dark ink": drawn((28, 28), [[(6, 5), (20, 5), (12, 25)]], 3),
        "a scan's rim": np.pad(drawn((180, 180), [[(40, 50), (120, 40), (90, 150)]], 14), 9),
        "on squared paper": drawn(
            (256, 256),
            [
                *four,
                *([(x, 0), (x, 255)] for x in range(9, 256, 20)),
                *([(0, x), (255, x)] for x in range(9, 256, 20)),
            ],
            5,
        ),
        "in a box": drawn(
            (256, 256),
            [*four, [(30, 20), (220, 20), (220, 244), (30, 244), (30, 20)]],
            8,
        ),
        "tiny": drawn((9, 5), [[(2, 1), (2, 7)]], 1),
        "empty": np.full((256, 256), 255, np.uint8),
        "one row": np.arange(0, 250, 10, dtype=np.uint8)[None],
    }


PREPARE = """([levels, rows, columns, channels, shape, like]) => {
    const numbers = decoded(levels, "uint8");
    const planes = Array.from({ length: channels }, (_, c) =>
        plane(rows, columns, numbers.filter((_, p) => p % channels === c)));
    const { image, done, doubt } = prepare({ rows, columns, planes }, shape, like);
    return [[...image], done, doubt];
}"""
INKS = {
    "mass": Ink(20, "mass", (14.0, 14.0), 0.0, 3.0),
    "box": Ink(24, "box", (13.5, 13.5), 1.0, 0.0),
    "none": None,
}


def test_preparation(opened):
    """Pictures are prepared as Python does it: the pixels, what is said, and the doubts.

    Resizing to whole levels may differ by one where a mean is half a level.
    """
    page = opened(nbconv.Network([64, 10]))
    kinds = [*(((1, 28, 28), ink) for ink in INKS), ((3, 12, 20), "none")]
    for (shape, ink), (name, picture) in itertools.product(kinds, drawings().items()):
        if ink != "mass" and picture.ndim == 2 and picture.size > 30_000:
            continue  # it is searched for ink as before
        net = nbconv.Network([nbconv.Dense(2)], shape)
        border = (1.0, 1.0) if ink == "box" else (0.0, 0.05)
        net.preparation = like = Preparation(255, (0.02, 0.35), border, INKS[ink])
        (theirs,) = net.prepared([(name, picture)])
        size = [*picture.shape[:2], picture.size // (picture.shape[0] * picture.shape[1])]
        levels = base64.b64encode(picture.tobytes()).decode()
        given = [levels, *size, shape, dataclasses.asdict(like)]
        image, done, doubt = page.evaluate(PREPARE, given)
        case = f"{name}, {ink}, {shape}"
        assert done == theirs.done, case
        assert doubt == like.unlike(theirs.image[None])[0], case
        bound = 1e-6 if INKS[ink] else 1.01 / 255
        np.testing.assert_allclose(np.reshape(image, shape), theirs.image, 0, bound, err_msg=case)


@pytest.fixture(scope="module")
def digit_net(digits):
    net = nbconv.Network(
        [nbconv.Conv2D(6, 3), nbconv.MaxPool2D(2), nbconv.Dense(20), nbconv.Softmax(10)], (1, 8, 8)
    )
    net.fit(digits[0], epochs=8, mini_batch_size=10, eta=0.5)
    return net


def answer(page):
    """The outputs as the page shows them, by class."""
    rows = page.locator(".answer").first.locator("li")
    return dict(row.split() for row in rows.all_inner_texts())


def numbers(locator):
    """The numbers that elements show."""
    return [float(text.replace(MINUS, "-")) for text in locator.all_inner_texts()]


def stroke(page, *points):
    """Draw a line through points, in shares of the board."""
    page.locator(".board").scroll_into_view_if_needed()
    box = page.locator(".board").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_drawing(digit_net, digits, opened):
    """A drawing is answered as Python answers its pixels, and clearing it brings back the blank."""
    page = opened(digit_net)
    assert "board is empty" in page.locator(".done").inner_text()
    blank = answer(page)
    for points in ([(0.5, 0.2), (0.5, 0.8)], [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)]):
        page.locator(".clear").click()
        assert answer(page) == blank
        stroke(page, *points)
        drawn = page.evaluate("[...page.board.picture().planes[0].data]")
        picture = np.array(drawn, np.uint8).reshape(84, 84)
        (theirs,) = digit_net.prepared([("", picture)])
        np.testing.assert_allclose(page.evaluate("[...page.image]"), theirs.image.ravel(), 0, 1e-6)
        outputs = digit_net.predict_proba(theirs.image[None])[0]
        assert answer(page) != blank
        np.testing.assert_allclose([float(a) for a in answer(page).values()], outputs, 0, 6e-4)
        assert page.locator(".best").first.inner_text() == str(outputs.argmax())
        assert theirs.done[0] in page.locator(".done").inner_text()
    before = page.evaluate("[...page.image]")
    stroke(page, (0.2, 0.5), (0.8, 0.5))
    assert page.evaluate("[...page.image]") != before, "a second stroke is added to the first"


def test_files(digit_net, opened, tmp_path):
    """A picture is opened or dropped and prepared; what is none says so."""
    image = pytest.importorskip("PIL.Image")
    page = opened(digit_net)
    picture = drawings()["drawing"]
    image.fromarray(picture).save(tmp_path / "seven.png")
    (tmp_path / "letter.txt").write_text("no picture")
    page.locator(".file").set_input_files(tmp_path / "seven.png")
    sync_api.expect(page.locator(".done")).to_contain_text("ink of")
    theirs = digit_net.prepare(picture)[0]
    np.testing.assert_allclose(page.evaluate("[...page.image]"), theirs.ravel(), 0, 1e-6)
    page.locator(".file").set_input_files(tmp_path / "letter.txt")
    sync_api.expect(page.locator(".done")).to_have_text(
        "letter.txt cannot be read: expected a picture that this browser shows, a PNG or JPEG"
    )
    dropped = page.evaluate_handle(
        """async () => {
            const canvas = new OffscreenCanvas(40, 60), context = canvas.getContext("2d");
            context.fillStyle = "white";
            context.fillRect(18, 8, 6, 44);
            const data = new DataTransfer();
            data.items.add(new File([await canvas.convertToBlob()], "one.png"));
            return data;
        }"""
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    sync_api.expect(page.locator(".done")).to_contain_text("ink of 44x6")


def test_learning(digit_net, digits, opened):
    """Steps are gradient descent's, the cost falls, and reset restores every number."""
    test = digits[2]
    page = opened(digit_net, test)
    buttons = page.locator(".examples button")
    assert buttons.count() == 10
    buttons.nth(3).click()
    image = test.images[int(np.flatnonzero(test.labels == 3)[0])][None]
    before = answer(page)
    assert not page.locator(".gradients").is_visible()
    page.locator(".labels label", has_text="5").click()
    assert page.locator(".gradients canvas").count() == 7  # dC/da of four layers, dC/dw of three
    page.locator(".eta").fill("0")
    costs, net = [], copy.deepcopy(digit_net)
    for _ in range(3):
        costs.append(page.evaluate("page.cost"))
        shown = numbers(page.locator(".speeds .value"))
        gradients = net.gradients(image, [5])
        speeds = [np.linalg.norm(each["biases"]) for each in gradients]
        np.testing.assert_allclose(shown, speeds, rtol=0.006)
        net.set_parameters(
            [
                {name: p[name] - g[name] for name in p}
                for p, g in zip(net.parameters(), gradients, strict=True)
            ]
        )
        page.locator(".step").click()
    assert costs[0] > costs[1] > costs[2] > page.evaluate("page.cost")
    assert "Step 3 with η = 1, towards 5: the cost went from" in page.locator(".told").inner_text()
    weights = page.evaluate("[...page.net.layers[0].w]")
    np.testing.assert_allclose(weights, net.parameters()[0]["weights"].ravel(), 0, 1e-5)
    assert answer(page) != before
    page.locator(".reset").click()
    assert answer(page) == before
    for layer, given in zip([0, 2, 3], digit_net.parameters(), strict=True):
        assert (
            page.evaluate(f"[...page.net.layers[{layer}].w]") == given["weights"].ravel().tolist()
        )
    assert page.locator(".told").inner_text() == ""
    assert page.locator(".reset").is_disabled()


def test_steps_that_are_too_large(digits, opened):
    net = nbconv.Network([nbconv.Dense(50, activation="linear"), nbconv.Dense(10, "linear")], 64)
    page = opened(net, digits[2])
    page.locator(".labels label").first.click()
    page.locator(".eta").fill("1")
    for _ in range(30):
        if page.locator(".step").is_disabled():
            break
        page.locator(".step").click()
    assert "Reset, and choose a smaller η" in page.locator(".told").inner_text()
    page.locator(".reset").click()
    assert np.isfinite(page.evaluate("page.cost"))
    assert page.locator(".step").is_enabled()


def test_a_neuron(digit_net, digits, opened):
    """Pointing shows the receptive field, the terms and the numbers, which are the network's."""
    page = opened(digit_net, digits[2], viewport={"width": 1280, "height": 900})
    box = page.locator(".layers canvas").first.bounding_box()
    across = page.evaluate("page.figures[0].mosaic.across")
    assert across == 6
    cell = box["height"] / 6  # a map has 6 x 6 neurons
    page.mouse.move(box["x"] + 2.5 * cell, box["y"] + 4.5 * cell)
    panel = page.locator(".neuron")
    values = [panel.locator(f".{name}").input_value() for name in ("map", "row", "column")]
    assert values == ["1", "5", "3"]
    assert panel.locator(".field-text").inner_text() == f"Its receptive field: 3{TIMES}3 pixels"
    style = "(({ left, top, width, height }) => [left, top, width, height])"
    mark = page.evaluate(f"{style}(page.seen.mark.style)")
    assert mark == ["25%", "50%", "37.5%", "37.5%"]
    assert "(125)" in panel.locator(".equation").inner_text()
    image = digits[2].images[int(np.flatnonzero(digits[2].labels == 0)[0])][0]
    first = digit_net.parameters()[0]
    terms = first["weights"][0, 0] * image[4:7, 2:5]
    z = terms.sum() + first["biases"][0]
    said = panel.locator(".numbers").inner_text().replace(MINUS, "-")
    for pattern, value in ((r"= (\S+)\na = ", z), (r"a = .* = (\S+)$", 1 / (1 + np.exp(-z)))):
        assert float(re.search(pattern, said)[1]) == pytest.approx(value, rel=0.006)
    panel.locator("summary").click()
    panel.locator("tbody tr").first.wait_for()  # filled when the browser says that it is open
    listed = numbers(panel.locator("tbody tr td:last-child"))
    largest = terms.ravel()[np.argsort(-np.abs(terms.ravel()))]
    np.testing.assert_allclose(listed, largest, rtol=0.006, atol=1e-9)
    for layer, words in {
        "1": ["max(", f"Its receptive field: 4{TIMES}4 pixels"],
        "2": ["z = ", f"Its receptive field: 8{TIMES}8 pixels", "(25)"],
        "3": ["softmax(z)", f"Its receptive field: 8{TIMES}8 pixels"],
    }.items():
        panel.locator(".layer").select_option(layer)
        for word in words:
            assert word in panel.inner_text(), (layer, word)


def test_the_keyboard(digit_net, digits, opened):
    """All is reached with Tab, Space, Enter and arrows, and what has the focus is outlined."""
    page = opened(digit_net, digits[2])
    page.locator("body").click(position={"x": 2, "y": 2})
    seen, before = [], answer(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => {
                const at = document.activeElement, box = at.closest("label") || at;
                const outlines = [at, box, at.nextElementSibling || at].map(
                    (each) => getComputedStyle(each));
                return { what: at.className || at.getAttribute("aria-label") || at.name,
                    outlined: outlines.some(({ outlineStyle, outlineWidth }) =>
                        outlineStyle !== "none" && parseFloat(outlineWidth) > 0), tag: at.tagName };
            }"""
        )
        if focus["tag"] == "BODY":
            break
        assert focus["outlined"], focus
        seen.append(focus["what"])
        if focus["what"] == "Example: 4":
            page.keyboard.press("Enter")
            assert answer(page) != before
            before = answer(page)
        if focus["tag"] == "CANVAS" and "6C3" in focus["what"]:
            row = page.locator(".neuron .row")
            was = row.input_value()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowRight")
            assert row.input_value() != was
        if focus["what"] == "label":
            page.keyboard.press("Space")
            page.keyboard.press("ArrowRight")
            assert page.locator(".labels input:checked").get_attribute("value") == "1"
        if focus["what"] == "eta":
            was = page.locator(".eta-value").inner_text()
            page.keyboard.press("ArrowRight")
            assert page.locator(".eta-value").inner_text() != was
        if focus["what"] in ("step", "reset"):
            page.keyboard.press("Enter")
            assert (answer(page) == before) == (focus["what"] == "reset")
    expected = {"clear", "file", "Example: 0", "Example: 9", "eta", "step", "reset"}
    assert expected <= set(seen)
    assert sum("Arrow keys" in what for what in seen) >= 8


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (768, "light"), (1280, "dark")])
def test_widths(width, scheme, digit_net, digits, opened):
    """Nothing is wider than the page; everything has a name; the scheme is the reader's."""
    viewport = {"width": width, "height": 844}
    page = opened(digit_net, digits[2], viewport=viewport, color_scheme=scheme)
    page.locator(".labels label").first.click()
    page.locator(".layers canvas").nth(1).click(position={"x": 9, "y": 9})
    assert page.locator(".neuron").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(252, 252, 253)", "dark": "rgb(20, 23, 28)"}[scheme]
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas, summary")].filter(
            (each) => !(each.getAttribute("aria-label") || each.textContent.trim()
                || each.labels?.[0]?.textContent.trim() || each.closest("[aria-label]")))
            .map((each) => each.outerHTML)"""
    )
    assert nameless == []
    if width < 1000:
        page.keyboard.press("Escape")
        assert not page.locator(".neuron").is_visible()


def test_an_untrained_network_and_many_classes(opened):
    """Without preparation pictures are resized; of 30 classes the best ten are shown."""
    net = nbconv.Network([nbconv.Dense(30, activation="tanh")], (3, 6, 6))
    page = opened(net)
    assert page.locator(".answer").first.locator("li").count() == 10
    assert not page.locator(".examples").is_visible()
    outputs = numbers(page.locator(".answer").first.locator(".value"))
    assert outputs == sorted(outputs, reverse=True)
    stroke(page, (0.2, 0.2), (0.8, 0.8))
    assert "resized from 84x84" in page.locator(".done").inner_text()
