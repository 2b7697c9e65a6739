"""The race to 99 %, or --aim 99.5: seconds from calling fit to its end, and what was learned.

All 60,000 training images, ten seeds, test accuracy, two threads each, in turns. PyTorch runs the
recipe of a public speedrun (github.com/tuomaso/train_mnist_fast): 24C5-MP2-32C3-MP2-256N-10N, Adam
with betas 0.7 and 0.9, one-cycle to 0.01, one epoch of mini-batches of 256; once as it is, and once
with images whose edges are cut as nbconv's are. That speedrun has no recipe for 99.5 %: nbconv runs
alone there. nbconv's settings were chosen on the validation images, trained on the other 50,000
(--choose). Needs MNIST in $NBCONV_DATA and .venv-bench.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

THREADS = 2
CUT = 2  # rows and columns at each edge that the network does not see: they are nearly always empty
SETTINGS: dict[str, Any] = {
    "epochs": 1,
    "mini_batch_size": 64,
    "eta": 0.14,
    "momentum": 0.9,
    "nesterov": True,
    "schedule": "one-cycle",
    "label_smoothing": 0.1,
}
MOVED: dict[str, Any] = {**SETTINGS, "eta": 0.1, "rotate": 10.0, "zoom": 0.1, "shift": 1.0}
NET = "16C5-MP2-40C3-MP2-128N-10N"
LARGE = "32C5-MP2-64C3-MP2-256N-10N"
RACES = {"99": (NET, SETTINGS), "99.5": (LARGE, {**MOVED, "epochs": 6})}

SMALL = "16C5-MP2-32C3-MP2-128N-10N"
CHOICES: dict[str, list[tuple[str, int, dict[str, Any]]]] = {  # network, cut, settings
    "99": [
        (SMALL, 0, {**SETTINGS, "eta": 0.1, "label_smoothing": 0.0}),
        (SMALL, 0, {**SETTINGS, "eta": 0.1}),
        (SMALL, 0, {**SETTINGS, "eta": 0.1, "label_smoothing": 0.2}),
        (SMALL, 0, SETTINGS),
        (SMALL, CUT, {**SETTINGS, "eta": 0.1}),
        (SMALL, CUT, SETTINGS),
        (SMALL, CUT, {**SETTINGS, "eta": 0.2}),
        (NET, CUT, {**SETTINGS, "eta": 0.1}),
        (NET, CUT, SETTINGS),
        ("20C5-MP2-32C3-MP2-128N-10N", CUT, SETTINGS),
    ],
    "99.5": [
        (LARGE, CUT, {**MOVED, "epochs": 8}),
        (LARGE, CUT, {**MOVED, "epochs": 6}),
        ("24C5-MP2-48C3-MP2-128N-10N", CUT, {**MOVED, "epochs": 8}),
        ("24C5-MP2-64C3-MP2-128N-10N", CUT, {**MOVED, "epochs": 8}),
    ],
}


def cut(images: Any, width: int = CUT) -> Any:
    """Images, or a PyTorch tensor of them, without so many rows and columns at each edge."""
    rows, columns = images.shape[2:]
    return images[:, :, width : rows - width, width : columns - width]


def of_nbconv(aim: str) -> None:
    """A line of JSON for each seed that comes: seconds and accuracy. aim: a key of RACES."""
    import nbconv
    from nbconv import notation

    nbconv.set_threads(THREADS)
    train, validation, test = nbconv.load_data("mnist")
    images = cut(np.concatenate([train.store, validation.store]))
    labels = np.concatenate([train.labels, validation.labels])
    data, test = nbconv.Dataset(images, labels), nbconv.Dataset(cut(test.store), test.labels)
    notated, settings = RACES[aim]
    for seed in map(int, sys.stdin):
        net = nbconv.Network(notation.parse(notated, "relu"), data.shape, seed=seed)
        started = time.perf_counter()
        net.fit(data, threads=THREADS, **settings)
        seconds = time.perf_counter() - started
        print(json.dumps([seconds, net.evaluate(test)["accuracy"]]), flush=True)


def of_torch(path: str, width: str) -> None:
    """The same with PyTorch. path: of a .npz file with the images. width: see `cut`."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    layout = torch.channels_last
    arrays = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
    for name in ("images", "test"):
        arrays[name] = cut(arrays[name], int(width)).contiguous()
    features = 32 * (((arrays["images"].shape[2] - 4) // 2 - 2) // 2) ** 2
    for seed in map(int, sys.stdin):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 24, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(24, 32, 3), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, 10),
        ).to(memory_format=layout)  # fmt: skip
        started = time.perf_counter()
        images = ((arrays["images"].float() / 255 - 0.1307) / 0.3081).to(memory_format=layout)
        batches = torch.randperm(len(images)).split(256)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01, betas=(0.7, 0.9))
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=len(batches))
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(images[batch]), arrays["labels"][batch]).backward()
            optimizer.step()
            schedule.step()
        seconds = time.perf_counter() - started
        with torch.no_grad():
            tests = ((arrays["test"].float() / 255 - 0.1307) / 0.3081).to(memory_format=layout)
            right = net(tests).argmax(1) == arrays["right"]
        print(json.dumps([seconds, right.float().mean().item()]), flush=True)


def choose(aim: str) -> None:
    """Print validation accuracies of some settings, trained on the 50,000 training images."""
    import nbconv
    from nbconv import notation

    nbconv.set_threads(THREADS)
    whole = nbconv.load_data("mnist")[:2]
    for net, width, settings in CHOICES[aim]:
        train, validation = (nbconv.Dataset(cut(each.store, width), each.labels) for each in whole)
        found, seconds = [], []
        for seed in range(6):
            network = nbconv.Network(notation.parse(net, "relu"), train.shape, seed=seed)
            seconds.append(sum(network.fit(train, **settings)["seconds"]))
            found.append(100 * network.evaluate(validation)["accuracy"])
        described = ", ".join(f"{name} {value}" for name, value in settings.items())
        figures = f"{statistics.mean(found):.2f} %, {statistics.median(seconds):.1f} s"
        print(f"{net}, {width} cut, {described}: {figures}", flush=True)


def main() -> None:
    """Run all in turns, and print the medians, the means and the ratios."""
    from compare import PEERS

    import nbconv

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--aim", choices=RACES, default="99")
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    if options.choose:
        choose(options.aim)
        return
    train, validation, test = nbconv.load_data("mnist")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "mnist.npz")
        images = np.concatenate([train.store, validation.store])
        labels = np.concatenate([train.labels, validation.labels])
        np.savez(path, images=images, labels=labels, test=test.store, right=test.labels)
        commands = {"nbconv": [sys.executable, __file__, "nbconv", options.aim]}
        peers = (("PyTorch", 0), ("PyTorch, cut", CUT)) if options.aim == "99" else ()
        for name, width in peers:
            commands[name] = [str(PEERS), __file__, "torch", path, str(width)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        runners = {name: subprocess.Popen(command, **pipes) for name, command in commands.items()}
        found: dict[str, list[list[float]]] = {name: [] for name in runners}
        for seed in range(-1, options.seeds):  # the first is to compile and to warm up
            for name, runner in runners.items():
                print(max(seed, 0), file=runner.stdin, flush=True)
                result = json.loads(runner.stdout.readline())
                if seed >= 0:
                    found[name].append(result)
        for runner in runners.values():
            runner.stdin.close()
            runner.wait()
    seconds = {}
    for name, results in found.items():
        seconds[name] = statistics.median(second for second, _ in results)
        accuracies = [100 * accuracy for _, accuracy in results]
        print(
            f"{name}: {seconds[name]:.2f} s (median), {statistics.mean(accuracies):.2f} % in the "
            f"mean, {min(accuracies):.2f} to {max(accuracies):.2f}"
        )
    for name in list(seconds)[1:]:
        print(f"nbconv is {seconds[name] / seconds['nbconv']:.1f} times as fast as {name}")


if __name__ == "__main__":
    roles = {"nbconv": of_nbconv, "torch": of_torch}
    if len(sys.argv) > 1 and sys.argv[1] in roles:
        roles[sys.argv[1]](*sys.argv[2:])
    else:
        main()
