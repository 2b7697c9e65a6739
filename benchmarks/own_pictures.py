"""MNIST's test digits redrawn as people have them, answered by `nbconv predict` alone.

python benchmarks/own_pictures.py [--count 200]; MNIST must be at hand (NBCONV_DATA). Dark ink on
white paper, 28 to 1,500 pixels a side, off-centre, as PNG, RGBA, JPEG with EXIF, 16 bits, with
shading and grain. Nothing in nbconv is tuned on these pictures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import nbconv

KINDS = ("grey", "colour", "transparent", "16 bits", "JPEG on its side", "shaded", "light on black")


def redrawn(digit, random):
    """The ink of a digit (28, 28) in [0, 1] on paper of another size, somewhere: in [0, 1]."""
    side = round(float(np.exp(random.uniform(np.log(28), np.log(1500)))))
    large = min(side, max(28, round(random.uniform(0.35, 1) * side)))
    ink = np.asarray(Image.fromarray(digit).resize((large, large), Image.Resampling.BICUBIC))
    paper = np.zeros((side, side), np.float32)
    y, x = random.integers(0, side - large + 1, 2)
    paper[y : y + large, x : x + large] = ink / 255
    return paper


def picture(digit, kind, random):
    """A digit as a PIL picture of a kind, and options to save it with."""
    ink = redrawn(digit, random)
    white, black = random.uniform(0.75, 1), random.uniform(0, 0.3)
    grey = white - (white - black) * ink
    options = {}
    if kind == "light on black":
        grey = ink
    if kind == "shaded":
        light = np.linspace(1, random.uniform(0.6, 1), grey.shape[1])
        grey = (grey * light + random.normal(0, 0.02, grey.shape)).clip(0, 1)
    if kind == "16 bits":
        return Image.fromarray(np.rint(grey * 65535).astype(np.uint16)), options
    levels = np.rint(grey * 255).astype(np.uint8)
    if kind == "transparent":
        nothing = np.zeros_like(levels)
        alpha = np.rint(ink * 255).astype(np.uint8)
        return Image.fromarray(np.dstack([nothing, nothing, nothing, alpha])), options
    if kind == "colour":
        tint = random.uniform(0.8, 1, 3)
        return Image.fromarray(np.rint(levels[:, :, None] * tint).astype(np.uint8)), options
    if kind == "JPEG on its side":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif, "quality": 80}
        levels = np.rot90(levels)
    return Image.fromarray(np.ascontiguousarray(levels)), options


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()
    train, valid, test = nbconv.load_data("mnist")
    networks = {
        "784-30-10": nbconv.Network([784, 30, 10]),
        "20C5-MP2-100N-10N": nbconv.Network(
            [
                nbconv.Conv2D(20, 5, activation="relu"),
                nbconv.MaxPool2D(2),
                nbconv.Dense(100, activation="relu"),
                nbconv.Softmax(10),
            ],
            input_shape=(1, 28, 28),
            initialiser="he",
        ),
    }
    chosen = np.random.default_rng(given.seed).choice(len(test), given.count, replace=False)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for kind in KINDS:
            random = np.random.default_rng(given.seed)
            (folder / kind).mkdir()
            for k in chosen:
                image, options = picture(test.store[k, 0], kind, random)
                ending = "jpg" if kind.startswith("JPEG") else "png"
                image.save(folder / kind / f"{k}.{ending}", **options)
        for name, net in networks.items():
            eta = 0.5 if name == "784-30-10" else 0.05
            net.fit(train, given.epochs, 10, eta, validation=valid)
            net.save(folder / "net.h5")
            plain = float((net.predict(test.images[chosen]) == test.labels[chosen]).mean())
            print(f"{name}: {100 * plain:.1f} % of {given.count} test digits as they are")
            for kind in KINDS:
                command = [sys.executable, "-m", "nbconv", "predict", "net.h5", f"./{kind}"]
                done = subprocess.run(
                    [*command, "--json", "--weights", "last"],
                    cwd=folder, capture_output=True, text=True, check=True,
                )  # fmt: skip
                answers = json.loads(done.stdout)
                right = sum(a["label"] == test.labels[int(Path(a["name"]).stem)] for a in answers)
                doubts = sum(a["doubt"] is not None for a in answers)
                share = 100 * right / len(answers)
                print(f"  {kind:18} {share:5.1f} %  ({share - 100 * plain:+.1f}), {doubts} doubted")


if __name__ == "__main__":
    main()
