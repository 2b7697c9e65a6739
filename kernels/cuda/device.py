"""The device itself: streams, copies, graphs and errors.

No other module uses numba.cuda's names beyond its own kernels. All work is on one stream,
`_compute`, in the order in which the host asks for it; what the host reads, it waits for. Images
that do not fit are copied on a second one meanwhile. In numba-cuda's simulator
(NUMBA_ENABLE_CUDASIM=1) there are no streams and no graphs: everything is done when asked for.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda.core import config
from numba.cuda.cudadrv.driver import CudaAPIError
from numba.cuda.cudadrv.error import CudaSupportError

from .. import compilation, driver

IS_SIMULATED = bool(config.ENABLE_CUDASIM)
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY
ERRORS: tuple[type[Exception], ...] = (CudaAPIError, CudaSupportError)
if not IS_SIMULATED:
    from cuda.core import Device
    from cuda.core._utils.cuda_utils import CUDAError

    ERRORS += (CUDAError,)
    config.CACHE_DIR = str(compilation.CACHE or "")
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a mini-batch of ten is small, which is no news
else:
    from numba.cuda.simulator import kernelapi

    class _Shared(kernelapi.FakeCUDAShared):  # type: ignore[misc]  # numba-cuda has no types
        """Shared memory of the simulator, where two threads could make the same array twice."""

        def __init__(self, size: int):
            super().__init__(size)
            self._allocations = _MadeOnce()

    class _MadeOnce(dict[Any, Any]):
        """A thread that finds nothing here is alone until it has put something in."""

        def __init__(self) -> None:
            super().__init__()
            self._lock = threading.Lock()

        def get(self, key: Any, default: Any = None) -> Any:
            self._lock.acquire()
            if key in self:
                self._lock.release()
            return super().get(key, default)

        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(key, value)
            self._lock.release()

    kernelapi.FakeCUDAShared = _Shared


class DeviceError(RuntimeError):
    """The GPU failed, or has too little memory."""


class _Status:
    """What this process knows of the device."""

    failure = ""  # what it failed with: from then on nothing is asked of it
    process = 0  # the one that began to use it
    error: type[Exception] = DeviceError
    cleaning = ExitStack()


def raise_as(error: type[Exception]) -> None:
    """Let a failing device raise this type of error."""
    _Status.error = error


@contextmanager
def told(what: str = "") -> Iterator[None]:
    """A failure of the device within is an error of one line; the device is not asked again."""
    if _Status.failure:
        raise _Status.error(_Status.failure)
    if _Status.process not in (0, os.getpid()):
        raise _Status.error(driver.FORKED)
    _Status.process = os.getpid()
    try:
        yield
    except ERRORS as error:
        line = " ".join(str(error).split())
        if getattr(error, "code", None) == OUT_OF_MEMORY or "OUT_OF_MEMORY" in line:
            free, total = memory()
            raise _Status.error(
                f"the GPU has {free >> 20} of its {total >> 20} MiB free{what}: expected a smaller "
                "mini-batch or network, "
                "or fewer other programs on it"
            ) from error
        _Status.failure = (
            f"the GPU failed ({line}): the run ends here, and its last checkpoint is as it was"
        )
        with suppress(*ERRORS):
            _Status.cleaning.enter_context(
                cuda.defer_cleanup()
            )  # what it holds is not given back one by one
        raise _Status.error(_Status.failure) from error


def _device() -> Any:
    """The device, made known to this thread."""
    device = Device(cuda.get_current_device().id)
    device.set_current()
    return device


@cache
def _streams() -> tuple[Any, Any]:
    """Two streams that wait for no other: for work, and for copies meanwhile."""
    if IS_SIMULATED:
        return cuda.stream(), cuda.stream()
    device = _device()
    return device.create_stream(), device.create_stream()


def _compute() -> Any:
    with _making:
        return _streams()[0]


def _copies() -> Any:
    with _making:
        return _streams()[1]


_making = threading.Lock()
_capturing: list[Any] = []  # the graph that launches go into, if there is one


def run(
    kernel: Any, grid: tuple[int, ...], block: tuple[int, int], arguments: tuple[Any, ...]
) -> None:
    """Launch a kernel, or note the launch in the graph that is being made."""
    with told():
        kernel[grid, block, _capturing[-1] if _capturing else _compute()](*arguments)


def capture(way: Callable[[], None]) -> Callable[[], None] | None:
    """The launches of `way`, as a function that makes them all at once; None without graphs."""
    if IS_SIMULATED:
        return None
    with told():
        builder = _device().create_graph_builder()
        builder.begin_building()
        _capturing.append(builder)
        try:
            way()
        except BaseException:
            with suppress(Exception):  # what went wrong is said below
                builder.close()
            raise
        finally:
            _capturing.pop()
        graph = builder.end_building().complete()

    def launch() -> None:
        with told():
            graph.launch(_compute())

    return launch


def memory() -> tuple[int, int]:
    """Bytes that are free, bytes in all."""
    free, total = cuda.current_context().get_memory_info()
    return (1 << 62, 1 << 62) if IS_SIMULATED else (free, total)


def describe() -> str:
    """The device in words."""
    if IS_SIMULATED:
        return "numba-cuda's simulator, no GPU"
    with told():
        device, (free, total) = cuda.get_current_device(), memory()
        name = device.name.decode() if isinstance(device.name, bytes) else device.name
        major, minor = driver.driver_version() or (0, 0)
        capability = ".".join(map(str, device.compute_capability))
        free_of_total = f"{free >> 20} of {total >> 20} MiB free"
        return (
            f"{name}, compute capability {capability}, {free_of_total}, "
            f"driver for CUDA {major}.{minor}"
        )


def wait() -> None:
    """Wait until the device has done all that was asked of it."""
    with told():
        if not IS_SIMULATED:
            _compute().sync()


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array on the device."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with told(f", and {max(1, size >> 20)} MiB more are needed"):
        return cuda.device_array(shape, dtype)


def put(array: Any, values: Any) -> None:
    """array = values of host or device, of the same shape and dtype; back when it is done."""
    with told():
        array.copy_to_device(values, stream=_compute())
    wait()


def fetch(array: Any) -> np.ndarray[Any, Any]:
    """A copy for the host."""
    host = np.empty(tuple(array.shape), array.dtype)
    with told():
        array.copy_to_host(host, stream=_compute())
    wait()
    return host


def address(array: Any) -> int:
    """Where an array of the device lies."""
    return 0 if IS_SIMULATED else int(array.__cuda_array_interface__["data"][0])


def is_here(array: Any) -> bool:
    """Whether an array is the device's."""
    return bool(getattr(array, "__cuda_ndarray__", False))


class Slot:
    """An array of the device that changes, and the page-locked host memory it is copied from."""

    def __init__(self, size: int, dtype: Any):
        self.here = empty((size,), dtype)
        with told():
            self.there = cuda.pinned_array(size, dtype)
            self._is_free = cuda.event()

    def take(self, values: np.ndarray[Any, Any]) -> Any:
        """A device array with these values, being copied; call `leave` before the next ones."""
        with told():
            self._is_free.synchronize()
            self.there[: values.size] = values.reshape(-1)
            array, arrived = self.here[: values.size], cuda.event()
            array.copy_to_device(self.there[: values.size], stream=_copies())
            arrived.record(_copies())
            arrived.wait(_compute())
            return array.reshape(values.shape)

    def leave(self) -> None:
        """All that has been asked of the device so far may still need the last values.

        Nothing later does.
        """
        with told():
            self._is_free.record(_compute())
