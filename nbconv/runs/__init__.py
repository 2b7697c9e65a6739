"""Runs from named settings: one, several as processes, and the precompilation of a first one."""
