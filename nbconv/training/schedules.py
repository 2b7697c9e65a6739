"""Learning-rate schedules: a factor on eta from how far the training is. None has a state of its own.

"constant"        1 throughout
"halve:N"         halved whenever the validation accuracy has not improved for N epochs (chapter 3, exercise)
"step:N:F"        times F after every N epochs (F is 0.1 if left out)
"cosine[:E]"      from 1 down to 0 along half a cosine over E epochs, or the whole run (Loshchilov, Hutter 2017)
"one-cycle[:E]"   up from 1/25 for 30 % of the way, then down to 1/10,000 of it (Smith, Topin 2019)
"""

import math
from collections.abc import Callable, Sequence

from ..errors import SettingError

# schedule(epochs of the whole run, validation accuracies so far) gives one epoch's factor(epochs done, a real number)
Factor = Callable[[float], float]
Schedule = Callable[[int, Sequence[float]], Factor]


def epochs_without_improvement(accuracies: Sequence[float]) -> int:
    """How many epochs ago the best one was; 0 if it is the last or there is none."""
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def _halvings(accuracies: Sequence[float], patience: int) -> int:
    best, waited, halvings = -math.inf, 0, 0
    for accuracy in accuracies:
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
        if waited == patience:
            halvings, waited = halvings + 1, 0
    return halvings


def _cosine(progress: float, high: float, low: float) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def _one_cycle(progress: float) -> float:
    rise = 0.3
    if progress < rise:
        return _cosine(progress / rise, 1 / 25, 1.0)
    return _cosine((progress - rise) / (1 - rise), 1.0, 1 / 10_000)


def _constant(factor: float) -> Factor:
    return lambda epoch: factor


def parse(text: str) -> Schedule:
    """The schedule that a name such as "halve:10" stands for. Raises SettingError."""
    name, *numbers = str(text).split(":")
    try:
        if name == "constant" and not numbers:
            return lambda epochs, accuracies: _constant(1.0)
        if name == "halve" and len(numbers) == 1 and int(numbers[0]) > 0:
            patience = int(numbers[0])
            return lambda epochs, accuracies: _constant(0.5 ** _halvings(accuracies, patience))
        if name == "step" and len(numbers) in (1, 2) and int(numbers[0]) > 0:
            length, factor = int(numbers[0]), float(numbers[1]) if len(numbers) == 2 else 0.1
            if factor > 0 and math.isfinite(factor):
                return lambda epochs, accuracies: lambda epoch: factor ** (int(epoch) // length)
        if name in ("cosine", "one-cycle") and len(numbers) <= 1:
            length = int(numbers[0]) if numbers else 0
            curve = (
                _one_cycle
                if name == "one-cycle"
                else (lambda progress: _cosine(progress, 1.0, 0.0))
            )
            if length > 0 or not numbers:
                return lambda epochs, accuracies: lambda epoch: curve(epoch / (length or epochs))
    except ValueError:
        pass  # a number that is none: the line below says what was expected
    raise SettingError(
        f"schedule is {text!r}: expected constant, halve:N, step:N:FACTOR, cosine[:N] or one-cycle[:N]"
    )
