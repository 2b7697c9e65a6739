"""Running one of this package's modules in a child process."""

import sys
from pathlib import Path

# Like `python -m MODULE ARGUMENTS`, except for the module path. -P leaves out the current folder,
# whose files could shadow any module. nbconv's own folder comes last, so that the child finds the
# same nbconv as its parent.
_RUN = (
    "import runpy, sys; del sys.argv[0]; sys.path.append(sys.argv.pop(0)); "
    "runpy.run_module(sys.argv[0], run_name='__main__')"
)


def command(module: str, *arguments: str) -> list[str]:
    """The command line, for `subprocess`, that runs a module as `__main__` with these arguments."""
    return [sys.executable, "-P", "-c", _RUN, str(Path(__file__).parent.parent), module, *arguments]
