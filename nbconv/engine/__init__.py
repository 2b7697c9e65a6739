"""The engine: a network's layers and parameters, and the path of a mini-batch through them."""
