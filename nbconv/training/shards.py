"""Mini-batches in shards: gradients that are computed alone and added up in one fixed tree.

A mini-batch is cut into `shards` parts, a power of two. The sum over shards 0 to 2k - 1 is that
over 0 to k - 1 plus that over k to 2k - 1, whoever computes them: the bits do not depend on the
number of ranks. Each rank has consecutive shards, so it adds up a subtree. Then pairs of ranks,
pairs of pairs and so on exchange: of the numbers that it has, each keeps one half, adds its
partner's to it and leaves the other half to its partner. In the end every rank has the sums of some
numbers, and they go back the same way. As a + b = b + a, they are those of the tree.

The sums are made where the engine's arrays lie if MPI can send from there, else in the host's
memory.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import select
from ..data.dataset import Dataset
from ..engine.engine import Engine
from ..engine.plan import DIVERGED, PLAIN, Descent
from ..errors import SettingError
from ..kernels.interface import Array, Backend
from ..layers import Distortion, Randomness
from .ranks import Ranks
from .signals import SIGNALS


class Message:
    """A sum over shards, in one piece of a backend's memory.

    gradient: count numbers. others: summed cost, right answers, and in how many shards each of
    SIGNALS had come.
    """

    def __init__(self, backend: Backend, count: int, dtype: np.dtype[Any]):
        end = -(-count * dtype.itemsize // 8) * 8  # of the gradient, and what else begins there
        self.backend = backend
        self.memory = backend.zeros((end + 8 * (2 + len(SIGNALS)),), np.uint8)
        self.numbers = range(count + 1)  # of the gradient, and one that stands for all else
        self.gradient = self.memory[: count * dtype.itemsize].view(dtype)
        self.others = self.memory[end:].view(np.float64)

    def part(self, numbers: range) -> Array:
        """The memory of these numbers."""
        size, is_last = self.gradient.dtype.itemsize, numbers.stop == self.numbers.stop
        return self.memory[numbers.start * size : None if is_last else numbers.stop * size]

    def add(self, other: "Message", numbers: range) -> None:
        """Add these numbers of another sum to this one's."""
        part = slice(numbers.start, numbers.stop)
        self._add(self.gradient[part], other.gradient[part])
        if numbers.stop == self.numbers.stop:
            self._add(self.others, other.others)

    def _add(self, total: Any, part: Any) -> None:
        """total = total + part."""
        if isinstance(total, np.ndarray):
            total += part  # a kernel would take all threads that there are
        elif total.size:
            self.backend.add(total, part)


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
        self.engine, self.number, self.ranks = engine, number, ranks
        self.stop = 0
        own = number // ranks.size
        self.mine = range(ranks.rank * own, (ranks.rank + 1) * own)
        _, host = select("reference")
        backend = engine.backend if ranks.reach(engine.backend) else host
        # Sums of subtrees, and what another rank sends.
        levels = range(max(2, own.bit_length()))
        self._gradients = [Message(backend, engine.count, engine.dtype) for _ in levels]
        self._scores = [Message(host, 0, engine.dtype) for _ in levels]

    def _total(self, messages: list[Message], one: Callable[[int, Message], None]) -> Message:
        """The sum over all shards. one: makes a message that of a shard."""

        def add_up(first: int, count: int, level: int) -> None:
            if count == 1:
                one(first, messages[level])
                return
            add_up(first, count // 2, level)
            add_up(first + count // 2, count // 2, level + 1)
            messages[level].add(messages[level + 1], messages[level].numbers)

        add_up(self.mine.start, len(self.mine), 0)
        total, other = messages[:2]
        exchanges, mine = [], total.numbers
        for bit in range(self.ranks.size.bit_length() - 1):
            halves = mine[: len(mine) // 2], mine[len(mine) // 2 :]
            mine, left = halves if not self.ranks.rank >> bit & 1 else halves[::-1]
            total.backend.wait()
            self.ranks.exchange(1 << bit, total.part(left), other.part(mine))
            total.add(other, mine)
            exchanges.append((1 << bit, mine, left))
        if exchanges:
            total.backend.wait()
        for distance, mine, left in reversed(exchanges):
            self.ranks.exchange(distance, total.part(mine), total.part(left))
        return total

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

        def gradient_of(shard: int, message: Message) -> None:
            part = self._part(shard, len(images))
            backend, came = message.backend, self.signal()
            sums, gradient = (0.0, 0.0), np.zeros(1)
            if part:
                key = Randomness(now.seed, now.step * self.number + shard)
                mine = images[part.start : part.stop], len(images), key
                how = shifts, distortion, smoothing
                sums = engine.shard_gradient(data, *mine, *how)
                is_there = backend is engine.backend
                gradient = engine.gradient if is_there else engine.read(engine.gradient)
            backend.write(message.gradient, gradient)
            backend.write(message.others, [*sums, *(came == number for number in SIGNALS)])

        with engine.lock:
            total = self._total(self._gradients, gradient_of)
            sums, signals = np.split(total.backend.read(total.others), [2])
            came = [number for number, count in zip(SIGNALS, signals, strict=True) if count]
            self.stop = max(came, default=0)
            engine.write(engine.sums, engine.read(engine.sums) + sums)
            if not engine.read(engine.sums)[0] < DIVERGED:
                return 0
            engine.write(engine.gradient, total.gradient)
            engine.update(rates[0], descent)
        return 1

    def evaluate(self, data: Dataset) -> tuple[float, int]:
        """As `Engine.evaluate`."""

        def scores_of(shard: int, message: Message) -> None:
            part = self._part(shard, len(data))
            message.others[:2] = self.engine.evaluate(data, part=part) if part else 0

        cost, correct = self._total(self._scores, scores_of).others[:2]
        return float(cost), int(correct)
