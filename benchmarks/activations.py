"""Does every activation learn with all other settings by default? Three seeds of each.

`nbconv train --activation NAME` on the embedded digits, and the network with one convolution on
MNIST for 3 epochs. Prints test accuracies at the best validation epoch.
"""

import tempfile
from pathlib import Path

from nbconv.runs import run as runs

ACTIVATIONS = "sigmoid", "tanh", "relu", "leaky_relu", "linear"
SETTINGS = {
    "digits": {},
    "20C5-MP2-100N-10N, digits": {"net": "20C5-MP2-100N-10N"},
    "20C5-MP2-100N-10N, MNIST": {"net": "20C5-MP2-100N-10N", "data": "mnist", "epochs": 3},
}


def main() -> None:
    """Train, and print a line for each activation and data set."""
    print("test accuracy, % (validation): " + ", ".join(f"seed {seed}" for seed in range(3)))
    for name, settings in SETTINGS.items():
        for activation in ACTIVATIONS:
            cells = []
            for seed in range(3):
                with tempfile.TemporaryDirectory() as folder:
                    given = {**settings, "activation": activation, "seed": seed}
                    run = runs.begin(given, Path(folder) / "run.h5")
                    run.go()
                    best = run.network.state.best
                assert best is not None
                accuracies = 100 * best.test_accuracy, 100 * best.validation_accuracy
                cells.append("{:.2f} ({:.2f})".format(*accuracies))
            print(f"{name}, {activation}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
