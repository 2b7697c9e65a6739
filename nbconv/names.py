"""The names that settings choose from, here without NumPy for the command line."""

ACTIVATIONS = ("sigmoid", "tanh", "relu", "linear")
DTYPES = ("float32", "float64")
INITIALISERS = ("default", "large", "glorot", "he", "book3")
BACKENDS = ("auto", "cpu", "cuda", "reference")
