"""Ciresan's notation for networks (Ciresan et al. 2012): 20C5-MP2-40C5-MP2-100N-10N.

20C5    20 filters of 5x5; 20C5x3 of 5 rows and 3 columns; 20C5s2 stride 2; 20C5p2 padding 2
MP2     max pooling in 2x2 windows; MP3s2 in 3x3 windows with stride 2
L2P2    L2 pooling
AP2     average pooling
BN      batch normalisation, directly behind a convolution or a dense layer
100N    a dense layer of 100 neurons; the last one is the softmax layer, of a neuron for each
        class; as N, or left out behind feature maps or BN, it gets as many as there are
784-30-10    the book's shorthand: sigmoid layers of 30 and 10 neurons, cross-entropy cost
"""

import re
from collections.abc import Collection
from contextlib import suppress

from . import checks
from .errors import SettingError
from .layers import LAYERS, BatchNorm, Conv2D, Dense, LayerSpec, Pool2D, Softmax

_NUMBER = "[0-9]{1,9}"
_SIZE = f"({_NUMBER}(?:x{_NUMBER})?)"
_CONV = re.compile(rf"({_NUMBER})C{_SIZE}(?:s{_SIZE})?(?:p{_SIZE})?")
_POOLS: dict[str, type[Pool2D]] = {
    kind.letters: kind for kind in LAYERS.values() if issubclass(kind, Pool2D)
}
_POOL = re.compile(rf"({'|'.join(_POOLS)}){_SIZE}(?:s{_SIZE})?")
_DENSE = re.compile(f"({_NUMBER})N")
_SHORTHAND = re.compile(f"{_NUMBER}-")


def _size(text: str) -> int | tuple[int, int]:
    rows, _, columns = text.partition("x")
    return (int(rows), int(columns)) if columns else int(rows)


def _layer(part: str, activation: str, dropout: float, dropout_scaling: str) -> LayerSpec | None:
    """The layer that one part of the notation describes, or None. Raises SettingError."""
    if match := _CONV.fullmatch(part):
        filters, kernel, stride, padding = match.groups()
        return Conv2D(
            int(filters), _size(kernel), _size(stride or "1"), _size(padding or "0"), activation
        )
    if match := _POOL.fullmatch(part):
        kind, size, stride = match.groups()
        return _POOLS[kind](_size(size), _size(stride) if stride else None)
    if match := _DENSE.fullmatch(part):
        return Dense(int(match[1]), activation, dropout, dropout_scaling)
    if part == BatchNorm().notation:
        return BatchNorm()
    return None


def _where(text: str, parts: list[str], index: int) -> str:
    """The start of an error message: the net, and the position (from 1) of one of its parts."""
    position = len("-".join([*parts[:index], ""])) + 1
    return f"net {text[:80]!r}, position {position}: {parts[index][:40]!r}"


def is_shorthand(text: str) -> bool:
    """Whether it begins as the book's shorthand, 784-30-10."""
    return bool(_SHORTHAND.match(text))


def completed(text: str, classes: int | str) -> str:
    """The notation; a last layer without a number gets as many neurons as there are classes."""
    *before, last = text.split("-")
    if last == "N":
        return "-".join([*before, f"{classes}N"])
    if _CONV.fullmatch(last) or _POOL.fullmatch(last) or last == BatchNorm().notation:
        return f"{text}-{classes}N"
    return text


def _respelled(text: str) -> str:
    """The notation with the usual letters and hyphens: 20C5s2-MP2-10N for 20c5S2, mp2, 10n."""
    parts = re.split("[-,;_ ]+", text.strip().upper())
    return "-".join(re.sub("(?<=[0-9])[SPX](?=[0-9])", lambda x: x[0].lower(), p) for p in parts)


def _expected(text: str, names: Collection[str]) -> str:
    """How an error goes on: "expected", and before it what may have been meant."""
    respelled = _respelled(text)
    if respelled != text:
        with suppress(SettingError):
            parse(completed(respelled, classes=1))
            names = [respelled]
    return checks.expected(respelled, names)


def parse(
    text: str,
    activation: str = "sigmoid",
    dropout: float = 0.0,
    dropout_scaling: str = "inverted",
    names: Collection[str] = (),
) -> list[LayerSpec] | list[int]:
    """The layers, or for the book's shorthand the sizes, that a network's notation describes.

    activation: of all layers but the last; the shorthand has sigmoid. dropout and dropout_scaling:
    of each dense layer. names: of networks, one of which may have been meant. Raises SettingError.
    """
    parts = text.split("-")
    if is_shorthand(text):
        for index, part in enumerate(parts):
            if not re.fullmatch(_NUMBER, part):
                raise SettingError(
                    f"{_where(text, parts, index)} is not a size: {_expected(text, names)} e.g. "
                    "784-30-10"
                )
        if dropout:
            raise SettingError(
                f"dropout is {dropout:g} with net {text!r}: expected 0, or layers, e.g. 30N-10N"
            )
        if activation != "sigmoid":
            raise SettingError(
                f"activation is {activation!r} with net {text!r}: expected sigmoid, or layers, "
                "e.g. 30N-10N"
            )
        return [int(part) for part in parts]
    layers: list[LayerSpec] = []
    for index, part in enumerate(parts):
        try:
            layer = _layer(part, activation, dropout, dropout_scaling)
        except SettingError as error:
            raise SettingError(f"{_where(text, parts, index)}: {error}") from error
        if layer is None:
            raise SettingError(
                f"{_where(text, parts, index)} is not a layer: {_expected(text, names)} e.g. "
                "20C5 (convolution), "
                f"{', '.join(f'{letters}2' for letters in _POOLS)} (pooling), 100N "
                "(dense), BN (batch normalisation), or a name from: nbconv train --help"
            )
        layers.append(layer)
    last = layers[-1]
    if not isinstance(last, Dense):
        raise SettingError(
            f"{_where(text, parts, len(parts) - 1)} is the last layer: expected e.g. 10N"
        )
    return [*layers[:-1], Softmax(last.neurons, dropout, dropout_scaling)]
