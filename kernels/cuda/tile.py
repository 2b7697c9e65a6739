"""What the sums of convolutions have in common: a thread's tile of FILTERS x PLACES sums.

The sums stay in registers. Each weight that a thread reads meets PLACES inputs, and each input
FILTERS weights. The weights of a chunk of taps wait in shared memory, where all threads of a block
read the same one at a time.
"""

import numpy as np

from .launch import LANES, SPLITS, inner

FILTERS, PLACES = 4, 4
TILE_SUMS = FILTERS * PLACES
CHUNK_TAPS = 128  # taps


@inner
def clear(sums):
    """sums = 0. sums: (FILTERS, PLACES)."""
    for f in range(FILTERS):
        for p in range(PLACES):
            sums[f, p] = 0


@inner
def stage(weights, offsets, w, taps, images, f0, filters, k0, thread):
    """Put a chunk of taps, from k0 on, and their weights of FILTERS filters into shared memory.

    The filters are those from f0 on. Gives the number of taps in the chunk. Filters that are not
    there are the last one again: their sums are not used.
    """
    count = min(CHUNK_TAPS, taps.size - k0)
    for k in range(thread, count, LANES * SPLITS):
        offsets[k] = np.int64(taps[k0 + k]) * images
        for f in range(FILTERS):
            weights[k, f] = w[min(f0 + f, filters - 1) * taps.size + k0 + k]
    return count


@inner
def accumulate(sums, a, places, weights, offsets, split, count):
    """sums[f, p] += weights[k, f] a[places[p] + offsets[k]] for this split's taps k of a chunk."""
    for k in range(split, count, SPLITS):
        offset = offsets[k]
        for f in range(FILTERS):
            weight = weights[k, f]
            for p in range(PLACES):
                sums[f, p] += weight * a[places[p] + offset]


@inner
def share(shared, sums, split, lane):
    """Show the splits of a block each other's sums. shared: (TILE_SUMS, SPLITS, LANES)."""
    for f in range(FILTERS):
        for p in range(PLACES):
            shared[f * PLACES + p, split, lane] = sums[f, p]


@inner
def total(shared, r, lane, start):
    """start + the splits' sums number r, in the splits' order."""
    for split in range(SPLITS):
        start += shared[r, split, lane]
    return start
