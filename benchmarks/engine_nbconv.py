"""nbconv as a worker: `Network.fit`, shuffling and gathering included."""

import os
from collections.abc import Callable

import numpy as np
from networks import CLASSES, ETA, NETWORKS, PIXELS, images_for
from worker import serve

import nbconv
from nbconv import backend, notation


def prepare(network: str, mini_batch_size: int) -> Callable[[], None]:
    """One epoch of Network.fit on random images."""
    text, activation, dropout = NETWORKS[network]
    random = np.random.default_rng(0)
    count = images_for(mini_batch_size)
    data = nbconv.Dataset(random.integers(0, 256, (count, *PIXELS), np.uint8), random.integers(0, CLASSES, count))
    layers = notation.parse(text, activation, dropout)
    net = nbconv.Network(layers, None if text[:3] == "784" else PIXELS)
    return lambda: net.fit(data, epochs=1, mini_batch_size=mini_batch_size, eta=ETA) and None


backend.set_threads(int(os.environ["BENCHMARK_THREADS"]))
serve(prepare)
