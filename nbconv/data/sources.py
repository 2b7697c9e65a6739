"""Loading of data sets: the embedded digits, MNIST with its download, or a path."""

import gzip
import hashlib
import io
import math
import os
import zlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from ..files import replace
from . import formats, hdf5, pickles
from .dataset import Dataset, Images
from .download import download

Array = NDArray[Any]
Splits = tuple[Dataset, Dataset, Dataset]  # training, validation, test

# name: SHA-256 of the unpacked file
MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MNIST_BYTES, UNPACKED_BYTES = 2**24, 2**26  # the largest has 9.9 and 47 million
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SOURCES = "digits, mnist, or a path: a folder of IDX files, .npz, .h5, .hdf5, .pkl or .pkl.gz"
_SPLIT_NAMES = (("train", "training"), ("valid", "validation", "val"), ("test", "testing"))


def load_data(source: str | os.PathLike[str]) -> Splits:
    """Training, validation and test data.

    source: one of
    - "digits": 1,797 embedded images of 8x8;
    - "mnist": 50,000, 10,000 and 10,000 images of 28x28, found in $NBCONV_DATA or the cache, or
      downloaded;
    - a path: a folder of IDX files named like MNIST's, an .npz or .h5 file, or the book's
      mnist.pkl.gz.

    A file with a single set of images is shuffled with a fixed seed and split 70 : 15 : 15. If a
    file has training and test images only, the last sixth of the training images becomes the
    validation data. Raises DataError.
    """
    if source == "digits":
        return _digits()
    if source == "mnist":
        return _idx_folder(find_mnist() or _download_mnist(), checked=True)
    return load_path(_path(source))


def _path(source: str | os.PathLike[str]) -> Path:
    """A path with ~ expanded. Raises DataError."""
    try:
        return Path(source).expanduser()
    except (TypeError, RuntimeError) as error:
        raise DataError(
            f"the data's source is {source!r} ({error}): expected digits, mnist or a path"
        ) from error


def load_path(path: Path, expected: str = SOURCES) -> Splits:
    """Training, validation and test data from a file or folder, as `load_data`.

    expected: for the errors, what the path may be. Raises DataError.
    """
    name = path.name.lower()
    with formats.reading(path, expected):
        if path.is_dir():
            return _idx_folder(path)
        if not path.exists():
            raise DataError(f"{path} does not exist: expected {expected}")
        if not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder: expected {expected}")
        if name.endswith(".npz"):
            return _npz(path)
        if name.endswith((".h5", ".hdf5")):
            return _h5(path)
        if name.endswith((".pkl", ".pkl.gz")):
            return _pickle(path)
    raise DataError(f"{path} has an unknown extension: expected {expected}")


def _dataset(images: Array | Images, labels: Array, names: str) -> Dataset:
    """A Dataset. names: of the arrays or files, for the error. Raises DataError."""
    try:
        return Dataset(images, labels)
    except DataError as error:
        raise DataError(f"{names}: {error}") from error


def _digits() -> Splits:
    """The embedded digits: 1,197, 300 and 300 images."""
    with resources.as_file(resources.files("nbconv.data") / "digits.npz") as path:
        arrays = formats.read_npz(path, ("images", "labels"))
    data = Dataset(arrays["images"], arrays["labels"])
    return data[:1197], data[1197:1497], data[1497:]


def _last_sixth(data: Dataset) -> tuple[Dataset, Dataset]:
    """Training and validation data: the last sixth is for validation. Raises DataError.

    MNIST's 60,000 training images become 50,000 and 10,000, as in the book.
    """
    count = len(data) - len(data) // 6
    if count == len(data):
        raise DataError(
            f"{len(data)} training images are too few to set a sixth aside for validation: "
            "expected 6 or more"
        )
    return data[:count], data[count:]


def _shuffled_split(data: Dataset) -> Splits:
    """Shuffle with a fixed seed and split 70 : 15 : 15. Raises DataError."""
    count = len(data)
    part = count * 15 // 100
    if part == 0:
        raise DataError(
            f"{count} images are too few to split 70 : 15 : 15: expected 7 or more, or named sets"
        )
    order = np.random.default_rng(0).permutation(count)
    train, validation, test = np.split(order, [count - 2 * part, count - part])
    return data.select(train), data.select(validation), data.select(test)


# MNIST and folders like it


def _idx_file(folder: Path, name: str) -> Path | None:
    """The path of one of MNIST's files, also if named train-images.idx3-ubyte or gzipped."""
    stems = (name, name.replace("-idx", ".idx"))
    paths = (folder / (stem + ending) for stem in stems for ending in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _axes(name: str) -> int:
    return 3 if "images" in name else 1


def _idx_folder(folder: Path, checked: bool = False) -> Splits:
    """The data in a folder of IDX files. checked: they must be MNIST's. Raises DataError."""
    files = {name: _idx_file(folder, name) for name in MNIST_FILES}
    missing = [name for name, path in files.items() if path is None]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)} (or .gz): expected four IDX files named like "
            "MNIST's"
        )
    arrays = []
    for name, path in files.items():
        assert path is not None
        arrays.append(_checked_idx(path, name) if checked else formats.read_idx(path, _axes(name)))
    train = _dataset(arrays[0], arrays[1], f"{folder}: training images and labels")
    return *_last_sixth(train), _dataset(arrays[2], arrays[3], f"{folder}: test images and labels")


def mnist_folders() -> list[Path]:
    """The folders that are searched for MNIST, in order; the last one is the cache."""
    import pooch

    folders = []
    if data := os.environ.get("NBCONV_DATA"):
        folders = [_path(data) / "mnist", _path(data)]
    return [*folders, Path(pooch.os_cache("nbconv")) / "mnist"]


def find_mnist() -> Path | None:
    """The first folder with all four of MNIST's files. Raises DataError if one cannot be read."""
    for folder in mnist_folders():
        with formats.reading(folder, "a folder with MNIST's four files"):
            if all(_idx_file(folder, name) for name in MNIST_FILES):
                return folder
    return None


def _checked_idx(path: Path, name: str) -> Array:
    """The array in one of MNIST's files. Raises DataError if its SHA-256 is not MNIST's."""
    remedy = "; remove it, and it is downloaded again"
    try:
        array = formats.read_idx(path, _axes(name))
    except DataError as error:
        raise DataError(f"{error}{remedy}") from error
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    digest = hashlib.sha256(header)
    digest.update(array.reshape(-1).data)
    if digest.hexdigest() != MNIST_FILES[name]:
        raise DataError(
            f"{path} is not MNIST's file: its SHA-256 is {digest.hexdigest()}, expected "
            f"{MNIST_FILES[name]}{remedy}"
        )
    return array


def _download_mnist() -> Path:
    """Download MNIST's files to the user's cache and return the folder. Raises DataError."""
    folders = mnist_folders()
    cache = folders[-1]
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for name in MNIST_FILES:
            _download(cache, name)
    except (OSError, DataError) as error:
        raise DataError(
            f"MNIST is not in {', '.join(map(str, folders))} and could not be downloaded "
            f"({error}): connect to the internet, or put its four IDX files into a folder and set "
            "NBCONV_DATA to it"
        ) from error
    return cache


def _download(folder: Path, name: str) -> None:
    """Download one of MNIST's files, unless it exists. Raises DataError, OSError."""
    if _idx_file(folder, name):
        return
    file = f"{name}.gz"

    def check(content: bytes) -> None:
        try:
            unpacked = formats.read_up_to(
                gzip.GzipFile(fileobj=io.BytesIO(content)), UNPACKED_BYTES
            )
        except (OSError, EOFError, zlib.error):
            unpacked = bytearray()
        if hashlib.sha256(unpacked).hexdigest() != MNIST_FILES[name]:
            raise DataError(f"{file} is not MNIST's")

    replace(folder / file, download(file, MNIST_MIRRORS, MNIST_BYTES, check))


# Paths


def _pickle(path: Path) -> Splits:
    """The data in the book's mnist.pkl.gz. Raises DataError."""
    names = ("training", "validation", "test")
    train, validation, test = (
        _dataset(_square(images), labels, f"{name} data")
        for name, (images, labels) in zip(names, pickles.read_pickle(path), strict=True)
    )
    return train, validation, test


def _square(images: Array) -> Array:
    """Images (n, pixels) as (n, 1, side, side) if the number of pixels is a square."""
    side = math.isqrt(images.shape[1]) if images.ndim == 2 else 0
    if side == 0 or side * side != images.shape[1]:
        return images
    return images.reshape(len(images), 1, side, side)


def _sets(names: list[str]) -> dict[str, tuple[str, str]]:
    """The names of images and labels among a file's arrays, by split, or those of "all".

    Raises DataError.
    """
    sets = {}
    for split_names in _SPLIT_NAMES:
        for name in split_names:
            for pair in ((f"{name}_images", f"{name}_labels"), (f"x_{name}", f"y_{name}")):
                if set(pair) <= set(names):
                    sets[split_names[0]] = pair
    if not sets and {"images", "labels"} <= set(names):
        sets["all"] = ("images", "labels")
    if "all" not in sets and not {"train", "test"} <= sets.keys():
        found = ", ".join(repr(name[:40]) for name in names[:10]) or "nothing"
        raise DataError(
            f"it holds {found}: expected images and labels, or train_images, train_labels, "
            "test_images and test_labels (and validation_images, validation_labels)"
        )
    return sets


def _split(sets: dict[str, Dataset]) -> Splits:
    """The splits, from the data sets of a file as `_sets` names them. Raises DataError."""
    if "all" in sets:
        return _shuffled_split(sets["all"])
    if "valid" in sets:
        return sets["train"], sets["valid"], sets["test"]
    return *_last_sixth(sets["train"]), sets["test"]


def _npz(path: Path) -> Splits:
    """The data in an .npz file. Raises DataError."""
    sets = _sets(formats.npz_names(path))
    arrays = formats.read_npz(path, {name for pair in sets.values() for name in pair})
    return _split(
        {
            split: _dataset(arrays[images], arrays[labels], f"{images} and {labels}")
            for split, (images, labels) in sets.items()
        }
    )


def _h5(path: Path) -> Splits:
    """The data in an HDF5 file, whose images are not read yet. Raises DataError."""
    with hdf5.opened(path) as file:
        sets = {}
        for split, (images, labels) in _sets(list(file)).items():
            label_array = hdf5.read_labels(file, labels)
            store = hdf5.open_images(file, images)
            sets[split] = _dataset(Images(store), label_array, f"{images} and {labels}")
        return _split(sets)


def load_images(path: str | os.PathLike[str], channels: int) -> ArrayLike | Images:
    """Images without labels, for a prediction.

    path: an .npy, .npz or IDX file, a picture, or what `load_data` takes, for its test images.
    channels: of a picture, see `formats.read_picture`. Raises DataError.
    """
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
    expected = f"{SOURCES}, or images without labels: .npy, .npz, IDX or a picture"
    return load_path(path, expected)[2].images
