"""How the kernels are compiled: the flags, the folder of compiled kernels, the threading layer.

Numba's own cache looks only at the file that a kernel stands in, not at the files of the functions
it calls. The folder chosen here is named after a hash of all kernel sources, so an edit anywhere is
seen.
"""

import atexit
import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numba

# "nnan" and "ninf" are left out: with them the guards against NaN would be compiled away. Only sums
# of products may be reordered, which is what lets them be vectorised; in `scalar.exp_negative` the
# order carries the precision.
FLAGS: dict[str, Any] = {
    "cache": True,
    "fastmath": {"contract", "nsz", "arcp"},
    "error_model": "numpy",
}
PLAIN: dict[str, Any] = {
    "cache": True,
    "error_model": "numpy",
}  # to the bit what Python does with NumPy's numbers
PARALLEL: dict[str, Any] = {**FLAGS, "parallel": True}
SUMS: dict[str, Any] = {**PARALLEL, "fastmath": FLAGS["fastmath"] | {"reassoc"}}
INNER: dict[str, Any] = {
    **SUMS,
    "parallel": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
INLINE: dict[str, Any] = {**INNER, "forceinline": True}
FORMULA: dict[str, Any] = {**INNER, "fastmath": FLAGS["fastmath"]}


def _sources_hash() -> str:
    """Twelve hexadecimal digits over every kernel source and numba's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser(
        "~/.cache"
    )  # no home: a folder named ~ is not made
    return Path(base) / "nbconv" / "kernels"


def _writable(folder: Path) -> bool:
    if not folder.is_absolute() and folder.parts[:1] == ("~",):
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _choose_cache() -> tuple[Path, bool]:
    """NUMBA_CACHE_DIR or the user's cache, in a folder of this version's own.

    a temporary one, not kept, if unwritable.
    """
    root = (
        Path(os.environ["NUMBA_CACHE_DIR"]) if os.environ.get("NUMBA_CACHE_DIR") else _cache_root()
    )
    folder = root / _sources_hash()
    if not _writable(folder):
        logging.getLogger("nbconv").warning(
            "compiled kernels cannot be kept in %s, which cannot be written, and are compiled for "
            "this run alone: "
            "set NUMBA_CACHE_DIR to a folder that can",
            folder,
        )
        folder = Path(tempfile.mkdtemp(prefix="nbconv-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder, False
    return folder, True


CACHE, CACHE_IS_KEPT = _choose_cache()
config: Any = numba.config
config.CACHE_DIR = str(CACHE)
# OpenMP's threads wait for each other by spinning: by default for milliseconds, which starves them
# all where another program wants a core too. Half a millisecond bridges the gaps between kernels
# (benchmarks/neighbour.py).
os.environ.setdefault("GOMP_SPINCOUNT", "12000")
# A parallel region costs about 1 microsecond with omp and 100 with workqueue.
config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


def cache_is_cold() -> bool:
    """Whether no kernel has been compiled into the cache yet."""
    return next(CACHE.rglob("*.nbi"), None) is None
