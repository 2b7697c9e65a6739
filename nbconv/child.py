"""Running one of this package's modules in a child process."""

import sys
from pathlib import Path

# Like `python -m MODULE ARGUMENTS`, except for the module path. -P leaves out the current folder,
# whose files could shadow any module. nbconv is loaded from the parent's folder, which may be
# a checkout although another nbconv is installed.
_RUN = """
import runpy, sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

folder, module = sys.argv[1:3]
del sys.argv[:2]
spec = PathFinder.find_spec("nbconv", [folder])
sys.modules["nbconv"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["nbconv"])
runpy.run_module(module, run_name="__main__")
"""


def command(module: str, *arguments: str) -> list[str]:
    """The command line, for `subprocess`, that runs a module as `__main__` with these arguments."""
    return [sys.executable, "-P", "-c", _RUN, str(Path(__file__).parent.parent), module, *arguments]
