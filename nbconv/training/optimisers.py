"""From a training's settings to the kernels and numbers of its updates."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..activations import function
from ..engine.plan import Descent
from ..layers import LayerSpec, Rates
from .settings import Settings

ADAM_ETA = 0.002  # that suits it, for mini-batches of 10; of gradient descent: see `Function`


def descent(settings: Settings) -> Descent:
    """Which kernels update the parameters."""
    is_clipped = settings.clip_norm is not None
    if settings.optimiser != "sgd":
        return Descent("adam", is_clipped)
    is_plain = not (settings.momentum or settings.lmbda_l1 or is_clipped)
    return Descent("plain" if is_plain else "sgd", is_clipped)


def with_eta(settings: Settings, specs: Sequence[LayerSpec]) -> Settings:
    """The settings, with an eta that suits these layers if they have none.

    It was measured for mini-batches of 10, well below what diverges, grows with the root of their
    size and falls with momentum. The hidden layer that needs the smallest one decides.
    """
    if settings.eta is not None:
        return settings
    hidden = [getattr(spec, "activation", "linear") for spec in specs[:-1]]
    etas = [function(name).eta for name in hidden if name != "linear"]
    eta = ADAM_ETA if settings.optimiser != "sgd" else min(etas, default=function("linear").eta)
    size = math.sqrt(settings.mini_batch_size / 10)
    return replace(settings, eta=float(f"{eta * size * (1 - settings.momentum):.2g}"))


def rates(
    settings: Settings, etas: Sequence[float], examples: int, updates: int
) -> NDArray[np.float64]:
    """The `Rates` of mini-batches with these etas, a row each.

    examples: in an epoch. updates: how many the optimiser has made already: Adam's t - 1.
    """
    is_adam = settings.optimiser != "sgd"
    common = Rates(
        eta=0.0,
        decay=settings.lmbda / examples,
        decay_l1=settings.lmbda_l1 / examples,
        momentum=settings.beta1 if is_adam else settings.momentum,
        nesterov=settings.nesterov,
        beta2=settings.beta2,
        is_decoupled=settings.optimiser == "adamw",
        limit=settings.clip_norm or 0.0,
    )
    rows = np.empty((len(etas), len(common)))
    rows[:] = common
    rows[:, Rates._fields.index("eta")] = etas
    if is_adam:
        t = np.arange(updates + 1, updates + 1 + len(etas), dtype=np.float64)
        for name, beta in (("bias1", settings.beta1), ("bias2", settings.beta2)):
            rows[:, Rates._fields.index(name)] = 1 - beta**t
    return rows
