"""The cost functions: what the last layer's neurons become, and where delta begins.

The equations are those of one image without weights and smoothing; kernels/interface.py has all.
"""

from ..activations import parse
from ..errors import SettingError
from ..kernels.interface import Array, Kernels


class LogLikelihood:
    """C = -ln a_y behind a softmax layer, equation (80)."""

    name = "log-likelihood"

    def activate(self, kernels: Kernels, z: Array) -> None:
        """a = softmax(z), in z's place."""
        kernels.softmax(z, z)

    def delta(
        self, kernels: Kernels, delta: Array, sums: Array, z: Array, labels: Array, weights: Array,
        smoothing: float, scale: float,
    ) -> None:  # fmt: skip
        """delta = dC/dz scale; the cost and the right answers are added to sums."""
        kernels.log_likelihood(delta, sums, z, labels, weights, smoothing, scale)


class _WithActivation:
    """A cost behind a dense layer with an activation of its own."""

    name: str

    def __init__(self, activation: str):
        self.activation = parse("activation", activation)

    def activate(self, kernels: Kernels, z: Array) -> None:
        """a = sigma(z), in z's place."""
        kernels.activation_forward(z.reshape(-1), self.activation)


class CrossEntropy(_WithActivation):
    """C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)] behind a sigmoid layer, equation (63)."""

    name = "cross-entropy"

    def delta(
        self, kernels: Kernels, delta: Array, sums: Array, z: Array, labels: Array, weights: Array,
        smoothing: float, scale: float,
    ) -> None:  # fmt: skip
        """delta = dC/dz scale; the cost and the right answers are added to sums."""
        kernels.cross_entropy(delta, sums, z, labels, weights, smoothing, scale)


class Quadratic(_WithActivation):
    """C = |a - y|^2 / 2 behind any dense layer, equation (6)."""

    name = "quadratic"

    def delta(
        self, kernels: Kernels, delta: Array, sums: Array, z: Array, labels: Array, weights: Array,
        smoothing: float, scale: float,
    ) -> None:  # fmt: skip
        """delta = dC/dz scale; the cost and the right answers are added to sums."""
        kernels.quadratic(delta, sums, z, labels, weights, smoothing, scale, self.activation)


Cost = LogLikelihood | CrossEntropy | Quadratic


def choose(name: str | None, last_layer: str, activation: str) -> Cost:
    """The cost of that name, or the last layer's own.

    Raises SettingError if the two do not fit each other.
    """
    if name is None:
        name = (
            "log-likelihood"
            if last_layer == "Softmax"
            else "cross-entropy"
            if activation == "sigmoid"
            else "quadratic"
        )
    if name == "log-likelihood" and last_layer == "Softmax":
        return LogLikelihood()
    if name == "cross-entropy" and last_layer == "Dense" and activation == "sigmoid":
        return CrossEntropy(activation)
    if name == "quadratic" and last_layer == "Dense":
        return Quadratic(activation)
    given = "Softmax" if last_layer == "Softmax" else f"Dense with activation {activation}"
    raise SettingError(
        f"cost is {name!r} behind a last layer {given}: expected log-likelihood behind Softmax, "
        "cross-entropy behind a sigmoid Dense, or quadratic behind any Dense"
    )
