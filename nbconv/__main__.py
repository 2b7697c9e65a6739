"""The program: python -m nbconv, and the installed command."""

import os
import sys


def run() -> None:
    """Run the command line.

    Closed standard streams become the null device: a file that is opened later, such as
    a checkpoint, would take their numbers, and be written into.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 -- as long as the process
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        from .cli import main
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    main(prog_name="nbconv")


if __name__ == "__main__":
    run()
