"""The exponential moving average of a network's weights, taken after each epoch (ema_decay).

It answers, and is evaluated and saved, while the training goes on with its own weights: between two
epochs the engine has the average, and `State.own` keeps those.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ..engine.engine import Engine
from .state import Average, State


def with_epoch(average: Average | None, engine: Engine, decay: float) -> Average | None:
    """The average with the weights that the engine has now, of one more epoch; None if decay is 0.

    See docs/equations.md.
    """
    if not decay:
        return None
    weights = engine.weights()
    if average is None:
        return Average(1, weights)
    epochs = average.epochs + 1
    share = (1 - decay) / (1 - decay**epochs)
    return Average(
        epochs,
        {name: mean + share * (weights[name] - mean) for name, mean in average.weights.items()},
    )


@contextmanager
def using(engine: Engine, average: Average | None) -> Iterator[None]:
    """Within, the engine has the average, if there is one, in the place of its weights."""
    if average is None:
        yield
        return
    own = engine.weights()
    engine.learn(average.weights)
    try:
        yield
    finally:
        engine.learn(own)


def show(engine: Engine, state: State) -> None:
    """Give the engine the average, if there is one; the training's own weights are kept."""
    if state.average and state.own is None:
        state.own = engine.weights()
        engine.learn(state.average.weights)


def hide(engine: Engine, state: State) -> None:
    """Give the engine back what `show` has kept."""
    if state.own is not None:
        engine.learn(state.own)
        state.own = None
