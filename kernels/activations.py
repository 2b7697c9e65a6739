"""The activation functions by name.

A kernel takes one as `activation`: (its number, its parameter).
Only leaky ReLU has a parameter, its slope below 0; the others ignore theirs.
"""

NAMES = ("sigmoid", "tanh", "relu", "linear", "leaky_relu")
SIGMOID, TANH, RELU, LINEAR, LEAKY_RELU = range(len(NAMES))
PARAMETERS = {"leaky_relu": 0.01}  # those that have one, with its default
