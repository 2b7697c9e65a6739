"""The literature's notation for networks (Ciresan et al. 2012): 20C5-MP2-40C5-MP2-100N-10N.

20C5    20 feature maps of 5x5; 20C5x3 of 5 rows and 3 columns; 20C5s2 stride 2; 20C5p2 padding 2
MP2     max pooling in 2x2 windows; MP3s2 in 3x3 windows, 2 apart; L2P2 L2 pooling; AP2 average pooling
100N    a dense layer of 100 neurons; the last one is the softmax layer
784-30-10    the book's shorthand: sigmoid layers of 30 and 10 neurons, cross-entropy cost
"""

import re
from collections.abc import Callable

from .errors import SettingError
from .layers import AvgPool2D, Conv2D, Dense, L2Pool2D, LayerSpec, MaxPool2D, Softmax

_NUMBER = "[0-9]{1,9}"
_SIDES = f"({_NUMBER}(?:x{_NUMBER})?)"
_CONV = re.compile(rf"({_NUMBER})C{_SIDES}(?:s{_SIDES})?(?:p{_SIDES})?")
_POOL = re.compile(rf"(MP|L2P|AP){_SIDES}(?:s{_SIDES})?")
_DENSE = re.compile(f"({_NUMBER})N")
_POOLS: dict[str, Callable[..., LayerSpec]] = {"MP": MaxPool2D, "L2P": L2Pool2D, "AP": AvgPool2D}


def _sides(text: str) -> int | tuple[int, int]:
    rows, _, columns = text.partition("x")
    return (int(rows), int(columns)) if columns else int(rows)


def _layer(part: str, activation: str, dropout: float) -> LayerSpec | None:
    if match := _CONV.fullmatch(part):
        filters, kernel, stride, padding = match.groups()
        return Conv2D(
            int(filters), _sides(kernel), _sides(stride or "1"), _sides(padding or "0"), activation
        )
    if match := _POOL.fullmatch(part):
        kind, size, stride = match.groups()
        return _POOLS[kind](_sides(size), _sides(stride) if stride else None)
    if match := _DENSE.fullmatch(part):
        return Dense(int(match[1]), activation, dropout)
    return None


def _where(text: str, parts: list[str], index: int) -> str:
    """Which net, and the position of one of its parts in it, counted from 1."""
    position = len("-".join([*parts[:index], ""])) + 1
    return f"net {text[:80]!r}, position {position}: {parts[index][:40]!r}"


def parse(
    text: str, activation: str = "sigmoid", dropout: float = 0.0
) -> list[LayerSpec] | list[int]:
    """The layers of a network's notation; `dropout` is that of every dense layer's inputs. Raises SettingError."""
    parts = text.split("-")
    if re.fullmatch(_NUMBER, parts[0]) and len(parts) > 1:
        for index, part in enumerate(parts):
            if not re.fullmatch(_NUMBER, part):
                raise SettingError(
                    f"{_where(text, parts, index)} is no size; expected such as 784-30-10"
                )
        if dropout:
            raise SettingError(
                f"dropout is {dropout:g} with net {text!r}: expected 0, or layers such as 30N-10N"
            )
        return [int(part) for part in parts]
    layers: list[LayerSpec] = []
    for index, part in enumerate(parts):
        try:
            layer = _layer(part, activation, dropout)
        except SettingError as error:
            raise SettingError(f"{_where(text, parts, index)}: {error}") from error
        if layer is None:
            raise SettingError(
                f"{_where(text, parts, index)} is no layer; expected such as 20C5 (convolution), MP2, L2P2, AP2 (pooling), "
                "100N (dense), or a name from: nbconv train --help"
            )
        layers.append(layer)
    last = layers[-1]
    if not isinstance(last, Dense):
        raise SettingError(
            f"{_where(text, parts, len(parts) - 1)} is the last layer: expected such as 10N"
        )
    return [*layers[:-1], Softmax(last.neurons, dropout)]
