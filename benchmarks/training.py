"""Training compared with other engines: python benchmarks/training.py.

One epoch of forward passes, backward passes and updates on random images, shuffled; with dropout if
the network has it. For example: --network conv --mini-batch 10 --engine jax.
"""

from compare import compare, parser_for

MINI_BATCHES = [1, 10, 32, 64, 128, 256]

if __name__ == "__main__":
    compare("train", MINI_BATCHES, parser_for(__doc__, "training", MINI_BATCHES).parse_args())
