"""Pictures of any size and kind as arrays, read by Pillow. The files are not trusted."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .levels import BYTE, LARGE

if TYPE_CHECKING:
    from PIL.Image import Image

Array = NDArray[Any]
MAX_PIXELS = (
    2**27
)  # of a picture: a camera's 100 million; each takes up to eight bytes while it is read
# Only these: Pillow runs programs such as Ghostscript for others.
FORMATS = ("PNG", "JPEG", "MPO", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".gif", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif",
)  # fmt: skip
ORIENTATION = 0x0112  # in EXIF data
INSTALL = "install it with: pip install 'nbconv[pictures]' (or pip install pillow)"


def is_picture(name: str | os.PathLike[str]) -> bool:
    """Whether a file's name has the ending of a picture."""
    return str(name).lower().endswith(ENDINGS)


def pillow() -> Any:
    """The module PIL.Image. Raises DataError if Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(f"reading pictures needs Pillow; {INSTALL}") from error
    return Image


@contextmanager
def opened(source: Path | bytes) -> Iterator["Image"]:
    """A picture in a file or in bytes, opened and not decoded yet. Raises DataError."""
    image = pillow()
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        picture = image.open(file, formats=_formats())
    except FileNotFoundError as error:
        raise DataError(f"{source!s} does not exist: expected a picture") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make Pillow raise anything
        raise DataError(_why(source, error)) from error
    with picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise DataError(
                f"{_name(source)}it has {picture.height} x {picture.width} pixels: expected at "
                f"most {MAX_PIXELS:,}; make it smaller"
            )
        yield picture


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's warnings: sizes are checked here, and odd metadata do no harm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _formats() -> list[str]:
    """Those of FORMATS that this Pillow has, and HEIF if pillow-heif is installed."""
    from PIL import Image

    Image.init()
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
        return [*(name for name in FORMATS if name in Image.OPEN), "HEIF"]
    except ImportError:
        return [name for name in FORMATS if name in Image.OPEN]


def _name(source: Path | bytes) -> str:
    return "" if isinstance(source, bytes) else f"{os.fspath(source)}: "


def _why(source: Path | bytes, error: Exception) -> str:
    """Why a picture cannot be opened."""
    if isinstance(error, pillow().DecompressionBombError):
        return (
            f"{_name(source)}it has more pixels than {MAX_PIXELS:,}, the most there may be; "
            "make it smaller"
        )
    if isinstance(error, OSError) and error.errno:
        return f"{_name(source)}it cannot be read ({os.strerror(error.errno)}): expected a picture"
    head = source[:12] if isinstance(source, bytes) else _head(Path(source))
    name = "it" if isinstance(source, bytes) else str(source)
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return (
            f"{name} is a HEIC picture, which needs pillow-heif: pip install 'nbconv[heic]' (or "
            "pip install pillow-heif), or save it as JPEG"
        )
    return f"{name} is damaged or is not a picture (PNG, JPEG, BMP, GIF, WebP, TIFF, PNM)"


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(12)
    except OSError:
        return b""


def decoded(picture: "Image", notes: list[str] | None = None, level: float = BYTE) -> "Image":
    """A picture upright, without palette and transparency, of the mode L, RGB or F in [0, 255].

    notes: what was done is added to them. level: of the training images; above 255 it becomes white
    in pictures of 16 bits or real numbers, too, which else have a white of their own. Such a
    picture, of the mode F, has in its info, as "white", the level that became 255. Raises DataError
    if it is damaged.
    """
    from PIL import ImageOps

    said = [] if notes is None else notes
    try:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":
            said.append(f"the first of {frames} frames")
            picture.seek(0)
        picture.load()
        is_turned = orientation(picture) != 1
        upright = ImageOps.exif_transpose(picture) if is_turned else picture
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can make Pillow raise anything
        raise DataError(f"it is damaged and cannot be decoded: {str(error)[:100]}") from error
    if is_turned:
        said.append("turned upright")
    return _plain(upright, said, level)


def orientation(picture: "Image") -> int:
    """How a picture is to be turned, by its EXIF data: 1 for not at all."""
    if picture.format in ("JPEG", "PNG", "WEBP") and "exif" not in picture.info:
        return 1  # which is found out faster
    number = picture.getexif().get(ORIENTATION, 1)
    return number if number in range(1, 9) else 1


def _plain(picture: "Image", notes: list[str], level: float) -> "Image":
    mode = picture.mode
    if mode in ("L", "RGB"):
        return picture if "transparency" not in picture.info else _on_paper(picture.convert("RGBA"))
    if mode == "1":
        return picture.convert("L")
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _deep(picture, notes, level)
    if mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
        return _on_paper(picture.convert("RGBA"))
    return picture.convert("RGB")


def _on_paper(picture: "Image") -> "Image":
    """A transparent picture on white, as pages show it; on black if nothing is seen on white."""
    image = pillow()
    for level in (BYTE, 0):
        paper = image.new("RGBA", picture.size, (level, level, level, BYTE))
        flat: Image = image.alpha_composite(paper, picture).convert("RGB")
        low, high = zip(*flat.getextrema(), strict=True)
        if max(np.subtract(high, low)) > 0:
            break
    bands = flat.split()
    is_grey = all(band.tobytes() == bands[0].tobytes() for band in bands[1:])
    return flat.convert("L") if is_grey else flat


def _deep(picture: "Image", notes: list[str], level: float) -> "Image":
    """16 bits or real numbers, which convert would clip, as 0 to 255 of the mode F."""
    levels = np.asarray(picture, np.float64)
    low, high = float(levels.min()), float(levels.max())
    if not np.isfinite(low + high):
        raise DataError("it has pixels that are NaN or infinite: expected a picture")
    if picture.mode == "F" and low >= 0 and high <= 1:
        full = 1.0
    else:
        full = float(next((each for each in (BYTE, *LARGE) if high <= each), high))
        full = level if level > BYTE else full
        levels = levels - min(low, 0.0)
        if high > full:
            notes.append(f"levels beyond {full:g}, the training images' white, are cut")
            levels = np.minimum(levels, full)
        elif full != LARGE[-1]:
            notes.append(f"levels to {high:g} divided by {full:g}")
    deep: Image = pillow().fromarray((levels * (BYTE / full)).astype(np.float32))
    deep.info["white"] = full
    return deep


def is_colour(picture: "Image") -> bool:
    """Whether an opened picture, not decoded yet, has colours by its header."""
    if picture.mode in ("L", "1", "LA", "La", "I", "F") or picture.mode.startswith("I;16"):
        return False
    if picture.mode == "P" and picture.palette is not None:
        colours = np.frombuffer(bytes(picture.palette.palette), np.uint8)
        colours = colours[: len(colours) // 3 * 3].reshape(-1, 3)
        return bool(picture.palette.mode != "RGB" or (colours != colours[:, :1]).any())
    return True


def fitted(picture: "Image", channels: int, rows: int, columns: int) -> Array:
    """A decoded picture as (channels, rows, columns) levels, uint8: resized, proportions kept.

    What remains beside it gets the colour of its border.
    """
    image = pillow()
    mode = "L" if channels == 1 else "RGB"
    plain = picture if picture.mode == mode else _converted(picture, mode)
    scale = min(columns / plain.width, rows / plain.height)
    size = max(1, round(plain.width * scale)), max(1, round(plain.height * scale))
    if abs(size[0] - columns) <= 1 and abs(size[1] - rows) <= 1:
        size = columns, rows
    if size != plain.size:
        plain = plain.resize(size, image.Resampling.BICUBIC, reducing_gap=3.0)
    if size != (columns, rows):
        paper = image.new(mode, (columns, rows), border_colour(plain))
        paper.paste(plain, ((columns - size[0]) // 2, (rows - size[1]) // 2))
        plain = paper
    pixels = np.asarray(plain)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _converted(picture: "Image", mode: str) -> "Image":
    if picture.mode == "F":
        levels = np.rint(np.asarray(picture)).clip(0, BYTE).astype(np.uint8)
        picture = pillow().fromarray(levels)
    return picture.convert(mode)


def border_colour(picture: "Image") -> int | tuple[int, ...]:
    """The median of a picture's outermost pixels, for each channel."""
    pixels = np.asarray(picture)
    edge = border(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1))
    colour = tuple(int(level) for level in np.median(edge, axis=-1))
    return colour[0] if len(colour) == 1 else colour


def border(images: Array) -> Array:
    """The outermost pixels of images (..., rows, columns): (..., pixels)."""
    rows, columns = images.shape[-2:]
    edge = np.ones((rows, columns), bool)
    edge[1:-1, 1:-1] = False
    outermost: Array = images[..., edge]
    return outermost


def resized(images: Array, channels: int | None, size: tuple[int, int] | None) -> Array:
    """Images (n, channels, rows, columns), uint8 or real in [0, 1], in another size or channels."""
    had = images.shape[1]
    if channels == 1 and had in (3, 4):
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        grey = np.tensordot(images[:, :3].astype(np.float32), weights, (1, 0))[:, None]
        images = np.rint(grey).astype(np.uint8) if images.dtype == np.uint8 else grey
    elif channels is not None and channels != had:
        if had != 1:
            raise DataError(
                f"images have {had} channels: expected 1 or 3 to make {channels} of them"
            )
        images = np.repeat(images, channels, axis=1)
    if size is None or size == images.shape[2:]:
        return images
    image = pillow()
    if images.dtype != np.uint8:
        images = np.rint(images * BYTE).astype(np.uint8)
    new = np.empty((*images.shape[:2], *size), np.uint8)
    for n, c in np.ndindex(*images.shape[:2]):
        new[n, c] = fitted(image.fromarray(np.ascontiguousarray(images[n, c])), 1, *size)[0]
    return new
