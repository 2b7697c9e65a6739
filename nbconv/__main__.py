"""python -m nbconv: the command line."""

from .cli import main

main(prog_name="nbconv")
