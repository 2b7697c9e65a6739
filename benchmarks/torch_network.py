"""The networks as PyTorch modules."""

from networks import parts_of
from torch import nn


def module(network: str) -> nn.Sequential:
    """The network up to its last layer's z."""
    layers: list[nn.Module] = []
    for part in parts_of(network):
        match part:
            case ("conv", channels, filters, kernel):
                layers.append(nn.Conv2d(channels, filters, kernel))
            case ("pool", size):
                layers.append(nn.MaxPool2d(size))
            case ("sigmoid",):
                layers.append(nn.Sigmoid())
            case ("relu",):
                layers.append(nn.ReLU())
            case ("flatten",):
                layers.append(nn.Flatten())
            case ("dropout", rate):
                layers.append(nn.Dropout(rate))
            case ("dense", n_in, n_out):
                layers.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*layers)
