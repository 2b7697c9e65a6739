"""A network as a classifier of scikit-learn (the extra `sklearn`).

It stands wherever scikit-learn takes a classifier: in pipelines, cross-validation, searches and
votes. Importing this module raises SettingError if scikit-learn is missing.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import checks, notation
from .checks import show
from .data.dataset import Dataset, Images, channels_first, four_axes
from .data.splits import set_aside
from .errors import DataError, SettingError, say
from .network import Network
from .threads import limit
from .training.settings import Settings

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise SettingError(
        "scikit-learn is not installed, or older than 1.6: expected pip install 'nbconv[sklearn]'"
    ) from error

Array = NDArray[Any]
FAR = 0.1  # share of values far from the training data's that makes other data likely
NEAR, SEVERAL = 0.125, 10  # the same of a range so small, in so many rows


class NetworkClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """A network that trains and predicts as scikit-learn's classifiers do.

    net: the layers, as 20C3-MP2-100N-N; the last is the softmax layer, and as N, or left out behind
    feature maps, it gets a neuron for each class. activation: of the other layers. input_shape:
    (channels, rows, columns) of the pictures in the rows of a flat X; left out, the network takes X
    as it comes: pictures, or features without neighbours. epochs, mini_batch_size (at most all
    images), eta (None: what suits), lmbda, momentum, optimiser: as for `Network.fit`. dropout: the
    share of the dense layers' inputs left out. class_weight: None, "balanced" or {class: weight},
    by which the cost of its images is multiplied; the weights are divided by their mean over the
    images, so that eta suits as without. initialiser, dtype, backend: as for `Network`.
    threads: as for `Network.fit`. random_state: a whole number is the network's seed; a
    RandomState, or None for NumPy's own, draws one. verbose: print a line for each epoch; in
    a notebook, show bar and curves.

    patience: None, or stop after so many epochs without a better accuracy on validation_fraction of
    the training data, which is set aside by class, and take the weights of the best epoch.

    X: (n, channels, rows, columns), also with the channels last, (n, rows, columns) or
    (n, features), finite numbers. A network takes values in [0, 1], and training data that lie
    there are taken as they are. Others are scaled to [0, 1]: each feature by its own least and
    largest value or, where they are pictures, all pixels by those of all. Values beyond the
    training data's are clipped to their range; a line in the log "nbconv" says so where many are
    far beyond, as levels to 255 are where values to 1 were trained on. y: a class for each, numbers
    or texts.

    Images have no weights: there is no sample_weight.

    Attributes: classes_, n_features_in_, feature_names_in_ (of a table with named columns),
    offset_ and scale_ (the network's input is (X - offset_) / scale_), network_ (the `Network`,
    with its history).
    """

    def __init__(
        self,
        net: str = "100N-N",
        *,
        activation: str = "relu",
        input_shape: Sequence[int] | None = None,
        epochs: int = 30,
        mini_batch_size: int = Settings.mini_batch_size,
        eta: float | None = Settings.eta,
        lmbda: float = Settings.lmbda,
        momentum: float = Settings.momentum,
        optimiser: str = Settings.optimiser,
        dropout: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
        initialiser: str = "auto",
        patience: int | None = None,
        validation_fraction: float = 0.1,
        dtype: str = "float32",
        backend: str = "auto",
        threads: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.net = net
        self.activation = activation
        self.input_shape = input_shape
        self.epochs = epochs
        self.mini_batch_size = mini_batch_size
        self.eta = eta
        self.lmbda = lmbda
        self.momentum = momentum
        self.optimiser = optimiser
        self.dropout = dropout
        self.class_weight = class_weight
        self.initialiser = initialiser
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.dtype = dtype
        self.backend = backend
        self.threads = threads
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NetworkClassifier":
        """Train a new network on X and y. Raises SettingError, DataError, DivergedError."""
        rows, shape = _rows(X)
        rows, y = validate_data(self, rows, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError("y has 1 class: expected at least two")
        self.network_ = self._network(shape)
        self._check_shape(shape or (self.n_features_in_,))
        self.offset_, self.scale_ = _range(rows, is_picture=len(self.network_.input_shape) == 3)
        names = tuple(map(str, self.classes_))
        train, validation = Dataset.from_store(self._store(rows), labels, names), None
        if self.patience is not None:
            share = checks.number(
                "validation_fraction", self.validation_fraction, below=1.0, positive=True
            )
            kept, aside = set_aside(train.labels, share)
            train, validation = train.select(kept), train.select(aside)
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            if not (np.min(weights) >= 0 and weights[labels].any()):
                raise SettingError(
                    f"class_weight is {self.class_weight}: expected numbers of 0 or more, and one "
                    "greater than 0"
                )
            weights = weights / weights[labels].mean()
        size = checks.count("mini_batch_size", self.mini_batch_size)
        threads = self.threads  # joblib gives its processes fewer than there are
        if threads != "auto":
            threads = min(checks.count("threads", threads), limit())
        self.network_.fit(
            train,
            self.epochs,
            min(size, len(train)),
            self.eta,
            self.lmbda,
            self.momentum,
            optimiser=self.optimiser,
            class_weights=weights,
            patience=self.patience,
            validation=validation,
            threads=threads,
            verbose=bool(self.verbose),
        )
        if validation is not None:
            self.network_.restore_best()
        return self

    def predict(self, X: ArrayLike) -> Array:
        """The class of each image: (n,). Raises DataError, sklearn's NotFittedError."""
        labels = self.predict_proba(X).argmax(axis=1)
        classes: Array = self.classes_[labels]
        return classes

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class, in the order of classes_: (n, classes).

        Raises DataError, sklearn's NotFittedError.
        """
        check_is_fitted(self)
        rows, shape = _rows(X)
        rows = validate_data(self, rows, reset=False, dtype=(np.float64, np.float32))
        self._check_shape(shape or (self.n_features_in_,))
        return self.network_.predict_proba(Images(self._store(rows)))

    def _network(self, shape: checks.Shape | None) -> Network:
        """A new network for the classes. shape: of the images in X; None if X is flat."""
        net = notation.completed(checks.text("net", self.net), len(self.classes_))
        if notation.is_shorthand(net):
            raise SettingError(
                f"net is {self.net!r}, whose outputs are no probabilities: expected layers, such "
                "as 100N-N"
            )
        layers = notation.parse(net, self.activation, self.dropout)
        seed = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = check_random_state(seed).randint(2**31 - 1)
        default = shape or (self.n_features_in_,)
        network = Network(
            layers,
            default if self.input_shape is None else self.input_shape,
            backend=self.backend,
            seed=checks.seed("random_state", seed),
            dtype=self.dtype,
            initialiser=self.initialiser,
        )
        if network.classes != len(self.classes_):
            raise SettingError(
                f"net {self.net} ends in {network.classes} neurons, and y has "
                f"{len(self.classes_)} classes: expected N as the last layer"
            )
        return network

    def _check_shape(self, shape: checks.Shape) -> None:
        """Raise DataError unless images of this shape, or such rows, are the network's input."""
        expected = self.network_.input_shape
        if shape != expected and (len(shape) == 3 or math.prod(shape) != math.prod(expected)):
            raise DataError(
                f"X: images are {show(shape)}: expected {show(expected)}, the network's input shape"
            )

    def _store(self, rows: Array) -> Array:
        """Rows (n, features) as the images that the network takes, in [0, 1]."""
        scaled = (rows - self.offset_) / self.scale_
        far = np.count_nonzero((scaled < -1) | (scaled > 2)) / scaled.size
        if far > FAR:
            say(
                f"X: {100 * far:.0f} % of the values are far outside the training data's range and "
                "are clipped to it: expected data of the same kind"
            )
        elif len(rows) >= SEVERAL and np.ptp(scaled) < NEAR:
            say(
                f"X: all values lie within {100 * np.ptp(scaled):.1f} % of the training data's "
                "range: expected data of the same kind; were they scaled otherwise?"
            )
        images: Array = scaled.clip(0, 1).astype(self.network_.dtype, order="C")
        return images.reshape(four_axes((len(rows), *self.network_.input_shape)))


def _rows(X: Any) -> tuple[Any, checks.Shape | None]:
    """Pictures as rows (n, features), and the shape of one; other X as they are, and None."""
    axes = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    if axes < 3:
        return X, None
    images = channels_first(np.asarray(X), "X")
    images = images.reshape(four_axes(images.shape))
    return images.reshape(len(images), -1), images.shape[1:]


def _range(rows: Array, is_picture: bool) -> tuple[Any, Any]:
    """(offset, scale) that take the rows to [0, 1]: numbers, or (features,) each."""
    axis = None if is_picture else 0
    low, high = rows.min(axis=axis).astype(np.float64), rows.max(axis=axis).astype(np.float64)
    if low.min() >= 0 and high.max() <= 1:
        return 0.0, 1.0
    length = high - low
    return low, np.where(length > 0, length, np.inf)  # what never varied is 0
