"""Training on a GPU with nbconv and with PyTorch, timed by CUDA events, for benchmarks/gpu.py."""

from typing import Any

ROWS = 4096  # mini-batches in one call, at most
IMAGES = 4096  # at least, or one mini-batch (two for PyTorch)


class Nbconv:
    """nbconv's training."""

    def __init__(self, network: str, mini_batch: int):
        import numpy as np
        from networks import CLASSES, ETA, NETWORKS, PIXELS, is_dense

        from nbconv import Dataset, Network, notation
        from nbconv.layers import Randomness, Rates

        random = np.random.default_rng(0)
        count = max(IMAGES, mini_batch)
        input_shape = None if is_dense(network) else PIXELS
        self.net = Network(notation.parse(*NETWORKS[network]), input_shape, backend="cuda")
        images = random.integers(0, 256, (count, *PIXELS), np.uint8)
        self.data = Dataset(images, random.integers(0, CLASSES, count))
        self.order = random.integers(0, count, (ROWS, mini_batch))
        self.rates = np.tile(Rates(ETA), (ROWS, 1))
        self.randomness = Randomness(0, 0)

    def milliseconds(self, mini_batches: int) -> float:
        """The time of these many mini-batches, at most ROWS."""
        from nbconv.kernels.cuda import device
        from numba import cuda

        order, rates = self.order[:mini_batches], self.rates[:mini_batches]
        started, done = cuda.event(), cuda.event()
        started.record(device._compute())
        self.net.engine.descend(self.data, order, self.randomness, rates)
        done.record(device._compute())
        done.synchronize()
        return float(cuda.event_elapsed_time(started, done))


class Torch:
    """PyTorch's training, eager or as a captured graph, with float32 images on the device."""

    def __init__(self, network: str, mini_batch: int, is_captured: bool):
        import torch
        from networks import CLASSES, ETA, PIXELS, is_dense
        from torch import nn
        from torch_network import module

        self.torch = torch
        self.net = module(network).cuda()
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=ETA, fused=True)
        batches = max(2, IMAGES // mini_batch)
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
        """Capture one step as a CUDA graph, after three steps of warm-up on another stream."""
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

    def milliseconds(self, mini_batches: int) -> float:
        """The time of these many mini-batches."""
        torch = self.torch
        started, done = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        started.record()
        for number in range(mini_batches):
            index = number % len(self.images)
            x, y = self.images[index], self.labels[index]
            if self.graph is None:
                self._step(x, y)
            else:
                self.x.copy_(x)
                self.y.copy_(y)
                self.graph.replay()
        done.record()
        done.synchronize()
        return float(started.elapsed_time(done))
