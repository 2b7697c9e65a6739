"""PyTorch as a worker: eager, or compiled if BENCHMARK_COMPILE is set.

BENCHMARK_FORMAT is the memory format. It has the best settings of those tried on these networks: an
epoch's images are shuffled at once; the update is fused (and not compiled, which is slower);
compiled inference freezes the weights. The images are float32 in memory.
"""

import os
from collections.abc import Callable

import torch
from networks import CLASSES, ETA, PIXELS, images_for, is_dense
from torch import nn
from torch._inductor import config as inductor
from torch_network import module
from worker import serve

FORMAT = getattr(torch, os.environ.get("BENCHMARK_FORMAT", "contiguous_format"))
COMPILE = "BENCHMARK_COMPILE" in os.environ


def compiled(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The function, with BENCHMARK_COMPILE compiled as one graph for the first call's shapes."""
    if not COMPILE:
        return function
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, dynamic=False)


def train(network: str, mini_batch_size: int) -> Callable[[], object]:
    """One epoch of stochastic gradient descent on random images, shuffled."""
    net = module(network).to(memory_format=FORMAT)
    count = images_for(network, mini_batch_size)
    images = torch.rand(count, *PIXELS).to(memory_format=FORMAT)
    labels = torch.randint(0, CLASSES, (count,))
    optimizer = torch.optim.SGD(net.parameters(), lr=ETA, fused=True)
    cost: nn.Module = nn.CrossEntropyLoss()
    if is_dense(network):
        cost = nn.BCEWithLogitsLoss()
        labels = nn.functional.one_hot(labels, CLASSES).float()
    cost_of = compiled(lambda x, y: cost(net(x), y))

    def epoch() -> None:
        order = torch.randperm(count)
        xs = images[order].split(mini_batch_size)
        ys = labels[order].split(mini_batch_size)
        for x, y in zip(xs, ys, strict=True):
            optimizer.zero_grad(set_to_none=True)
            cost_of(x, y).backward()
            optimizer.step()

    return epoch


def infer(network: str, batch: int) -> Callable[[], object]:
    """The probabilities of one batch."""
    net = module(network).to(memory_format=FORMAT).eval()
    last = torch.sigmoid if is_dense(network) else lambda z: torch.softmax(z, 1)
    images = torch.rand(batch, *PIXELS).to(memory_format=FORMAT)
    probabilities = compiled(lambda x: last(net(x)))

    def once() -> None:
        with torch.inference_mode():
            probabilities(images)

    return once


torch.set_num_threads(int(os.environ["BENCHMARK_THREADS"]))
inductor.freezing = True
serve(f"torch {torch.__version__}", train=train, infer=infer)
