"""A network as a page that runs in a browser: `nbconv demo`."""

from .demo import page, save

__all__ = ["page", "save"]
