"""The literature's notation, and the experiments' names."""

import pytest

from nbconv import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    L2Pool2D,
    MaxPool2D,
    Network,
    SettingError,
    Softmax,
    notation,
)
from nbconv.book.experiments import EXPERIMENTS


def test_every_kind_of_layer():
    text = "20C5-MP2-8C5x3s2p1-L2P2-4C3s2x1p0x1-BN-MP3s2-AP2x1-100N-BN-10N"
    layers = notation.parse(text, "relu", 0.5)
    assert layers == [
        Conv2D(20, 5, activation="relu"),
        MaxPool2D(2),
        Conv2D(8, (5, 3), 2, 1, "relu"),
        L2Pool2D(2),
        Conv2D(4, 3, (2, 1), (0, 1), "relu"),
        BatchNorm(),
        MaxPool2D(3, 2),
        AvgPool2D((2, 1)),
        Dense(100, "relu", 0.5),
        BatchNorm(),
        Softmax(10, 0.5),
    ]
    assert "-".join(layer.notation for layer in layers) == text


def test_the_shorthand_of_the_book():
    assert notation.parse("784-30-10") == [784, 30, 10]


def test_the_shorthand_has_sigmoid_neurons():
    """Another activation was ignored."""
    with pytest.raises(SettingError) as refused:
        notation.parse("784-30-10", "relu")
    line = "activation is 'relu' with net '784-30-10': expected sigmoid, or layers, e.g. 30N-10N"
    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("20C5-MQ2-10N", "position 6: 'MQ2'"),
        ("20c5-10N", "position 1: '20c5'"),
        ("20C5--10N", "position 6: ''"),
        ("", "position 1: ''"),
        ("20C5-MP2", "position 6: 'MP2' is the last layer"),
        ("20C5-BN", "position 6: 'BN' is the last layer"),
        ("20C5-BN2-10N", "position 6: 'BN2' is not a layer"),
        ("0C5-10N", "position 1: '0C5': Conv2D filters is 0"),
        ("20C5-MP0-10N", "position 6: 'MP0': MaxPool2D size is 0"),
        ("100N-10N ", "position 6: '10N '"),
        ("20C5s-10N", "position 1: '20C5s'"),
        ("784--10", "position 5: ''"),
        ("784-30-", "position 8: ''"),
        ("784-30-10N", "position 8: '10N' is not a size"),
        ("9" * 5000 + "N", "position 1: '999"),
        ("\u0663N", "position 1: '\u0663N'"),
    ],
)
def test_a_typo_is_shown_by_its_position(text, message):
    with pytest.raises(SettingError) as refused:
        notation.parse(text)
    assert message in str(refused.value)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_is_a_network(name):
    settings = EXPERIMENTS[name]
    layers = notation.parse(settings["net"], settings["activation"], settings.get("dropout", 0.0))
    assert Network(layers, (1, 28, 28), initialiser=settings["initialiser"]).classes == 10
