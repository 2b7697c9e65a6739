"""Mini-batches in shards: gradients that are computed alone and added up in one fixed tree.

A mini-batch is cut into `shards` parts, a power of two. The sum over shards 0 to 2k - 1 is that
over 0 to k - 1 plus that over k to 2k - 1, whoever computes them: the bits do not depend on the
number of ranks. Each rank has consecutive shards, so it adds up a subtree. Then pairs of ranks,
pairs of pairs and so on exchange: of the numbers that it has, each keeps one half, adds its
partner's to it and leaves the other half to its partner. In the end every rank has the sums of some
numbers, and they go back the same way. As a + b = b + a, they are those of the tree.

Between machines, the sums of the layers of neurons, which most of the parameters belong to, are
exchanged while the gradients of the layers of feature maps, which take most of the time, are still
computed.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..engine.engine import Engine
from ..engine.plan import DIVERGED, PLAIN, Descent
from ..errors import SettingError
from ..layers import Distortion, Randomness
from .ranks import Ranks

Array = NDArray[Any]


class Message:
    """A sum over shards, in one piece of memory: of cost, right answers and gradient.

    signal: the largest number of a signal that a rank has received.
    """

    def __init__(self, count: int, dtype: np.dtype[Any]):
        end = -(-count * dtype.itemsize // 8) * 8  # of the gradient, and what else begins there
        self.memory = np.zeros(end + 24, np.uint8)
        self.numbers = range(count + 1)  # of the gradient, and one that stands for all else
        self.gradient = self.memory[: count * dtype.itemsize].view(dtype)
        self.sums = self.memory[end : end + 16].view(np.float64)
        self.signal = self.memory[end + 16 :].view(np.int64)

    def part(self, numbers: range) -> Array:
        """The memory of these numbers."""
        size, is_last = self.gradient.itemsize, numbers.stop == self.numbers.stop
        return self.memory[numbers.start * size : None if is_last else numbers.stop * size]

    def add(self, other: "Message", numbers: range) -> None:
        """Add these numbers of another sum to this one's."""
        part = slice(numbers.start, numbers.stop)
        self.gradient[part] += other.gradient[part]
        if numbers.stop == self.numbers.stop:
            self.sums += other.sums
            np.maximum(self.signal, other.signal, out=self.signal)


class Sums:
    """The sums over shards of `count` numbers and of scores, while they are added up in the tree.

    own: how many shards this rank computes.
    """

    def __init__(self, count: int, dtype: np.dtype[Any], own: int, ranks: Ranks):
        self.ranks = ranks
        # Of subtrees; once they are added up, the first has this rank's, the second its partner's.
        self._levels = [Message(count, dtype) for _ in range(max(2, own.bit_length()))]

    def of_shard(self, index: int) -> Message:
        """Where the numbers of this rank's shard go."""
        return self._levels[index.bit_count()]

    def add_up(self, index: int) -> None:
        """Add up the subtrees that are complete with this shard: they end in it."""
        level = index.bit_count()
        while index & 1:
            index, level = index >> 1, level - 1
            self._levels[level].add(self._levels[level + 1], self._levels[level].numbers)

    def exchange(self, is_patient: bool = False) -> Message:
        """The sum over all shards, once this rank's are added up. is_patient: see `Ranks`."""
        total, other = self._levels[:2]
        exchanges, mine = [], total.numbers
        for bit in range(self.ranks.size.bit_length() - 1):
            halves = mine[: len(mine) // 2], mine[len(mine) // 2 :]
            mine, left = halves if not self.ranks.rank >> bit & 1 else halves[::-1]
            self.ranks.exchange(1 << bit, total.part(left), other.part(mine), is_patient)
            total.add(other, mine)
            exchanges.append((1 << bit, mine, left))
        for distance, mine, left in reversed(exchanges):
            self.ranks.exchange(distance, total.part(mine), total.part(left), is_patient)
        return total


class Gradients:
    """Sums of the parts of the flat gradient, such as `Engine.of_maps`."""

    def __init__(self, engine: Engine, parts: Sequence[slice], own: int, ranks: Ranks):
        self.engine, self.parts = engine, parts
        ends = np.cumsum([part.stop - part.start for part in parts])
        self._places = [slice(*ends) for ends in zip((0, *ends), ends, strict=False)]
        self.sums = Sums(int(ends[-1]), engine.dtype, own, ranks)

    def take(self, index: int, is_empty: bool) -> None:
        """Take the engine's gradient as that of this rank's shard. is_empty: it has no images."""
        gradient = self.sums.of_shard(index).gradient
        for part, place in zip(self.parts, self._places, strict=True):
            gradient[place] = 0 if is_empty else self.engine.read(self.engine.gradient[part])
        self.sums.add_up(index)

    def give(self, total: Message) -> None:
        """Make the sums the engine's gradient."""
        for part, place in zip(self.parts, self._places, strict=True):
            self.engine.write(self.engine.gradient[part], total.gradient[place])


class Shards:
    """What this rank does of a training in shards.

    signal: gives the number of a signal that has come, or 0. stop: what it gave on any rank, as of
    the last mini-batch. mine: the shards that this rank computes.
    """

    signal: Callable[[], int]

    def __init__(self, engine: Engine, number: int, ranks: Ranks):
        if number % ranks.size:
            raise SettingError(
                f"shards is {number} and there are {ranks.size} processes: expected a power of "
                "two of processes, and at least as many shards"
            )
        if engine.with_statistics:
            raise SettingError(
                f"shards is {number} and the network has BN layers: expected shards 1, as a BN "
                "layer normalises over the whole mini-batch"
            )
        self.engine, self.number = engine, number
        self.stop = 0
        own = number // ranks.size
        self.mine = range(ranks.rank * own, (ranks.rank + 1) * own)
        self._scores = Sums(0, engine.dtype, own, ranks)
        has_maps = engine.of_maps[0].stop > 0
        parts = engine.of_maps if has_maps and ranks.can_overlap else (slice(0, engine.count),)
        self._gradients = Gradients(engine, parts, own, ranks)
        self._early: Gradients | None = None  # what is exchanged meanwhile
        if parts is engine.of_maps:
            self._early = Gradients(engine, engine.of_neurons, own, ranks)
            self._thread = ThreadPoolExecutor(1, "nbconv exchange")
            self._exchanged: Future[Message]

    def _part(self, shard: int, count: int) -> range:
        """Which of `count` images, in their order, are a shard's."""
        return range(shard * count // self.number, (shard + 1) * count // self.number)

    def descend(
        self,
        data: Dataset,
        order: Array,
        now: Randomness,
        rates: Array,
        descent: Descent = PLAIN,
        shifts: int = 1,
        distortion: Distortion | None = None,
        smoothing: float = 0.0,
    ) -> int:
        """As `Engine.descend`, of one mini-batch: `order` and `rates` have one row.

        The random numbers of each shard are keyed by a step of its own.
        """
        engine, (images,) = self.engine, order
        early, rest = self._early, self._gradients
        with engine.lock:
            for index, shard in enumerate(self.mine):
                part = self._part(shard, len(images))
                between = partial(self._begin_exchange, early, index, not part) if early else None
                message = rest.sums.of_shard(index)
                message.sums[:], message.signal[0] = 0, self.signal()
                if part:
                    key = Randomness(now.seed, now.step * self.number + shard)
                    mine = images[part.start : part.stop], len(images), key
                    how = shifts, distortion, smoothing
                    message.sums[:] = engine.shard_gradient(data, *mine, *how, between)
                elif between:
                    between()
                rest.take(index, not part)
            if early:  # before the others begin: messages come in their order
                early.sums.ranks.hurry.set()
                early.give(self._exchanged.result())
                early.sums.ranks.hurry.clear()
            total = rest.sums.exchange()
            self.stop = int(total.signal[0])
            engine.write(engine.sums, engine.read(engine.sums) + total.sums)
            if not engine.read(engine.sums)[0] < DIVERGED:
                return 0
            rest.give(total)
            engine.update(rates[0], descent)
        return 1

    def _begin_exchange(self, early: Gradients, index: int, is_empty: bool) -> None:
        """Take a shard's early part and, once there are all, exchange it in the background."""
        early.take(index, is_empty)
        if index == len(self.mine) - 1:
            self._exchanged = self._thread.submit(early.sums.exchange, True)

    def evaluate(self, data: Dataset) -> tuple[float, int]:
        """As `Engine.evaluate`."""
        for index, shard in enumerate(self.mine):
            part = self._part(shard, len(data))
            scores = self._scores.of_shard(index).sums
            scores[:] = self.engine.evaluate(data, part=part) if part else 0
            self._scores.add_up(index)
        cost, correct = self._scores.exchange().sums
        return float(cost), int(correct)
