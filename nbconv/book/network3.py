"""The book's `network3`: convolution, pooling, softmax, dropout, on the CPU or a GPU (chapter 6).

Names, arguments, attributes, return values and printed lines are the book's. The arithmetic is done
by nbconv's engine in float32. The regularised cost is chapter 6's: cost + lmbda / (2 m) * sum of
squared weights, where m is the number of training mini-batches. docs/book.md lists the quirks.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import backend as backends
from .. import checks
from ..data import load_data
from ..data.dataset import Dataset, check_pixels, image_store
from ..engine.engine import Engine
from ..errors import DataError, DivergedError, SettingError, say
from ..layers import Conv2D, Dense, LayerSpec, MaxPool2D, Randomness, Rates
from ..layers.costs import LogLikelihood
from ..layers.recorder import Recorder
from .column_vectors import sigmoid
from .mnist_loader import arrays

__all__ = [
    "GPU", "ConvPoolLayer", "FullyConnectedLayer", "Network", "ReLU", "Shared", "SoftmaxLayer",
    "linear", "load_data_shared", "sigmoid", "size", "tanh",
]  # fmt: skip

Array = NDArray[Any]
Pair = tuple["Shared", "Shared"]
GPU = True  # whether new networks use the GPU, if there is one
BATCHES_PER_CALL = 100  # mini-batches in one call of the engine, which cannot be interrupted


def linear(z: Any) -> Any:
    """z."""
    return z


def ReLU(z: Any) -> Any:
    """max(0, z)."""
    return np.maximum(0.0, z)


def tanh(z: Any) -> Any:
    """tanh(z)."""
    return np.tanh(z)


ACTIVATIONS: dict[Any, str] = {linear: "linear", ReLU: "relu", sigmoid: "sigmoid", tanh: "tanh"}


def _activation(activation_fn: Any) -> str:
    """The engine's name for an activation function. Raises SettingError."""
    if activation_fn not in ACTIVATIONS:
        raise SettingError(
            f"activation_fn is {activation_fn!r}: expected network3's linear, ReLU, sigmoid or tanh"
        )
    return ACTIVATIONS[activation_fn]


class Shared:
    """A mutable array, like a shared variable of Theano: data, or a layer's w or b.

    Once a layer is part of a network, its w and b are stored in the engine.
    """

    def __init__(self, values: ArrayLike):
        self._values = np.asarray(values)
        self._engine: Engine | None = None

    def get_value(self, borrow: bool = False) -> Array:
        """A copy of the array; with `borrow` maybe the array itself, which must not be changed."""
        values = self._values if self._engine is None else _turned(self._engine.read(self._values))
        return values if borrow else values.copy()

    def eval(self) -> Array:
        """A copy of the array."""
        return self.get_value()

    def set_value(self, new_value: ArrayLike, borrow: bool = False) -> None:
        """Set the array to a copy of new_value; borrow has no effect.

        Raises SettingError if the layer is part of a network and the shape differs.
        """
        if self._engine is None:
            self._values = np.array(new_value, self._values.dtype)
            return
        values = np.asarray(new_value)
        shape = self.get_value(borrow=True).shape
        if values.shape != shape:
            raise SettingError(
                f"set_value was given an array of the shape {values.shape}: expected {shape}"
            )
        self._engine.write(self._values, _turned(values))

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: the values, without the engine."""
        return {"_values": self.get_value(), "_engine": None}

    @property
    def is_placed(self) -> bool:
        """Whether the values are in a network's engine."""
        return self._engine is not None

    def place(self, engine: Engine, view: Array) -> None:
        """Move the values to one of the engine's arrays, where they are stored from now on."""
        values = self.get_value()
        self._engine = engine
        self._values = view
        self.set_value(values)


def _turned(values: Array) -> Array:
    """Convert weights from the engine's layout to the book's, or back.

    The book's convolution flips its kernels, as Theano does; its dense weights are (n_in, n_out).
    """
    return values[:, :, ::-1, ::-1] if values.ndim == 4 else values.T


class _Layer:
    """The base of the layers.

    specs: the engine's layers that it stands for. inputs: the shape of an image, or (neurons,).
    """

    specs: list[LayerSpec]
    inputs: tuple[int, ...]

    def _draw(self, weights_shape: tuple[int, ...], biases: int, n_out: float) -> None:
        """Draw w from N(0, 1 / n_out), then b from N(0, 1), with NumPy's global generator."""
        w = np.random.normal(0.0, np.sqrt(1 / n_out), weights_shape)
        self._set_parameters(w, np.random.normal(0.0, 1.0, (biases,)))

    def _set_parameters(self, w: Array, b: Array) -> None:
        self.w = Shared(w.astype(np.float32))
        self.b = Shared(b.astype(np.float32))
        self.params = [self.w, self.b]


class ConvPoolLayer(_Layer):
    """A convolution, max pooling, then bias and activation.

    filter_shape: (filters, channels, rows, columns), the shape of w. image_shape: (mini-batch size,
    channels, rows, columns) of the input. poolsize: (rows, columns) of a window. b: (filters,).
    Raises SettingError.
    """

    def __init__(
        self,
        filter_shape: Sequence[int],
        image_shape: Sequence[int],
        poolsize: Sequence[int] = (2, 2),
        activation_fn: Callable[[Any], Any] = sigmoid,
    ):
        for name, shape in (("filter_shape", filter_shape), ("image_shape", image_shape)):
            if len(shape) != 4:
                raise SettingError(f"{name} is {shape}: expected four numbers")
            for number in shape:
                checks.count(f"a part of {name}", number)
        if filter_shape[1] != image_shape[1]:
            raise SettingError(
                f"filter_shape is {filter_shape}: expected {image_shape[1]} channels, as in "
                "image_shape"
            )
        self.filter_shape = filter_shape
        self.image_shape = image_shape
        self.poolsize = poolsize
        self.activation_fn = activation_fn
        filters, _, rows, columns = filter_shape
        convolution = Conv2D(filters, (rows, columns), activation=_activation(activation_fn))
        self.specs = [convolution, MaxPool2D((poolsize[0], poolsize[1]))]
        self.inputs = tuple(image_shape[1:])
        self._draw(tuple(filter_shape), filters, filters * rows * columns / math.prod(poolsize))


class FullyConnectedLayer(_Layer):
    """A dense layer; in training each input is dropped with the probability p_dropout.

    w: (n_in, n_out). b: (n_out,). Raises SettingError.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation_fn: Callable[[Any], Any] = sigmoid,
        p_dropout: float = 0.0,
    ):
        self.n_in = n_in
        self.n_out = n_out
        self.activation_fn = activation_fn
        self.p_dropout = p_dropout
        self.inputs = (checks.count("n_in", n_in),)
        self.specs = [Dense(n_out, _activation(activation_fn), p_dropout, "book")]
        self._draw((n_in, n_out), n_out, n_out)


class SoftmaxLayer(_Layer):
    """The last layer: softmax, with the log-likelihood cost.

    w: (n_in, n_out). b: (n_out,). Both are 0 at first. p_dropout: as in FullyConnectedLayer.
    Raises SettingError.
    """

    def __init__(self, n_in: int, n_out: int, p_dropout: float = 0.0):
        self.n_in = n_in
        self.n_out = n_out
        self.p_dropout = p_dropout
        self.inputs = (checks.count("n_in", n_in),)
        self.specs = [Dense(n_out, "linear", p_dropout, "book")]
        self._set_parameters(np.zeros((n_in, n_out)), np.zeros(n_out))


class Network:
    """A network of layers, of which the last is a SoftmaxLayer, for mini-batches of one size.

    params: w and b of each layer. test_mb_predictions(j): the predicted labels, (mini_batch_size,),
    for mini-batch j of SGD's test data; it exists once SGD has been called. Raises SettingError if
    a layer does not fit the one before it.
    """

    test_mb_predictions: Callable[[int], NDArray[np.int64]]

    def __init__(self, layers: Sequence[Any], mini_batch_size: int):
        if not layers or not isinstance(layers[-1], SoftmaxLayer):
            raise SettingError(
                "the last layer is not a SoftmaxLayer: expected one, because network3's cost is "
                "the log-likelihood"
            )
        self.layers = layers
        self.mini_batch_size = checks.count("mini_batch_size", mini_batch_size)
        self.params = [param for layer in layers for param in layer.params]
        recorder = Recorder(backends.select("auto" if GPU else "cpu")[1])
        specs = [spec for layer in layers for spec in layer.specs]
        inputs = layers[0].inputs
        self.engine = Engine(specs, LogLikelihood(), inputs, recorder, np.dtype(np.float32))
        self._check()
        if any(layer.w.is_placed for layer in layers):
            say(
                "layers of another network are now this one's: it alone trains them, and the other "
                "one no longer changes them; copy.deepcopy(layers) gives each its own"
            )
        for layer, (w, b) in zip(layers, self.engine.views(self.engine.parameters), strict=True):
            layer.w.place(self.engine, w)
            layer.b.place(self.engine, b)
        self._step = 0  # mini-batches trained in all; the random numbers of dropout depend on it

    def __reduce__(self) -> tuple[Any, ...]:
        """For deep copies and pickles: an independent network with the same state."""
        state = {name: value for name, value in vars(self).items() if name != "engine"}
        return type(self), (self.layers, self.mini_batch_size), state

    def _check(self) -> None:
        """Raise SettingError unless each layer fits the one before it and the mini-batch size."""
        shape = self.engine.input_shape
        built = iter(self.engine.layers)
        for number, layer in enumerate(self.layers, 1):
            is_flat = len(layer.inputs) == 1
            if layer.inputs != ((math.prod(shape),) if is_flat else shape):
                raise SettingError(
                    f"layer {number} takes an input of {layer.inputs}: expected {shape}, the "
                    "output of the one before it"
                )
            if not is_flat and layer.image_shape[0] != self.mini_batch_size:
                raise SettingError(
                    f"layer {number} has the image_shape {layer.image_shape}: expected "
                    f"mini_batch_size, {self.mini_batch_size}, first"
                )
            shape = [next(built).output_shape for _ in layer.specs][-1]

    def SGD(
        self,
        training_data: Pair,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        validation_data: Pair,
        test_data: Pair,
        lmbda: float = 0.0,
    ) -> None:
        """Train, and print the validation accuracy after each epoch.

        If it is the best to date, the test accuracy is printed, too. Each pair (x, y): x (n,
        pixels) real values and y (n,) labels, as from `load_data_shared`. Images that do not fill a
        mini-batch are not used. Raises SettingError, DataError; DivergedError if the cost grows
        without bound.
        """
        if mini_batch_size != self.mini_batch_size:
            raise SettingError(
                f"mini_batch_size is {mini_batch_size}: expected the network's, "
                f"{self.mini_batch_size}"
            )
        training = self._whole("training_data", training_data)
        validation = self._whole("validation_data", validation_data)
        test = self._whole("test_data", test_data)
        self.test_mb_predictions = partial(self._predictions, test)
        order = np.arange(len(training)).reshape(-1, mini_batch_size)
        decay = checks.number("lmbda", lmbda) / len(order)
        rates = Rates(checks.number("eta", eta), decay)
        best_validation_accuracy = 0.0
        for epoch in range(checks.count("epochs", epochs)):
            self._train(training, order, rates, epoch)
            validation_accuracy = self._accuracy(validation)
            print(f"Epoch {epoch}: validation accuracy {validation_accuracy:.2%}")
            if validation_accuracy >= best_validation_accuracy:
                print("This is the best validation accuracy to date.")
                best_validation_accuracy = validation_accuracy
                best_iteration = (epoch + 1) * len(order) - 1
                test_accuracy = self._accuracy(test)
                print(f"The corresponding test accuracy is {test_accuracy:.2%}")
        print("Finished training network.")
        best = f"{best_validation_accuracy:.2%} obtained at iteration {best_iteration}"
        print(f"Best validation accuracy of {best}")
        print(f"Corresponding test accuracy of {test_accuracy:.2%}")

    def _train(self, data: Dataset, order: Array, rates: Rates, epoch: int) -> None:
        """Train one epoch on the mini-batches in the rows of `order`. Raises DivergedError."""
        engine = self.engine
        engine.write(engine.sums, 0)
        start = epoch * len(order)
        iteration = start
        while iteration < start + len(order):
            if iteration % 1000 == 0:
                print(f"Training mini-batch number {iteration}")
            first = iteration - start
            rows = order[first : first + BATCHES_PER_CALL - iteration % BATCHES_PER_CALL]
            now, each = Randomness(0, self._step), np.tile(rates, (len(rows), 1))
            finite = engine.descend(data, rows, now, each)
            if finite < len(rows):
                raise DivergedError(
                    f"the cost is beyond all bounds at iteration {iteration + finite}: try a "
                    "smaller eta"
                )
            iteration += len(rows)
            self._step += len(rows)

    def _whole(self, name: str, data: Pair) -> Dataset:
        """The images that fill whole mini-batches. name: of the data, for errors.

        Raises DataError.
        """
        x, y = (part.get_value(borrow=True) for part in data)
        images = image_store(x)
        pixels = self.engine.pixels
        check_pixels(images, only_unit_range=False)
        if math.prod(images.shape[1:]) != math.prod(pixels):
            raise DataError(
                f"{name}: images have the shape {x.shape[1:]}: expected {math.prod(pixels)} pixels"
            )
        count = len(images) // self.mini_batch_size * self.mini_batch_size
        dataset = Dataset.from_store(images.reshape(-1, *pixels), y)
        classes = self.layers[-1].n_out
        if not count or dataset.classes > classes:
            raise DataError(
                f"{name}: {len(images)} images with labels up to {dataset.classes - 1}: expected a "
                f"mini-batch of {self.mini_batch_size} or more, and labels below {classes}"
            )
        return dataset[:count]

    def _accuracy(self, data: Dataset) -> float:
        return self.engine.evaluate(data)[1] / len(data)

    def _predictions(self, data: Dataset, j: int) -> NDArray[np.int64]:
        """The predicted labels, (mini_batch_size,), for mini-batch j."""
        images = data.store[j * self.mini_batch_size : (j + 1) * self.mini_batch_size]
        outputs = self.engine.outputs(images, has_activation=False)
        labels: NDArray[np.int64] = outputs.argmax(axis=1)
        return labels


def size(data: Pair) -> int:
    """The number of images."""
    return len(data[0].get_value(borrow=True))


def load_data_shared(filename: str = "../data/mnist.pkl.gz") -> tuple[Pair, Pair, Pair]:
    """(x, y) of training, validation and test data: x (n, 784) float32 in [0, 1], y (n,) int32.

    If the file is named mnist.pkl.gz and does not exist, the data is `nbconv.load_data("mnist")`.
    Raises DataError.
    """
    path = Path(filename)
    if not path.exists() and path.name == "mnist_expanded.pkl.gz":
        raise DataError(
            f"{path} does not exist: make it with python -m nbconv.book.expand_mnist {path}"
        )
    if not path.exists() and path.name != "mnist.pkl.gz":
        raise DataError(
            f"{path} does not exist: expected the book's mnist.pkl.gz or a file like it"
        )
    sets = load_data(path if path.exists() else "mnist")
    training, validation, test = (
        (Shared(x), Shared(y.astype(np.int32))) for x, y in map(arrays, sets)
    )
    return training, validation, test
