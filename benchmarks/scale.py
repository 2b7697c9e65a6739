"""Many machines, computed from what one measures: python benchmarks/scale.py.

Measured on one thread: a mini-batch of each size, and adding two gradients. Computed: how many
times as fast P ranks of one thread train, whose gradients go over a network in log2(P) exchanges of
whole gradients or, as nbconv's do, in halves: each exchange of half of what the last one had, and
back; and a bound, the halves exchanged while all else is computed. With --noise: the gradient noise
scale (McCandlish et al. 2018) of a 100N network on MNIST.
"""

import argparse
import logging
import math
import statistics
import time

import numpy as np
from networks import CLASSES, NETWORKS, PIXELS, images_for

import nbconv
from nbconv import Dataset, Network, notation
from nbconv.layers import Randomness

# (seconds of latency, bytes a second)
LINKS = {
    "1 Gb/s, 50 us": (50e-6, 125e6),
    "10 Gb/s, 20 us": (20e-6, 1.25e9),
    "100 Gb/s, 2 us": (2e-6, 12.5e9),
}
CASES = ((64, 8), (256, 8), (256, 64), (1024, 64), (1024, 1024))  # (mini-batch, ranks)
REPEATS = 5


def network_of(name: str) -> Network:
    """The network of this name."""
    layers = notation.parse(*NETWORKS[name])
    return Network(layers, None if isinstance(layers[0], int) else PIXELS, seed=0)


def step_seconds(name: str, images: int) -> float:
    """Of a mini-batch of so many images, with its update, on one thread."""
    count, random = images_for(name, images), np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, *PIXELS), dtype=np.uint8)
    data = Dataset(pixels, random.integers(0, CLASSES, count))
    history = network_of(name).fit(data, REPEATS + 1, images, 0.01, threads=1)
    return statistics.median(history["seconds"][1:]) / (count / images)


def add_seconds(numbers: int) -> float:
    """Of adding two gradients of so many numbers in float32."""
    one, other = np.ones((2, numbers), np.float32)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        for _ in range(20):
            one += other
        times.append((time.perf_counter() - started) / 20)
    return statistics.median(times)


def exchange_seconds(
    ranks: int, size: int, add: float, link: tuple[float, float]
) -> tuple[float, float]:
    """(as whole gradients, as halves). size: bytes; link: one of LINKS."""
    latency, bandwidth = link
    levels = math.log2(ranks)
    whole = levels * (latency + size / bandwidth + add)
    moved = size * (ranks - 1) / ranks
    return whole, 2 * levels * latency + 2 * moved / bandwidth + moved / size * add


def speed_ups() -> None:
    """Print the table."""
    print("| network, mini-batch, ranks | " + " | ".join(LINKS) + " | no exchange |")
    print("| --- |" + " ---: |" * (len(LINKS) + 1))
    for name in NETWORKS:
        numbers = network_of(name).engine.count
        add = add_seconds(numbers)
        seconds: dict[int, float] = {}
        for mini_batch, ranks in CASES:
            for images in (mini_batch, mini_batch // ranks):
                if images not in seconds:
                    seconds[images] = step_seconds(name, images)
            alone, part = seconds[mini_batch], seconds[mini_batch // ranks]
            cells = []
            for link in LINKS.values():
                whole, halves = exchange_seconds(ranks, 4 * numbers, add, link)
                steps = part + whole, part + halves, max(part, halves)
                cells.append(" / ".join(f"{alone / step:.1f}" for step in steps))
            print(
                f"| {name}, {mini_batch}, {ranks} | {' | '.join(cells)} | {alone / part:.1f} |",
                flush=True,
            )


def noise_scale(net: Network, data: Dataset, small: int = 10, large: int = 1000) -> float:
    """tr(Sigma) / |G|^2: the mini-batch at which noise and gradient are equally large."""
    random, engine = np.random.default_rng(0), net.engine
    means = []
    for count, draws in ((small, 1000), (large, 40)):
        squares = []
        for draw in range(draws):
            images = random.integers(0, len(data), count)
            engine.shard_gradient(data, images, count, Randomness(0, draw))
            squares.append(float((engine.read(engine.gradient).astype(np.float64) ** 2).sum()))
        means.append(statistics.mean(squares))
    noise = (means[0] - means[1]) / (1 / small - 1 / large)
    return noise / (means[1] - noise / large)


def noise() -> None:
    """Print the noise scale before training and after each epoch."""
    train, _, _ = nbconv.load_data("mnist")
    net = Network(notation.parse("100N-10N", "relu"), PIXELS, seed=0)
    print(f"before training: {noise_scale(net, train):.0f} images", flush=True)
    for epoch in range(1, 4):
        net.fit(train, 1, 10, 0.1)
        print(f"after epoch {epoch}: {noise_scale(net, train):.0f} images", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", action="store_true")
    options = parser.parse_args()
    logging.disable()  # that nothing is learned, from random images
    noise() if options.noise else speed_ups()
