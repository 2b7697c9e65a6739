"""Activation functions by name: "sigmoid", "relu" and the others that `SHOWN` lists.

A parameter follows a colon: "leaky_relu:0.1" has the slope 0.1 for z < 0. NumPy is not imported
here: the command line shows the names in its help.
"""

from typing import Any

from . import checks
from .errors import SettingError
from .kernels.activations import FUNCTIONS, NAMES, Function

Activation = tuple[int, float]  # as the kernels take it: see kernels/activations.py
_shown = [
    name + (f"[:{each.parameter.name.upper()}]" if each.parameter else "")
    for name, each in FUNCTIONS.items()
]
SHOWN = f"{', '.join(_shown[:-1])} or {_shown[-1]}"


def parse(name: str, value: Any) -> Activation:
    """The activation that a setting called `name` asks for. Raises SettingError."""
    function, colon, text = checks.text(name, value).partition(":")
    takes = FUNCTIONS[function].parameter if function in NAMES else None
    if function not in NAMES or (colon and not takes):
        raise SettingError(f"{name} is {value!r}: {checks.expected(function, NAMES)} {SHOWN}")
    if not takes:
        return NAMES.index(function), 0.0
    kind, default, below = takes
    try:
        parameter = float(text) if colon else default
    except ValueError as error:
        raise SettingError(f"{name} is {value!r}: expected {SHOWN}") from error
    checks.number(f"the {kind} of {name} {value!r}", parameter, below=below)
    return NAMES.index(function), parameter


def function(activation: str) -> Function:
    """What is known of an activation; of one of a user's own layer, what is of sigmoid."""
    return FUNCTIONS.get(activation.partition(":")[0], FUNCTIONS["sigmoid"])


def check(name: str, value: Any) -> str:
    """The value, if it names an activation. Raises SettingError."""
    parse(name, value)
    return str(value)


LINEAR = parse("activation", "linear")
