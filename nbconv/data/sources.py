"""Where data comes from: the embedded digits, MNIST with its download, or a path."""

import hashlib
import math
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from . import formats, hdf5, pickles
from .dataset import Dataset, Images

Array = NDArray[Any]
Three = tuple[Dataset, Dataset, Dataset]

# name: SHA-256 of the unpacked file
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SOURCES = "digits, mnist, or a path: a folder of IDX files, .npz, .h5, .hdf5, .pkl or .pkl.gz"
_SPLIT_NAMES = (("train", "training"), ("valid", "validation", "val"), ("test", "testing"))


def load_data(source: str | os.PathLike[str]) -> Three:
    """Training, validation and test data.

    source: "digits" (1,797 embedded images of 8x8), "mnist" (found in $NBCONV_DATA or the cache, else downloaded;
    50,000, 10,000 and 10,000 images), or a path: a folder of MNIST-like IDX files, an .npz or .h5 file, or the book's
    mnist.pkl.gz. Files with one set of images are split 70 : 15 : 15, shuffled by a fixed generator; those with
    training and test images alone give the last sixth of the training images for validation. Raises DataError.
    """
    if source == "digits":
        return _digits()
    if source == "mnist":
        return _idx_folder(find_mnist() or _download_mnist(), checked=True)
    return load_path(_path(source))


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        return Path(source).expanduser()
    except (TypeError, RuntimeError) as error:
        raise DataError(
            f"the data's source is {source!r} ({error}): expected digits, mnist or a path"
        ) from error


def load_path(path: Path, expected: str = SOURCES) -> Three:
    """Training, validation and test data from a file or folder."""
    name = path.name.lower()
    with formats.reading(path, expected):
        if path.is_dir():
            return _idx_folder(path)
        if not path.exists():
            raise DataError(f"{path} does not exist: expected {expected}")
        if not path.is_file():
            raise DataError(f"{path} is neither file nor folder: expected {expected}")
        if name.endswith(".npz"):
            return _npz(path)
        if name.endswith((".h5", ".hdf5")):
            return _h5(path)
        if name.endswith((".pkl", ".pkl.gz")):
            return _pickle(path)
    raise DataError(f"{path} has no known ending: expected {expected}")


def _dataset(images: Array | Images, labels: Array, names: str) -> Dataset:
    """A dataset; if it cannot be one, the error says of which arrays or files."""
    try:
        return Dataset(images, labels)
    except DataError as error:
        raise DataError(f"{names}: {error}") from error


def _digits() -> Three:
    with resources.as_file(resources.files("nbconv.data") / "digits.npz") as path:
        arrays = formats.read_npz(path, ("images", "labels"))
    data = Dataset(arrays["images"], arrays["labels"])
    return data[:1197], data[1197:1497], data[1497:]


def _last_sixth(data: Dataset) -> tuple[Dataset, Dataset]:
    """Training data without, and validation data of, the last sixth: of MNIST's 60,000, the book's 50,000 and 10,000."""
    border = len(data) - len(data) // 6
    if border == len(data):
        raise DataError(
            f"{len(data)} training images are too few to set a sixth aside for validation: expected 6 or more"
        )
    return data[:border], data[border:]


def _shuffled_split(data: Dataset) -> Three:
    """70 : 15 : 15, shuffled by a fixed generator."""
    count = len(data)
    part = count * 15 // 100
    if part == 0:
        raise DataError(
            f"{count} images are too few to split 70 : 15 : 15: expected 7 or more, or named sets"
        )
    order = np.random.default_rng(0).permutation(count)
    border = count - 2 * part
    return (
        data.select(order[:border]),
        data.select(order[border : border + part]),
        data.select(order[border + part :]),
    )


# MNIST and folders like it


def _idx_file(folder: Path, name: str) -> Path | None:
    """One of MNIST's files, also as train-images.idx3-ubyte and gzipped."""
    names = (form + end for form in (name, name.replace("-idx", ".idx")) for end in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _axes(name: str) -> int:
    return 3 if "images" in name else 1


def _idx_folder(folder: Path, checked: bool = False) -> Three:
    files = {name: _idx_file(folder, name) for name in MNIST_FILES}
    missing = [name for name, path in files.items() if path is None]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)} (or .gz): expected the four IDX files named as MNIST's are"
        )
    arrays = []
    for name, path in files.items():
        assert path is not None
        arrays.append(_checked_idx(path, name) if checked else formats.read_idx(path, _axes(name)))
    train = _dataset(arrays[0], arrays[1], f"{folder}: training images and labels")
    return *_last_sixth(train), _dataset(arrays[2], arrays[3], f"{folder}: test images and labels")


def mnist_places() -> list[Path]:
    """The folders where MNIST is looked for, in order; the last is the cache."""
    import pooch

    given = os.environ.get("NBCONV_DATA")
    places = [_path(given) / "mnist", _path(given)] if given else []
    return [*places, Path(pooch.os_cache("nbconv")) / "mnist"]


def find_mnist() -> Path | None:
    """The first folder that has all four files of MNIST."""
    for place in mnist_places():
        with formats.reading(place, "a folder with MNIST's four files"):
            if all(_idx_file(place, name) for name in MNIST_FILES):
                return place
    return None


def _checked_idx(path: Path, name: str) -> Array:
    array = formats.read_idx(path, _axes(name))
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    digest = hashlib.sha256(head)
    digest.update(array.reshape(-1).data)
    if digest.hexdigest() != MNIST_FILES[name]:
        raise DataError(
            f"{path} is not MNIST's file: its SHA-256 is {digest.hexdigest()}, expected {MNIST_FILES[name]}; "
            "remove it, and it is downloaded again"
        )
    return array


def _download_mnist() -> Path:
    """MNIST in the user's cache, from the first mirror that gives it; each file is checked before it is kept."""
    places = mnist_places()
    try:
        places[-1].mkdir(parents=True, exist_ok=True)
        for name in MNIST_FILES:
            _download(places[-1], name)
    except (OSError, DataError) as error:
        raise DataError(
            f"MNIST is not in {', '.join(map(str, places))} and could not be downloaded ({error}): connect to the "
            "internet, or put its four IDX files into a folder and set NBCONV_DATA to it"
        ) from error
    return places[-1]


def _download(folder: Path, name: str) -> None:
    """One of MNIST's files, whole and right, or none."""
    import pooch
    import requests

    reasons = []
    pooch.get_logger().setLevel("WARNING")
    for mirror in () if _idx_file(folder, name) else MNIST_MIRRORS:
        with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as kept_apart:
            try:
                downloader = pooch.HTTPDownloader(timeout=30)
                pooch.retrieve(
                    mirror + name + ".gz", None, name + ".gz", kept_apart, downloader=downloader
                )
                _checked_idx(Path(kept_apart) / (name + ".gz"), name)
            except DataError:
                reasons.append(f"{mirror}: {name}.gz is not MNIST's")
            except requests.RequestException as error:
                reasons.append(f"{mirror}: {type(error).__name__}")
            else:
                os.replace(Path(kept_apart) / (name + ".gz"), folder / (name + ".gz"))
                return
    if reasons:
        raise DataError("; ".join(reasons))


# Paths


def _pickle(path: Path) -> Three:
    train, valid, test = (
        _dataset(_square(images), labels, f"{name} data")
        for name, (images, labels) in zip(
            ("training", "validation", "test"), pickles.read_pickle(path), strict=True
        )
    )
    return train, valid, test


def _square(images: Array) -> Array:
    """Flat rows as pictures, where the number of pixels is a square."""
    side = math.isqrt(images.shape[1]) if images.ndim == 2 else 0
    return (
        images.reshape(len(images), 1, side, side)
        if side > 0 and side * side == images.shape[1]
        else images
    )


def _sets(names: list[str]) -> dict[str, tuple[str, str]]:
    """Which arrays of a file are the images and labels of which set."""
    found = {}
    for set_names in _SPLIT_NAMES:
        for name in set_names:
            for images, labels in (
                (f"{name}_images", f"{name}_labels"),
                (f"x_{name}", f"y_{name}"),
            ):
                if images in names and labels in names:
                    found[set_names[0]] = (images, labels)
    if not found and "images" in names and "labels" in names:
        found["all"] = ("images", "labels")
    if "all" not in found and not {"train", "test"} <= found.keys():
        held = ", ".join(repr(name[:40]) for name in names[:10]) or "nothing"
        raise DataError(
            f"it holds {held}: expected images and labels, or train_images, train_labels, "
            "test_images and test_labels (and validation_images, validation_labels)"
        )
    return found


def _split(sets: dict[str, Dataset]) -> Three:
    if "all" in sets:
        return _shuffled_split(sets["all"])
    if "valid" in sets:
        return sets["train"], sets["valid"], sets["test"]
    return *_last_sixth(sets["train"]), sets["test"]


def _npz(path: Path) -> Three:
    sets = _sets(formats.npz_names(path))
    arrays = formats.read_npz(path, {name for pair in sets.values() for name in pair})
    return _split(
        {key: _dataset(arrays[i], arrays[k], f"{i} and {k}") for key, (i, k) in sets.items()}
    )


def _h5(path: Path) -> Three:
    with hdf5.opened(path) as file:
        sets = {}
        for key, (i, k) in _sets(list(file)).items():
            labels = hdf5.read_labels(file, k)
            sets[key] = _dataset(Images(hdf5.open_images(file, i)), labels, f"{i} and {k}")
        return _split(sets)


def load_images(path: str | os.PathLike[str], channels: int) -> ArrayLike | Images:
    """Images alone, for a prediction: an .npy file, a picture, or the test images of a dataset's path."""
    if str(path) in ("digits", "mnist"):
        return load_data(str(path))[2].images
    path = _path(path)
    name = path.name.lower()
    with formats.reading(path, "images"):
        if name.endswith(".npy"):
            return formats.read_npy(path)
        if name.endswith(formats.PICTURES):
            return formats.read_picture(path, channels)
        if name.endswith(".npz") and path.is_file() and formats.npz_names(path) == ["images"]:
            return formats.read_npz(path, ["images"])["images"]
        if "idx3" in name and path.is_file():
            return formats.read_idx(path, 3)
    return load_path(path, f"{SOURCES}, or images alone: .npy, .npz, IDX or a picture")[2].images
