"""GFLOP/s of each convolution and dense kernel beside the same product's sgemm: python benchmarks/kernels.py [--threads 1].

Kernel and sgemm take turns; medians. Only useful operations count. sgemm is NumPy's BLAS on a matrix that stands
ready: what a convolution by im2col would need besides is not counted against it.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--repeats", type=int, default=9)
options = parser.parse_args()
os.environ["OPENBLAS_NUM_THREADS"] = str(options.threads)

import numpy as np  # noqa: E402 -- BLAS reads its number of threads when NumPy is imported
from nbconv.kernels import cpu  # noqa: E402

from nbconv import backend  # noqa: E402
from nbconv.geometry import ConvGeometry  # noqa: E402

CONVOLUTIONS = {
    "book's first": ConvGeometry(1, (28, 28), 20, (5, 5), (1, 1), (0, 0)),
    "book's second": ConvGeometry(20, (12, 12), 40, (5, 5), (1, 1), (0, 0)),
    "17 filters, 3x3": ConvGeometry(20, (27, 27), 17, (3, 3), (1, 1), (0, 0)),
    "7x7, stride 2": ConvGeometry(8, (28, 28), 16, (7, 7), (2, 2), (0, 0)),
    "11x11, padding": ConvGeometry(4, (28, 28), 16, (11, 11), (1, 1), (5, 5)),
}
DENSE = {"640 to 100": (640, 100), "1000 to 1000": (1000, 1000), "784 to 30": (784, 30)}
random = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    """Random float32."""
    return random.standard_normal(shape, np.float32)


def seconds(call: Callable[[], object]) -> float:
    """Of one call, over calls of about 20 ms."""
    calls, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < 0.02:
        call()
        calls += 1
    return spent / calls


def compare(name: str, operations: int, kernel: Callable[[], object], product: Callable[[], object]) -> None:
    """Print both rates and their ratio."""
    kernel()
    product()
    times = [(seconds(kernel), seconds(product)) for _ in range(options.repeats)]
    ours, blas = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{name:42} {operations / ours / 1e9:8.1f} {operations / blas / 1e9:8.1f} {blas / ours:8.2f}", flush=True)


def convolution(name: str, geometry: ConvGeometry, images: int) -> None:
    """The three kernels of a convolution."""
    a, z = numbers(*geometry.padded, images), numbers(*geometry.output, images)
    w, b = numbers(geometry.filters, geometry.channels, *geometry.kernel), numbers(geometry.filters)
    dw, da, taps, step = np.empty_like(w), np.empty_like(a), geometry.taps, geometry.row_step
    matrix, columns = w.reshape(len(w), -1), numbers(taps.size, z[0].size)
    rows = z.reshape(len(z), -1)
    operations = 2 * z.size * taps.size
    label = f"{name}, {images} images"
    compare(
        f"{label}: forward", operations, lambda: cpu.conv2d_forward(z, a, w, b, taps, step), lambda: matrix @ columns
    )
    compare(
        f"{label}: weights",
        operations,
        lambda: cpu.conv2d_backward_weights(dw, z, a, taps, step),
        lambda: rows @ columns.T,
    )
    if geometry.channels > 1:
        stride = geometry.stride[0]
        compare(
            f"{label}: input",
            operations,
            lambda: cpu.conv2d_backward_input(da, z, w, taps, stride),
            lambda: matrix.T @ rows,
        )


def dense(name: str, n_in: int, n_out: int, images: int) -> None:
    """The three kernels of a dense layer."""
    a, z, w, b = numbers(images, n_in), numbers(images, n_out), numbers(n_out, n_in), numbers(n_out)
    dw, da = np.empty_like(w), np.empty_like(a)
    operations = 2 * images * w.size
    label = f"dense {name}, {images} images"
    compare(f"{label}: forward", operations, lambda: cpu.dense_forward(z, a, w, b), lambda: a @ w.T)
    compare(f"{label}: weights", operations, lambda: cpu.dense_backward_weights(dw, z, a), lambda: z.T @ a)
    compare(f"{label}: input", operations, lambda: cpu.dense_backward_input(da, z, w), lambda: z @ w)


backend.set_threads(options.threads)
print(f"{f'GFLOP/s, {options.threads} thread(s), float32':42} {'nbconv':>8} {'sgemm':>8} {'ratio':>8}")
for mini_batch in (10, 64):
    for title, sizes in CONVOLUTIONS.items():
        convolution(title, sizes, mini_batch)
    for title, (inputs, outputs) in DENSE.items():
        dense(title, inputs, outputs, mini_batch)
