"""The settings of a training. Each stands here once: its default, its help, its check.

The options of `nbconv train`, the names in CONFIG.toml, the arguments of `Network.fit`, and what a
checkpoint keeps and compares come from these fields. NumPy is not imported here: the command line
reads them for its help.
"""

import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .. import checks
from ..checks import Checked, setting
from ..errors import SettingError
from ..names import OPTIMISERS
from . import schedules

if TYPE_CHECKING:
    from ..layers import Distortion

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Settings(Checked):
    """The settings of a training; with the same settings, data and seed it gives the same bits."""

    epochs: int = setting(60, "Number of epochs.", checks.count)
    mini_batch_size: int = setting(10, "Images in a mini-batch.", checks.count)
    eta: float | None = setting(
        None,
        "Learning rate, greater than 0; left out, what suits the activations, the optimiser and "
        "the size of a mini-batch.",
        checks.number,
        positive=True,
    )
    lmbda: float = setting(
        0.0, "L2 regularisation: lmbda/(2n) sum of w^2 is added to the cost.", checks.number
    )
    lmbda_l1: float = setting(
        0.0, "L1 regularisation: lmbda_l1/n sum of |w| is added to the cost.", checks.number
    )
    class_weights: str | None = setting(
        None,
        "Weight of each class in the cost: balanced, or a number for each, such as 1,2.5,1.",
        checks.class_weights,
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the labels spread evenly over all classes, in [0, 1).",
        checks.number,
        below=1.0,
    )
    optimiser: str = setting(
        "sgd",
        "sgd: gradient descent, with momentum; adam; adamw: Adam with decoupled weight decay.",
        checks.choice,
        choices=OPTIMISERS,
    )
    momentum: float = setting(0.0, "Momentum, in [0, 1).", checks.number, below=1.0)
    nesterov: bool = setting(False, "Nesterov's momentum.", checks.flag)
    beta1: float = setting(
        0.9, "Adam: share of the mean gradient that is kept, in [0, 1).", checks.number, below=1.0
    )
    beta2: float = setting(
        0.999, "Adam: share of the mean square that is kept, in [0, 1).", checks.number, below=1.0
    )
    clip_norm: float | None = setting(
        None,
        "Scale gradients whose norm, of all layers together, is larger down to it.",
        checks.number,
        positive=True,
    )
    schedule: str = setting(
        "constant",
        "Learning rate schedule: constant, cosine[:N], one-cycle[:N], halve:N or step:N:FACTOR.",
        schedules.check,
    )
    warm_up: float = setting(
        0.0, "Epochs over which eta rises from 0, besides the schedule.", checks.number
    )
    ema_decay: float = setting(
        0.0,
        "Share that each epoch keeps of an exponential moving average of the weights, which then "
        "answers in their place, in [0, 1).",
        checks.number,
        below=1.0,
    )
    patience: int | None = setting(
        None, "Stop after this many epochs without a better validation accuracy.", checks.count
    )
    shards: int = setting(
        1,
        "Into how many parts mini-batches are cut, for processes to share; a power of two.",
        checks.power_of_two,
    )
    shuffle_chunks: int = setting(
        0,
        "Shuffle chunks of the images, and images within this many chunks: each is read once an "
        "epoch; 0: all images together.",
        checks.count,
        least=0,
    )
    expand: bool = setting(
        False, "Also train on each image moved by a pixel in four directions.", checks.flag
    )
    standardise: bool = setting(
        False,
        "Read pixels less the training images' mean, divided by their standard deviation, each "
        "channel by itself.",
        checks.flag,
    )
    monitor_training: bool = setting(
        False, "Record the cost and accuracy on the training images.", checks.flag
    )
    monitor_layers: bool = setting(
        False, "Record each layer's speed of learning, norms and stuck neurons.", checks.flag
    )
    rotate: float = setting(
        0.0,
        "Rotate training images at random, by at most this many degrees.",
        checks.number,
        below=360.0,
    )
    zoom: float = setting(
        0.0,
        "Scale rows and columns of training images at random, by at most this share.",
        checks.number,
        below=1.0,
    )
    shift: float = setting(
        0.0, "Shift training images at random, by at most this many pixels.", checks.number
    )
    elastic: float = setting(
        0.0, "Bend training images at random, by at most this many pixels.", checks.number
    )
    flip: bool = setting(False, "Mirror half of the training images, at random.", checks.flag)
    crop: int = setting(
        0,
        "Crop training images at random from their picture with this many pixels of 0 around it.",
        checks.count,
        least=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shards > self.mini_batch_size:
            raise SettingError(
                f"shards is {self.shards} and mini_batch_size is {self.mini_batch_size}: expected "
                "at least one image in each shard of a mini-batch"
            )
        if self.nesterov and not self.momentum:
            raise SettingError(
                "nesterov is on and momentum is 0: expected a momentum greater than 0, such as 0.9"
            )
        if self.momentum and self.optimiser != "sgd":
            raise SettingError(
                f"momentum is {self.momentum:g} with the optimiser {self.optimiser}: expected "
                "beta1, which is Adam's momentum"
            )
        if self.expand and self.distortion:
            raise SettingError(
                "expand is on, and so is a distortion (rotate, zoom, shift, elastic, flip, "
                "crop): expected one of the two"
            )

    @property
    def needs_validation(self) -> bool:
        """Whether validation accuracies decide about the training."""
        return self.patience is not None or self.schedule.startswith("halve")

    @property
    def distortion(self) -> "Distortion | None":
        """How much images are distorted, if they are."""
        from ..layers import Distortion

        most = Distortion(
            math.radians(self.rotate),
            self.zoom,
            self.shift,
            self.elastic,
            0.5 * self.flip,
            float(self.crop),
        )
        return most if any(most) else None

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON."""
        return asdict(self)


def takes_settings(function: Function) -> Function:
    """Show the fields of `Settings` in signature and docstring of a method with **settings.

    Where an argument is missing, one that another library calls so is told by its name here.
    """
    signature = inspect.signature(function)
    parameters = dict(signature.parameters)
    del parameters["settings"]
    lines = []
    for each in fields(Settings):
        keyword = inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        shown = parameters.setdefault(each.name, keyword)
        default = "" if shown.default is shown.empty else f" = {shown.default!r}"
        lines.append(f"    {each.name}{default}: {each.metadata['help']}")
    described = inspect.cleandoc(function.__doc__ or "")
    _self, *names = parameters
    required = [name for name in names if parameters[name].default is inspect.Parameter.empty]

    @functools.wraps(function)
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        if not set(required[len(arguments) :]) <= set(named):
            checks.known(named, names)
        return function(self, *arguments, **named)

    method.__doc__ = "\n".join([described, "", "Settings:", "", *lines])
    signature = signature.replace(parameters=list(parameters.values()))
    # What inspect and help read; mypy knows no such attribute of a function.
    method.__signature__ = signature  # type: ignore[attr-defined]
    return cast("Function", method)
