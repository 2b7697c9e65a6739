"""nbconv as a worker: `Network.fit` and `Network.predict_proba` on uint8 images.

`fit` includes shuffling and gathering the images.
"""

import os
from collections.abc import Callable

import numba
import numpy as np
from networks import CLASSES, ETA, NETWORKS, PIXELS, images_for, is_dense
from worker import serve

import nbconv
from nbconv import notation

random = np.random.default_rng(0)


def build(network: str) -> nbconv.Network:
    """The network of this name."""
    layers = notation.parse(*NETWORKS[network])
    return nbconv.Network(layers, None if is_dense(network) else PIXELS, backend="cpu")


def train(network: str, mini_batch_size: int) -> Callable[[], object]:
    """One epoch of Network.fit on random images."""
    count = images_for(network, mini_batch_size)
    data = nbconv.Dataset(
        random.integers(0, 256, (count, *PIXELS), np.uint8), random.integers(0, CLASSES, count)
    )
    net = build(network)
    return lambda: net.fit(data, epochs=1, mini_batch_size=mini_batch_size, eta=ETA)


def infer(network: str, batch: int) -> Callable[[], object]:
    """One call of Network.predict_proba."""
    images = random.integers(0, 256, (batch, *PIXELS), np.uint8)
    net = build(network)
    return lambda: net.predict_proba(images)


THREADS = os.environ["BENCHMARK_THREADS"]
nbconv.set_threads("auto" if THREADS == "auto" else int(THREADS))
serve(
    f"nbconv {nbconv.__version__}, numba {numba.__version__}, numpy {np.__version__}",
    train=train,
    infer=infer,
)
