"""PyTorch as a worker: eager, data on hand as float32, in the memory format of BENCHMARK_FORMAT."""

import os
from collections.abc import Callable
from itertools import pairwise

import torch
from networks import CLASSES, ETA, NETWORKS, PIXELS, images_for
from torch import nn
from worker import serve

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}


def module(text: str, activation: str, dropout: float) -> nn.Sequential:
    """The network that the notation stands for, on 28x28 images."""
    parts = text.split("-")
    if parts[0].isdecimal():
        sizes = [int(part) for part in parts]
        layers: list[nn.Module] = [nn.Flatten()]
        for index, (n_in, n_out) in enumerate(pairwise(sizes)):
            layers += [nn.Linear(n_in, n_out)] + ([nn.Sigmoid()] if index < len(sizes) - 2 else [])
        return nn.Sequential(*layers)
    layers, channels, side = [], PIXELS[0], PIXELS[1]
    neurons = 0
    for index, part in enumerate(parts):
        if "C" in part:
            filters, kernel = map(int, part.split("C"))
            layers.append(nn.Conv2d(channels, filters, kernel))
            channels, side = filters, side - kernel + 1
        elif part.startswith("MP"):
            layers += [nn.MaxPool2d(int(part[2:])), ACTIVATIONS[activation]()]
            side //= int(part[2:])
        else:
            if not neurons:
                layers.append(nn.Flatten())
                neurons = channels * side * side
            layers += [nn.Dropout(dropout)] if dropout else []
            layers.append(nn.Linear(neurons, int(part[:-1])))
            neurons = int(part[:-1])
            layers += [ACTIVATIONS[activation]()] if index < len(parts) - 1 else []
    return nn.Sequential(*layers)


def prepare(network: str, mini_batch_size: int) -> Callable[[], None]:
    """One epoch of stochastic gradient descent on random images, shuffled."""
    memory_format = getattr(torch, os.environ.get("BENCHMARK_FORMAT", "contiguous_format"))
    text, activation, dropout = NETWORKS[network]
    net = module(text, activation, dropout).to(memory_format=memory_format)
    count = images_for(mini_batch_size)
    images = torch.rand(count, *PIXELS).to(memory_format=memory_format)
    labels = torch.randint(0, CLASSES, (count,))
    optimizer = torch.optim.SGD(net.parameters(), lr=ETA)
    if network == "784-30-10":
        loss_of = nn.BCEWithLogitsLoss(reduction="sum")
        targets = nn.functional.one_hot(labels, CLASSES).float()
    else:
        loss_of, targets = nn.CrossEntropyLoss(), labels

    def epoch() -> None:
        order = torch.randperm(count)
        for first in range(0, count, mini_batch_size):
            batch = order[first : first + mini_batch_size]
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(net(images[batch]), targets[batch])
            loss.backward()
            optimizer.step()

    return epoch


torch.set_num_threads(int(os.environ["BENCHMARK_THREADS"]))
serve(prepare)
