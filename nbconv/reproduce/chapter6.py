"""Chapter 6, "Deep learning": its experiments, the ensemble and the pictures.

The experiments' settings are in nbconv/book/experiments.py.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from ..book.experiments import EXPERIMENTS
from ..ensemble import Ensemble, vote
from ..layers import Conv2D, Dense
from ..network import Network
from .context import Context, Run
from .tables import statistics

# The book's test accuracies in percent, best of three runs; None if it states no number.
ACCURACIES = {
    "fc": 97.80,
    "conv": 98.78,
    "conv-only": None,
    "conv-conv": 99.06,
    "conv-conv-tanh": None,
    "conv-conv-relu": 99.23,
    "expanded-100": 99.37,
    "expanded-300": 99.46,
    "expanded-1000": 99.43,
    "double-100": 99.43,
    "double-300": 99.48,
    "double-1000": 99.47,
    "dropout": 99.60,
}
BEYOND = "beyond"  # an experiment that is not in the book
MEMBERS = 5
ENSEMBLE = 9967  # correctly classified test images of 10,000, by the book's ensemble
# The book's numbers of parameters.
PARAMETERS = {
    "one feature map of 5x5": 26,
    "20 feature maps of 5x5": 520,
    "a dense layer of 30 neurons on 784 pixels": 23_550,
}


def _runs(context: Context, name: str, seeds: Sequence[int]) -> tuple[int, list[Run]]:
    """(epochs, finished trainings) of an experiment, one training for each seed."""
    settings = EXPERIMENTS[name]
    epochs = settings["epochs"]
    if context.quick:
        epochs = 1 if settings.get("expand") else 2 if name == BEYOND else 10
    return epochs, context.trained(name, {"net": name, "epochs": epochs}, seeds)


def experiment(name: str, context: Context) -> None:
    """The test accuracies at the epoch with the best validation accuracy.

    Of the last epoch, where the validation images are trained on, too.
    """
    settings = EXPERIMENTS[name]
    epochs, runs = _runs(context, name, context.seeds)
    accuracies = statistics([run.test_accuracy for run in runs])
    minutes = float(np.mean([run.seconds for run in runs])) / 60
    has_validation = settings.get("validation", True)
    images = (50_000 if has_validation else 60_000) * (5 if settings.get("expand") else 1)
    book = ACCURACIES.get(name)
    row = [name, settings["net"], images, epochs, book, *accuracies.values(), len(runs), minutes]
    columns = {
        "experiment": "",
        "network": "",
        "images": ",d",
        "epochs": "d",
        "book, %": ".2f",
        "best, %": ".2f",
        "mean, %": ".2f",
        "spread": ".2f",
        "runs": "d",
        "min a run": ".1f",
    }
    what = "Beyond the book, test" if name == BEYOND else "Test"
    when = "at the epoch with the best validation accuracy" if has_validation else "at the end"
    context.table(f"{what} accuracy {when}", columns, row)


def ensemble(name: str, book: int | None, context: Context) -> None:
    """Five runs of an experiment and their vote; the votes of each four show its spread.

    book: how many of the 10,000 test images the book's ensemble classifies correctly.
    """
    from .. import plots

    test = context.mnist[2]
    _, runs = _runs(context, name, range(context.seed, context.seed + MEMBERS))
    five = Ensemble.from_checkpoints([run.path for run in runs], backend=context.backend)
    answers, activations = five.members_predict(test.images), five.members_proba(test.images)
    labels = vote(answers, activations)

    def correct(predictions: Any) -> int:
        return int((predictions == test.labels).sum())

    fours = combinations(range(MEMBERS), MEMBERS - 1)
    of_four = [correct(vote(answers[[*four]], activations[[*four]])) for four in fours]
    of_mean = correct(activations.mean(axis=0).argmax(axis=1))
    rows = [
        [f"member, seed {context.seed + k}", None, 100 * run.test_accuracy]
        for k, run in enumerate(runs)
    ]
    rows += [
        ["vote of all five", book, correct(labels)],
        ["mean probability of all five", None, of_mean],
        [f"votes of four: {min(of_four):,} to {max(of_four):,}", None, float(np.mean(of_four))],
    ]
    columns = {f"five networks, {name}": "", "book, right of 10,000": ",.0f", "ours": ",.0f"}
    context.table("The ensemble", columns, *rows)
    axes = plots.errors(test.images, test.labels, labels)
    caption = (
        f"The {(labels != test.labels).sum()} test images that the ensemble of five, {name}, "
        "misclassifies: correct and predicted label"
    )
    context.picture(f"{name}-errors", caption, axes)


def parameters(context: Context) -> None:
    """The numbers of parameters that the chapter counts."""
    rows: list[list[Any]] = []
    layers = (Conv2D(1, 5), Conv2D(20, 5), Dense(30))
    for (name, book), layer in zip(PARAMETERS.items(), layers, strict=True):
        first = Network([layer, Dense(10)], (1, 28, 28), backend="cpu").parameters()[0]
        rows.append([name, book, sum(array.size for array in first.values())])
    context.table("Parameters", {"layer": "", "book": ",d", "ours": ",d"}, *rows)


def digits(context: Context) -> None:
    """The first hundred training images."""
    from .. import plots

    train = context.mnist[0][:100]
    axes = plots.digits(train.images, train.labels)
    context.picture("digits", "The first 100 of MNIST's training images", axes)


def filters(context: Context) -> None:
    """The filters that `conv-conv-relu` has learned: 20 in the first layer, 40 in the second."""
    from .. import plots

    _, (run,) = _runs(context, "conv-conv-relu", [context.seed])
    network = Network.load(run.path, weights="best", backend="cpu")
    for layer, count in ((1, 20), (2, 40)):
        caption = (
            f"conv-conv-relu, seed {context.seed}: the {count} filters of convolution {layer}; "
            "red is positive, blue negative"
        )
        context.picture(f"filters-{layer}", caption, plots.filters(network, layer))


PARTS: dict[str, Callable[[Context], Any]] = {
    "digits": digits,
    "parameters": parameters,
    **{name: partial(experiment, name) for name in EXPERIMENTS},
    "ensemble": partial(ensemble, "dropout", ENSEMBLE),
    "beyond-ensemble": partial(ensemble, BEYOND, None),
    "filters": filters,
}
