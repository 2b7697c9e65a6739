"""The README's picture, docs/training.png: a training's curves and the filters of its first layer.

nbconv train --net conv-conv-relu --data mnist --monitor-training --epochs 20 --out run.h5
python benchmarks/picture.py run.h5 docs/training.png
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from nbconv import Network, plots


def main(checkpoint: str, out: str) -> None:
    """Draw the picture of a checkpoint."""
    net = Network.load(checkpoint)
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    *curves, filters = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    plots.curves(net.history, curves)
    plots.filters(net, ax=filters)
    plots.save(filters, Path(out))


main(*sys.argv[1:])
