"""Learning-rate schedules: eta is multiplied by a factor. All are functions, without state.

Epochs count from where a training with these settings and data began; the whole run ends at its
last one.

"constant"        always 1
"halve:N"         halved after each N epochs without a better validation accuracy
                  (exercise in chapter 3)
"step:N:F"        multiplied by F after every N epochs (F is 0.1 if omitted)
"cosine[:E]"      from 1 to 0 along half a cosine over E epochs, or over the whole run
                  (Loshchilov, Hutter 2017)
"one-cycle[:E]"   from 1/25 up to 1 in the first 30 % of E epochs, or of the whole run, then down
                  to 1/10,000, along half cosines (Smith, Topin 2019)
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..checks import expected
from ..errors import SettingError
from ..names import SCHEDULES

# factor(epochs since then, fractions included) is what eta is multiplied by.
Factor = Callable[[float], float]
# schedule(epochs of the whole run, validation accuracies since then): the next epoch's factor.
Schedule = Callable[[int, Sequence[float]], Factor]


def epochs_without_improvement(accuracies: Sequence[float]) -> int:
    """The number of epochs since the (first) best one; 0 if there are none."""
    return len(accuracies) - 1 - accuracies.index(max(accuracies)) if accuracies else 0


def _halvings(accuracies: Sequence[float], patience: int) -> int:
    """How often `patience` epochs in a row have brought no better accuracy."""
    best = -math.inf
    waited = 0
    halvings = 0
    for accuracy in accuracies:
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
        if waited == patience:
            halvings += 1
            waited = 0
    return halvings


def _cosine(progress: float, begin: float = 1.0, end: float = 0.0) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def _one_cycle(progress: float) -> float:
    rise = 0.3
    if progress < rise:
        return _cosine(progress / rise, 1 / 25, 1.0)
    return _cosine((progress - rise) / (1 - rise), 1.0, 1 / 10_000)


def _power(factor: float, times: int) -> float:
    try:
        return factor**times
    except OverflowError:
        return math.inf  # the training diverges, and says so


def _whole(text: str) -> int:
    """A number of epochs. Raises ValueError."""
    if not 0 < (number := int(text)) <= 10**9:
        raise ValueError
    return number


def _constant(factor: float) -> Factor:
    return lambda epoch: factor


def parse(text: str) -> Schedule:
    """The schedule with a name such as "halve:10". Raises SettingError."""
    name, *numbers = str(text).split(":")
    try:
        if name == "constant" and not numbers:
            return lambda epochs, accuracies: _constant(1.0)
        if name == "halve" and len(numbers) == 1:
            patience = _whole(numbers[0])
            return lambda epochs, accuracies: _constant(0.5 ** _halvings(accuracies, patience))
        if name == "step" and len(numbers) in (1, 2):
            length = _whole(numbers[0])
            factor = float(numbers[1]) if len(numbers) == 2 else 0.1
            if factor > 0 and math.isfinite(factor):
                return lambda epochs, accuracies: lambda epoch: _power(factor, int(epoch) // length)
        if name in ("cosine", "one-cycle") and len(numbers) <= 1:
            length = _whole(numbers[0]) if numbers else 0
            curve = _one_cycle if name == "one-cycle" else _cosine
            return lambda epochs, accuracies: lambda epoch: curve(epoch / (length or epochs))
    except ValueError:
        pass  # not a number: the error below says what was expected
    kinds = [kind.partition(":")[0] for kind in SCHEDULES]
    near = "expected" if name in kinds else expected(name, kinds)
    raise SettingError(
        f"schedule is {text!r}: {near} constant, halve:N, step:N:FACTOR, cosine[:N] or "
        "one-cycle[:N]"
    )


def check(name: str, value: Any) -> str:
    """The text of a schedule, for the setting of that name. Raises SettingError."""
    parse(value)
    return str(value)
