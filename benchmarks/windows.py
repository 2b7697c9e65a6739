"""Training by chunks of a file: python benchmarks/windows.py accuracy, or: speed FILE.

accuracy: what --shuffle-chunks costs on MNIST, in its own order and sorted by class: validation
accuracies of 20C5-MP2-100N-10N, mean and standard deviation of the seeds.
speed: makes a file of 5,400,000 images, 4.2 GB, and trains on it with at most 1.5 GB of memory of
its own, beside the same number of images in memory.
"""

import argparse
import io
import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from networks import PIXELS
from scale import network_of

import nbconv
from nbconv import Dataset, Network, notation
from nbconv.data.dataset import Images
from nbconv.data.stored import StoredImages

CHUNK = 64  # images
WIDTHS = (0, 1, 4, 16, 64)
COUNT = 5_400_000
MEMORY = 60_000  # images that are trained on in memory, for the rate
LIMIT = (
    1_500_000_000  # bytes that the process may have, its own; the system's cache of files is not
)


def stored(data: Dataset) -> Dataset:
    """The same data, whose images are in an HDF5 file."""
    file = h5py.File(io.BytesIO(), "w")
    source = file.create_dataset("images", data=data.store, chunks=(CHUNK, *data.shape))
    return Dataset(Images(StoredImages(source, Path("file"), "HDF5")), data.labels)


def accuracy(seeds: int, epochs: int) -> None:
    """Print the table."""
    train, validation, _ = nbconv.load_data("mnist")
    by_class = train.select(np.argsort(train.labels, kind="stable"))
    print(f"{epochs} epochs, mini-batch 10, eta 0.03, chunks of {CHUNK} images, {seeds} seeds\n")
    print("| `--shuffle-chunks` | in MNIST's order | sorted by class |\n| ---: | ---: | ---: |")
    for width in WIDTHS:
        cells = []
        for data in stored(train), stored(by_class):
            best = []
            for seed in range(seeds):
                layers = notation.parse("20C5-MP2-100N-10N", "relu")
                history = Network(layers, PIXELS, seed=seed).fit(
                    data, epochs, 10, 0.03, shuffle_chunks=width, validation=validation
                )
                best.append(100 * max(history["validation_accuracy"]))
            cells.append(f"{np.mean(best):.2f} % ({np.std(best, ddof=1):.2f})")
        print(f"| {width} | {' | '.join(cells)} |", flush=True)


def make(path: Path) -> None:
    """Random images and labels, a chunk like another: only the reading is of interest."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        shape = (COUNT, *PIXELS)
        images = file.create_dataset("train_images", shape, np.uint8, chunks=(CHUNK, *PIXELS))
        some = random.integers(0, 256, (100 * CHUNK, *PIXELS), np.uint8)
        for first in range(0, COUNT, len(some)):
            images[first : first + len(some)] = some[: COUNT - first]
        file["train_labels"] = random.integers(0, 10, COUNT)
        for name in ("validation", "test"):
            file[f"{name}_images"], file[f"{name}_labels"] = some[:100], np.arange(100) % 10


def rate(network: str, path: Path | None, width: int, size: int) -> float:
    """Seconds an image in the last of the epochs."""
    if path is None:
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (MEMORY, *PIXELS), np.uint8)
        data = Dataset(images, random.integers(0, 10, MEMORY))
    else:
        data = nbconv.load_data(path)[0]
    history = network_of(network).fit(data, 1 if path else 4, size, 0.01, shuffle_chunks=width)
    return float(min(history["seconds"]) / len(data))


def speed(file: Path, width: int, size: int) -> None:
    """Print the table."""
    if not file.exists():
        make(file)
    print(f"{file.stat().st_size / 1e9:.1f} GB, mini-batch {size}, {width} chunks of {CHUNK}\n")
    print("| network | in memory, us an image | from the file | ratio | memory, MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for network in ("784-30-10", "conv"):
        figures = []
        for place in ("", str(file)):
            arguments = ["one", network, place, str(width if place else 0), str(size)]
            done = subprocess.run(
                [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
            )
            figures.append([float(each) for each in done.stdout.split()])
        (memory, _), (of_file, peak) = figures
        ratio = of_file / memory
        print(
            f"| {network} | {memory:.2f} | {of_file:.2f} | {ratio:.2f} | {peak:.0f} |", flush=True
        )


def one(network: str, place: str, width: int, size: int) -> None:
    """Print microseconds an image and the largest memory in MB."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    started = time.perf_counter()
    seconds = rate(network, Path(place) if place else None, width, size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(1e6 * seconds, peak)
    print(f"{time.perf_counter() - started:.0f} s in all", file=sys.stderr)


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    of_accuracy = parts.add_parser("accuracy")
    of_accuracy.add_argument("--seeds", type=int, default=3)
    of_accuracy.add_argument("--epochs", type=int, default=10)
    of_speed = parts.add_parser("speed")
    of_speed.add_argument("file", type=Path)
    of_speed.add_argument("--width", type=int, default=64)
    of_speed.add_argument("--size", type=int, default=64)
    of_one = parts.add_parser("one")
    for name, kind in (("network", str), ("place", str), ("width", int), ("size", int)):
        of_one.add_argument(name, type=kind)
    arguments = vars(parser.parse_args())
    {"accuracy": accuracy, "speed": speed, "one": one}[arguments.pop("part")](**arguments)


if __name__ == "__main__":
    main()
