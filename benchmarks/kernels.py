"""GFLOP/s of each convolution and dense kernel beside the same product's sgemm: python benchmarks/kernels.py [--threads 1].

Kernel and sgemm take turns; medians. Only useful operations count; the zeros that `conv2d_max_pool_backward` skips count as
done, and it stands beside the sgemm of both its products. sgemm is NumPy's BLAS on a matrix that stands ready: what a
convolution by im2col would need besides is not counted against it. The roofline's limit is the lower of the largest
sgemm's rate and of what memory allows if every number goes to or comes from it once.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbconv.activations import LINEAR

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--repeats", type=int, default=9)
parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kernels.json")
options = parser.parse_args()
os.environ["OPENBLAS_NUM_THREADS"] = str(options.threads)

import numpy as np  # noqa: E402 -- BLAS reads its number of threads when NumPy is imported
from nbconv.kernels import cpu  # noqa: E402 -- as above
from nbconv.kernels.cpu import zeros  # noqa: E402 -- as above

from nbconv import backend  # noqa: E402 -- as above
from nbconv.layers.geometry import ConvGeometry, PoolGeometry, conv_pool_tables  # noqa: E402 -- as above

CONVOLUTIONS = {
    "book's first": ConvGeometry(1, (28, 28), 20, (5, 5), (1, 1), (0, 0)),
    "book's second": ConvGeometry(20, (12, 12), 40, (5, 5), (1, 1), (0, 0)),
    "17 filters, 3x3": ConvGeometry(20, (27, 27), 17, (3, 3), (1, 1), (0, 0)),
    "7x7, stride 2": ConvGeometry(8, (28, 28), 16, (7, 7), (2, 2), (0, 0)),
    "11x11, padding": ConvGeometry(4, (28, 28), 16, (11, 11), (1, 1), (5, 5)),
}
DENSE = {"640 to 100": (640, 100), "1000 to 1000": (1000, 1000), "784 to 30": (784, 30)}
RELU_ZEROS = 0.4  # of the pooled deltas: about what ReLU leaves out in the book's third network
random = np.random.default_rng(0)
results: list[dict[str, Any]] = []


def numbers(*shape: int) -> np.ndarray:
    """Random float32, aligned as the layers' buffers are."""
    array = zeros(shape, np.float32)
    array[...] = random.standard_normal(shape, np.float32)
    return array


def seconds(call: Callable[[], object]) -> float:
    """Of one call, over calls of about 20 ms."""
    calls, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < 0.02:
        call()
        calls += 1
    return spent / calls


def machine() -> tuple[float, float]:
    """(GFLOP/s of a large sgemm, GB/s of copying what fits no cache but the last)."""
    a = numbers(2048, 2048)
    source, target = np.ones(16_000_000, np.float32), np.empty(16_000_000, np.float32)
    rate = max(2 * 2048**3 / seconds(lambda: a @ a) for _ in range(5)) / 1e9
    return rate, max(
        2 * source.nbytes / seconds(lambda: np.copyto(target, source)) for _ in range(5)
    ) / 1e9


def compare(
    name: str,
    operations: int,
    arrays: list[np.ndarray],
    kernel: Callable[[], object],
    product: Callable[[], object],
) -> None:
    """Print both rates, their ratio and the roofline's limit. arrays: what the kernel reads and writes."""
    kernel()
    product()
    times = [(seconds(kernel), seconds(product)) for _ in range(options.repeats)]
    ours, blas = (
        operations / statistics.median(column) / 1e9 for column in zip(*times, strict=True)
    )
    bytes_ = sum(array.nbytes for array in arrays)
    limit = min(PEAK, operations / bytes_ * BANDWIDTH)
    print(
        f"{name:46} {operations / 1e6:9.2f} {bytes_ / 1e3:9.0f} {limit:8.0f} {ours:8.1f} {blas:8.1f} {ours / blas:7.2f}",
        flush=True,
    )
    results.append(
        {
            "kernel": name,
            "operations": operations,
            "bytes": bytes_,
            "limit": limit,
            "nbconv": ours,
            "sgemm": blas,
        }
    )


def convolution(name: str, geometry: ConvGeometry, images: int) -> None:
    """The kernels of a convolution; those of the way back once of any dz, once of the winners of a 2x2 max pooling."""
    x, a, z = (
        numbers(geometry.channels, *geometry.size, images),
        numbers(*geometry.padded, images),
        numbers(*geometry.output, images),
    )
    w, b = numbers(geometry.filters, geometry.channels, *geometry.kernel), numbers(geometry.filters)
    dw, da, taps, step = np.empty_like(w), numbers(*a.shape), geometry.taps, geometry.row_step
    matrix, columns = w.reshape(len(w), -1), numbers(taps.size, z[0].size)
    rows, stride = z.reshape(len(z), -1), geometry.stride[0]
    operations = 2 * z.size * taps.size
    label = f"{name}, {images} images"
    compare(
        f"{label}: forward",
        operations,
        [z, a, w],
        lambda: cpu.conv2d_forward(z, a, w, b, taps, step),
        lambda: matrix @ columns,
    )
    compare(
        f"{label}: weights", operations, [z, a, w],
        lambda: cpu.conv2d_backward_weights(dw, z, a, taps, step), lambda: rows @ columns.T,
    )  # fmt: skip
    if geometry.channels == 1:
        return
    compare(
        f"{label}: input", operations, [z, a, w],
        lambda: cpu.conv2d_backward_input(da, z, w, taps, stride), lambda: matrix.T @ rows,
    )  # fmt: skip
    pool = PoolGeometry(geometry.filters, geometry.output[1:], (2, 2), (2, 2))
    pooled, argmax = numbers(*pool.output, images), np.empty((*pool.output, images), np.int32)
    cpu.max_pool2d_forward(pooled, argmax, z, *pool.window)
    pooled[random.random(pooled.shape) < RELU_ZEROS] = 0
    padded = [
        size + 2 * padding for size, padding in zip(geometry.size, geometry.padding, strict=True)
    ]
    line = -(-geometry.kernel[1] * geometry.channels // 16) * 16
    buffers = (
        numbers(images, *padded, geometry.channels) * 0, numbers(images, *padded, geometry.channels),
        numbers(geometry.kernel[0], len(w), line), numbers(max(4, images // 8), len(w), geometry.kernel[0], line),
    )  # fmt: skip
    dx, tables = np.empty_like(x), tuple(conv_pool_tables(geometry, pool))
    compare(
        f"{label}: weights and input, winners", 2 * operations, [pooled, argmax, x, dx, w, dw],
        lambda: cpu.conv2d_max_pool_backward(dw, dx, pooled, argmax, x, w, buffers, tables, geometry.padding, True),
        lambda: (rows @ columns.T, matrix.T @ rows),
    )  # fmt: skip


def dense(name: str, n_in: int, n_out: int, images: int) -> None:
    """The kernels of a dense layer."""
    a, z, w, b = numbers(images, n_in), numbers(images, n_out), numbers(n_out, n_in), numbers(n_out)
    dw, da = np.empty_like(w), np.empty_like(a)
    operations = 2 * images * w.size
    label = f"dense {name}, {images} images"
    compare(
        f"{label}: forward",
        operations,
        [a, z, w],
        lambda: cpu.dense_forward(z, a, w, b, LINEAR),
        lambda: a @ w.T,
    )
    compare(
        f"{label}: weights",
        operations,
        [a, z, w],
        lambda: cpu.dense_backward_weights(dw, z, a),
        lambda: z.T @ a,
    )
    compare(
        f"{label}: input",
        operations,
        [a, z, w],
        lambda: cpu.dense_backward_input(da, z, w),
        lambda: z @ w,
    )
    z *= 1e-6
    compare(
        f"{label}: descent",
        operations,
        [a, z, w, w],
        lambda: cpu.dense_descend(w, b, z, a, np.array([1.0, 0.0])),
        lambda: z.T @ a,
    )


backend.set_threads(options.threads)
PEAK, BANDWIDTH = machine()
print(
    f"{options.threads} thread(s), float32: sgemm {PEAK:.0f} GFLOP/s at most, copying {BANDWIDTH:.0f} GB/s"
)
heads = ("10^6 ops", "kB", "limit", "GFLOP/s", "sgemm", "ratio")
print(
    f"{'kernel':46} {heads[0]:>9} {heads[1]:>9} {heads[2]:>8} {heads[3]:>8} {heads[4]:>8} {heads[5]:>7}"
)
for mini_batch in (10, 64):
    for title, sizes in CONVOLUTIONS.items():
        convolution(title, sizes, mini_batch)
    for title, (inputs, outputs) in DENSE.items():
        dense(title, inputs, outputs, mini_batch)
options.out.parent.mkdir(exist_ok=True)
told = {"threads": options.threads, "sgemm": PEAK, "bandwidth": BANDWIDTH}
options.out.write_text(json.dumps({"environment": told, "results": results}, indent=1) + "\n")
