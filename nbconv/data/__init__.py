"""Data sets: the Dataset class, file formats, and where the data comes from."""

from .dataset import Dataset
from .sources import load_data

__all__ = ["Dataset", "load_data"]
