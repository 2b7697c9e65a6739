"""Batch normalisation beside PyTorch's: gradients, weights, running statistics, probabilities.

The network is 4C3-BN-MP2-6N-BN-3N with ReLU, with scales of both signs, in float64, and takes three
steps of plain descent on the same ten images. PyTorch runs in .venv-bench (make bench), in a
process of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

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


if __name__ == "__main__":
    if len(sys.argv) > 1:
        of_torch(Path(sys.argv[1]))
    else:
        main()
