"""Where a network's numbers lie: in the host's own memory, so nothing is sent to and fro."""

import numpy as np

INFERENCE_BATCH = 512  # images at a time where nothing is trained
PRECOMPILES = False  # a kernel is compiled when it is first called
HAS_THREADS = False
ON_HOST = True
PIECE_BYTES = 2**24  # bytes of images that are read from a file at a time


def zeros(shape, dtype):
    """An array filled with zeros."""
    return np.zeros(shape, dtype)


def read(array):
    """What the kernels have left in an array: no copy, valid until their next call."""
    return array


def write(array, values):
    """array = values, a number or an array, before the kernels' next call."""
    array[...] = values


def wait():
    """A kernel that was called is done."""


def resident(array):
    """A host array where kernels can read it as long as it lives; None if it is too large."""
    return array


def upload(array):
    """A host array where kernels can read it, until this thread's next `upload`."""
    return array


def images_per_upload(image_bytes):
    """How many images of that size are uploaded at a time, where not all of them are resident."""
    return max(1, PIECE_BYTES // image_bytes)


def micro_batches(count):
    """In how many slices a mini-batch goes through the layers of feature maps: whole."""
    return 1
