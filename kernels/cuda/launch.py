"""How kernels are launched: the one place for grids, blocks and the numbers of threads behind them.

Two shapes of block serve nearly all kernels. `each` gives every output a thread of its own, THREADS
to a block. Sums over a layer's inputs take blocks of LANES x SPLITS: lanes lie side by side in
memory, and the splits, a warp each, share the terms of the sums, which are then added up in the
splits' order, so every run has the same bits.
"""

from numba import cuda

from . import device

# A multiplication and an addition become one, as the hardware has it; nothing else is reordered.
KERNEL = {"cache": True}
LANES = (
    8 if device.IS_SIMULATED else 32
)  # the simulator starts a thread of Python's for each of a block: fewer there
SPLITS = 8
THREADS = LANES * SPLITS  # of a block


def inner(function):
    """A function that kernels call.

    The simulator runs it as it is: it would swap modules under running threads.
    """
    return function if device.IS_SIMULATED else cuda.jit(device=True)(function)


def blocks(count, of):
    """How many blocks of that size hold so many."""
    return (count + of - 1) // of


def launch(kernel, grid, block, *arguments):
    """Launch a kernel, unless it would have nothing to do."""
    if min(grid) > 0:
        device.run(kernel, grid, block, arguments)


def each(kernel, count, *arguments):
    """Launch a kernel with a thread for each of `count` outputs."""
    launch(kernel, (blocks(count, THREADS), 1), (THREADS, 1), *arguments)
