"""The book's programs, with their names and quirks, and the experiments of its chapter 6."""
