"""Chapter 5, "Why are deep neural networks hard to train?": its numbers, figures, and remedies.

The book's numbers are as stated in its text, or read off its figures.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..layers import Dense, Softmax
from ..network import Network
from .context import Context
from .tables import statistics

NAMES = {hidden: "-".join(["784", *["30"] * hidden, "10"]) for hidden in (1, 2, 3, 4)}
# Below, keys are numbers of hidden layers.
ACCURACIES = {1: 96.48, 2: 96.90, 3: 96.57, 4: 96.53}  # of the validation images, in percent
SETTINGS: dict[str, Any] = {
    "data": "mnist",
    "epochs": 30,
    "mini_batch_size": 10,
    "eta": 0.1,
    "lmbda": 5.0,
}
# The speed of learning, |dC/db|, of each hidden layer at the start.
SPEEDS = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}
IMAGES = 1000  # training images for the speeds of learning
EPOCHS = 500  # of batch gradient descent for the curves
# The speeds during training by epoch, read off the book's figures.
CURVES: dict[int, dict[int, tuple[float, ...]]] = {
    2: {
        0: (0.066, 0.31),
        10: (0.0089, 0.04),
        50: (0.001, 0.0013),
        100: (0.0015, 0.0019),
        200: (0.0021, 0.0034),
        300: (0.0025, 0.0052),
        400: (0.003, 0.0075),
        499: (0.0034, 0.0096),
    },
    3: {
        0: (0.012, 0.06, 0.28),
        10: (0.002, 0.01, 0.06),
        50: (8.5e-5, 3.3e-4, 0.0016),
        100: (8.1e-5, 2.8e-4, 0.0014),
        200: (8.2e-5, 2.6e-4, 0.0013),
        300: (8.5e-5, 2.4e-4, 0.0013),
        400: (8.6e-5, 2.3e-4, 0.0013),
        499: (8.6e-5, 2.2e-4, 0.0013),
    },
    4: {
        0: (0.003, 0.017, 0.07, 0.29),
        10: (2.7e-4, 0.0015, 0.0084, 0.037),
        50: (2.1e-5, 4.8e-5, 2.5e-4, 0.001),
        100: (1.8e-5, 4.2e-5, 2.2e-4, 9.6e-4),
        200: (1.5e-5, 3.7e-5, 2.1e-4, 9.5e-4),
        300: (1.2e-5, 3.3e-5, 2e-4, 9.4e-4),
        400: (1e-5, 2.9e-5, 1.9e-4, 9.3e-4),
        499: (8.2e-6, 2.6e-5, 1.8e-4, 9.2e-4),
    },
}
REMEDIES: dict[str, dict[str, Any]] = {
    "sigmoid, N(0, 1/n) (the book's)": {"activation": "sigmoid", "initialiser": "default"},
    "sigmoid, Glorot": {"activation": "sigmoid", "initialiser": "glorot"},
    "sigmoid, N(0, 1/n), momentum 0.9": {
        "activation": "sigmoid",
        "initialiser": "default",
        "momentum": 0.9,
    },
    "tanh, Glorot": {"activation": "tanh", "initialiser": "glorot"},
    "ReLU, He": {"activation": "relu", "initialiser": "he"},
}


def accuracy(context: Context) -> None:
    """The validation accuracies with one to four hidden layers."""
    rows = []
    for hidden, name in NAMES.items():
        settings = {**SETTINGS, "net": name, "epochs": _epochs_of_sgd(context)}
        runs = context.trained(name, settings, context.seeds)
        accuracies = statistics([run.validation_accuracy for run in runs])
        seconds = float(np.mean([run.seconds for run in runs]))
        rows.append([name, ACCURACIES[hidden], *accuracies.values(), len(runs), seconds])
    columns = {
        "network": "",
        "book, %": ".2f",
        "best, %": ".2f",
        "mean, %": ".2f",
        "spread": ".2f",
        "runs": "d",
        "s a run": ".0f",
    }
    context.table(
        f"Validation accuracy of deeper networks, {_epochs_of_sgd(context)} epochs, mini-batch 10, "
        "eta 0.1, lmbda 5",
        columns,
        *rows,
    )


def _speeds(network: Network, data: Dataset) -> list[float]:
    """The speed of learning of each hidden layer."""
    metrics = network.monitor(data)
    return [metrics[f"speed_{k}"] for k in range(1, len(network.specs))]


def speeds(context: Context) -> None:
    """The speed of learning of each hidden layer at the start, for twenty seeds."""
    data = context.mnist[0][:IMAGES]
    seeds = range(context.seed, context.seed + 20)
    rows = []
    for hidden, book in SPEEDS.items():
        name = NAMES[hidden]
        sizes = [784, *[30] * hidden, 10]
        networks = (Network(sizes, seed=seed, backend=context.backend) for seed in seeds)
        measured = np.array([_speeds(network, data) for network in networks])
        for layer, stated in enumerate(book):
            ours = measured[:, layer]
            rows.append([name, layer + 1, stated, ours.mean(), ours.min(), ours.max()])
        stated = book[-1] / book[0]
        ratio = measured[:, -1] / measured[:, 0]
        rows.append([name, "last / first", stated, np.median(ratio), ratio.min(), ratio.max()])
    columns = {
        "network": "",
        "hidden layer": "d",
        "book": ".3g",
        "mean": ".3g",
        "least": ".3g",
        "most": ".3g",
    }
    title = (
        f"Speed of learning at the start, {IMAGES:,} images, seeds {seeds[0]} to {seeds[-1]} "
        "(of ratios the median)"
    )
    context.table(title, columns, *rows)


def _epochs_of_sgd(context: Context) -> int:
    return 5 if context.quick else int(SETTINGS["epochs"])


def _epochs(context: Context) -> int:
    return 100 if context.quick else EPOCHS


def _course(context: Context, network: Network, **options: Any) -> list[list[float]]:
    """The speed of learning of each hidden layer before and after each epoch.

    Trains by batch gradient descent on IMAGES images. options: for `Network.fit`.
    """
    data = context.mnist[0][:IMAGES]
    epochs = _epochs(context)
    before = _speeds(network, data)
    history = network.fit(
        data,
        epochs,
        IMAGES,
        SETTINGS["eta"],
        SETTINGS["lmbda"],
        monitor_layers=True,
        verbose=False,
        **options,
    )
    return [[first, *history[f"speed_{k}"]] for k, first in enumerate(before, 1)]


def curves(context: Context) -> None:
    """The speeds of learning over 500 epochs of batch gradient descent."""
    from .. import plots

    def listed(speeds: Sequence[float]) -> str:
        return " ".join(f"{speed:.2g}" for speed in speeds)

    rows: list[list[Any]] = []
    for hidden, points in CURVES.items():
        name = NAMES[hidden]
        context.on_line(f"{name}: {_epochs(context)} epochs on {IMAGES:,} images")
        sizes = [784, *[30] * hidden, 10]
        course = _course(context, Network(sizes, seed=context.seed, backend=context.backend))
        axes = plots.course(course, points, title=f"{name}: speed of learning")
        caption = (
            f"Speed of learning of {hidden} hidden layers, batch gradient descent on {IMAGES:,} "
            f"images, seed {context.seed}: lines; the book's figure at some epochs: hollow marks"
        )
        context.picture(f"speeds-{hidden}-layers", caption, axes)
        for epoch, book in points.items():
            if epoch < len(course[0]):
                ours = [speeds[epoch] for speeds in course]
                ratios = book[-1] / book[0], ours[-1] / ours[0]
                rows.append([name, epoch, listed(book), listed(ours), *ratios])
    columns = {
        "network": "",
        "epoch": "d",
        "book, by layer": "",
        "ours": "",
        "book, last / first": ".1f",
        "ours, last / first": ".1f",
    }
    context.table(f"Speed of learning during training, seed {context.seed}", columns, *rows)


def bars(context: Context) -> None:
    """dC/db of the first six neurons of each hidden layer at the start."""
    from .. import plots

    data = context.mnist[0][:IMAGES]
    network = Network([784, 30, 30, 10], seed=context.seed, backend=context.backend)
    gradients = network.gradients(data.images, data.labels)[:-1]
    axes = plots.bars([gradient["biases"][:6] for gradient in gradients])
    layers = "both hidden layers at the start"
    caption = f"dC/db of the first six neurons of {layers}, seed {context.seed}"
    context.picture("bars", caption, axes)


def sigma(context: Context) -> None:
    """The sigmoid function and its derivative, which is at most 1/4."""
    from .. import plots

    context.picture("sigma", "The sigmoid function and its derivative", plots.sigma())


def _chain(
    weights: list[float], biases: list[float], x: float
) -> tuple[list[float], list[float], list[float]]:
    """A chain of single neurons with the input x and the cost C = (a - 1)^2 / 2.

    Returns (terms w_j sigma'(z_j), dC/db by backpropagation, dC/db by central differences), one
    number per layer each.
    """
    network = Network(
        [Dense(1) for _ in weights], 1, cost="quadratic", dtype="float64", backend="cpu"
    )
    data = Dataset(np.array([[x]]), np.array([0]))

    def cost(biases: list[float]) -> float:
        pairs = zip(weights, biases, strict=True)
        network.set_parameters([{"weights": [[w]], "biases": [b]} for w, b in pairs])
        return float(network.evaluate(data)["cost"])

    a = x
    terms = []
    for w, b in zip(weights, biases, strict=True):
        a = 1 / (1 + math.exp(-(w * a + b)))
        terms.append(w * a * (1 - a))
    h = 1e-3 / max(1.0, abs(math.prod(terms)))
    differences = []
    for j, b in enumerate(biases):
        above = cost([*biases[:j], b + h, *biases[j + 1 :]])
        below = cost([*biases[:j], b - h, *biases[j + 1 :]])
        differences.append((above - below) / (2 * h))
    cost(biases)  # sets the parameters back
    gradients = [float(layer["biases"][0]) for layer in network.gradients(data.images, data.labels)]
    return terms, gradients, differences


def chain(context: Context) -> None:
    """dC/db_1 in a chain of four neurons as a product of terms, which vanishes or explodes."""
    random = np.random.default_rng(context.seed)
    small_weights = [math.tanh(w) for w in random.normal(size=4)]
    small_biases = list(random.normal(size=4))
    cases = {
        "vanishing: w and b from N(0, 1), |w| < 1": (small_weights, small_biases),
        "exploding: w = 100, b so that z = 0": ([100.0] * 4, [-80.0, -50.0, -50.0, -50.0]),
    }
    rows: list[list[Any]] = []
    for name, (weights, biases) in cases.items():
        terms, gradients, differences = _chain(weights, biases, x=0.8)
        da_4 = gradients[3] / (terms[3] / weights[3])  # dC/da_4
        product = terms[0] / weights[0] * terms[1] * terms[2] * terms[3] * da_4
        listed = " ".join(f"{term:.3g}" for term in terms[1:])
        ratio = abs(gradients[2] / gradients[0])
        rows.append([name, listed, product, gradients[0], differences[0], ratio])
    columns = {
        "case": "",
        "w_j sigma'(z_j), j = 2, 3, 4": "",
        "dC/db_1, the product": ".6g",
        "by backpropagation": ".6g",
        "by central differences": ".6g",
        "dC/db_3 over dC/db_1": ".3g",
    }
    context.table("The chain of single neurons, C = (a_4 - 1)^2 / 2, input 0.8", columns, *rows)


def remedies(context: Context) -> None:
    """The speeds of learning with other activations, initialisers and momentum.

    The network has four hidden layers and a softmax layer.
    """
    from .. import plots

    rows: list[list[Any]] = []
    courses = {}
    for number, (name, remedy) in enumerate(REMEDIES.items(), 1):
        layers = [Dense(30, activation=remedy["activation"]) for _ in range(4)]
        network = Network(
            [*layers, Softmax(10)],
            784,
            seed=context.seed,
            initialiser=remedy["initialiser"],
            backend=context.backend,
        )
        course = _course(context, network, momentum=remedy.get("momentum", 0.0))
        courses[name] = course
        settings = {
            **SETTINGS,
            **remedy,
            "net": "30N-30N-30N-30N-10N",
            "epochs": _epochs_of_sgd(context),
        }
        run = context.trained(f"remedy-{number}", settings, [context.seed])[0]
        epochs = (0, 20, len(course[0]) - 1)
        ratios = [course[-1][epoch] / course[0][epoch] for epoch in epochs]
        rows.append([name, course[0][0], *ratios, run.validation_accuracy])
    columns = {
        "784-30-30-30-30-10 with softmax": "",
        "speed of layer 1 at the start": ".2g",
        "last / first at the start": ".1f",
        "after 20 epochs": ".1f",
        "at the end": ".1f",
        f"validation after {_epochs_of_sgd(context)} epochs on 50,000 images, %": ".2f",
    }
    context.table(f"Remedies, seed {context.seed}", columns, *rows)
    caption = f"Speed of learning of four hidden layers, seed {context.seed}"
    context.picture("remedies", caption, plots.courses(courses))


PARTS: dict[str, Callable[[Context], None]] = {
    part.__name__: part for part in (accuracy, speeds, curves, bars, sigma, chain, remedies)
}
