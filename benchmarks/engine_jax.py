"""JAX as a worker: jitted, with float32 images (n, rows, columns, channels) in memory.

It has the best settings of those tried, in microseconds per image for the third network,
mini-batch 10, one thread. Channels last rather than first: 301 instead of 431. Max pooling as the
maximum of a reshaped array rather than reduce_window, whose derivative is slow: 301 instead of 413.
One jitted step per mini-batch rather than a scan over the epoch, in which XLA has no fast
convolution: 301 instead of 2784. Networks without convolutions are scanned.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

THREADS = int(os.environ["BENCHMARK_THREADS"])
# XLA starts one thread for each core that it may use.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
os.environ["NPROC"] = str(THREADS)
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'true' if THREADS > 1 else 'false'}"

import jax  # noqa: E402 -- XLA reads these when JAX is imported
import numpy as np  # noqa: E402 -- as above
from jax import lax  # noqa: E402 -- as above
from jax import numpy as jnp  # noqa: E402 -- as above
from networks import (  # noqa: E402 -- as above
    CLASSES,
    ETA,
    PIXELS,
    Part,
    images_for,
    is_dense,
    parts_of,
)
from worker import serve  # noqa: E402 -- as above

AXES = ("NHWC", "HWIO", "NHWC")
Parameters = list[tuple[jax.Array, jax.Array]]
random = np.random.default_rng(0)


def initial(parts: list[Part]) -> Parameters:
    """Weights and biases of the layers that have any."""
    parameters = []
    for part in parts:
        match part:
            case ("conv", channels, filters, kernel):
                shape = (kernel, kernel, channels, filters)
            case ("dense", *shape):
                pass
            case _:
                continue
        w = random.standard_normal(shape, np.float32) / np.sqrt(np.float32(np.prod(shape[:-1])))
        parameters.append((jnp.asarray(w), jnp.zeros(shape[-1])))
    return parameters


def forward(
    parts: list[Part], parameters: Parameters, x: jax.Array, key: jax.Array | None = None
) -> jax.Array:
    """z of the last layer; with a key, there is dropout."""
    layers = iter(parameters)
    for index, part in enumerate(parts):
        match part:
            case ("conv", *_):
                w, b = next(layers)
                x = lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=AXES) + b
            case ("pool", size):
                n, rows, columns, channels = x.shape
                x = x.reshape(n, rows // size, size, columns // size, size, channels).max((2, 4))
            case ("sigmoid",):
                x = jax.nn.sigmoid(x)
            case ("relu",):
                x = jax.nn.relu(x)
            case ("flatten",):
                x = x.reshape(len(x), -1)
            case ("dropout", rate) if key is not None:
                kept = jax.random.bernoulli(jax.random.fold_in(key, index), 1 - rate, x.shape)
                x = jnp.where(kept, x / (1 - rate), 0)
            case ("dense", *_):
                w, b = next(layers)
                x = x @ w + b
    return x


def train(network: str, mini_batch_size: int) -> Callable[[], object]:
    """One epoch of stochastic gradient descent on random images, shuffled."""
    parts = parts_of(network)
    count = images_for(network, mini_batch_size)
    images = jnp.asarray(random.random((count, *PIXELS[1:], PIXELS[0]), np.float32))
    labels = jax.nn.one_hot(random.integers(0, CLASSES, count), CLASSES)

    def cost(parameters: Parameters, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        z = forward(parts, parameters, x, key)
        if is_dense(network):
            return -(y * jax.nn.log_sigmoid(z) + (1 - y) * jax.nn.log_sigmoid(-z)).mean()
        return -(y * jax.nn.log_softmax(z)).sum(1).mean()

    def descend(parameters: Parameters, x: jax.Array, y: jax.Array, key: jax.Array) -> Parameters:
        gradients = jax.grad(cost)(parameters, x, y, key)
        return jax.tree.map(lambda p, d: p - ETA * d, parameters, gradients)

    @partial(jax.jit, donate_argnums=0)
    def step(
        parameters: Parameters, x: jax.Array, y: jax.Array, batch: jax.Array, seed: int
    ) -> Parameters:
        return descend(parameters, x[batch], y[batch], jax.random.key(seed))

    @partial(jax.jit, donate_argnums=0)
    def scan(
        parameters: Parameters, x: jax.Array, y: jax.Array, batches: jax.Array, seed: int
    ) -> Parameters:
        keys = jax.random.split(jax.random.key(seed), len(batches))

        def one(parameters: Parameters, batch: tuple[jax.Array, ...]) -> tuple[Parameters, None]:
            return descend(parameters, *batch), None

        return lax.scan(one, parameters, (x[batches], y[batches], keys))[0]

    state: dict[str, Any] = {"parameters": initial(parts), "seed": 0}

    def epoch() -> None:
        parameters, seed = state["parameters"], state["seed"]
        batches = random.permutation(count).reshape(-1, mini_batch_size)
        if is_dense(network):
            parameters = scan(parameters, images, labels, batches, seed)
            seed += 1
        else:
            for batch in batches:
                parameters = step(parameters, images, labels, batch, seed)
                seed += 1
        state.update(parameters=jax.block_until_ready(parameters), seed=seed)

    return epoch


def infer(network: str, batch: int) -> Callable[[], object]:
    """The probabilities of one batch."""
    parts = parts_of(network)
    parameters = initial(parts)
    images = jnp.asarray(random.random((batch, *PIXELS[1:], PIXELS[0]), np.float32))
    last = jax.nn.sigmoid if is_dense(network) else jax.nn.softmax
    probabilities = jax.jit(lambda parameters, x: last(forward(parts, parameters, x)))

    def once() -> None:
        jax.block_until_ready(probabilities(parameters, images))

    return once


serve(f"jax {jax.__version__}", train=train, infer=infer)
