"""How long the page of nbconv demo takes for a frame while one draws: python benchmarks/demo.py

Needs playwright and Chromium. A stroke is answered in three steps. In the first the drawing is
prepared and the network's forward pass computed; the second draws every map; the third computes
the gradients, with --learning, and shows the panel beside. The first step's time is that of the
script and of the browser's painting after it, the others' that of the script. CPU is how long the
page's thread computed for all three and their painting, whatever else the machine did meanwhile.
"""

import argparse
import math
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from nbconv import Network, demo, notation
from nbconv.data.preparation import Ink, Preparation

FRAMES = 100
ASKING = 0.01  # seconds between two questions, which the page's thread answers
SETTLING = 1000  # milliseconds, in which the page has been drawn
# A message that is sent within a frame comes when the frame has been painted.
TIMED = """() => {
    window.long = [];
    new PerformanceObserver((found) => long.push(...found.getEntries().map((f) => f.duration)))
        .observe({ type: "long-animation-frame" });
    window.times = { seeBoard: [], showMaps: [], showGradients: [] };
    for (const [name, times] of Object.entries(window.times)) {
        const compute = page[name].bind(page), channel = new MessageChannel();
        let begin;
        channel.port1.onmessage = () => times.push(performance.now() - begin);
        page[name] = () => {
            begin = performance.now();
            compute();
            channel.port2.postMessage(0);
        };
    }
}"""
# As MNIST's: the drawing is searched for its ink, scaled and moved.
INK = Preparation(255, (0.02, 0.35), (0.0, 0.05), Ink(20, "mass", (14.0, 14.0), 0.0, 3.0))


def processor_time(page):
    """A function: milliseconds that the page's thread has computed since it was last called."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    last = 0.0

    def since() -> float:
        nonlocal last
        metrics = session.send("Performance.getMetrics")["metrics"]
        before, last = last, next(1e3 * m["value"] for m in metrics if m["name"] == "TaskDuration")
        return last - before

    since()
    return since


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", default="20C5-MP2-40C5-MP2-100N-10N")
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--learning", action="store_true", help="with a label, and so gradients")
    options = parser.parse_args()
    net = Network(notation.parse(options.net), (1, options.size, options.size), seed=1)
    net.preparation = INK
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "demo.html"
        demo.save(net, path)
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        if options.learning:
            page.locator(".labels label").first.click()
        page.locator(".board").scroll_into_view_if_needed()
        page.wait_for_timeout(SETTLING)
        board = page.locator(".board").bounding_box()
        page.mouse.move(board["x"] + 40, board["y"] + 60)
        page.mouse.down()
        page.evaluate(TIMED)
        cpu, busy = [], processor_time(page)
        for k in range(FRAMES):
            angle = 2 * math.pi * k / FRAMES
            x, y = 0.5 + 0.3 * math.cos(angle), 0.5 + 0.35 * math.sin(2 * angle)
            page.mouse.move(board["x"] + x * board["width"], board["y"] + y * board["height"])
            while page.evaluate("times.showGradients.length") <= k:
                time.sleep(ASKING)
            cpu.append(busy())
        times, long = page.evaluate("times"), page.evaluate("long")
        browser.close()
        size = path.stat().st_size
    print(f"{options.net}, {net.engine.count:,} parameters, a page of {size / 1e6:.1f} MB")
    named = {
        "first": times["seeBoard"],
        "second": times["showMaps"],
        "third": times["showGradients"],
        "CPU": cpu,
    }
    print(f"frames of more than 50 ms, says the browser: {len(long)} {[round(t) for t in long]}")
    for name, values in named.items():
        print(f"{name}: median {statistics.median(values):.1f} ms, worst {max(values):.1f} ms")


if __name__ == "__main__":
    main()
