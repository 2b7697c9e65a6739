"""The book's method as a worker: backpropagation with NumPy, one image at a time.

Like the book's network2.py, written from equations (BP1) to (BP4). For dense sigmoid networks with
the cross-entropy cost only.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from networks import CLASSES, ETA, NETWORKS, images_for
from worker import serve


def train(network: str, mini_batch_size: int) -> Callable[[], object]:
    """One epoch of stochastic gradient descent on random images, shuffled."""
    sizes = [int(part) for part in NETWORKS[network][0].split("-")]
    random = np.random.default_rng(0)
    weights = [
        random.standard_normal((n_out, n_in)) / np.sqrt(n_in) for n_in, n_out in pairwise(sizes)
    ]
    biases = [random.standard_normal((size, 1)) for size in sizes[1:]]
    count = images_for(network, mini_batch_size)
    images = [random.uniform(size=(sizes[0], 1)) for _ in range(count)]
    targets = [np.eye(CLASSES)[random.integers(CLASSES)][:, None] for _ in range(count)]

    def backprop(x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """(dC/db, dC/dw) of each layer for one image."""
        activations = [x]
        for w, b in zip(weights, biases, strict=True):
            activations.append(1 / (1 + np.exp(-(w @ activations[-1] + b))))
        delta = activations[-1] - y
        d_biases, d_weights = [delta], [delta @ activations[-2].T]
        for layer in range(len(weights) - 1, 0, -1):
            a = activations[layer]
            delta = (weights[layer].T @ delta) * a * (1 - a)
            d_biases.insert(0, delta)
            d_weights.insert(0, delta @ activations[layer - 1].T)
        return d_biases, d_weights

    def epoch() -> None:
        order = random.permutation(count)
        for first in range(0, count, mini_batch_size):
            sums_b = [np.zeros_like(b) for b in biases]
            sums_w = [np.zeros_like(w) for w in weights]
            for n in order[first : first + mini_batch_size]:
                d_biases, d_weights = backprop(images[n], targets[n])
                sums_b = [total + d for total, d in zip(sums_b, d_biases, strict=True)]
                sums_w = [total + d for total, d in zip(sums_w, d_weights, strict=True)]
            rate = ETA / mini_batch_size
            for parameters, sums in ((weights, sums_w), (biases, sums_b)):
                parameters[:] = [p - rate * d for p, d in zip(parameters, sums, strict=True)]

    return epoch


serve(f"numpy {np.__version__}", train=train)
