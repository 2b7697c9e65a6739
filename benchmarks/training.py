"""Training against its peers: python benchmarks/training.py [--network conv] [--mini-batch 10] [--engine jax].

One epoch of forward, backward and update on random images, shuffled; dropout where the network has it.
"""

from compare import compare, parser_for

MINI_BATCHES = [1, 10, 32, 64, 128, 256]

if __name__ == "__main__":
    compare("train", MINI_BATCHES, parser_for(__doc__, "training", MINI_BATCHES).parse_args())
