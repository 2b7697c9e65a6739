"""Inference compared with other engines: python benchmarks/inference.py.

Each call computes the probabilities of one mini-batch, which is in memory in the engine's layout.
For example: --network conv --mini-batch 10 --engine onnx.
"""

from compare import compare, parser_for

BATCHES = [1, 10, 100, 1000]

if __name__ == "__main__":
    compare("infer", BATCHES, parser_for(__doc__, "inference", BATCHES).parse_args())
