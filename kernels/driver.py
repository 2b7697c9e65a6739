"""What stands between this process and an NVIDIA GPU.

Asks the driver itself, so it needs neither numba-cuda nor a device.
"""

import ctypes
import os
import sys
from importlib import metadata, util

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NO_DEVICE, NOT_INITIALISED, SYSTEM_NOT_READY, DRIVER_MISMATCH = (
    100,
    3,
    802,
    803,
)  # of the driver's cuInit
OLDEST_CUDA = 12  # the driver's CUDA version that the oldest toolkit of numba-cuda needs
NUMPY_LIMIT = 2, 5  # the first NumPy without row_stack, which numba-cuda needs
FORKED = (
    "this process was forked from one that had used the GPU, which CUDA does not allow: start it "
    "by multiprocessing's "
    "'spawn', or before the GPU is used"
)
INSTALL = "pip install 'nbconv[cu13]', or 'nbconv[cu12]' for a driver older than 580"


def is_simulated() -> bool:
    """Whether numba-cuda's simulator was asked for."""
    try:
        return int(os.environ.get("NUMBA_ENABLE_CUDASIM", "0")) != 0
    except ValueError:  # which Numba ignores, too
        return False


def why_not() -> str | None:
    """What keeps CUDA from working here, and its remedy, in one line; None if all seems well."""
    if util.find_spec("numba_cuda") is None:
        return f"numba-cuda is not installed: {INSTALL}"
    if is_simulated():
        return None
    return _numpy() or _driver() or _toolkit()


def is_fault() -> bool:
    """Whether CUDA was meant to work here.

    It was if numba-cuda is installed and the driver does not rule out a GPU.
    """
    return util.find_spec("numba_cuda") is not None and _status() not in (None, NO_DEVICE)


def _numpy() -> str | None:
    version = metadata.version("numpy")
    if tuple(map(int, version.split(".")[:2])) < NUMPY_LIMIT:
        return None
    return (
        f"numba-cuda does not work with NumPy {version}: "
        f"pip install 'numpy<{'.'.join(map(str, NUMPY_LIMIT))}'"
    )


def _status() -> int | None:
    """What the driver's cuInit answers, 0 if all is well; None without a driver."""
    try:
        return int(ctypes.CDLL(LIBRARY).cuInit(0))
    except OSError:
        return None


def _driver() -> str | None:
    status = _status()
    if status is None:
        return (
            f"no NVIDIA driver is installed ({LIBRARY} was not found): "
            "install the driver of your GPU"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if status == NO_DEVICE and visible is not None:
        return (
            f"CUDA_VISIBLE_DEVICES is {visible!r}, which hides every GPU: "
            "unset it, or name one that is there"
        )
    if status == NO_DEVICE:
        return "the NVIDIA driver finds no GPU: see what nvidia-smi shows"
    if status == NOT_INITIALISED:
        return FORKED
    if status == DRIVER_MISMATCH:
        return (
            "the NVIDIA driver's library and its kernel module are of different versions: "
            "restart the machine"
        )
    if status == SYSTEM_NOT_READY:
        return (
            "the GPUs are not ready yet (CUDA error 802): "
            "start the fabric manager, or try again later"
        )
    if status != 0:
        return f"the NVIDIA driver does not start (CUDA error {status}): see what nvidia-smi shows"
    return None


def driver_version() -> tuple[int, int] | None:
    """(major, minor) of the CUDA version that the driver supports; None without a driver."""
    number = ctypes.c_int()
    try:
        if ctypes.CDLL(LIBRARY).cuDriverGetVersion(ctypes.byref(number)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return number.value // 1000, number.value % 1000 // 10


def _toolkit() -> str | None:
    try:
        bindings = int(metadata.version("cuda-bindings").split(".")[0])
    except metadata.PackageNotFoundError:
        return f"CUDA's packages for Python are not installed: {INSTALL}"
    major, minor = driver_version() or (0, 0)
    if major < OLDEST_CUDA:
        return (
            f"the NVIDIA driver supports CUDA {major}.{minor}: "
            f"expected {OLDEST_CUDA} or newer; update the driver"
        )
    if major < bindings:
        return (
            f"the NVIDIA driver supports CUDA {major}.{minor} and the installed toolkit is CUDA "
            f"{bindings}: update the driver, "
            "or pip uninstall cuda-bindings and pip install 'nbconv[cu12]'"
        )
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    for library in ("nvvm", "nvrtc", "nvJitLink"):
        try:
            load_nvidia_dynamic_lib(library)
        except DynamicLibNotFoundError:
            return f"CUDA's {library} library is not installed: {INSTALL}"
    return None
