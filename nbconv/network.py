"""The public class: a network that trains, predicts, is saved and comes back."""

import copy
import inspect
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import backend as backends
from . import checks, display, inputs
from .checkpoint import file as checkpoint_file
from .checkpoint import schema
from .checks import Shape, show
from .data import preparation
from .data.dataset import Dataset, Images, class_name
from .data.labels import ClassNames, confusion_matrix
from .engine.engine import Engine
from .engine.probe import units
from .errors import BackendError, CheckpointError, DataError, SettingError, say
from .files import check_place
from .kernels.interface import Backend
from .layers import LayerSpec, costs, given_layers, to_dict
from .layers.build import check_last
from .layers.recorder import Recorder
from .names import DTYPES, INITIALISERS
from .tables import aligned
from .threads import using as using_threads
from .training import live, monitors, optimisers
from .training.find_eta import find_eta
from .training.history import History
from .training.loop import Metrics, Training
from .training.ranks import Ranks
from .training.settings import Settings, takes_settings
from .training.state import State

Array = NDArray[Any]


class Network:
    """A feedforward network, from the shape of its input to its cost.

    layers: `Conv2D`, `BatchNorm`, `MaxPool2D`, `L2Pool2D`, `AvgPool2D`, `Dense`, the last one
    `Softmax` or `Dense`; or the book's shorthand [784, 30, 10], sigmoid layers with the
    cross-entropy cost. input_shape: (channels, rows, columns) or (pixels,). cost: "log-likelihood"
    behind Softmax, "cross-entropy" behind a sigmoid layer, "quadratic" behind any Dense; left out,
    the one named first that fits. backend: "auto", "cpu", "cuda" or "reference". seed: of the
    initial weights, the order of the images and the dropout. dtype: "float32" or "float64".
    initialiser: "auto" (the book's for sigmoid neurons, He's for ReLUs, Glorot's for others and
    softmax), "default" (the book's), "large", "glorot", "he" or "book3". Raises SettingError,
    BackendError.
    """

    def __init__(
        self,
        layers: Sequence[LayerSpec] | Sequence[int],
        input_shape: int | Sequence[int] | None = None,
        *,
        cost: str | None = None,
        backend: str = "auto",
        seed: int = 0,
        dtype: str | type[np.floating[Any]] = "float32",
        initialiser: str = "auto",
    ):
        specs, shape = given_layers(layers, input_shape)
        self.seed = checks.seed("seed", seed)
        self.dtype = checks.choice("dtype", getattr(dtype, "__name__", dtype), DTYPES)
        self.initialiser = checks.choice("initialiser", initialiser, INITIALISERS)
        self.backend, kernels = backends.select(backend)
        self.specs = specs
        self.input_shape = shape
        last = check_last(specs)
        self.cost_function = costs.choose(cost, type(last).__name__, last.activation)
        self.engine = self._engine(kernels)
        self.classes = last.neurons
        self.state = State()
        self.class_names: ClassNames | None = None
        self.preparation: preparation.Preparation | None = None
        activations = [
            getattr(spec, "activation", "sigmoid") for spec in self.specs_with_parameters
        ]
        has_softmax = type(last).__name__ == "Softmax"
        self.engine.initialise(self.initialiser, self.seed, has_softmax, activations)

    def _engine(self, kernels: Backend) -> Engine:
        """The engine on a backend."""
        recorder, dtype = Recorder(kernels), np.dtype(self.dtype)
        return Engine(self.specs, self.cost_function, self.input_shape, recorder, dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy (copy.copy, copy.deepcopy, pickle) is a network of its own, as far as this one."""
        with self.engine.turns.between():
            made = {
                "cost": self.cost,
                "backend": self.backend,
                "seed": self.seed,
                "dtype": self.dtype,
                "initialiser": self.initialiser,
            }
            learned = self.engine.learned()
            about = self.state.copy(), self.class_names, self.preparation
            return _again, (type(self), self.specs, self.input_shape, made, learned, about)

    @property
    def cost(self) -> str:
        """The name of the cost function."""
        return self.cost_function.name

    @property
    def history(self) -> History:
        """All epochs that the network was trained."""
        return self.state.history

    def __repr__(self) -> str:
        size = f"input {show(self.input_shape)}, {self.engine.count} parameters"
        return f"Network({self.notation}, {size}, {self.backend})"

    @property
    def notation(self) -> str:
        """The layers as the literature writes them: 20C5-MP2-100N-10N."""
        return "-".join(spec.notation for spec in self.specs)

    @property
    def specs_with_parameters(self) -> list[LayerSpec]:
        """The layers that have any, in the order of `parameters` and of the metrics' numbers."""
        both = zip(self.specs, self.engine.layers, strict=True)
        return [spec for spec, layer in both if layer.weights_shape]

    def summary(self) -> str:
        """A table: each layer, the shape of its output, its parameters."""
        return f"{aligned(self.layer_table(), '<<>')}\n{self._about()}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table."""
        head, *rows = self.layer_table()
        return display.table(head, rows, self._about())

    def layer_table(self) -> list[tuple[str, str, str]]:
        """The rows of `summary`, the first of them its heads."""
        rows = [("layer", "output", "parameters"), ("input", show(self.input_shape), "")]
        for spec, layer in zip(self.specs, self.engine.layers, strict=True):
            parameters = math.prod(layer.weights_shape or (0,)) + math.prod(
                layer.biases_shape or (0,)
            )
            rows.append(
                (
                    f"{spec.notation} ({_describe(spec)})",
                    show(layer.output_shape),
                    f"{parameters:,}",
                )
            )
        return rows

    def _about(self) -> str:
        """The line below the table."""
        return (
            f"{self.engine.count:,} parameters, cost {self.cost}, {self.dtype}, "
            f"backend {self.backend}"
        )

    # Training

    @takes_settings
    def fit(
        self,
        train: Dataset,
        epochs: int,
        mini_batch_size: int,
        eta: float | None = None,
        lmbda: float = Settings.lmbda,
        momentum: float = Settings.momentum,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        checkpoint: str | os.PathLike[str] | Callable[[], None] | None = None,
        callback: Callable[[Metrics], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
        threads: int | str = "auto",
        communicator: Any = None,
        verbose: bool | None = None,
        **settings: Any,
    ) -> History:
        """Train for `epochs` more epochs by stochastic gradient descent, and give their history.

        The settings, listed at the end, are the fields of `nbconv.training.settings.Settings`. The
        cost is C + lmbda/(2n) sum w^2 + lmbda_l1/n sum |w|, n the number of training images (with
        expand, 5 times as many). Random distortions are drawn anew each time an image is used; they
        exclude expand. class_weights: "balanced" or a number for each of `classes`, by which the
        cost of each image of the class is multiplied, also as a text, "1,2.5,1". C is the mean over
        a mini-batch of these products; it is not divided by the sum of the weights. "balanced": n /
        (K n_c), of n training images n_c in class c, K the number of classes that have any.
        label_smoothing: with e, the target is 1 - e + e/K for an image's class and e/K for the
        others, K = `classes`. schedule: see `nbconv.training.schedules`; like warm_up it begins
        anew with other settings or data. standardise: mean and standard deviation are those of the
        pixels in [0, 1] of these training images, each channel by itself, and the network's from
        then on, for predictions and further trainings, which must have it on, too; a convolution's
        padding is 0 behind it, the mean. A constant channel is only centred.

        ema_decay: with d, the network that `predict`, `evaluate`, `parameters`, `save` and all else
        have after fit, and that validation and test data are evaluated with, has the exponential
        moving average of the weights after each epoch, d of which is kept at each; also for the
        best epoch. Training goes on with its own weights, now and in further fits. `restore_best`
        and `set_parameters` put others in the place of both; the average then begins anew, as with
        another d. The running statistics of batch normalisations are averaged likewise.

        checkpoint: a file to save to, or a function that saves, after each epoch and when
        interrupted. callback: called after each epoch with its metrics; progress: every few
        mini-batches, with images done and images in all. threads: of the CPU, "auto" for what
        `nbconv.set_threads` says, which is "auto" again, the fastest number, if it has not been
        called; results do not depend on it. verbose: a bar and curves in a notebook, and in a
        script a line for each epoch; left out, in a notebook only.

        shards: a mini-batch is cut into so many parts, a power of two; their gradients are computed
        alone, with random numbers of their own, and added up in a fixed order. communicator:
        mpi4py's, of processes that all call this function with the same network, data and settings
        and share the shards; results depend on the shards and not on how many processes there are.
        checkpoint, callback and progress are rank 0's; what fails on one rank alone ends all. BN
        layers and shards exclude each other. See docs/machines.md.

        Metrics: "cost" (mean over the epoch's mini-batches, before each one's update, and the only
        one with class_weights and label_smoothing), "seconds" (training alone), "validation_..."
        and (with monitor_training) "training_..." "cost" and "accuracy", "test_accuracy" at the
        best validation epoch so far; with monitor_layers those of `monitor` for the first 1,000
        training images, with ema_decay those of the training's own weights. Accuracies are shares
        in [0, 1].

        SIGINT and SIGTERM stop between two mini-batches, after saving, with Interrupted; a second
        one at once. A cost or weight that becomes infinite, NaN or larger than 1e12 raises
        DivergedError; the network is then as it was after the last whole epoch of this fit, or
        before it. Raises SettingError, also while another fit of this network is under way,
        DataError, CheckpointError.
        """
        ranks, begin = Ranks.of(communicator), self.state.epoch
        with ExitStack() as stack:
            stack.enter_context(ranks.all_or_none())
            with ranks.agreeing():
                stack.enter_context(self.engine.turns.training())
                _self, *names = inspect.signature(Network.fit).parameters
                checks.known(settings, names)
                inputs.check_data(self, train, "train")
                checked = Settings(
                    epochs=begin + checks.count("epochs", epochs),
                    mini_batch_size=mini_batch_size,
                    eta=eta,
                    lmbda=lmbda,
                    momentum=momentum,
                    **settings,
                )
                checked = optimisers.with_eta(checked, self.specs)
                for name, data in (("validation", validation), ("test", test)):
                    if data is not None:
                        inputs.check_data(self, data, name, like=train)
                if validation is None and checked.needs_validation:
                    raise SettingError(
                        "patience and the schedule 'halve' look at the validation accuracy: "
                        "expected validation data"
                    )
                if train.class_names or not self.state.step:
                    self.class_names = train.class_names
                self.preparation = train.preparation
                save = checkpoint if callable(checkpoint) else (lambda: None)
                if checkpoint is not None and not callable(checkpoint):
                    file = checks.path("checkpoint", checkpoint)
                    check_place(file)
                    save = partial(self.save, file)
                callback, progress = live.telling(
                    verbose if ranks.is_first else False,
                    self.history,
                    checked.epochs,
                    callback,
                    progress,
                )
                stack.enter_context(using_threads(threads))
                training = Training(
                    self.engine,
                    self.state,
                    self.seed,
                    checked,
                    train,
                    validation,
                    test,
                    save,
                    callback,
                    progress,
                    ranks,
                )
            if ranks.is_first and self._can_precompile:
                compiling = backends.compiling_meanwhile(
                    self.engine.backend,
                    "nbconv.runs.precompile",
                    partial(self._precompile_description, checked, train.store.dtype),
                )
                stack.enter_context(compiling)
            training.run()
        return self.history.since(begin)

    def find_eta(
        self, train: Dataset, mini_batch_size: int = 10, **settings: Any
    ) -> dict[str, Any]:
        """{"eta": a good one, "etas": (k,), "costs": (k,)}: etas tried, and the cost each reached.

        Each eta trains a copy of this network on the same images, chosen at random: one epoch of
        100 mini-batches, of more if these are fewer than 3,000 images, or of the whole data set; 3
        and then 9 epochs if no eta is better than guessing. Its cost is the mean over the last
        epoch, infinite where the training diverged. The good eta is the smallest with which the
        cost comes down at least nine tenths as far as with the best one. settings: those of `fit`,
        such as optimiser and momentum. The network stays as it is. `plots.etas` draws the result.
        Raises SettingError, DataError.
        """
        return find_eta(self, train, mini_batch_size, settings)

    @property
    def _can_precompile(self) -> bool:
        """Whether another process knows the layers: it does not know a user's own."""
        return all(type(spec).__module__.startswith(f"{__package__}.") for spec in self.specs)

    def _precompile_description(self, settings: Settings, images: np.dtype[Any]) -> str:
        """What `nbconv.runs.precompile` has to know of this network and its training, as JSON."""
        described = {"cost": self.cost, "dtype": self.dtype, "backend": self.backend}
        layers = [to_dict(spec) for spec in self.specs]
        given = {
            "layers": layers,
            "input_shape": self.input_shape,
            "settings": described,
            "descent": optimisers.descent(settings),
            "distortion": settings.distortion,
            "shards": settings.shards,
            "images": images.str,
            "count": max(1, settings.mini_batch_size // settings.shards),
        }
        return json.dumps(given, default=lambda number: number.item())  # NumPy's numbers

    def restore_best(self) -> None:
        """Take the weights, and running statistics, of the best validation accuracy's epoch.

        Raises SettingError if there is none.
        """
        if self.state.best is None:
            raise SettingError(
                "there is no best epoch yet: expected a fit with validation data before"
            )
        best = self.state.best
        with self.engine.turns.between():
            self.engine.learn({"parameters": best.parameters, "statistics": best.statistics})
            self.state.begin_average_anew()

    # Using it

    def predict(self, images: ArrayLike | Images) -> NDArray[np.int64]:
        """The class of each image: (n,).

        images: (n, channels, rows, columns), also with the channels last, or (n, pixels), or one
        image: levels of the training images' kind or values in [0, 1], taken as they are. Pictures
        of other sizes and kinds: `prepare`. Raises DataError.
        """
        z = self.engine.outputs(inputs.store(self, images), has_activation=False)
        labels: NDArray[np.int64] = z.argmax(axis=1)
        return labels

    def predict_proba(self, images: ArrayLike | Images) -> Array:
        """The last layer's activations, (n, classes): behind Softmax, probabilities.

        Raises DataError.
        """
        return self.engine.outputs(inputs.store(self, images), has_activation=True)

    def prepare(self, pictures: Any) -> Array:
        """Pictures made like the training images: (n, channels, rows, columns) in [0, 1].

        pictures: a path, a PIL picture or an array (rows, columns), (channels, rows, columns) or
        (rows, columns, channels), of any size, or a sequence of them. They are turned upright and
        resized, proportions kept; inverted if their border and mean say so; and if the training
        images are ink on one background, of one size, in the middle, as MNIST's, they are made so.
        Raises DataError.
        """
        if isinstance(pictures, Iterator):
            pictures = list(pictures)
        is_one = not isinstance(pictures, (list, tuple)) and getattr(pictures, "ndim", 2) < 4
        if isinstance(pictures, np.ndarray) and pictures.ndim == 3 and 1 not in pictures.shape:
            is_one = min(pictures.shape[0], pictures.shape[2]) in (3, 4)
        given = [pictures] if is_one else list(pictures)
        if not given:
            raise DataError("no pictures were given: expected at least one")
        named = [
            (str(item) if isinstance(item, str | os.PathLike) else f"picture {k}", item)
            for k, item in enumerate(given)
        ]
        return np.stack([each.image for each in self.prepared(named)])

    def prepared(self, items: Iterable[tuple[str, Any]]) -> Iterator[preparation.Prepared]:
        """`prepare`, one by one and with what was done to each. items: (name, picture)."""
        return preparation.prepare(items, self.picture_shape, self.preparation)

    @property
    def picture_shape(self) -> Shape:
        """(channels, rows, columns) of the pictures the network takes.

        Where it takes pixels alone: of the training images; before a training a square.
        """
        if len(self.input_shape) == 3:
            return self.input_shape
        (pixels,) = self.input_shape
        shape = self.preparation.shape if self.preparation else None
        if shape and math.prod(shape) == pixels:
            return shape
        side = math.isqrt(pixels)
        return (1, side, side) if side**2 == pixels else (1, 1, pixels)

    def name_of(self, label: int) -> str:
        """The name of a class; its number where it has none."""
        return class_name(self.class_names, label)

    def evaluate(self, data: Dataset, *, per_class: bool = False) -> dict[str, Any]:
        """{"cost": mean without regularisation, "accuracy": in [0, 1], "correct": n, "total": n}.

        per_class: also "precision", "recall", "f1", each (classes,), NaN where a class was never
        predicted or is not there, and "confusion", (classes, classes): how many images of class j
        were taken for class k.
        """
        inputs.check_data(self, data, "data")
        cost, correct = self.engine.evaluate(data)
        result: dict[str, Any] = {
            "cost": cost / len(data),
            "accuracy": correct / len(data),
            "correct": correct,
            "total": len(data),
        }
        if per_class:
            result |= by_class(data.labels, self.predict(data.images), self.classes)
        return result

    def gradients(self, images: ArrayLike | Images, labels: ArrayLike) -> list[dict[str, Array]]:
        """The mean gradient of the cost, in the structure of `parameters`.

        Without regularisation, dropout, class_weights and label_smoothing. Batch normalisations use
        their running statistics, as they do for predictions.
        """
        data = Dataset.from_store(inputs.pixels(self, images), labels, self.class_names)
        inputs.check_data(self, data, "images")
        flat = self.engine.mean_gradient(data)
        return self._dicts(flat)

    def activations(
        self, images: ArrayLike | Images, *, each_layer: bool = False
    ) -> list[tuple[str, Array]]:
        """[("20C5-MP2", a), ...]: the activations of each layer.

        a: (n, channels, rows, columns) or (n, neurons). A convolution and the max pooling behind it
        are one: the activation comes after the pooling. With each_layer they are two, ("20C5", a)
        and ("MP2", a), and the pooling's a are the largest of the convolution's. Raises DataError.
        """
        names = [spec.notation for spec in self.specs]
        if not each_layer:
            rest = iter(names)
            names = ["-".join(next(rest) for _ in unit) for unit in units(self.engine.layers)]
        arrays = monitors.activations(self.engine, inputs.pixels(self, images), each_layer)
        return list(zip(names, arrays, strict=True))

    def monitor(self, data: Dataset) -> dict[str, float]:
        """How each layer with parameters, k = 1, 2, ..., stands on these images.

        Dropout and regularisation are left out. speed_k: length of dC/db, the layer's speed of
        learning (chapter 5); gradient_norm_k: of dC/dw; weight_norm_k: of w. Of hidden layers
        saturated_k: share of sigmoid or tanh activations where sigma'(z) is below 5 % of its
        largest value; or dead_k: share of ReLU neurons (or feature maps) that are 0 for every
        image. Raises DataError.
        """
        inputs.check_data(self, data, "data")
        return monitors.measure(self.engine, data)

    def parameters(self) -> list[dict[str, Array]]:
        """[{"weights": ..., "biases": ...}, ...], copies, one for each layer that has any.

        Weights of a convolution: (filters, channels, rows, columns); of a dense layer: (neurons
        out, neurons in); of a batch normalisation: gamma, (channels,), and beta its biases. Its
        running statistics are not among them.
        """
        return self._dicts(self.engine.read(self.engine.parameters).copy())

    def set_parameters(self, parameters: Sequence[dict[str, ArrayLike]]) -> None:
        """Take copies of these, in the structure of `parameters`, in the place of all weights.

        There is no best epoch then. Raises SettingError, and then changes nothing.
        """
        flat = np.empty(self.engine.count, self.dtype)
        targets = self.engine.views(flat)
        if not isinstance(parameters, Sequence) or len(parameters) != len(targets):
            raise SettingError(
                f"parameters are {parameters!r:.80}: expected a list of {len(targets)} dicts, one "
                "for each layer with any"
            )
        for index, (given, pair) in enumerate(zip(parameters, targets, strict=True)):
            if not isinstance(given, Mapping) or set(given) != {"weights", "biases"}:
                raise SettingError(
                    f"parameters {index} are {given!r:.80}: expected a dict of weights and biases"
                )
            for name, target in zip(("weights", "biases"), pair, strict=True):
                expected = f"expected {target.shape}, finite numbers of {self.dtype}"
                try:
                    value = np.asarray(given[name])
                except ValueError as error:
                    raise SettingError(
                        f"parameters {index}: {name} are no array ({error}): {expected}"
                    ) from error
                if value.shape != target.shape or value.dtype.kind not in "iuf":
                    raise SettingError(
                        f"parameters {index}: {name} have the shape {value.shape} and dtype "
                        f"{value.dtype}: {expected}"
                    )
                with np.errstate(all="ignore"):
                    target[...] = value
                if not np.isfinite(target).all():
                    raise SettingError(f"parameters {index}: {name} are not all finite: {expected}")
        with self.engine.turns.between():
            self.engine.write(self.engine.parameters, flat)
            self.state.begin_average_anew()
            self.state.best = None

    def to(self, backend: str) -> "Network":
        """This network, with its training so far, on another backend: "cpu", "cuda" or "reference".

        Raises BackendError, and SettingError while it is being trained.
        """
        self.engine.turns.not_training("moved")
        name, kernels = backends.select(backend)
        if kernels is not self.engine.backend:
            engine = self._engine(kernels)
            engine.learn(self.engine.learned())
            self.engine = engine
        self.backend = name
        return self

    def _dicts(self, flat: Array) -> list[dict[str, Array]]:
        return [
            {"weights": weights, "biases": biases} for weights, biases in self.engine.views(flat)
        ]

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: weights, velocity, history, best weights and how far the training is.

        Raises CheckpointError.
        """
        with self.engine.turns.between():
            checkpoint_file.save(checks.path("path", path), schema.contents_of(self))

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write an .onnx file, with which programs without nbconv predict (the extra `onnx`).

        images: float32, (n, ...) with the input's shape, in [0, 1]. probabilities, or activations
        where the last layer is not Softmax: (n, classes). labels: (n,). A float64 network is
        exported in float32. Raises SettingError.
        """
        from .onnx import export

        export(self, checks.path("path", path))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, backend: str = "auto", weights: str = "last"
    ) -> "Network":
        """A network from a checkpoint, ready to go on training.

        weights: "last", or "best" for its best epoch's, if there is one; of a training with
        ema_decay both are averages. Raises CheckpointError unless every name, type, shape and bit
        is as it was saved.
        """
        checks.choice("weights", weights, ("last", "best"))
        contents = checkpoint_file.load(checks.path("path", path))
        try:
            network = cls(**schema.arguments_of(contents, backend))
            schema.take(network, contents)
        except (SettingError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{path} is no checkpoint of a network: {error}") from error
        if weights == "best" and network.state.best:
            network.restore_best()
        return network


def by_class(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int
) -> dict[str, Array]:
    """Precision, recall, F1 and confusion matrix, as `Network.evaluate` gives them."""
    confusion = confusion_matrix(labels, predictions, classes)
    right = np.diag(confusion).astype(float)
    with np.errstate(invalid="ignore"):
        return {
            "precision": right / confusion.sum(axis=0),
            "recall": right / confusion.sum(axis=1),
            "f1": 2 * right / (confusion.sum(axis=0) + confusion.sum(axis=1)),
            "confusion": confusion,
        }


def _describe(spec: LayerSpec) -> str:
    settings = {
        name: value
        for name, value in to_dict(spec).items()
        if name in ("activation", "dropout") and value
    }
    described = [
        type(spec).__name__,
        *(f"dropout {v:g}" if k == "dropout" else str(v) for k, v in settings.items()),
    ]
    return ", ".join(
        part for part in described if part != "linear" or type(spec).__name__ != "Softmax"
    )


def _again(
    kind: type[Network],
    specs: Sequence[LayerSpec],
    shape: Shape,
    made: dict[str, Any],
    learned: Mapping[str, Array],
    about: tuple[State, ClassNames | None, preparation.Preparation | None],
) -> Network:
    """The network that `Network.__reduce__` describes."""
    try:
        network = kind(specs, shape, **made)
    except BackendError as error:
        say(f"the network was on {made['backend']}, which is missing here: {error}")
        network = kind(specs, shape, **{**made, "backend": "auto"})
    network.engine.learn(learned)
    network.state, network.class_names, network.preparation = copy.deepcopy(about)
    return network
