"""Checks of the numerics: gradients against central differences, one backend against another."""
