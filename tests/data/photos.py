"""Synthetic photos of three classes, in any size, for the tests of pictures."""

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("disc", "square", "stripes")


def photo(kind, random, least=32, most=200):
    """A light figure on a dark ground with grain, of random colours and size, near the middle."""
    columns = int(random.integers(least, most + 1))
    rows = int(np.clip(columns * random.uniform(0.8, 1.25), least, most))
    ground = random.integers(40, 100, 3)
    grain = random.normal(0, 8, (rows, columns, 3))
    picture = Image.fromarray((ground + grain).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    colour = tuple(int(level) for level in ground + 120)
    side = min(rows, columns) * random.uniform(0.6, 0.8)
    x, y = ((length - side) / 2 + random.uniform(-0.1, 0.1) * side for length in (columns, rows))
    if kind == "disc":
        draw.ellipse((x, y, x + side, y + side), fill=colour)
    elif kind == "square":
        draw.rectangle((x, y, x + side, y + side), fill=colour)
    else:
        for k in range(4):
            top = y + k * side / 4
            draw.rectangle((x, top, x + side, top + side / 8), fill=colour)
    return picture


def write(folder, count, seed=0, classes=CLASSES, ending=".png", least=32, most=200):
    """`count` photos of each class in folders named after them."""
    random = np.random.default_rng(seed)
    for kind in classes:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            photo(kind, random, least, most).save(folder / kind / f"{kind}{number}{ending}")
    return folder
