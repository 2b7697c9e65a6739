"""Where a network's numbers lie, how the host reads and writes them, and how many images go at a time.

The kernels of this backend work on the host's own memory, so there is nothing to send to and fro.
"""

import math

import numpy as np

LINE = 64  # bytes of a cache line, and of the longest vector register
SLICE = 64  # images at most in a slice
SLICES, LEAST = 4, 16  # so many slices, if each has at least so many images, rather than fewer
BATCH = 8 * SLICE  # images at a time where nothing is trained
PRECOMPILES = True  # a program compiles its kernels, so a second process can compile a first training's meanwhile
PIECE = 2**24  # bytes of images that are read from a file at a time


def zeros(shape, dtype):
    """An array that begins with a cache line: a vector that lies in two of them costs twice as much to load."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def read(array):
    """What the kernels have left in an array, for the host to look at until their next call, and to copy what is to last."""
    return array


def write(array, values):
    """array = values, a number or an array of the host, before the kernels' next call."""
    array[...] = values


def resident(array):
    """An array of the host where the kernels can read it for as long as it lives there; None if it is too large."""
    return array


def upload(array):
    """An array of the host where kernels can read it that are called before the next such one is uploaded in this thread."""
    return array


def piece(image_bytes):
    """How many images of that size are uploaded at a time, where not all of them are resident."""
    return max(1, PIECE // image_bytes)


def slices(count):
    """In how many slices a mini-batch goes through the layers of feature maps.

    Their activations then stay in a second-level cache, and threads can take slices of their own. It depends on the number of
    images alone, for it decides in which order gradients add up.
    """
    return max(-(-count // SLICE), min(SLICES, count // LEAST))
