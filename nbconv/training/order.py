"""The order in which an epoch goes through the images, and which of them it has in memory.

An example is an image, or one of its moved copies: its number is the image's times `shifts`, plus
the copy's.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.stores import chunks
from ..errors import SettingError

Indices = NDArray[np.int64]
MOST_BYTES = 2**30  # of images that windows may have in memory


def shuffled(seed: int, epoch: int, count: int) -> Indices:
    """The order of an epoch: a function of seed and epoch alone."""
    return np.random.default_rng((seed, 1, epoch)).permutation(count)


def shuffled_by_chunks(
    seed: int, epoch: int, chunk_of: Indices, width: int, owner_of: Indices
) -> Indices:
    """An order of an epoch in which each chunk's examples are near each other.

    Chunks are shuffled, and so are the examples within each `width` chunks of that order, a window.

    chunk_of: each example's chunk, a number. owner_of: for each place in the order, the shard that
    gets the example there. Each shard has its own windows and its own chunks; only its first and
    its last one it may share with another.
    """
    generator = np.random.default_rng((seed, 1, epoch))
    numbers, chunk_of = np.unique(chunk_of, return_inverse=True)
    turn = generator.permutation(len(numbers))[chunk_of]
    by_chunk = np.argsort(turn, kind="stable")
    turn = turn[by_chunk]
    stops = np.cumsum(np.bincount(owner_of))
    for first, stop in zip([0, *stops[:-1]], stops, strict=True):
        window = (turn[first:stop] - turn[first : first + 1]) // width
        for part in np.split(by_chunk[first:stop], np.flatnonzero(np.diff(window)) + 1):
            generator.shuffle(part)
    order = np.empty_like(by_chunk)
    order[np.argsort(owner_of, kind="stable")] = by_chunk
    return order


@dataclass(frozen=True)
class Stretch:
    """Some consecutive places of an epoch's order, and the images that stand there.

    order: the examples at these places, numbered as in `data`; -1 for those of other ranks. stop:
    the place after the last.
    """

    data: Dataset
    order: Indices
    stop: int


class Reader:
    """The training images as epochs go through them: all at once, or some chunks at a time.

    width: how many chunks a window has; 0 to shuffle all images together. size: of a mini-batch.
    shards: into how many parts a mini-batch is cut, and mine: those of this rank. Raises
    SettingError.
    """

    def __init__(self, data: Dataset, shifts: int, width: int, size: int, shards: int, mine: range):
        self.data, self.shifts, self.width, self.size = data, shifts, width, size
        self.examples = len(data) * shifts
        self._stretch: Stretch | None = None
        if not width:
            return
        self._chunk_of = np.repeat(chunks(data.store), shifts)
        place, in_batch = np.arange(self.examples), np.full(self.examples, size)
        in_batch[self.examples // size * size :] = self.examples % size
        # In a mini-batch of m images the shard s begins at image s m / shards: see `Shards`.
        self._owner_of = ((place % size + 1) * shards - 1) // in_batch
        self._is_mine = (mine.start <= self._owner_of) & (self._owner_of < mine.stop)
        _, counts = np.unique(self._chunk_of, return_counts=True)
        chunk = int(counts.max()) // shifts
        self._check_memory(chunk, len(mine))
        window = width * chunk * shifts * shards
        self._places = -(-window // size) * size  # of a stretch: whole mini-batches

    def _check_memory(self, chunk: int, shards: int) -> None:
        """Raise SettingError if the images of a window of each of so many shards are too large."""
        of_all = math.prod(self.data.store.shape) * self.data.store.dtype.itemsize
        of_chunk = of_all // len(self.data) * chunk
        needed = min(self.width * shards * of_chunk, of_all)
        if needed > MOST_BYTES:
            most = MOST_BYTES // (shards * of_chunk)
            do = f"at most {most}" if most else "a file with smaller chunks, such as 64 images"
            raise SettingError(
                f"shuffle_chunks is {self.width}, and a chunk of the training images has {chunk:,} "
                f"of them: so many would take {needed / 1e9:.1f} GB of memory at a time: expected "
                f"{do}"
            )

    def begin(self, seed: int, epoch: int) -> None:
        """Take the order of an epoch."""
        self._stretch = None
        if self.width:
            self._order = shuffled_by_chunks(
                seed, epoch, self._chunk_of, self.width, self._owner_of
            )
        else:
            self._stretch = Stretch(self.data, shuffled(seed, epoch, self.examples), self.examples)

    def at(self, place: int) -> tuple[Stretch, int]:
        """The stretch of the order that a place is in, and how far within it that is."""
        if self._stretch is None or place >= self._stretch.stop:
            self._stretch = self._read(place // self._places)
        return self._stretch, place - (self._stretch.stop - len(self._stretch.order))

    def _read(self, number: int) -> Stretch:
        part = slice(number * self._places, min((number + 1) * self._places, self.examples))
        order, is_mine = self._order[part], self._is_mine[part]
        images, copies = np.divmod(order[is_mine], self.shifts)
        mine = np.unique(images)
        numbers = np.full(len(order), -1)
        numbers[is_mine] = np.searchsorted(mine, images) * self.shifts + copies
        # A rank may have none of a last mini-batch that is smaller than the shards; a Dataset
        # cannot be empty.
        read = mine if len(mine) else order[:1] // self.shifts
        return Stretch(self.data.in_memory(read), numbers, part.stop)
