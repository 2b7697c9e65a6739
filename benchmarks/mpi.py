"""Processes beside threads: python benchmarks/mpi.py.

Microseconds per image in training: one process with one thread and with two, whole mini-batches;
one process with two threads and with two shards; two processes of one thread that share the two
shards. All take turns; medians of the turns, each the best of its epochs after the first. It needs
mpi4py and mpiexec.

With --rate 1gbit: one process of one thread, and two on two machines made of one: they have network
namespaces of their own, which a link of that rate joins, and MPICH sends over TCP. It needs root,
iproute2 and MPICH, on Linux.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import numpy as np
from networks import CLASSES, NETWORKS, PIXELS, images_for

from nbconv import Dataset, Network, notation

# name: (processes, threads of each, shards)
COLUMNS = {
    "1 thread": (1, 1, 1),
    "2 threads": (1, 2, 1),
    "2 threads, 2 shards": (1, 2, 2),
    "2 processes": (2, 1, 2),
}
LINKED = {"1 machine": (1, 1, 1), "2 machines": (2, 1, 2)}
# A rank in its namespace. UCX is what MPICH sends by.
RANK = """
export UCX_TLS=tcp,self UCX_NET_DEVICES=nbconv$PMI_RANK MPIR_CVAR_NOLOCAL=1
exec ip netns exec nbconv$PMI_RANK "$@"
"""
ETA = 0.01


def seconds(
    communicator: Any, network: str, mini_batch: int, threads: int, shards: int, epochs: int
) -> float:
    """Per image, of the fastest epoch after the first."""
    logging.disable()  # that nothing is learned, from random images
    text, activation, dropout = NETWORKS[network]
    layers = notation.parse(text, activation, dropout, "inverted")
    count, random = images_for(network, mini_batch), np.random.default_rng(0)
    images = random.integers(0, 256, (count, *PIXELS), dtype=np.uint8)
    data = Dataset(images, random.integers(0, CLASSES, count))
    net = Network(layers, None if isinstance(layers[0], int) else PIXELS)
    how = {"threads": threads, "shards": shards, "communicator": communicator}
    history = net.fit(data, epochs, mini_batch, ETA, **how)
    return min(history["seconds"][1:]) / count


def run(command: str) -> None:
    """Run a command of words. Raises CalledProcessError."""
    subprocess.run(command.split(), check=True)


def part() -> None:
    """Remove both namespaces."""
    for rank in range(2):
        with suppress(subprocess.CalledProcessError):
            run(f"ip netns del nbconv{rank}")


def join(rate: str) -> None:
    """Two namespaces, joined by a link of that rate each way."""
    for rank in range(2):
        run(f"ip netns add nbconv{rank}")
    run("ip link add nbconv0 netns nbconv0 type veth peer name nbconv1 netns nbconv1")
    for rank in range(2):
        within, device = f"ip netns exec nbconv{rank}", f"dev nbconv{rank}"
        run(f"{within} ip addr add 10.9.0.{rank + 1}/24 {device}")
        run(f"{within} ip link set {device} up")
        run(f"{within} ip link set dev lo up")
        run(f"{within} tc qdisc add {device} root tbf rate {rate} burst 256kb latency 100ms")
    time.sleep(2)  # until the link is up


def turn(column: str, cases: list[tuple[str, int]], epochs: int) -> list[float]:
    """The seconds of each case, from processes of their own."""
    processes, threads, shards = {**COLUMNS, **LINKED}[column]
    described = json.dumps([cases, threads, shards, epochs])
    within = ["sh", "-c", RANK, "sh"] if column == "2 machines" else []
    script = [sys.executable, __file__, "--turn", described]
    command = ["mpiexec", "-n", str(processes), *within, *script]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        command, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE, text=True, check=True
    )
    return list(json.loads(done.stdout))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--mini-batch", action="append", type=int, help="default: 64, 256")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", help="of a link between two machines, as 1gbit")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        from mpi4py import MPI

        cases, threads, shards, epochs = json.loads(options.turn)
        found = [seconds(MPI.COMM_WORLD, *case, threads, shards, epochs) for case in cases]
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(found))
        return
    networks, sizes = options.network or list(NETWORKS), options.mini_batch or [64, 256]
    cases = [(network, size) for network in networks for size in sizes]
    columns = LINKED if options.rate else COLUMNS
    turns: dict[str, list[list[float]]] = {column: [] for column in columns}
    if options.rate:
        join(options.rate)
    try:
        for _ in range(options.turns):
            for column, found in turns.items():
                found.append(turn(column, cases, options.epochs))
    finally:
        if options.rate:
            part()
    over, under = "2 processes", "2 threads"
    if options.rate:
        over, under = "2 machines", "1 machine"
    print(f"{os.cpu_count()} CPUs; microseconds per image in training\n")
    print(f"| network, mini-batch | {' | '.join(columns)} | {over} over {under} |")
    print("| --- |" + " ---: |" * (len(columns) + 1))
    for index, (network, size) in enumerate(cases):
        times = {
            column: 1e6 * statistics.median(found[index] for found in turns[column])
            for column in columns
        }
        cells = " | ".join(f"{value:.1f}" for value in times.values())
        print(f"| {network}, {size} | {cells} | {times[over] / times[under]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
