"""The book itself."""
