"""The networks that are timed, in the notation of `nbconv train --net` and for other engines."""

import os
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
# Images in an epoch, which takes 0.05 to 1 s.
EPOCH = {"784-30-10": 16000, "conv": 2000, "conv-conv": 1600, "dropout": 800}
ETA = 0.01
PIXELS = (1, 28, 28)
CLASSES = 10
Part = tuple[Any, ...]


def is_dense(network: str) -> bool:
    """Whether a network has dense sigmoid layers only, with the cross-entropy cost."""
    return NETWORKS[network][0].replace("-", "").isdecimal()


def parts_of(network: str) -> list[Part]:
    """The operations of a network up to the last layer's z, the same for all engines.

    Each is one of ("conv", channels, filters, kernel), ("pool", size), ("sigmoid",), ("relu",),
    ("flatten",), ("dropout", rate) and ("dense", neurons in, neurons out). The activation comes
    after the pooling.
    """
    text, activation, dropout = NETWORKS[network]
    if is_dense(network):
        sizes = [int(size) for size in text.split("-")]
        dense: list[Part] = [("flatten",)]
        for n_in, n_out in pairwise(sizes):
            dense += [("dense", n_in, n_out), (activation,)]
        return dense[:-1]
    parts: list[Part] = []
    channels, side, _ = PIXELS
    neurons = 0
    for part in text.split("-"):
        if match := re.fullmatch(r"(\d+)C(\d+)", part):
            filters, kernel = int(match[1]), int(match[2])
            parts.append(("conv", channels, filters, kernel))
            channels = filters
            side = side - kernel + 1
        elif match := re.fullmatch(r"MP(\d+)", part):
            parts += [("pool", int(match[1])), (activation,)]
            side //= int(match[1])
        elif match := re.fullmatch(r"(\d+)N", part):
            if not neurons:
                parts.append(("flatten",))
                neurons = channels * side * side
            if dropout:
                parts.append(("dropout", dropout))
            parts += [("dense", neurons, int(match[1])), (activation,)]
            neurons = int(match[1])
        else:
            raise ValueError(
                f"{part!r} in {text!r} is not supported: expected layers such as 20C5, MP2, 100N"
            )
    return parts[:-1]


def images_for(network: str, mini_batch_size: int) -> int:
    """The images in an epoch: whole mini-batches; fewer if small mini-batches make it slow."""
    share = 4 if mini_batch_size < 10 else 2 if mini_batch_size < 32 else 1
    share *= int(os.environ.get("BENCHMARK_SHARE", "1"))  # of an epoch, for an engine that is slow
    return mini_batch_size * max(4, EPOCH[network] // share // mini_batch_size)


def calls_for(batch: int) -> int:
    """How many times a mini-batch is inferred to time it."""
    return max(10, min(1000, 4000 // batch))
