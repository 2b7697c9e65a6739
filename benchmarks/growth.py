"""nbconv's time per floating-point operation as networks grow: python benchmarks/growth.py.

Operations are those of the layers' matrix products, forward and backward, computed from the shapes;
products with zero count, too. The members of a series are timed in turns; the results are medians.
If all sizes were equally efficient, slowest to fastest would be 1. For example: --series kernels
--threads 1.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from compare import RESULTS, environment, write

import nbconv
from nbconv import notation

EPOCH = 4e9  # operations, about 0.1 s
MIN_MINI_BATCHES = 6  # in an epoch
MAX_IMAGES = 4000  # in an epoch
CLASSES = 10


class Member(NamedTuple):
    """A network, the side of its images in pixels, and its mini-batch size."""

    label: str
    net: str
    side: int = 28
    mini_batch: int = 10


SIDES = (14, 28, 56, 112)
FILTERS = (10, 17, 20, 40, 80, 160)
KERNELS = (3, 5, 7, 11)
MINI_BATCHES = (1, 7, 10, 32, 64, 128, 256)
BOOK = "20C5-MP2-40C5-MP2-100N-10N"
PADDED = "20C5p2-MP2-40C5p2-MP2-100N-10N"
EVEN = "20C3-MP2-20C3-MP2-100N-10N"
ODD = "17C3-MP2-17C3-MP2-100N-10N"
SERIES = {
    "image's side": [Member(f"{side}", PADDED, side) for side in SIDES],
    "filters": [Member(f"{n}", f"{n}C5-MP2-{n}C5-MP2-100N-10N") for n in FILTERS],
    "layers": [Member(f"{n}", f"{'20C3p1-' * n}MP2-100N-10N") for n in range(1, 9)],
    "kernels": [
        Member(f"{k}x{k}", f"20C{k}p{k // 2}-MP2-40C{k}p{k // 2}-MP2-100N-10N") for k in KERNELS
    ],
    "stride": [Member(f"{s}", f"20C5s{s}p2-40C5s{s}p2-MP2-100N-10N") for s in (1, 2)],
    "odd sizes": [
        Member("20 filters, 28 pixels, 10 images", EVEN),
        Member("17 filters", ODD),
        Member("27 pixels", EVEN, 27),
        Member("7 images", EVEN, 28, 7),
        Member("17 filters, 27 pixels, 7 images", ODD, 27, 7),
    ],
    "mini-batch": [Member(f"{size}", BOOK, 28, size) for size in MINI_BATCHES],
}


def operations(net: nbconv.Network) -> int:
    """Additions and multiplications for one image: z, dC/dw and, after the first layer, dC/dx."""
    layers = [
        2 * math.prod(layer.weights_shape or ()) * math.prod(layer.output_shape[1:])
        for layer in net.engine.with_parameters
    ]
    return 3 * sum(layers) - layers[0]


def prepare(member: Member) -> tuple[Callable[[], object], int]:
    """(a function that trains one epoch, the number of its operations)."""
    random = np.random.default_rng(0)
    shape = (1, member.side, member.side)
    net = nbconv.Network(notation.parse(member.net, "relu"), shape)
    each = operations(net) * member.mini_batch
    mini_batches = min(int(EPOCH // each), MAX_IMAGES // member.mini_batch)
    count = member.mini_batch * max(MIN_MINI_BATCHES, mini_batches)
    images = random.integers(0, 256, (count, *shape), np.uint8)
    data = nbconv.Dataset(images, random.integers(0, CLASSES, count))

    def epoch() -> object:
        return net.fit(data, 1, member.mini_batch, 0.01)

    epoch()
    return epoch, operations(net) * count


def nanoseconds(epoch: Callable[[], object], count: int) -> float:
    """Nanoseconds per 1,000 operations of one epoch, which has `count` operations."""
    started = time.perf_counter()
    epoch()
    return (time.perf_counter() - started) / count * 1e12


def measure(members: list[Member], threads: list[int], repeats: int) -> list[dict[str, Any]]:
    """Each member with its median time for each number of threads."""
    prepared = [prepare(member) for member in members]
    times: dict[tuple[int, int], list[float]] = {}
    for _ in range(repeats):
        for number in threads:
            nbconv.set_threads(number)
            for index, (epoch, count) in enumerate(prepared):
                times.setdefault((index, number), []).append(nanoseconds(epoch, count))
    results = []
    for index, member in enumerate(members):
        medians = {number: statistics.median(times[index, number]) for number in threads}
        results.append({**member._asdict(), "ns_per_1000_operations": medians})
    return results


def show(name: str, results: list[dict[str, Any]], threads: list[int]) -> dict[int, float]:
    """Print a series' table; return the ratio of slowest to fastest for each number of threads."""

    def line(label: str, cells: list[str], last: str = "") -> str:
        return f"{label:34}{''.join(f'{cell:>26}' for cell in cells)}{last:>12}".rstrip()

    print(f"\n{line(name, [f'{number} thread(s)' for number in threads], 'speed-up')}")
    for result in results:
        medians = result["ns_per_1000_operations"]
        cells = [
            f"{medians[number]:8.2f} ns {1000 / medians[number]:6.1f} GFLOP/s" for number in threads
        ]
        speed_up = medians[threads[0]] / medians[threads[-1]]
        print(line(result["label"], cells, f"{speed_up:.2f}x"))
    ratios = {}
    for number in threads:
        times = [result["ns_per_1000_operations"][number] for result in results]
        ratios[number] = max(times) / min(times)
    cells = [f"{ratio:.2f}" for ratio in ratios.values()]
    print(line("slowest to fastest", cells), flush=True)
    return ratios


def main() -> None:
    """Time the networks, print a table for each series and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", action="append", choices=SERIES, help="default: all")
    parser.add_argument("--threads", action="append", type=int, help="default: 1 and 2")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "growth.json")
    options = parser.parse_args()
    threads = options.threads or [1, 2]
    series = {}
    print(
        "time of 1,000 operations and GFLOP/s of training, "
        f"median of {options.repeats} interleaved epochs"
    )
    for name in options.series or SERIES:
        results = measure(SERIES[name], threads, options.repeats)
        series[name] = {"members": results, "slowest_to_fastest": show(name, results, threads)}
        write(options.out, {"environment": environment(threads), "series": series})


if __name__ == "__main__":
    main()
