"""Where a network's numbers lie, how the host reads and writes them, and how many images go at a time.

As in the reference backend, that is the host's own memory; here arrays begin with a cache line, and slices fit a core's caches.
"""

import math

import numpy as np

LINE = 64  # bytes of a cache line, and of the longest vector register
SLICE = 64  # images at most in a slice
SLICES, LEAST = 4, 16  # so many slices, if each has at least so many images, rather than fewer
INFERENCE_BATCH = 8 * SLICE  # images at a time where nothing is trained
PRECOMPILES = True  # a program compiles its kernels, so a second process can compile a first training's meanwhile


def zeros(shape, dtype):
    """An array that begins with a cache line: a vector that lies in two of them costs twice as much to load."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def micro_batches(count):
    """In how many slices a mini-batch goes through the layers of feature maps.

    Their activations then stay in a second-level cache, and threads can take slices of their own. It depends on the number of
    images alone, for it decides in which order gradients add up.
    """
    return max(-(-count // SLICE), min(SLICES, count // LEAST))
