"""The report: what it says of the network, also without data, and what a browser makes of it."""

import http.server
import io
import re
import shlex
import shutil
import subprocess
import threading
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest

import nbconv
from nbconv.checkpoint import file as checkpoint
from nbconv.report.report import write_report
from nbconv.runs import run as runs

SETTINGS = {
    "net": "6C3-MP2-4C2-20N-10N", "activation": "tanh", "initialiser": "glorot", "epochs": 3,
    "eta": 0.2, "monitor_layers": True,
}  # fmt: skip
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
VOID = {"meta", "img"}


class Page(HTMLParser):
    """A page's elements as (name, attributes), and its words by the section they are in.

    It also knows whether the page is well nested.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.section, self.sections = [], [], "", {"": ""}
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"]
            self.sections[self.section] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.sections[self.section] += data + "\n"

    def all(self, name):
        return [attributes for element, attributes in self.elements if element == name]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The checkpoint of a run on the embedded digits, in a folder whose name is HTML."""
    path = tmp_path_factory.mktemp("report") / "<b>a&b.h5"
    runs.begin(SETTINGS, path).go()
    return path


@pytest.fixture(scope="module")
def text(path):
    out = path.with_name("run.html")
    write_report(path, out, digit=7)
    return out.read_text(encoding="utf-8")


def test_what_it_says(path, text):
    page, network = Page(text), nbconv.Network.load(path, weights="best")
    best, test = network.state.best, nbconv.load_data("digits")[2]
    score = network.evaluate(test)
    assert list(page.sections) == [
        "", "results", "curves", "confusion-matrix", "misclassified-images", "network",
        "feature-maps", "filters", "speed-of-learning", "settings", "environment",
    ]  # fmt: skip
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == [f"#{name}" for name in page.sections if name]
    for section, words in {
        "": (
            "<b>a&b.h5",
            network.notation,
            f"{100 * score['accuracy']:.2f} %",
            f"{network.engine.count:,}",
            str(best.epoch),
        ),
        "network": ("6C3 (Conv2D, tanh)", "6x6x6", "60", "log-likelihood"),
        "settings": (
            "eta",
            "0.2",
            "activation",
            "tanh",
            "digits",
            "All others have their defaults",
        ),
        "results": (
            "validation accuracy",
            f"{100 * best.validation_accuracy:.2f} %",
            f"epoch {best.epoch}, the best",
        ),
        "misclassified-images": (f"{300 - score['correct']} of 300 test images of digits",),
        "feature-maps": (
            f"test image 7 of digits, a {test.labels[7]}",
            "nbconv plot feature-maps '<b>a&b.h5' --digit NUMBER",
        ),
        "environment": (
            checkpoint.load(path).attributes[""]["digest"],
            np.__version__,
            "nbconv 0.1.0",
        ),
    }.items():
        for word in words:
            assert word in page.sections[section], (section, word)
    for default in ("momentum", "dtype", "beta1", "dropout"):
        assert default not in page.sections["settings"]


def test_the_test_images_are_those_of_the_best_epoch(tmp_path):
    """Their metrics stand at the epoch when they were measured, and not again at the last."""
    train, validation, test = nbconv.load_data("digits")
    network = nbconv.Network([64, 10])
    network.fit(train, 1, 10, 0.1, validation=validation, test=test)
    network.fit(train, 1, 10, 10.0, validation=validation, test=test)
    assert network.state.best.epoch == 1, "the test needs an epoch that makes it worse"
    network.save(tmp_path / "run.h5")
    write_report(tmp_path / "run.h5", tmp_path / "run.html", data="digits")
    text = (tmp_path / "run.html").read_text(encoding="utf-8")
    rows = dict(re.findall(r'<th scope="row">([^<]*)</th>(.*?)</tr>', text))
    cells = {name: re.findall(r">([^<]*)</td>", row) for name, row in rows.items()}
    share = f"{100 * network.state.best.test_accuracy:.2f} %"
    assert cells["test accuracy"] == [share, ""]
    assert len(set(cells["validation accuracy"])) == 2
    assert "eta" in Page(text).sections["settings"]


def test_pictures_have_words(text):
    images = Page(text).all("img")
    assert len(images) == 8
    assert all(
        image["src"].startswith("data:image/svg+xml;base64,") and len(image["alt"]) > 20
        for image in images
    )
    assert len(Page(text).all("figcaption")) == 6  # the curves say themselves what they are


def test_it_needs_nothing_else(text):
    page = Page(text)
    assert not {"script", "link", "iframe"} & {name for name, _ in page.elements}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?://|@import|url\(", text)
    assert len(text) < 2**20


@pytest.mark.slow
def test_the_command_trains_the_same_network(text, path, command, tmp_path):
    line = Page(text).sections["settings"].strip().splitlines()[-1]
    assert line.startswith("nbconv train --net")
    command(*shlex.split(line)[1:])
    ours, theirs = (nbconv.Network.load(file).parameters() for file in (path, tmp_path / path.name))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one["weights"], other["weights"])


def test_without_the_data(tmp_path):
    """What needs no images comes, and for the rest the reason."""
    train = nbconv.load_data("digits")[0]
    np.savez(tmp_path / "mine.npz", images=train.store[:200], labels=train.labels[:200])
    settings = {"net": "64-10", "data": str(tmp_path / "mine.npz"), "epochs": 1}
    runs.begin(settings, tmp_path / "run.h5").go()
    (tmp_path / "mine.npz").unlink()
    write_report(tmp_path / "run.h5", tmp_path / "run.html")
    page = Page((tmp_path / "run.html").read_text(encoding="utf-8"))
    assert f"Not shown: {tmp_path / 'mine.npz'} does not exist" in page.sections["images"]
    assert list(page.sections) == [
        "", "results", "curves", "images", "network", "settings", "environment",
    ]  # fmt: skip
    assert len(page.all("img")) == 2


def test_of_a_network_never_trained(tmp_path):
    nbconv.Network([64, 10]).save(tmp_path / "new.h5")
    write_report(tmp_path / "new.h5", tmp_path / "new.html", data="digits", split="validation")
    page = Page((tmp_path / "new.html").read_text(encoding="utf-8"))
    assert "The network has not been trained." in page.sections["settings"]
    assert not {"curves", "results"} & set(page.sections)
    assert "300 validation images of digits" in page.sections["confusion-matrix"]


@pytest.mark.slow
def test_the_command(path, command, invoke, tmp_path):
    shutil.copy(path, tmp_path / "run.h5")
    assert command("report", "run.h5", "--digit", 3).stdout == "run-report.html\n"
    before = (tmp_path / "run-report.html").read_bytes()
    command("report", "run.h5", "--digit", 3, "-o", "again.htm")
    assert (tmp_path / "again.htm").read_bytes() == before
    done = invoke("report", "run.h5", "--digit", 300, code=1)
    assert (
        done.stderr == "Error: digit is 300: expected 0 to 299, one of the test images of digits\n"
    )
    for out, said in {
        "run.h5": "run.h5 has an unknown extension: expected .html",
        "no/a.html": "no/a.html could not be written: No such file or directory; "
        "choose another place",
    }.items():
        with pytest.raises(nbconv.SettingError, match=re.escape(said)):
            write_report(path, tmp_path / out)
    assert nbconv.Network.load(tmp_path / "run.h5")


@pytest.fixture
def browser(path, text, tmp_path):
    """Chromium, which can reach nothing but this test's server.

    Gives its output for some options, and what it asked the server for.
    """
    if CHROMIUM is None:
        pytest.skip("needs Chromium: install it, on Debian with apt-get install chromium")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Handler, directory=str(path.parent))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(*options, page="run.html"):
        return subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--enable-logging=stderr",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={tmp_path / 'profile'}", *options,
                f"http://127.0.0.1:{server.server_port}/{page}",
            ],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip

    yield run, asked
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_in_a_browser(browser, path, text, tmp_path):
    """Nothing is asked for but the page, and nothing is complained of.

    The pictures are drawn, in the light and in the dark.
    """
    image = pytest.importorskip("PIL.Image")
    run, asked = browser
    done = run("--dump-dom")
    assert asked == ["/run.html"]
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<figure ") == done.stdout.count("<img ") == 8
    assert nbconv.Network.load(path).notation in done.stdout
    for name, dark, paper in (("light", 1, (255, 255, 255)), ("dark", 0, (22, 24, 28))):
        shot = tmp_path / f"{name}.png"
        run(
            f"--screenshot={shot}",
            "--window-size=1000,5600",
            f"--blink-settings=preferredColorScheme={dark}",
        )
        pixels = np.asarray(image.open(io.BytesIO(shot.read_bytes())).convert("RGB"))
        assert tuple(pixels[2, 2]) == paper
        numbers = np.unique(pixels.reshape(-1, 3).astype(np.uint32) @ (1 << 16, 1 << 8, 1))
        colours = {tuple(int(n).to_bytes(3)) for n in numbers}
        drawn = {(0, 114, 178), (213, 94, 0), (8, 48, 107), (195, 210, 226)}
        if name == "light":
            assert drawn <= colours, "the pictures' colours are not there"
        else:
            assert (26, 26, 26) in colours
            assert (255, 255, 255) not in colours, "paper glares in the dark"
    (path.parent / "bad.html").write_text(
        text.replace("<main>", '<main><img src="other.png"><script>1</script>')
    )
    done = run("--dump-dom", page="bad.html")
    assert "CONSOLE" in done.stderr, "a page that breaks its own rules would not have been seen"
    assert "/other.png" not in asked
