"""Running one of this package's modules in a child process."""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .errors import NbconvError

# Like `python -m MODULE ARGUMENTS`, except for the module path. -P leaves out the current folder,
# whose files could shadow any module. nbconv is loaded from the parent's folder, which may be
# a checkout although another nbconv is installed. What only the parent's path has comes last.
_RUN = """
import json, runpy, sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

folder, path, module = sys.argv[1:4]
del sys.argv[:3]
sys.path += [place for place in json.loads(path) if place not in sys.path]
spec = PathFinder.find_spec("nbconv", [folder])
sys.modules["nbconv"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["nbconv"])
runpy.run_module(module, run_name="__main__")
"""


def end_with_parent(end: Callable[[], object]) -> None:
    """Call `end` when the parent has ended: standard input is a pipe that closes then."""

    def wait() -> None:
        os.read(0, 1)
        end()

    threading.Thread(target=wait, daemon=True).start()


def why_not() -> str | None:
    """What keeps this program from starting child processes; None if nothing does.

    In a frozen program, or where Python is embedded, sys.executable is another program, which would
    start once more.
    """
    if getattr(sys, "frozen", False) or not Path(sys.executable or "").name.lower().startswith(
        ("python", "pypy")
    ):
        return f"sys.executable is {sys.executable!r}: expected a Python interpreter"
    return None


def command(module: str, *arguments: str) -> list[str]:
    """The command line, for `subprocess`, that runs a module as `__main__` with these arguments.

    Raises NbconvError where there is no Python to run it.
    """
    if reason := why_not():
        raise NbconvError(f"this needs a process of its own, and {reason}")
    folder, here = str(Path(__file__).parent.parent), os.path.realpath(os.curdir)
    path = [each for each in sys.path if os.path.isabs(each) and os.path.realpath(each) != here]
    return [sys.executable, "-P", "-c", _RUN, folder, json.dumps(path), module, *arguments]
