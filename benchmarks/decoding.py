"""Seconds until a folder of pictures is ready to train on: nbconv beside PyTorch's DataLoader.

python benchmarks/decoding.py [--count 20000] [--torch PYTHON]; each in a process of its own, on two
cores. PyTorch reads the folder with two workers, once, as one of its epochs does, by what
torchvision's ImageFolder and ToTensor do (open, convert to RGB, to a tensor, divide by 255);
torchvision itself is not needed. nbconv decodes it into its cache, and again from the cache.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

NBCONV = """
import json, resource, sys, time
begin = time.perf_counter()
import nbconv
train, valid, test = nbconv.load_data(sys.argv[1])
total = float(sum(int(part.store[:100].sum()) for part in (train, valid, test)))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([time.perf_counter() - begin, peak]))
"""
TORCH = """
import json, resource, sys, time
begin = time.perf_counter()
import pathlib
import numpy, torch
from PIL import Image
class Folder(torch.utils.data.Dataset):
    def __init__(self, root):
        names = sorted(each.name for each in pathlib.Path(root).iterdir())
        self.items = [(path, k) for k, name in enumerate(names)
                      for path in sorted(pathlib.Path(root, name).iterdir())]
    def __len__(self):
        return len(self.items)
    def __getitem__(self, k):
        path, label = self.items[k]
        with open(path, "rb") as file:
            picture = Image.open(file).convert("RGB")
        return torch.from_numpy(numpy.array(picture)).permute(2, 0, 1).contiguous().div(255), label
data = Folder(sys.argv[1])
loader = torch.utils.data.DataLoader(data, 64, num_workers=2)
count = sum(len(labels) for _, labels in loader)
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        + 2 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
print(json.dumps([time.perf_counter() - begin, peak]))
"""


def timed(python, program, folder, cache):
    """(seconds, MiB at most) of a program about a folder."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([python, "-c", program, str(folder)], env=environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--torch", help="a Python that has torch and Pillow")
    given = parser.parse_args()
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place, "data"), Path(place, "cache")
        for number in range(given.count):
            target = folder / str(number % 10)
            target.mkdir(parents=True, exist_ok=True)
            small = random.integers(0, 256, (8, 8, 3), np.uint8)
            photo = Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC)
            photo.save(target / f"{number}.jpg", quality=90)
        for name, python, program in (
            ("PyTorch, 2 workers, one epoch", given.torch, TORCH),
            ("nbconv, first time", sys.executable, NBCONV),
            ("nbconv, from the cache", sys.executable, NBCONV),
        ):
            if python:
                seconds, peak = timed(python, program, folder, cache)
                print(f"{name:34} {seconds:6.2f} s  {peak:6.0f} MiB at most")


if __name__ == "__main__":
    main()
