"""nbconv: Michael Nielsen's convolutional networks as Numba kernels.

Names are imported at their first use, so that `nbconv --help` needs neither Numba nor h5py.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .data import Dataset, load_data
    from .ensemble import Ensemble
    from .errors import (
        BackendError,
        CheckpointError,
        DataError,
        DivergedError,
        Interrupted,
        NbconvError,
        SettingError,
    )
    from .layers import (
        AvgPool2D,
        BatchNorm,
        Conv2D,
        Dense,
        L2Pool2D,
        MaxPool2D,
        Softmax,
        register_layer,
    )
    from .network import Network
    from .threads import set_threads
    from .training.history import History

__version__ = "0.1.0"

_FOLDER = Path(__file__).parent
# Installed, kernels/ and cli/ stand in this folder. In a checkout they stand beside it.
if not (_FOLDER / "kernels").is_dir() and (_FOLDER.parent / "pyproject.toml").is_file():
    __path__.append(str(_FOLDER.parent))

_HOMES = {
    "data": ("Dataset", "load_data"),
    "ensemble": ("Ensemble",),
    "errors": (
        "BackendError",
        "CheckpointError",
        "DataError",
        "DivergedError",
        "Interrupted",
        "NbconvError",
        "SettingError",
    ),
    "training.history": ("History",),
    "layers": (
        "AvgPool2D",
        "BatchNorm",
        "Conv2D",
        "Dense",
        "L2Pool2D",
        "MaxPool2D",
        "Softmax",
        "register_layer",
    ),
    "network": ("Network",),
    "threads": ("set_threads",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AvgPool2D",
    "BackendError",
    "BatchNorm",
    "CheckpointError",
    "Conv2D",
    "DataError",
    "Dataset",
    "Dense",
    "DivergedError",
    "Ensemble",
    "History",
    "Interrupted",
    "L2Pool2D",
    "MaxPool2D",
    "NbconvError",
    "Network",
    "SettingError",
    "Softmax",
    "__version__",
    "load_data",
    "register_layer",
    "set_threads",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nbconv' has no attribute {name!r}")
    import_module(".errors", __name__).check_environment()
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
