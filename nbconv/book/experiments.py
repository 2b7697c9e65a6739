"""Chapter 6's experiments as a table, and one of our own: the settings of `nbconv train --net NAME`.

The book's lmbda is over the number of mini-batches, ours over the number of images: ten times its value is ours.
"""

from typing import Any

CONV_CONV = "20C5-MP2-40C5-MP2"
_COMMON = {"data": "mnist", "initialiser": "book3", "mini_batch_size": 10, "epochs": 60}
_SIGMOID = {**_COMMON, "activation": "sigmoid", "eta": 0.1, "lmbda": 0.0}
_RELU = {**_COMMON, "activation": "relu", "eta": 0.03, "lmbda": 1.0}
_EXPANDED = {**_RELU, "expand": True}

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "fc": {**_SIGMOID, "net": "100N-10N"},
    "conv": {**_SIGMOID, "net": "20C5-MP2-100N-10N"},
    "conv-only": {**_SIGMOID, "net": "20C5-MP2-10N"},
    "conv-conv": {**_SIGMOID, "net": f"{CONV_CONV}-100N-10N"},
    # The book names no eta and no lmbda for tanh.
    "conv-conv-tanh": {**_SIGMOID, "activation": "tanh", "eta": 0.03, "net": f"{CONV_CONV}-100N-10N"},
    "conv-conv-relu": {**_RELU, "net": f"{CONV_CONV}-100N-10N"},
    "expanded-100": {**_EXPANDED, "net": f"{CONV_CONV}-100N-10N"},
    "expanded-300": {**_EXPANDED, "net": f"{CONV_CONV}-300N-10N"},
    "expanded-1000": {**_EXPANDED, "net": f"{CONV_CONV}-1000N-10N"},
    "double-100": {**_EXPANDED, "net": f"{CONV_CONV}-100N-100N-10N"},
    "double-300": {**_EXPANDED, "net": f"{CONV_CONV}-300N-300N-10N"},
    "double-1000": {**_EXPANDED, "net": f"{CONV_CONV}-1000N-1000N-10N"},
    "dropout": {**_EXPANDED, "net": f"{CONV_CONV}-1000N-1000N-10N", "lmbda": 0.0, "dropout": 0.5, "epochs": 40},
    # Ours, and not the book's: small kernels twice in a row, images distorted anew each time, momentum, eta that falls to 0.
    "beyond": {
        "data": "mnist", "net": "32C3p1-32C3-MP2-64C3p1-64C3-MP2-256N-10N", "activation": "relu", "initialiser": "he",
        "mini_batch_size": 64, "eta": 0.02, "momentum": 0.9, "nesterov": True, "schedule": "cosine", "epochs": 30, "dropout": 0.4,
        "rotate": 12.0, "zoom": 0.12, "shift": 1.5, "elastic": 1.5,
    },
}  # fmt: skip
