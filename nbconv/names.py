"""The names that settings choose from, here without NumPy for the command line."""

DTYPES = ("float32", "float64")
INITIALISERS = ("auto", "default", "large", "glorot", "he", "book3")
OPTIMISERS = ("sgd", "adam", "adamw")
DROPOUT_SCALINGS = ("inverted", "book")
SPLITS = ("train", "validation", "test", "all")  # the last: of data with one set
BACKENDS = ("auto", "cpu", "cuda", "reference")
