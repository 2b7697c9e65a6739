"""Where data comes from: the embedded digits, MNIST with its download, or a path."""

import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from . import formats
from .dataset import Dataset, image_store, select

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
        return _mnist()
    return load_path(Path(source))


def load_path(path: Path) -> Three:
    """Training, validation and test data from a file or folder."""
    if path.is_dir():
        return _idx_folder(path)
    if not path.exists():
        raise DataError(
            f"{path} does not exist: expected digits, mnist, or a folder of IDX files, .npz, .h5 or .pkl.gz"
        )
    suffixes = "".join(path.suffixes[-2:])
    if path.suffix == ".npz":
        return _named_sets(path, formats.read_npz(path))
    if path.suffix in (".h5", ".hdf5"):
        return _h5(path)
    if suffixes in (".pkl.gz", ".pkl") or path.suffix == ".pkl":
        train, valid, test = (Dataset(_square(images), labels) for images, labels in formats.read_pickle(path))
        return train, valid, test
    raise DataError(f"{path} has no known ending: expected a folder of IDX files, .npz, .h5, .hdf5, .pkl or .pkl.gz")


def _digits() -> Three:
    with resources.as_file(resources.files("nbconv.data") / "digits.npz") as path:
        arrays = formats.read_npz(path)
    images, labels = arrays["images"], arrays["labels"]
    train, valid, test = (
        Dataset(images[part], labels[part]) for part in (slice(1197), slice(1197, 1497), slice(1497, None))
    )
    return train, valid, test


def _square(images: Array) -> Array:
    """Flat rows as pictures, where the number of pixels is a square."""
    side = round(images.shape[-1] ** 0.5) if images.ndim == 2 else 0
    return images.reshape(len(images), 1, side, side) if side > 0 and side * side == images.shape[-1] else images


def _last_sixth(images: Any, labels: Array) -> tuple[tuple[Any, Array], tuple[Any, Array]]:
    """Training data without, and validation data of, the last sixth: of MNIST's 60,000, the book's 50,000 and 10,000."""
    border = len(labels) - len(labels) // 6
    if border in (0, len(labels)):
        raise DataError(
            f"{len(labels)} training images are too few to set a sixth aside for validation: expected 6 or more"
        )
    return (select(images, slice(border)), labels[:border]), (select(images, slice(border, None)), labels[border:])


def _shuffled_split(images: Any, labels: Array) -> list[tuple[Any, Array]]:
    """70 : 15 : 15, shuffled by a fixed generator."""
    count = len(labels)
    part = count * 15 // 100
    if part == 0:
        raise DataError(f"{count} images are too few to split 70 : 15 : 15: expected 7 or more, or named sets")
    order = np.random.default_rng(0).permutation(count)
    cuts = order[: count - 2 * part], order[count - 2 * part : count - part], order[count - part :]
    return [(select(images, cut), labels[cut]) for cut in cuts]


# MNIST


def _mnist() -> Three:
    folder = find_mnist() or _download_mnist()
    arrays = [_checked_idx(folder, name) for name in MNIST_FILES]
    train, valid = _last_sixth(arrays[0], arrays[1])
    return Dataset(*train), Dataset(*valid), Dataset(arrays[2], arrays[3])


def _idx_file(folder: Path, name: str) -> Path | None:
    return next((folder / (name + end) for end in ("", ".gz") if (folder / (name + end)).is_file()), None)


def _has_mnist(folder: Path) -> bool:
    return all(_idx_file(folder, name) for name in MNIST_FILES)


def mnist_places() -> list[Path]:
    """The folders where MNIST is looked for, in order."""
    import pooch

    places = []
    if os.environ.get("NBCONV_DATA"):
        places += [Path(os.environ["NBCONV_DATA"]) / "mnist", Path(os.environ["NBCONV_DATA"])]
    return [*places, Path(pooch.os_cache("nbconv")) / "mnist"]


def find_mnist() -> Path | None:
    """The first folder that has all four files of MNIST."""
    return next((place for place in mnist_places() if _has_mnist(place)), None)


def _checked_idx(folder: Path, name: str) -> Array:
    path = _idx_file(folder, name)
    assert path is not None
    array = formats.read_idx(path, 3 if "images" in name else 1)
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    digest = hashlib.sha256(head)
    digest.update(array.reshape(-1).data)
    if digest.hexdigest() != MNIST_FILES[name]:
        raise DataError(
            f"{path} is not MNIST's file: its SHA-256 is {digest.hexdigest()}, expected {MNIST_FILES[name]}"
        )
    return array


def _download_mnist() -> Path:
    """MNIST in the user's cache, from the first mirror that gives it; each file is checked before it is kept."""
    import pooch
    import requests

    folder = mnist_places()[-1]
    pooch.get_logger().setLevel("WARNING")
    for name in MNIST_FILES:
        if _idx_file(folder, name):
            continue
        reasons = []
        for mirror in MNIST_MIRRORS:
            try:
                fetched = pooch.retrieve(
                    mirror + name + ".gz",
                    known_hash=None,
                    fname=name + ".gz.part",
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=30),
                )
                Path(fetched).rename(folder / (name + ".gz"))
                _checked_idx(folder, name)
                break
            except (requests.RequestException, OSError, DataError) as error:
                (folder / (name + ".gz")).unlink(missing_ok=True)
                reasons.append(f"{mirror}: {type(error).__name__}")
        else:
            places = ", ".join(str(place) for place in mnist_places())
            raise DataError(
                f"MNIST is not in {places} and could not be downloaded ({'; '.join(reasons)}): connect to the internet, "
                "or put its four IDX files into a folder and set NBCONV_DATA to it"
            )
    return folder


# Paths


def _idx_folder(folder: Path) -> Three:
    missing = [name for name in MNIST_FILES if not _idx_file(folder, name)]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)} (or .gz): expected the four IDX files named as MNIST's are"
        )
    paths = [_idx_file(folder, name) or folder for name in MNIST_FILES]
    images, labels, test_images, test_labels = (
        formats.read_idx(path, 3 if "images" in path.name else 1) for path in paths
    )
    if len(images) != len(labels):
        raise DataError(f"{paths[1]} has {len(labels)} labels for {len(images)} images: expected one for each")
    train, valid = _last_sixth(images, labels)
    return Dataset(*train), Dataset(*valid), Dataset(test_images, test_labels)


def _sets(path: Path, names: list[str]) -> dict[str, tuple[str, str]]:
    """Which arrays are the images and labels of which set."""
    found = {}
    for set_names in _SPLIT_NAMES:
        for name in set_names:
            for images, labels in ((f"{name}_images", f"{name}_labels"), (f"x_{name}", f"y_{name}")):
                if images in names and labels in names:
                    found[set_names[0]] = (images, labels)
    if not found and "images" in names and "labels" in names:
        found["all"] = ("images", "labels")
    if "all" not in found and not {"train", "test"} <= found.keys():
        raise DataError(
            f"{path} holds {', '.join(names) or 'nothing'}: expected images and labels, or train_images, train_labels, "
            "test_images and test_labels (and validation_images, validation_labels)"
        )
    return found


def _named_sets(path: Path, arrays: dict[str, Array]) -> Three:
    sets = _sets(path, list(arrays))
    pairs = {key: (image_store(arrays[images]), arrays[labels]) for key, (images, labels) in sets.items()}
    for images, labels in pairs.values():
        if labels.ndim != 1 or len(images) != len(labels):
            Dataset(images, labels)  # says what is wrong
    return _three(pairs)


def _three(pairs: dict[str, tuple[Any, Array]]) -> Three:
    if "all" in pairs:
        parts = _shuffled_split(*pairs["all"])
    elif "valid" in pairs:
        parts = [pairs["train"], pairs["valid"], pairs["test"]]
    else:
        parts = [*_last_sixth(*pairs["train"]), pairs["test"]]
    train, valid, test = (Dataset.from_store(images, labels) for images, labels in parts)
    return train, valid, test


def _h5(path: Path) -> Three:
    datasets = formats.open_h5(path)
    pairs: dict[str, tuple[Any, Array]] = {}
    for key, (images_name, labels_name) in _sets(path, list(datasets)).items():
        images, labels = datasets[images_name], datasets[labels_name]
        if images.ndim not in (2, 3, 4) or labels.ndim != 1 or 0 in images.shape or len(images) != len(labels):
            raise DataError(
                f"{path}: {images_name} has the shape {images.shape} and {labels_name} {labels.shape}: expected "
                "(n, channels, rows, columns), (n, rows, columns) or (n, pixels), and (n,)"
            )
        formats.h5_pixel_levels(path, images)
        pairs[key] = (formats.H5Images(images), labels[:])
    return _three(pairs)


def load_images(path: Path, channels: int) -> Any:
    """Images alone, for a prediction: an .npy file, a picture, or the test images of a dataset's path."""
    if path.suffix == ".npy":
        return formats.read_npy(path)
    if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp", ".gif"):
        return formats.read_png(path, channels)
    if path.suffix == ".npz":
        with_images = formats.read_npz(path)
        if set(with_images) == {"images"}:
            return with_images["images"]
    if not path.is_dir() and "idx3" in path.name:
        return formats.read_idx(path, 3)
    return load_data(str(path) if str(path) in ("digits", "mnist") else path)[2].images
