"""GFLOP/s of each convolution and dense kernel, compared with sgemm: python benchmarks/kernels.py.

Kernel and sgemm are timed in turns; the results are medians. Operations are those of the matrix
product; those with zeros that `conv2d_max_pool_backward` skips count, too, and it is compared with
the sgemm of both its products. sgemm is NumPy's BLAS on an existing matrix, without the im2col that
a convolution would need. The roofline's limit is the lower of two rates: that of a large sgemm, and
that of the memory if each number is read or written once.
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

import numba  # noqa: E402 -- after the number of threads is set
import numpy as np  # noqa: E402 -- BLAS reads its number of threads when NumPy is imported
from nbconv.kernels import cpu  # noqa: E402 -- as above
from nbconv.kernels.cpu import zeros  # noqa: E402 -- as above

from nbconv.layers.geometry import (  # noqa: E402 -- as above
    ConvGeometry,
    PoolGeometry,
    conv_pool_tables,
)

CONVOLUTIONS = {
    "book's first": ConvGeometry(1, (28, 28), 20, (5, 5), (1, 1), (0, 0)),
    "book's second": ConvGeometry(20, (12, 12), 40, (5, 5), (1, 1), (0, 0)),
    "17 filters, 3x3": ConvGeometry(20, (27, 27), 17, (3, 3), (1, 1), (0, 0)),
    "7x7, stride 2": ConvGeometry(8, (28, 28), 16, (7, 7), (2, 2), (0, 0)),
    "11x11, padding": ConvGeometry(4, (28, 28), 16, (11, 11), (1, 1), (5, 5)),
}
DENSE = {"640 to 100": (640, 100), "1000 to 1000": (1000, 1000), "784 to 30": (784, 30)}
RELU_ZEROS = 0.4  # share of the pooled deltas that ReLU makes 0 in the book's third network, about
random = np.random.default_rng(0)
results: list[dict[str, Any]] = []


def numbers(*shape: int) -> np.ndarray:
    """Random float32, aligned as the layers' buffers are."""
    array = zeros(shape, np.float32)
    array[...] = random.standard_normal(shape, np.float32)
    return array


def seconds(call: Callable[[], object]) -> float:
    """The time of one call, the mean of about 20 ms."""
    calls = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < 0.02:
        call()
        calls += 1
    return elapsed / calls


def machine() -> tuple[float, float]:
    """(GFLOP/s of a large sgemm, GB/s of copying 64 MB)."""
    a = numbers(2048, 2048)
    source = np.ones(16_000_000, np.float32)
    target = np.empty_like(source)
    product = min(seconds(lambda: a @ a) for _ in range(5))
    copy = min(seconds(lambda: np.copyto(target, source)) for _ in range(5))
    return 2 * 2048**3 / product / 1e9, 2 * source.nbytes / copy / 1e9


def compare(
    name: str,
    operations: int,
    arrays: list[np.ndarray],
    kernel: Callable[[], object],
    product: Callable[[], object],
) -> None:
    """Time a kernel and sgemm; print their rates, their ratio and the roofline's limit.

    arrays: those that the kernel reads and writes.
    """
    kernel()
    product()
    times = [(seconds(kernel), seconds(product)) for _ in range(options.repeats)]
    ours, blas = (
        operations / statistics.median(column) / 1e9 for column in zip(*times, strict=True)
    )
    bytes_ = sum(array.nbytes for array in arrays)
    limit = min(PEAK, operations / bytes_ * BANDWIDTH)
    sizes = f"{operations / 1e6:9.2f} {bytes_ / 1e3:9.0f}"
    rates = f"{limit:8.0f} {ours:8.1f} {blas:8.1f} {ours / blas:7.2f}"
    print(f"{name:58} {sizes} {rates}", flush=True)
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
    """The kernels of a convolution, and the backward pass with a 2x2 max pooling behind it."""
    channels, kernel = geometry.channels, geometry.kernel
    x = numbers(channels, *geometry.size, images)
    a = numbers(*geometry.padded, images)
    z = numbers(*geometry.output, images)
    w = numbers(geometry.filters, channels, *kernel)
    b = numbers(geometry.filters)
    da = numbers(*a.shape)
    dw = np.empty_like(w)
    taps, step, stride = geometry.taps, geometry.row_step, geometry.stride[0]
    # The operands of sgemm.
    matrix = w.reshape(len(w), -1)
    columns = numbers(taps.size, z[0].size)
    rows = z.reshape(len(z), -1)
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
        f"{label}: weights",
        operations,
        [z, a, w],
        lambda: cpu.conv2d_backward_weights(dw, z, a, taps, step),
        lambda: rows @ columns.T,
    )
    if channels == 1:
        return
    compare(
        f"{label}: input",
        operations,
        [z, a, w],
        lambda: cpu.conv2d_backward_input(da, z, w, taps, stride),
        lambda: matrix.T @ rows,
    )
    pool = PoolGeometry(geometry.filters, geometry.output[1:], (2, 2), (2, 2))
    pooled = numbers(*pool.output, images)
    argmax = np.empty((*pool.output, images), np.int32)
    cpu.max_pool2d_forward(pooled, argmax, z, *pool.window)
    pooled[random.random(pooled.shape) < RELU_ZEROS] = 0
    padding = geometry.padding
    padded = [size + 2 * pad for size, pad in zip(geometry.size, padding, strict=True)]
    row_length = -(-kernel[1] * channels // 16) * 16
    buffers = (
        numbers(images, *padded, channels) * 0,
        numbers(images, *padded, channels),
        numbers(kernel[0], len(w), row_length),
        numbers(max(4, images // 8), len(w), kernel[0], row_length),
    )
    dx = np.empty_like(x)
    tables = tuple(conv_pool_tables(geometry, pool))
    compare(
        f"{label}: weights and input, max pooling",
        2 * operations,
        [pooled, argmax, x, dx, w, dw],
        lambda: cpu.conv2d_max_pool_backward(
            dw, dx, pooled, argmax, x, w, buffers, tables, padding, True
        ),
        lambda: (rows @ columns.T, matrix.T @ rows),
    )


def dense(name: str, n_in: int, n_out: int, images: int) -> None:
    """The kernels of a dense layer."""
    a = numbers(images, n_in)
    z = numbers(images, n_out)
    w = numbers(n_out, n_in)
    b = numbers(n_out)
    dw, da = np.empty_like(w), np.empty_like(a)
    rates = np.array([1.0, 0.0])  # eta, decay
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
    z *= 1e-6  # so that w stays small
    compare(
        f"{label}: descent",
        operations,
        [a, z, w, w],
        lambda: cpu.dense_descend(w, b, z, a, rates),
        lambda: z.T @ a,
    )


numba.set_num_threads(options.threads)
PEAK, BANDWIDTH = machine()
print(
    f"{options.threads} thread(s), float32: sgemm {PEAK:.0f} GFLOP/s at most, "
    f"copying {BANDWIDTH:.0f} GB/s"
)
print(f"{'kernel':58}  10^6 ops        kB    limit  GFLOP/s    sgemm   ratio")
for mini_batch in (10, 64):
    for title, sizes in CONVOLUTIONS.items():
        convolution(title, sizes, mini_batch)
    for title, (inputs, outputs) in DENSE.items():
        dense(title, inputs, outputs, mini_batch)
options.out.parent.mkdir(exist_ok=True)
settings = {"threads": options.threads, "sgemm": PEAK, "bandwidth": BANDWIDTH}
options.out.write_text(json.dumps({"environment": settings, "results": results}, indent=1) + "\n")
