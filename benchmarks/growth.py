"""nbconv's time per floating-point operation as networks grow: python benchmarks/growth.py [--series kernels] [--threads 1].

Operations are those of the layers' products, forward and backward, by their shapes; a delta of zero counts as any other. The
members of a series take turns; medians. Where every size is dealt with equally well, slowest to fastest is 1.
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
from nbconv import backend, notation

EPOCH = 4e9  # operations: about 0.1 s
FEWEST, MOST = 6, 4000  # mini-batches and images of an epoch
CLASSES = 10


class Member(NamedTuple):
    """A network, the side of its images, and a mini-batch."""

    label: str
    net: str
    side: int = 28
    mini_batch: int = 10


SERIES = {
    "image's side": [Member(f"{side}", "20C5p2-MP2-40C5p2-MP2-100N-10N", side) for side in (14, 28, 56, 112)],
    "filters": [Member(f"{n}", f"{n}C5-MP2-{n}C5-MP2-100N-10N") for n in (10, 17, 20, 40, 80, 160)],
    "layers": [Member(f"{n}", f"{'20C3p1-' * n}MP2-100N-10N") for n in range(1, 9)],
    "kernels": [
        Member(f"{k}x{k}", f"20C{k}p{k // 2}-MP2-40C{k}p{k // 2}-MP2-100N-10N") for k in (3, 5, 7, 11)
    ],
    "stride": [Member(f"{s}", f"20C5s{s}p2-40C5s{s}p2-MP2-100N-10N") for s in (1, 2)],
    "odd sizes": [
        Member("20 filters, 28 pixels, 10 images", "20C3-MP2-20C3-MP2-100N-10N"),
        Member("17 filters", "17C3-MP2-17C3-MP2-100N-10N"),
        Member("27 pixels", "20C3-MP2-20C3-MP2-100N-10N", 27),
        Member("7 images", "20C3-MP2-20C3-MP2-100N-10N", 28, 7),
        Member("17 filters, 27 pixels, 7 images", "17C3-MP2-17C3-MP2-100N-10N", 27, 7),
    ],
    "mini-batch": [
        Member(f"{size}", "20C5-MP2-40C5-MP2-100N-10N", 28, size) for size in (1, 7, 10, 32, 64, 128, 256)
    ],
}  # fmt: skip


def operations(net: nbconv.Network) -> int:
    """Additions and multiplications of one image's products: z, dC/dw and, behind the first layer, dC/dx."""
    layers = [
        2 * math.prod(layer.weights_shape or ()) * math.prod(layer.output_shape[1:])
        for layer in net.engine.with_parameters
    ]
    return 3 * sum(layers) - layers[0]


def prepare(member: Member) -> tuple[Callable[[], object], int]:
    """One epoch of training, and how many operations it has."""
    random = np.random.default_rng(0)
    shape = (1, member.side, member.side)
    net = nbconv.Network(notation.parse(member.net, "relu"), shape)
    each = operations(net) * member.mini_batch
    count = member.mini_batch * max(FEWEST, min(int(EPOCH // each), MOST // member.mini_batch))
    data = nbconv.Dataset(
        random.integers(0, 256, (count, *shape), np.uint8), random.integers(0, CLASSES, count)
    )

    def epoch() -> object:
        return net.fit(data, 1, member.mini_batch, 0.01)

    epoch()
    return epoch, operations(net) * count


def nanoseconds(epoch: Callable[[], object], count: int) -> float:
    """The time of 1,000 operations."""
    begun = time.perf_counter()
    epoch()
    return (time.perf_counter() - begun) / count * 1e12


def measure(members: list[Member], threads: list[int], repeats: int) -> list[dict[str, Any]]:
    """Each member with its median at each number of threads."""
    prepared = [prepare(member) for member in members]
    times: dict[tuple[int, int], list[float]] = {}
    for _ in range(repeats):
        for number in threads:
            backend.set_threads(number)
            for index, (epoch, count) in enumerate(prepared):
                times.setdefault((index, number), []).append(nanoseconds(epoch, count))
    return [
        {
            **member._asdict(),
            "ns_per_1000_operations": {
                number: statistics.median(times[index, number]) for number in threads
            },
        }
        for index, member in enumerate(members)
    ]


def show(name: str, results: list[dict[str, Any]], threads: list[int]) -> dict[int, float]:
    """Print a series' table, and give the ratio of slowest to fastest at each number of threads."""
    print(
        f"\n{name:34}"
        + "".join(f"{f'{number} thread(s)':>26}" for number in threads)
        + f"{'speed-up':>12}"
    )
    for result in results:
        medians = result["ns_per_1000_operations"]
        cells = [
            f"{medians[number]:8.2f} ns {1000 / medians[number]:6.1f} GFLOP/s" for number in threads
        ]
        print(
            f"{result['label']:34}"
            + "".join(f"{cell:>26}" for cell in cells)
            + f"{medians[threads[0]] / medians[threads[-1]]:11.2f}x"
        )
    ratios = {}
    for number in threads:
        medians = [result["ns_per_1000_operations"][number] for result in results]
        ratios[number] = max(medians) / min(medians)
    print(
        f"{'slowest to fastest':34}"
        + "".join(f"{f'{ratios[number]:.2f}':>26}" for number in threads),
        flush=True,
    )
    return ratios


def main() -> None:
    """Time, print a table for each series, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", action="append", choices=SERIES, help="default: all")
    parser.add_argument("--threads", action="append", type=int, help="default: 1 and 2")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "growth.json")
    options = parser.parse_args()
    threads = options.threads or [1, 2]
    series = {}
    print(
        f"time of 1,000 operations and GFLOP/s of training, median of {options.repeats} interleaved epochs"
    )
    for name in options.series or SERIES:
        results = measure(SERIES[name], threads, options.repeats)
        series[name] = {"members": results, "slowest_to_fastest": show(name, results, threads)}
        write(options.out, {"environment": environment(threads), "series": series})


if __name__ == "__main__":
    main()
