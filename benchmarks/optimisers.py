"""Adam and AdamW beside PyTorch's: the same weights after 100 steps?

The network is 16-30-10 with tanh, from the same weights, on the same random mini-batches of 10,
with weight decay and clipping. PyTorch runs in .venv-bench (make bench), in a process of its own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

STEPS, SIZE, ETA, LMBDA, CLIP = 100, 10, 0.01, 2.0, 1.0
BOUNDS = {"float32": 1e-5, "float64": 1e-10}
TORCH = Path(__file__).parent.parent / ".venv-bench" / "bin" / "python"
NAMES = "w0", "b0", "w1", "b1"


def of_torch(path: Path, optimiser: str) -> None:
    """Train from the weights in a .npz file, and write back what they become."""
    import torch
    from torch import nn

    arrays = dict(np.load(path))
    module = nn.Sequential(nn.Linear(16, 30), nn.Tanh(), nn.Linear(30, 10))
    module = module.to(torch.from_numpy(arrays["images"]).dtype)
    parameters = list(module.parameters())
    with torch.no_grad():
        for parameter, name in zip(parameters, NAMES, strict=True):
            parameter.copy_(torch.from_numpy(arrays[name]))
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimiser]
    decay = LMBDA / len(arrays["images"])
    weights = {"params": parameters[::2], "weight_decay": decay}
    biases = {"params": parameters[1::2], "weight_decay": 0.0}
    descent = kind([weights, biases], lr=ETA)
    batches = (torch.from_numpy(arrays[name]).split(SIZE) for name in ("images", "labels"))
    for x, y in zip(*batches, strict=True):
        descent.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
        for p in parameters:  # clip_grad_norm_ divides by the norm plus 1e-6
            p.grad *= (CLIP / norm).clamp(max=1)
        descent.step()
    np.savez(path, **{name: p.detach().numpy() for name, p in zip(NAMES, parameters, strict=True)})


def main() -> None:
    """Print the largest difference of a weight or bias, and fail if it is too large."""
    import nbconv
    from nbconv.training.loop import shuffled

    random = np.random.default_rng(0)
    order = shuffled(0, 0, STEPS * SIZE)
    for dtype, bound in BOUNDS.items():
        images = random.random((STEPS * SIZE, 16)).astype(dtype)
        labels = random.integers(0, 10, STEPS * SIZE)
        for optimiser in ("adam", "adamw"):
            layers = [nbconv.Dense(30, activation="tanh"), nbconv.Softmax(10)]
            net = nbconv.Network(layers, (16,), dtype=dtype)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "arrays.npz"
                before = [array for each in net.parameters() for array in each.values()]
                named = dict(zip(NAMES, before, strict=True))
                np.savez(path, images=images[order], labels=labels[order], **named)
                subprocess.run([TORCH, __file__, path, optimiser], check=True)
                theirs = dict(np.load(path))
            data = nbconv.Dataset(images, labels)
            net.fit(data, 1, SIZE, ETA, lmbda=LMBDA, optimiser=optimiser, clip_norm=CLIP)
            after = [array for each in net.parameters() for array in each.values()]
            worst = max(abs(a - theirs[n]).max() for a, n in zip(after, NAMES, strict=True))
            print(f"{optimiser:6} {dtype}: {worst:.1e}, below {bound:g} expected", flush=True)
            assert worst < bound


if __name__ == "__main__":
    if len(sys.argv) > 1:
        of_torch(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
