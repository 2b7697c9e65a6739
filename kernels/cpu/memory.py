"""Where a network's numbers lie, and how many images are computed at a time.

As in the reference backend, that is the host's memory; here arrays begin with a cache line, and
micro-batches fit a core's caches.
"""

import math

import numpy as np

LINE_BYTES = 64  # of a cache line, and of the longest vector register
MAX_IMAGES = 64  # of a micro-batch
MIN_IMAGES = 16  # of a micro-batch, where one would do
MICRO_BATCHES = 4  # that a mini-batch is cut into, where each has MIN_IMAGES
INFERENCE_BATCH = 8 * MAX_IMAGES  # images at a time where nothing is trained
PRECOMPILES = True  # a Program compiles its kernels: a second process can do so ahead
HAS_THREADS = True
ON_HOST = True


def zeros(shape, dtype):
    """An array of zeros that begins with a cache line: loading a vector across two costs double."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % LINE_BYTES
    return memory[start : start + size].view(dtype).reshape(shape)


def micro_batches(count):
    """Into how many micro-batches a mini-batch of `count` images is cut for feature maps.

    The activations of one stay in a second-level cache, and threads can take one each. The number
    depends on `count` alone, for it fixes the order in which gradients add up.
    """
    return max(-(-count // MAX_IMAGES), min(MICRO_BATCHES, count // MIN_IMAGES))
