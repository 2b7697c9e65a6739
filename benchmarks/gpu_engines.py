"""Training on a GPU as benchmarks/gpu.py times it: ours and PyTorch's, by the device's events."""

from typing import Any


class Nbconv:
    """Training on the device, by its events."""

    def __init__(self, network: str, mini_batch: int):
        import numpy as np
        from networks import CLASSES, ETA, NETWORKS, PIXELS, is_dense

        from nbconv import Dataset, Network, notation
        from nbconv.layers import Randomness, Rates

        random, count = np.random.default_rng(0), max(4096, mini_batch)
        self.net = Network(
            notation.parse(*NETWORKS[network]),
            None if is_dense(network) else PIXELS,
            backend="cuda",
        )
        pixels = random.integers(0, 256, (count, *PIXELS), np.uint8)
        self.data = Dataset(pixels, random.integers(0, CLASSES, count))
        self.order = random.integers(0, count, (4096, mini_batch))
        self.rates, self.now, self.etas = (
            Rates(ETA, 0, 0, 0, False),
            Randomness(0, 0),
            np.full(4096, ETA),
        )

    def milliseconds(self, times: int) -> float:
        """So many mini-batches."""
        from nbconv.kernels.cuda import device
        from numba import cuda

        started, done = cuda.event(), cuda.event()
        started.record(device._compute())
        self.net.engine.descend(
            self.data, self.order[:times], self.now, self.rates, self.etas[:times]
        )
        done.record(device._compute())
        done.synchronize()
        return float(cuda.event_elapsed_time(started, done))


class Torch:
    """PyTorch, eager or with a captured graph, images and labels on the device as it likes them best."""

    def __init__(self, network: str, mini_batch: int, is_captured: bool):
        import torch
        from networks import CLASSES, ETA, PIXELS, is_dense
        from torch import nn
        from torch_network import module

        self.torch = torch
        self.net = module(network).cuda()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=ETA, fused=True)
        batches = max(2, 4096 // mini_batch)
        self.images = torch.rand(batches, mini_batch, *PIXELS, device="cuda")
        self.labels = torch.randint(0, CLASSES, (batches, mini_batch), device="cuda")
        self.cost: nn.Module = nn.CrossEntropyLoss()
        if is_dense(network):
            self.cost = nn.BCEWithLogitsLoss()
            self.labels = nn.functional.one_hot(self.labels, CLASSES).float()
        self.graph: Any = None
        if is_captured:
            self._capture()

    def _step(self, x: Any, y: Any) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.cost(self.net(x), y).backward()
        self.optimizer.step()

    def _capture(self) -> None:
        torch = self.torch
        self.x, self.y = self.images[0].clone(), self.labels[0].clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._step(self.x, self.y)
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.cost(self.net(self.x), self.y).backward()
            self.optimizer.step()
        self.graph = graph

    def milliseconds(self, times: int) -> float:
        """So many mini-batches."""
        torch, batches = self.torch, len(self.images)
        started, done = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        started.record()
        for number in range(times):
            x, y = self.images[number % batches], self.labels[number % batches]
            if self.graph is None:
                self._step(x, y)
            else:
                self.x.copy_(x)
                self.y.copy_(y)
                self.graph.replay()
        done.record()
        done.synchronize()
        return float(started.elapsed_time(done))
