"""The networks that are timed, by the notation of `nbconv train --net`."""

# name: (notation, activation of the hidden layers, dropout)
NETWORKS = {
    "784-30-10": ("784-30-10", "sigmoid", 0.0),
    "conv": ("20C5-MP2-100N-10N", "sigmoid", 0.0),
    "conv-conv": ("20C5-MP2-40C5-MP2-100N-10N", "relu", 0.0),
    "dropout": ("20C5-MP2-40C5-MP2-1000N-1000N-10N", "relu", 0.5),
}
ETA = 0.01
PIXELS = (1, 28, 28)
CLASSES = 10


def images_for(mini_batch_size: int) -> int:
    """How many images an epoch has that is timed: enough mini-batches to be steady, whole ones alone."""
    return mini_batch_size * max(20, 2000 // mini_batch_size)
