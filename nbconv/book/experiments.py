"""Chapter 6's experiments, and one that is not in the book: settings of `nbconv train --net`.

The book's lmbda is divided by the number of mini-batches, ours by the number of images: with
mini-batches of ten, ten times the book's value is ours.
"""

from typing import Any

CONV_CONV = "20C5-MP2-40C5-MP2"
_COMMON = {"data": "mnist", "initialiser": "book3", "mini_batch_size": 10, "epochs": 60}
_SIGMOID = {**_COMMON, "activation": "sigmoid", "eta": 0.1, "lmbda": 0.0}
_TANH = {**_SIGMOID, "activation": "tanh", "eta": 0.03}  # the book states no eta and no lmbda
_RELU = {**_COMMON, "activation": "relu", "eta": 0.03, "lmbda": 1.0}
_EXPANDED = {**_RELU, "expand": True}
_DROPOUT = {**_EXPANDED, "lmbda": 0.0, "epochs": 40, "dropout": 0.5, "dropout_scaling": "book"}

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "fc": {**_SIGMOID, "net": "100N-10N"},
    "conv": {**_SIGMOID, "net": "20C5-MP2-100N-10N"},
    "conv-only": {**_SIGMOID, "net": "20C5-MP2-10N"},
    "conv-conv": {**_SIGMOID, "net": f"{CONV_CONV}-100N-10N"},
    "conv-conv-tanh": {**_TANH, "net": f"{CONV_CONV}-100N-10N"},
    "conv-conv-relu": {**_RELU, "net": f"{CONV_CONV}-100N-10N"},
    "expanded-100": {**_EXPANDED, "net": f"{CONV_CONV}-100N-10N"},
    "expanded-300": {**_EXPANDED, "net": f"{CONV_CONV}-300N-10N"},
    "expanded-1000": {**_EXPANDED, "net": f"{CONV_CONV}-1000N-10N"},
    "double-100": {**_EXPANDED, "net": f"{CONV_CONV}-100N-100N-10N"},
    "double-300": {**_EXPANDED, "net": f"{CONV_CONV}-300N-300N-10N"},
    "double-1000": {**_EXPANDED, "net": f"{CONV_CONV}-1000N-1000N-10N"},
    "dropout": {**_DROPOUT, "net": f"{CONV_CONV}-1000N-1000N-10N"},
    # Not in the book: small kernels, batch normalisation, images turned and moved a little,
    # momentum, smoothed labels, an eta that rises and falls to 0, all 60,000 images.
    "beyond": {
        "data": "mnist",
        "validation": False,
        "net": "32C5-BN-MP2-64C3p1-BN-64C3-BN-MP2-256N-BN-10N",
        "activation": "relu",
        "initialiser": "he",
        "mini_batch_size": 64,
        "eta": 0.1,
        "momentum": 0.9,
        "nesterov": True,
        "schedule": "one-cycle",
        "label_smoothing": 0.1,
        "epochs": 30,
        "rotate": 10.0,
        "zoom": 0.1,
        "shift": 1.0,
    },
}
