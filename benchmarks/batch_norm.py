"""Batch normalisation beside PyTorch's: gradients, weights, running statistics, probabilities.

The network is 4C3-BN-MP2-6N-BN-3N with ReLU, with scales of both signs, in float64, and takes three
steps of plain descent on the same ten images. PyTorch runs in .venv-bench (make bench), in a
process of its own.

With --predictions: microseconds per image of networks with BN and of the same without, two threads,
in turns, medians of seven.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NETWORKS = "20C5-BN-MP2-40C5-BN-MP2-100N-BN-10N", "32C3p1-BN-32C3-BN-MP2-64C3-BN-MP2-256N-10N"
STEPS, ETA, BOUND = 3, 0.1, 1e-12
TORCH = Path(__file__).parent.parent / ".venv-bench" / "bin" / "python"


def of_torch(path: Path) -> None:
    """Train from the weights in a .npz file, and write back what becomes of them."""
    import torch
    from torch import nn

    arrays = dict(np.load(path))
    torch.set_default_dtype(torch.float64)
    norms = nn.BatchNorm2d(4), nn.BatchNorm1d(6)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3), norms[0], nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 6), norms[1], nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip
    parameters = list(module.parameters())
    with torch.no_grad():
        for k, parameter in enumerate(parameters):
            parameter.copy_(torch.from_numpy(arrays[f"before{k}"]))
    descent = torch.optim.SGD(parameters, ETA)
    images, labels = (torch.from_numpy(arrays[name]) for name in ("images", "labels"))
    results = {}
    for step in range(STEPS):
        descent.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()
        if step == 0:
            results = {f"gradient{k}": p.grad.numpy().copy() for k, p in enumerate(parameters)}
        descent.step()
    results |= {f"after{k}": p.detach().numpy() for k, p in enumerate(parameters)}
    running = [each.numpy() for n in norms for each in (n.running_mean, n.running_var)]
    results["statistics"] = np.concatenate(running)
    results["probabilities"] = module.eval()(images).softmax(1).detach().numpy()
    np.savez(path, **results)


def main() -> None:
    """Print the largest difference of each kind of array, and fail if it is too large."""
    import nbconv
    from nbconv import notation
    from nbconv.layers import Randomness, Rates

    random = np.random.default_rng(0)
    layers = notation.parse("4C3-BN-MP2-6N-BN-3N", "relu")
    net = nbconv.Network(layers, (2, 8, 8), dtype="float64")
    parameters = net.parameters()
    for k in (1, 3):
        parameters[k] = {name: random.uniform(-2, 2, a.shape) for name, a in parameters[k].items()}
    net.set_parameters(parameters)
    images, labels = random.random((10, 2, 8, 8)), random.integers(0, 3, 10)
    data, engine, now = nbconv.Dataset(images, labels), net.engine, Randomness(0, 0)

    def named(kind, flat):
        arrays = [array for pair in engine.views(flat) for array in pair]
        return {f"{kind}{k}": array for k, array in enumerate(arrays)}

    before = named("before", engine.parameters.copy())
    ours = named("gradient", engine.mean_gradient(data, now))
    engine.descend(data, np.tile(np.arange(10), (STEPS, 1)), now, np.array([Rates(ETA)] * STEPS))
    ours |= named("after", engine.parameters)
    ours |= {"statistics": engine.statistics, "probabilities": net.predict_proba(images)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        np.savez(path, images=images, labels=labels, **before)
        subprocess.run([TORCH, __file__, path], check=True)
        theirs = dict(np.load(path))
    for kind in ("gradient", "after", "statistics", "probabilities"):
        names = [name for name in ours if name.startswith(kind)]
        worst = max(abs(ours[name] - theirs[name]).max() for name in names)
        print(f"{kind:14} {worst:.1e}, below {BOUND:g} expected", flush=True)
        assert worst < BOUND


def predictions() -> None:
    """Print the table."""
    import nbconv
    from nbconv import notation

    nbconv.set_threads(2)
    images = np.random.default_rng(0).integers(0, 256, (1000, 1, 28, 28), dtype=np.uint8)
    print("| network | images | with BN | without | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for text in NETWORKS:
        nets = [
            nbconv.Network(notation.parse(each, "relu"), images.shape[1:], seed=0)
            for each in (text, text.replace("BN-", ""))
        ]
        for count in (1, 10, 100, 1000):
            times: tuple[list[float], ...] = ([], [])
            calls = max(1, 200 // count)
            for _ in range(8):
                for net, found in zip(nets, times, strict=True):
                    net.predict(images[:count])
                    started = time.perf_counter()
                    for _ in range(calls):
                        net.predict(images[:count])
                    found.append(1e6 * (time.perf_counter() - started) / calls / count)
            with_norm, without = (statistics.median(found[1:]) for found in times)
            ratio = f"{with_norm:.1f} | {without:.1f} | {with_norm / without:.2f}"
            print(f"| `{text}` | {count:,} | {ratio} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["--predictions"]:
        predictions()
    elif len(sys.argv) > 1:
        of_torch(Path(sys.argv[1]))
    else:
        main()
