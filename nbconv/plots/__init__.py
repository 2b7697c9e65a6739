"""Pictures of networks, trainings and images, drawn with matplotlib (the extra `plot`).

Each function draws on the axes that it is given, or on those of a new figure, and returns them. No
figure is registered with pyplot. A notebook shows the picture where the axes are a cell's result.
Importing this package raises SettingError if matplotlib is missing.
"""

from ..errors import SettingError

try:
    import matplotlib  # noqa: F401 -- the modules below need it
except ModuleNotFoundError as error:
    raise SettingError(
        "matplotlib is not installed: expected pip install 'nbconv[plot]'"
    ) from error

from .charts import answer, bars, confusion, course, courses, curves, etas, sigma, speeds
from .figures import KINDS, Figures
from .images import digits, errors, feature_maps, filters
from .style import rendered, save

__all__ = [
    "KINDS",
    "Figures",
    "answer",
    "bars",
    "confusion",
    "course",
    "courses",
    "curves",
    "digits",
    "errors",
    "etas",
    "feature_maps",
    "filters",
    "rendered",
    "save",
    "sigma",
    "speeds",
]
