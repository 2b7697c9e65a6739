"""numba-cuda's simulator with its threads as greenlets: `use` takes them into it.

The simulator's own threads are the system's, and it polls them until all wait for each other. Here
one after the other runs to the next `syncthreads` or to its end, from barrier to barrier in another
order: so a result that depends on the order, as a missing barrier leaves it, shows.
"""

import random
import types

import numpy as np
from greenlet import getcurrent, greenlet
from numba.cuda.simulator import kernel, kernelapi


class Thread(greenlet):
    """A CUDA thread, as the functions of a kernel find it."""

    def __init__(self, run, block, place):
        super().__init__(run)
        self.blockIdx, self.threadIdx = kernelapi.Dim3(*block), kernelapi.Dim3(*place)

    def syncthreads(self):
        self.parent.switch()


class Block:
    """A block of threads, in the place of the simulator's BlockManager."""

    def __init__(self, function, grid_shape, shape, is_debugged):
        self.function, self.shape = function, shape

    def run(self, block, *arguments):
        threads = [
            Thread(lambda: self.function(*arguments), block, place)
            for place in np.ndindex(*self.shape)
        ]
        order = random.Random(hash(block))
        while threads:
            order.shuffle(threads)
            for thread in threads:
                thread.switch()
            threads = [thread for thread in threads if not thread.dead]


def use():
    """Have all kernels of this process run so."""
    kernel.BlockManager = Block
    kernelapi.threading = types.SimpleNamespace(current_thread=getcurrent)
