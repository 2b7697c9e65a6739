"""Dropout as in `network3`: in training inputs are dropped, in evaluation multiplied by 1 - p.

The engine's dropout divides the inputs that are kept in training by 1 - p instead. With the same w
and eta that is a different gradient descent: dC/dw is larger by the factor 1 / (1 - p), and for the
same outputs w is smaller by this factor.
"""

from dataclasses import dataclass

from ..layers import Dense


@dataclass(frozen=True)
class ScaledDense(Dense):
    """A dense layer with the book's dropout; `dropout` is the probability p."""

    @property
    def scales(self) -> tuple[float, float]:
        """The factors for the inputs: of those kept in training, and of all in evaluation."""
        return 1.0, 1 - self.dropout
