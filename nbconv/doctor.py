"""What this machine and installation have: what `nbconv doctor` shows."""

import platform
import sys
from importlib import metadata

import llvmlite.binding

from . import __version__, backend
from .data import sources
from .errors import DataError
from .kernels import compilation

_PACKAGES = (
    "numba",
    "llvmlite",
    "numpy",
    "h5py",
    "click",
    "pooch",
    "matplotlib",
    "pillow",
    "numba-cuda",
)
_FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "neon", "sve")


def report() -> list[tuple[str, str]]:
    """(topic, finding) pairs, remedies included."""
    return [
        ("nbconv", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        *((package, _version(package)) for package in _PACKAGES),
        ("cpu", _cpu()),
        ("threads", f"{backend.thread_limit()} (fewer with --threads)"),
        ("threading layer", _threading()),
        ("kernel cache", _cache()),
        ("mnist", _mnist()),
        ("cuda", _cuda()),
    ]


def environment(kernels: str) -> dict[str, str]:
    """What results depend on, besides settings and seeds. kernels: the backend's name."""
    return {
        "nbconv": __version__,
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": str(llvmlite.binding.get_host_cpu_name()),
        "threads": str(backend.thread_limit()),
        "backend": kernels,
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cpu() -> str:
    features = llvmlite.binding.get_host_cpu_features()
    return f"{llvmlite.binding.get_host_cpu_name()}: {', '.join(name for name in _FEATURES if features.get(name))}"


def _threading() -> str:
    layer = backend.threading_layer()
    if layer == "omp":
        return "omp"
    return f"{layer}: slow to start; install OpenMP's runtime (Debian and Ubuntu: apt install libgomp1; macOS: brew install libomp)"


def _cache() -> str:
    state = (
        "empty, kernels are compiled at the first run"
        if compilation.cache_is_cold()
        else "compiled kernels found"
    )
    return f"{compilation.CACHE} ({state})"


def _mnist() -> str:
    try:
        found = sources.find_mnist()
    except DataError as error:
        return str(error)
    if found:
        return str(found)
    return f"not found, downloaded at its first use (looked in {', '.join(str(place) for place in sources.mnist_places())})"


def _cuda() -> str:
    reason = backend.why_not_cuda()
    if reason is not None:
        return f"off: {reason}"
    try:
        _, kernels = backend.select("cuda")
        return f"on: {kernels.describe()}"
    except Exception as error:  # whatever else is amiss with it is what the reader came for
        return f"off: {' '.join(str(error).split())}"
