"""Dropout as `network3` has it: inputs left out in training, and multiplied by 1 - p where nothing is trained.

Ours divides those kept in training by 1 - p instead, and leaves the others alone. For the same w and eta that is another
gradient descent: the gradient by w is larger by the factor 1 / (1 - p), and w smaller by it in a network that does the same.
"""

from dataclasses import dataclass

from ..layers import Dense


@dataclass(frozen=True)
class ScaledDense(Dense):
    """A dense layer over its kept inputs in training, over (1 - dropout) times all inputs otherwise."""

    @property
    def scales(self) -> tuple[float, float]:
        """What inputs are multiplied by: those kept while training, and all of them otherwise."""
        return 1.0, 1 - self.dropout
