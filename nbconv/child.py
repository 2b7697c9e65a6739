"""Starting one of this package's modules as a process."""

import sys
from pathlib import Path

# What `python -m MODULE ARGUMENTS` does, but for the current folder, whose files could take the place of any module:
# -P leaves it out. nbconv's own place comes last, so that the child finds nbconv wherever its parent did.
_RUN = "import runpy, sys; del sys.argv[0]; sys.path.append(sys.argv.pop(0)); runpy.run_module(sys.argv[0], run_name='__main__')"


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module as `__main__` with these arguments, for `subprocess`."""
    return [sys.executable, "-P", "-c", _RUN, str(Path(__file__).parent.parent), module, *arguments]
