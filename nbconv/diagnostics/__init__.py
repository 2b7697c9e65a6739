"""Checks of the numerics: gradients against differences, one backend against another."""
