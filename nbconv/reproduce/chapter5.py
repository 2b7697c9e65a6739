"""Chapter 5, "Why are deep neural networks hard to train?": its numbers, its figures, and what mends it.

The book's numbers stand here as it states them, or as its figures can be read.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.dataset import Dataset
from ..layers import Dense, Softmax
from ..network import Network
from .context import Context
from .tables import statistics

NAMES = {hidden: "-".join(["784", *["30"] * hidden, "10"]) for hidden in (1, 2, 3, 4)}
ACCURACIES = {1: 96.48, 2: 96.90, 3: 96.57, 4: 96.53}  # of the validation images, in percent
SETTINGS: dict[str, Any] = {
    "data": "mnist",
    "epochs": 30,
    "mini_batch_size": 10,
    "eta": 0.1,
    "lmbda": 5.0,
}
SPEEDS = {2: (0.07, 0.31), 3: (0.012, 0.060, 0.283), 4: (0.003, 0.017, 0.070, 0.285)}
IMAGES, EPOCHS = 1000, 500
# The figures of the speeds during training, read at some epochs: the first hidden layer's, the second's, ...
CURVES: dict[int, dict[int, tuple[float, ...]]] = {
    2: {0: (0.066, 0.31), 10: (0.0089, 0.04), 50: (0.001, 0.0013), 100: (0.0015, 0.0019), 200: (0.0021, 0.0034),
        300: (0.0025, 0.0052), 400: (0.003, 0.0075), 499: (0.0034, 0.0096)},
    3: {0: (0.012, 0.06, 0.28), 10: (0.002, 0.01, 0.06), 50: (8.5e-5, 3.3e-4, 0.0016), 100: (8.1e-5, 2.8e-4, 0.0014),
        200: (8.2e-5, 2.6e-4, 0.0013), 300: (8.5e-5, 2.4e-4, 0.0013), 400: (8.6e-5, 2.3e-4, 0.0013),
        499: (8.6e-5, 2.2e-4, 0.0013)},
    4: {0: (0.003, 0.017, 0.07, 0.29), 10: (2.7e-4, 0.0015, 0.0084, 0.037), 50: (2.1e-5, 4.8e-5, 2.5e-4, 0.001),
        100: (1.8e-5, 4.2e-5, 2.2e-4, 9.6e-4), 200: (1.5e-5, 3.7e-5, 2.1e-4, 9.5e-4), 300: (1.2e-5, 3.3e-5, 2e-4, 9.4e-4),
        400: (1e-5, 2.9e-5, 1.9e-4, 9.3e-4), 499: (8.2e-6, 2.6e-5, 1.8e-4, 9.2e-4)},
}  # fmt: skip
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
    """The validation accuracies of one to four hidden layers."""
    rows = []
    for hidden, name in NAMES.items():
        settings = {**SETTINGS, "net": name, "epochs": 5 if context.quick else SETTINGS["epochs"]}
        runs = context.trained(name, settings, context.seeds)
        found = statistics([run.validation_accuracy for run in runs])
        rows.append(
            [
                name,
                ACCURACIES[hidden],
                *found.values(),
                len(runs),
                float(np.mean([run.seconds for run in runs])),
            ]
        )
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
        "Validation accuracy of deeper networks, 30 epochs, mini-batch 10, eta 0.1, lmbda 5",
        columns,
        *rows,
    )


def _speeds(network: Network, data: Dataset) -> list[float]:
    """The hidden layers' speeds of learning."""
    found = network.monitor(data)
    return [found[f"speed_{k}"] for k in range(1, len(network.specs))]


def speeds(context: Context) -> None:
    """How fast each hidden layer learns at the start, for twenty seeds."""
    data, seeds = context.mnist[0][:IMAGES], range(context.seed, context.seed + 20)
    rows = []
    for hidden, book in SPEEDS.items():
        sizes = [784, *[30] * hidden, 10]
        found = np.array(
            [_speeds(Network(sizes, seed=seed, backend=context.backend), data) for seed in seeds]
        )
        for layer, stated in enumerate(book):
            ours = found[:, layer]
            rows.append([NAMES[hidden], layer + 1, stated, ours.mean(), ours.min(), ours.max()])
        ratio = found[:, -1] / found[:, 0]
        rows.append(
            [
                NAMES[hidden],
                "last / first",
                book[-1] / book[0],
                np.median(ratio),
                ratio.min(),
                ratio.max(),
            ]
        )
    columns = {
        "network": "",
        "hidden layer": "d",
        "book": ".3g",
        "mean": ".3g",
        "least": ".3g",
        "most": ".3g",
    }
    context.table(
        f"Speed of learning at the start, {IMAGES:,} images, seeds {seeds[0]} to {seeds[-1]} (of ratios the median)",
        columns,
        *rows,
    )


def _course(context: Context, network: Network, **options: Any) -> list[list[float]]:
    """The hidden layers' speeds before the first epoch of batch gradient descent on 1,000 images and after each."""
    data, epochs = context.mnist[0][:IMAGES], 100 if context.quick else EPOCHS
    before = _speeds(network, data)
    history = network.fit(
        data, epochs, IMAGES, SETTINGS["eta"], SETTINGS["lmbda"], monitor_layers=True, **options
    )
    return [[first, *history[f"speed_{k}"]] for k, first in enumerate(before, 1)]


def curves(context: Context) -> None:
    """How these speeds change over 500 epochs of batch gradient descent."""
    from .. import plots

    rows = []
    for hidden, points in CURVES.items():
        context.tell(f"{NAMES[hidden]}: {EPOCHS} epochs on {IMAGES:,} images")
        found = _course(
            context, Network([784, *[30] * hidden, 10], seed=context.seed, backend=context.backend)
        )
        axes = plots.course(found, points, title=f"{NAMES[hidden]}: speed of learning")
        context.picture(
            f"speeds-{hidden}-layers",
            f"Speed of learning of {hidden} hidden layers, batch gradient descent on {IMAGES:,} images, seed {context.seed}: lines; "
            "the book's figure at some epochs: hollow marks",
            axes,
        )
        for epoch, book in points.items():
            if epoch < len(found[0]):
                ours = [series[epoch] for series in found]
                rows.append([NAMES[hidden], epoch, *(" ".join(f"{v:.2g}" for v in values) for values in (book, ours)),
                             book[-1] / book[0], ours[-1] / ours[0]])  # fmt: skip
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
    """dC/db of the first six neurons of each layer at the start."""
    from .. import plots

    data = context.mnist[0][:IMAGES]
    network = Network([784, 30, 30, 10], seed=context.seed, backend=context.backend)
    gradients = network.gradients(data.images, data.labels)[:-1]
    axes = plots.bars([gradient["biases"][:6] for gradient in gradients])
    context.picture(
        "bars",
        f"dC/db of the first six neurons of both hidden layers at the start, seed {context.seed}",
        axes,
    )


def sigma(context: Context) -> None:
    """The sigmoid function and its derivative, which is nowhere above 1/4."""
    from .. import plots

    context.picture("sigma", "The sigmoid function and its derivative", plots.sigma())


def _chain(
    weights: list[float], biases: list[float], x: float
) -> tuple[list[float], list[float], list[float]]:
    """(terms w_j sigma'(z_j), dC/db by backpropagation, dC/db by central differences) of one neuron a layer; C = (a - 1)^2 / 2."""
    network = Network(
        [Dense(1) for _ in weights], 1, cost="quadratic", dtype="float64", backend="cpu"
    )
    data = Dataset(np.array([[x]]), np.array([0]))

    def cost(given: list[float]) -> float:
        pairs = zip(weights, given, strict=True)
        network.set_parameters([{"weights": [[w]], "biases": [b]} for w, b in pairs])
        return float(network.evaluate(data)["cost"])

    a, terms = x, []
    for w, b in zip(weights, biases, strict=True):
        a = 1 / (1 + math.exp(-(w * a + b)))
        terms.append(w * a * (1 - a))
    step, differences = 1e-3 / max(1.0, abs(math.prod(terms))), []
    for j in range(len(biases)):
        moved = [
            [b + (way * step if k == j else 0.0) for k, b in enumerate(biases)] for way in (1, -1)
        ]
        differences.append((cost(moved[0]) - cost(moved[1])) / (2 * step))
    cost(biases)
    gradients = [float(layer["biases"][0]) for layer in network.gradients(data.images, data.labels)]
    return terms, gradients, differences


def chain(context: Context) -> None:
    """One neuron in each of four layers: dC/db_1 as a product of terms, where they vanish and where they explode."""
    numbers = np.random.default_rng(context.seed)
    cases = {
        "vanishing: w and b from N(0, 1), |w| < 1": ([math.tanh(w) for w in numbers.normal(size=4)], list(numbers.normal(size=4))),
        "exploding: w = 100, b so that z = 0": ([100.0] * 4, [-80.0, -50.0, -50.0, -50.0]),
    }  # fmt: skip
    rows = []
    for name, (weights, biases) in cases.items():
        terms, gradients, differences = _chain(weights, biases, x=0.8)
        a4 = gradients[3] / (terms[3] / weights[3])  # dC/da_4
        product = terms[0] / weights[0] * terms[1] * terms[2] * terms[3] * a4
        rows.append([name, " ".join(f"{term:.3g}" for term in terms[1:]), product, gradients[0], differences[0],
                     abs(gradients[2] / gradients[0])])  # fmt: skip
    columns = {"case": "", "w_j sigma'(z_j), j = 2, 3, 4": "", "dC/db_1, the product": ".6g", "by backpropagation": ".6g",
               "by central differences": ".6g", "dC/db_3 over dC/db_1": ".3g"}  # fmt: skip
    context.table("The chain of single neurons, C = (a_4 - 1)^2 / 2, input 0.8", columns, *rows)


def remedies(context: Context) -> None:
    """Other activations, initial weights and momentum, in the deepest network (with a softmax layer), shown with the same plot."""
    from .. import plots

    rows, courses = [], {}
    for number, (name, given) in enumerate(REMEDIES.items()):
        layers = [Dense(30, activation=given["activation"]) for _ in range(4)]
        network = Network(
            [*layers, Softmax(10)],
            784,
            seed=context.seed,
            initialiser=given["initialiser"],
            backend=context.backend,
        )
        found = courses[name] = _course(context, network, momentum=given.get("momentum", 0.0))
        settings = {
            **SETTINGS,
            **given,
            "net": "30N-30N-30N-30N-10N",
            "epochs": 5 if context.quick else SETTINGS["epochs"],
        }
        run = context.trained(f"remedy-{number + 1}", settings, [context.seed])[0]
        at = (0, 20, len(found[0]) - 1)
        ratios = [found[-1][epoch] / found[0][epoch] for epoch in at]
        rows.append([name, found[0][0], *ratios, run.validation_accuracy])
    columns = {"784-30-30-30-30-10 with softmax": "", "speed of layer 1 at the start": ".2g", "last / first at the start": ".1f",
               "after 20 epochs": ".1f", "at the end": ".1f", "validation after 30 epochs on 50,000 images, %": ".2f"}  # fmt: skip
    context.table(f"What mends it, seed {context.seed}", columns, *rows)
    context.picture(
        "remedies",
        f"Speed of learning of four hidden layers, seed {context.seed}",
        plots.courses(courses),
    )


PARTS: dict[str, Callable[[Context], None]] = {
    part.__name__: part for part in (accuracy, speeds, curves, bars, sigma, chain, remedies)
}
