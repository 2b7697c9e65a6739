"""Checkpoints: the file, and the schema of what stands in it."""
