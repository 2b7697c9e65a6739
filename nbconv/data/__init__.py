"""Images and labels: the Dataset, the file formats, and where data is found."""

from .dataset import Dataset
from .sources import load_data

__all__ = ["Dataset", "load_data"]
