"""A report on this machine and installation: what `nbconv doctor` prints."""

import platform
import sys
from importlib import metadata
from typing import Any

import llvmlite.binding

from . import __version__, backend, threads
from .data import named
from .errors import DataError
from .kernels import compilation

_PACKAGES = (
    "numba", "llvmlite", "numpy", "h5py", "click", "pooch", "requests", "matplotlib", "pillow",
    "numba-cuda",
)  # fmt: skip
_FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "neon", "sve")


def report() -> list[tuple[str, str]]:
    """(topic, finding) pairs; a finding includes the remedy if something is wrong."""
    return [
        ("nbconv", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        *((package, _version(package)) for package in _PACKAGES),
        ("cpu", _cpu()),
        ("threads", _threads()),
        ("threading layer", _threading()),
        ("kernel cache", _cache()),
        ("mnist", _mnist()),
        ("cuda", _cuda()),
    ]


def environment(kernels: str) -> dict[str, str]:
    """What results depend on besides settings and seeds. kernels: the backend's name."""
    return {
        "nbconv": __version__,
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": str(llvmlite.binding.get_host_cpu_name()),
        "threads": str(threads.offered()),
        "backend": kernels,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    features = llvmlite.binding.get_host_cpu_features()
    available = [name for name in _FEATURES if features.get(name)]
    return f"{llvmlite.binding.get_host_cpu_name()}: {', '.join(available)}"


def _threads() -> str:
    """With how many threads "auto" begins, and why."""
    said = ", ".join(f"{name} {number}" for name, number in threads.limits().items())
    return f"auto: 1 to {threads.offered()}, whatever is fastest ({said}); others with --threads"


def _threading() -> str:
    """Numba's threading layer, with a remedy if it is not OpenMP."""
    if reason := backend.why_not_cpu():
        return reason
    layer = backend.threading_layer()
    if layer == "omp":
        return "omp"
    return (
        f"{layer}: slow to start; install the OpenMP runtime "
        "(Debian and Ubuntu: apt install libgomp1; macOS: brew install libomp)"
    )


def _cache() -> str:
    state = "contains compiled kernels"
    if compilation.cache_is_cold():
        state = "empty: the first run compiles the kernels"
    return f"{compilation.CACHE} ({state})"


def _mnist() -> str:
    """Where MNIST is, or where it was looked for."""
    try:
        folder = named.find_mnist()
    except DataError as error:
        return str(error)
    if folder:
        return str(folder)
    folders = ", ".join(str(folder) for folder in named.mnist_folders())
    return f"not found; it is downloaded on first use (looked in {folders})"


def _cuda() -> str:
    """The GPU, or why it cannot be used."""
    reason = backend.why_not_cuda()
    if reason is not None:
        return f"off: {reason}"
    try:
        kernels: Any = backend.select("cuda")[1]
        return f"on: {kernels.describe()}"
    except Exception as error:  # any other failure is what this report is for
        return f"off: {' '.join(str(error).split())}"
