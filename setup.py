"""Builds in a temporary folder. What an earlier build left in build/ would be installed again."""

from tempfile import TemporaryDirectory

from setuptools import setup

with TemporaryDirectory() as folder:
    setup(options={"build": {"build_base": folder}})
