"""Inference against its peers: python benchmarks/inference.py [--network conv] [--mini-batch 10] [--engine onnx].

One call gives the probabilities of as many images as --mini-batch says, at hand as each engine wants them.
"""

from compare import compare, parser_for

BATCHES = [1, 10, 100, 1000]

if __name__ == "__main__":
    compare("infer", BATCHES, parser_for(__doc__, "inference", BATCHES).parse_args())
