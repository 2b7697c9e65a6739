"""The networks that are timed, by the notation of `nbconv train --net`, and what the peers make of it."""

import re
from itertools import pairwise
from typing import Any

# name: (notation, activation of the hidden layers, dropout)
NETWORKS = {
    "784-30-10": ("784-30-10", "sigmoid", 0.0),
    "conv": ("20C5-MP2-100N-10N", "sigmoid", 0.0),
    "conv-conv": ("20C5-MP2-40C5-MP2-100N-10N", "relu", 0.0),
    "dropout": ("20C5-MP2-40C5-MP2-1000N-1000N-10N", "relu", 0.5),
}
EPOCH = {
    "784-30-10": 16000,
    "conv": 2000,
    "conv-conv": 1600,
    "dropout": 800,
}  # images, 0.05 to 1 s of training
ETA = 0.01
PIXELS = (1, 28, 28)
CLASSES = 10
Part = tuple[Any, ...]


def is_dense(network: str) -> bool:
    """Whether a network is of the book's first chapters: sigmoid layers alone, with the cross-entropy cost."""
    return NETWORKS[network][0].replace("-", "").isdecimal()


def parts_of(network: str) -> list[Part]:
    """What the notation stands for, up to the last layer's z: the same work for all engines.

    ("conv", channels, filters, kernel), ("pool", size), ("sigmoid",) or ("relu",), after a pooling rather than before it,
    ("flatten",), ("dropout", rate), ("dense", neurons in, neurons out).
    """
    text, activation, dropout = NETWORKS[network]
    if is_dense(network):
        sizes = [int(size) for size in text.split("-")]
        dense: list[Part] = [("flatten",)]
        for n_in, n_out in pairwise(sizes):
            dense += [("dense", n_in, n_out), (activation,)]
        return dense[:-1]
    parts: list[Part] = []
    (channels, side, _), neurons = PIXELS, 0
    for part in text.split("-"):
        if match := re.fullmatch(r"(\d+)C(\d+)", part):
            filters, kernel = int(match[1]), int(match[2])
            parts.append(("conv", channels, filters, kernel))
            channels, side = filters, side - kernel + 1
        elif match := re.fullmatch(r"MP(\d+)", part):
            parts += [("pool", int(match[1])), (activation,)]
            side //= int(match[1])
        elif match := re.fullmatch(r"(\d+)N", part):
            parts += [] if neurons else [("flatten",)]
            parts += [("dropout", dropout)] if dropout else []
            parts += [("dense", neurons or channels * side * side, int(match[1])), (activation,)]
            neurons = int(match[1])
        else:
            raise ValueError(
                f"{part!r} in {text!r} is nothing that the peers are built of: expected 20C5, MP2 or 100N"
            )
    return parts[:-1]


def images_for(network: str, mini_batch_size: int) -> int:
    """How many images an epoch of training has: whole mini-batches alone, fewer images where each takes longer."""
    share = 4 if mini_batch_size < 10 else 2 if mini_batch_size < 32 else 1
    return mini_batch_size * max(4, EPOCH[network] // share // mini_batch_size)


def calls_for(batch: int) -> int:
    """How many times a batch is inferred to time it."""
    return max(10, min(1000, 4000 // batch))
