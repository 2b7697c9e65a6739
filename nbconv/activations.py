"""Activation functions by name: "sigmoid", "tanh", "relu", "linear", "leaky_relu".

A parameter follows a colon: "leaky_relu:0.1" has the slope 0.1 for z < 0. NumPy is not imported
here: the command line shows the names in its help.
"""

from typing import Any

from . import checks
from .errors import SettingError
from .kernels.activations import NAMES, PARAMETERS

Activation = tuple[int, float]  # as the kernels take it: see kernels/activations.py
_shown = [
    name + (f"[:{PARAMETERS[name].name.upper()}]" if name in PARAMETERS else "") for name in NAMES
]
SHOWN = f"{', '.join(_shown[:-1])} or {_shown[-1]}"


def parse(name: str, value: Any) -> Activation:
    """The activation that a setting called `name` asks for. Raises SettingError."""
    function, colon, text = checks.text(name, value).partition(":")
    if function not in NAMES or (colon and function not in PARAMETERS):
        raise SettingError(f"{name} is {value!r}: {checks.expected(function, NAMES)} {SHOWN}")
    if function not in PARAMETERS:
        return NAMES.index(function), 0.0
    kind, default, below = PARAMETERS[function]
    try:
        parameter = float(text) if colon else default
    except ValueError as error:
        raise SettingError(f"{name} is {value!r}: expected {SHOWN}") from error
    checks.number(f"the {kind} of {name} {value!r}", parameter, below=below)
    return NAMES.index(function), parameter


def check(name: str, value: Any) -> str:
    """The value, if it names an activation. Raises SettingError."""
    parse(name, value)
    return str(value)


LINEAR = parse("activation", "linear")
