"""Loading of data sets: the embedded digits, known ones by name, or what a path holds."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..errors import DataError, say
from ..names import DATASETS, SPLITS
from . import arrays, cifar, formats, idx, levels, named, pickles, splits
from .dataset import (
    Dataset,
    Images,
    channels_first,
    check_pixels,
    check_shape,
    image_store,
    square_shape,
)
from .found import ALL, SETS, Found, Part
from .labels import check_class_names, numbers_of
from .stored import StoredImages
from .stores import Joined, Rows, Store, pieces

if TYPE_CHECKING:
    from .decoding import Progress

Array = NDArray[Any]
Splits = tuple[Dataset, Dataset, Dataset]  # training, validation, test
DIGITS = "digits"
SOURCES = (
    f"{', '.join(DATASETS)}, or a path: a folder with a folder of pictures for each "
    "class, a folder of IDX, CSV or CIFAR files, .npz, .h5, .csv, .parquet, .mat, .pkl, .zip "
    "or .tar"
)
MANY = 50  # images of a set, which are not all dark by chance
FRACTION = 4  # times the largest level of one set: beyond it others have another scale
COPY_BYTES = 2**30  # of pictures in a file: fewer are copied into memory in the order of their set


@dataclass(frozen=True)
class Options:
    """How data is to be read.

    size: (rows, columns) to which pictures are resized; None for the size they all have. channels:
    1 for grey, 3 for colours; None for what they are. arrays: the names of a file's arrays by role:
    {"train_images": "train/data"}. like: (channels, rows, columns) for pictures, but not for
    arrays, where size and channels are left out. progress: called with how many pictures are
    decoded, and of how many. level: of a network's training images, as for `pictures.decoded`.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    arrays: Mapping[str, str] = field(default_factory=dict)
    progress: "Progress | None" = None
    like: checks.Shape | None = None
    level: int = levels.BYTE


def options(
    size: Any = None,
    channels: Any = None,
    arrays: Any = None,
    progress: "Progress | None" = None,
    like: checks.Shape | None = None,
    level: int = levels.BYTE,
) -> Options:
    """Options, checked.

    size: a number of pixels, a pair, or "ROWSxCOLUMNS". arrays: a mapping, or its text
    "train_images=NAME,...". Raises SettingError.
    """
    if isinstance(size, str):
        sides = checks.size("size", size).split("x")
        size = int(sides[0]), int(sides[-1])
    return Options(
        None if size is None else checks.pair("size", size),
        None if channels is None else checks.channels("channels", channels),
        checks.names("arrays", arrays or {}),
        progress,
        like,
        level,
    )


def load_data(
    source: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    arrays: Mapping[str, str] | None = None,
    progress: "Progress | None" = None,
) -> Splits:
    """Training, validation and test data.

    source: one of
    - "digits": 1,797 embedded images of 8x8;
    - "mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-balanced" (and -byclass, -bymerge,
      -digits, -letters, -mnist), "cifar10", "cifar100": found in $NBCONV_DATA or the cache, or
      downloaded;
    - a path: a folder with a folder of pictures per class, perhaps under train, valid and test;
      IDX files; CSV with a label and pixels; .npz, .h5 or a folder of .npy with arrays named as
      usual; CIFAR's and
      SVHN's files; .parquet with pictures; the book's mnist.pkl.gz; a zip or tar archive of any.

    size: of the pictures, rows and columns or both, to resize them to; needed if they differ.
    channels: 1 for grey, 3 for colours; left out, what the pictures have. arrays: which arrays of
    a .npz or .h5 file to take, {"train_images": "train/data", "train_labels": "train/target"}.
    progress: called while pictures are decoded, with how many are, and of how many.

    A single set is divided 70 : 15 : 15 into training, validation and test; without a validation
    set a sixth of the training set becomes it; always by class, at random with a fixed seed.
    MNIST's 60,000 keep the book's border, 50,000 and 10,000. Raises DataError, SettingError.
    """
    return _divided(_sets(source, options(size, channels, arrays, progress)), source)


def load_without_validation(
    source: str | os.PathLike[str], how: Options
) -> tuple[Dataset, Dataset]:
    """Training data, those among them that `load_data` sets aside for validation, and test data.

    Raises DataError.
    """
    sets = _sets(source, how)
    with _of(source):
        return _without_validation(sets)


def load_images(
    path: Path, shape: checks.Shape, level: int = levels.BYTE, arrays_by_role: Any = None
) -> Images | None:
    """The images of a file without labels: .npy, IDX, CSV, or .npz or .h5 of images alone.

    shape: (channels, rows, columns) of one, so that a single one is known. level: the whole number
    that stands for 1. None if the file is of another kind, or has labels. Raises DataError.
    """
    from . import tables

    name = path.name.lower()
    with formats.reading(path, "images"):
        if name.endswith(".npy"):
            images = formats.read_npy(path)
        elif path.is_file() and idx.is_idx(path):
            images = idx.read_images(path)
        elif name.endswith(arrays.ENDINGS) and path.is_file():
            found = find(path, options(arrays=arrays_by_role).arrays, needs_labels=False).parts
            if set(found) != {ALL} or found[ALL].labels is not None:
                return None
            images = np.asarray(found[ALL].images[:])
        elif name.endswith(tables.ENDINGS) and path.is_file():
            rows = tables.read_images(path, math.prod(shape))
            if rows is None:
                return None
            images = rows
        else:
            return None
        if images.shape in (shape, shape[1:]):
            images = images[None]
        array = channels_first(images, str(path))
        store = image_store(array.reshape(square_shape(array.shape)), level)
        check_pixels(store)
        return Images(store)


def split(
    source: str | os.PathLike[str], which: str | None, how: Options = Options()
) -> tuple[str, Dataset]:
    """(name, one set of a source): "train", "validation", "test", or "all" images in their order.

    which: left out, the test set, or all of a source that has one set only. Raises DataError.
    """
    sets = _sets(source, how)
    if which == ALL or (which is None and ALL in sets):
        if ALL not in sets:
            raise DataError(
                f"split is all, and {source} has several sets: expected one of train, validation, "
                "test"
            )
        return ALL, sets[ALL]
    which = which or "test"
    return which, _divided(sets, source)[SPLITS.index(which)]


def _sets(source: str | os.PathLike[str], how: Options) -> dict[str, Dataset]:
    """The sets of a source as it has them, not divided: "train", "valid", "test", or "all"."""
    if is_name(source):
        _check_unnamed(source, how.arrays)
    if source == DIGITS:
        return _assembled(_digits(), how, DIGITS)
    if source in named.NAMES:
        return _assembled(named.load(str(source)), how, str(source))
    path = as_path(source)
    with formats.reading(path, SOURCES):
        return _assembled(find(path, how.arrays), how, str(path))


def is_name(source: str | os.PathLike[str]) -> bool:
    """Whether it is the name of a data set, and not a path."""
    return source == DIGITS or source in named.NAMES


def _check_unnamed(source: object, names: Mapping[str, str]) -> None:
    """Raise DataError if arrays are named of a source that has none."""
    if names:
        given = ",".join(f"{role}={name}" for role, name in names.items())
        raise DataError(
            f"{source} has no arrays with names, and arrays is {given:.80}: expected a .npz or .h5 "
            "file, or a folder of .npy files; or leave arrays out"
        )


def as_path(source: str | os.PathLike[str]) -> Path:
    """A path with ~ expanded. Raises DataError."""
    try:
        return Path(source).expanduser()
    except (TypeError, RuntimeError) as error:
        raise DataError(
            f"the data's source is {source!r} ({error}): expected digits, mnist or a path"
        ) from error


def find(path: Path, names: Mapping[str, str], needs_labels: bool = True) -> Found:
    """What a file or folder holds. needs_labels: images alone will not do. Raises DataError."""
    if not path.exists():
        raise DataError(f"{path} does not exist: {checks.expected(path.name, DATASETS)} {SOURCES}")
    if path.is_dir():
        return _in_folder(path, names)
    if not path.is_file():
        raise DataError(f"{path} is neither a file nor a folder: expected {SOURCES}")
    name = path.name.lower()
    if name.endswith(arrays.ENDINGS):
        return arrays.read(path, names, needs_labels)
    for endings, read in _readers().items():
        if name.endswith(endings):
            _check_unnamed(path, names)
            return read(path)
    from . import archives

    if name.endswith(archives.ENDINGS):
        return archives.read(path, lambda folder: _in_folder(folder, names))
    if name.endswith(".npy"):
        raise DataError(
            f"{path} is a single array: expected its folder, which has the images and labels as "
            "train_images.npy, train_labels.npy and so on"
        )
    raise DataError(f"{path} has an unknown extension: expected {SOURCES}")


def _pickle(path: Path) -> Found:
    """The data in the book's mnist.pkl.gz. Raises DataError."""
    sets = pickles.read_pickle(path)
    return Found(
        {
            which: Part(images, labels, f"{name} data")
            for which, name, (images, labels) in zip(
                SETS, ("training", "validation", "test"), sets, strict=True
            )
        }
    )


def _readers() -> dict[tuple[str, ...], Callable[[Path], Found]]:
    """The formats of single files. They are imported only where a path is read."""
    from . import parquet, svhn, tables

    return {
        (".pkl", ".pkl.gz"): _pickle,
        tables.ENDINGS: tables.read,
        (".parquet",): parquet.read,
        (".mat",): svhn.read,
    }


def _in_folder(folder: Path, names: Mapping[str, str]) -> Found:
    """The data sets in a folder, whatever their kind. Raises DataError."""
    from . import folders, parquet, svhn, tables

    for reader in (idx, cifar, svhn, parquet, tables, folders):
        found: Found | None = reader.find(folder)
        if found is not None:
            _check_unnamed(folder, names)
            return found
    found = arrays.find(folder, names)
    if found is not None:
        return found
    inside = [each for each in sorted(folder.iterdir()) if not folders.is_hidden(each.name)]
    if len(inside) == 1:  # as archives are unpacked
        return find(inside[0], names)
    listed = ", ".join(each.name for each in inside[:5]) + (", ..." if len(inside) > 5 else "")
    raise DataError(
        f"{folder} holds {listed or 'nothing'}: expected a folder of pictures for each class "
        "(two or more), or the files of a data set: IDX files named like MNIST's, train.csv, "
        "train_images.npy and so on, CIFAR's batches"
    )


def _digits() -> Found:
    """The embedded digits: 1,197, 300 and 300 images."""
    with resources.as_file(resources.files("nbconv.data") / "digits.npz") as path:
        values = formats.read_npz(path, ("images", "labels"))
    borders = zip(SETS, (0, 1197, 1497), (1197, 1497, None), strict=True)
    return Found(
        {
            which: Part(values["images"][a:b], values["labels"][a:b], DIGITS)
            for which, a, b in borders
        }
    )


# From what was found to data sets


def _assembled(found: Found, how: Options, name: str) -> dict[str, Dataset]:
    """The data sets of what was found: labels as numbers, images as the kernels read them."""
    parts = found.parts
    for part in parts.values():
        _check_shape(part)
    labels, class_names = _numbers(found)
    if how.size or how.channels:
        for part in parts.values():
            if isinstance(part.images, StoredImages):
                part.images = _in_memory(part.images)
    stores, level = _stores(parts, how, name)
    sets = {}
    for (which, part), numbers, store in zip(parts.items(), labels, stores, strict=True):
        try:
            check_pixels(store)
            sets[which] = Dataset.from_store(store, numbers, class_names, level, part.files)
        except DataError as error:
            raise DataError(f"{part.what}: {error}") from error
    _check_classes(sets, name)
    return sets


def _check_shape(part: Part) -> None:
    """Raise DataError unless there are images."""
    shape = getattr(part.images, "shape", None)
    if shape is not None:
        try:
            check_shape(shape)
        except DataError as error:
            raise DataError(f"{part.what}: {error}") from error


def _numbers(found: Found) -> tuple[list[NDArray[np.int64]], Any]:
    """The labels of all sets together: what is a class's name in one is so in the others."""
    parts = list(found.parts.values())
    for part in parts:
        if part.labels is None:
            raise DataError(f"{part.what} has no labels: expected a label for each image")
    names = check_class_names(found.class_names)
    counts = [len(part.images) for part in parts]
    try:
        return numbers_of([part.labels for part in parts], counts, names)
    except DataError as error:
        for part, count in zip(parts, counts, strict=True):
            try:
                numbers_of([part.labels], [count], names)
            except DataError as of_one:
                raise DataError(f"{part.what}: {of_one}") from of_one
        raise DataError(f"{parts[0].what}: {error}") from error


def _in_memory(images: StoredImages) -> Array:
    if math.prod(images.shape) * images.dtype.itemsize > formats.MAX_BYTES:
        raise DataError(
            f"its images take more than {formats.MAX_BYTES} bytes: resize them in the file, or "
            "leave out size and channels"
        )
    return images[:]


def _stores(parts: Mapping[str, Part], how: Options, name: str) -> tuple[list[Store], int]:
    """The images of each part as a store, and the level that stood for 1 in all of them."""
    images = [part.images for part in parts.values()]
    if not all(hasattr(each, "shape") for each in images):  # Pictures have none yet
        return _decoded(images, how, name)
    for part in parts.values():
        if isinstance(part.images, StoredImages):
            if part.images.has_channels_last:
                say(
                    f"{name}: {part.what.split(' and ')[0]} has its channels last, so one image is "
                    f"{checks.show(part.images.shape[1:])}"
                )
        else:
            array = channels_first(np.asarray(part.images), f"{name}: {part.what}")
            part.images = array.reshape(square_shape(array.shape))
            if array.ndim == 2 and part.images.ndim == 4 and part.images.shape[1] == 3:
                shape = checks.show(part.images.shape[1:])
                say(f"{name}: rows of {array.shape[1]} pixels are taken for {shape}")
    of_levels = _level_of({w: p for w, p in parts.items() if p.images.dtype.kind in "iu"}, name)
    of_values = _level_of({w: p for w, p in parts.items() if p.images.dtype.kind == "f"}, name)
    stores: list[Store] = []
    for part in parts.values():
        try:
            is_level = part.images.dtype.kind in "iu"
            stores.append(_as_store(part.images, of_levels if is_level else of_values))
        except DataError as error:
            raise DataError(f"{part.what}: {error}") from error
    if how.size or how.channels:
        from . import pictures

        stores = [pictures.resized(np.asarray(s[:]), how.channels, how.size) for s in stores]
    return stores, int(of_levels)


def _level_of(parts: Mapping[str, Part], name: str) -> float:
    """The number that stands for 1 in these images, all whole or all real. Raises DataError."""
    ranges = [_range(part.images) for part in parts.values()]
    low = min((low for low, _ in ranges), default=0)
    high = max((high for _, high in ranges), default=0)
    if all(part.images.dtype.kind in "iu" for part in parts.values()):
        for k, part in enumerate(parts.values()):
            own = int(ranges[k][1])
            is_other = 0 < FRACTION * own < high and levels.evident(own) is not None
            if is_other and len(part.images) >= MANY:
                raise _differing(parts, ranges, k, name)
        try:
            return levels.of_whole(int(low), int(high), name)
        except DataError as error:
            raise DataError(f"{next(iter(parts.values())).what}: {error}") from error
    within = [low >= 0 and 0 < high <= 1 for low, high in ranges]
    if any(within) and any(high > levels.BYTE // 2 for _, high in ranges):
        raise _differing(parts, ranges, within.index(True), name)
    if (low >= 0 and high <= 1) or not np.isfinite([low, high]).all():
        return 1
    if low < 0 or high not in (*levels.SMALL, levels.BYTE, *levels.LARGE):
        return 1  # which is refused later, with the remedy
    say(f"{name}: values go from {low:g} to {high:g}, so they are divided by {high:g}")
    return float(high)


def _differing(
    parts: Mapping[str, Part], ranges: list[tuple[float, float]], k: int, name: str
) -> DataError:
    """What to raise where part k has another scale than the part with the largest numbers."""
    what = [part.what for part in parts.values()]
    highs = [high for _, high in ranges]
    other = int(np.argmax(highs))
    return DataError(
        f"{name}: the values of {what[k]} go to {highs[k]:g}, those of {what[other]} to "
        f"{highs[other]:g}: expected the same scale for all images"
    )


def _range(images: Any) -> tuple[float, float]:
    """The least and largest number of images; of bytes in a file 255 as soon as it must be that."""
    if isinstance(images, np.ndarray):
        if images.dtype.kind not in "iuf":
            return 0, 0
        return images.min(), images.max()
    low, high = np.inf, -np.inf
    for piece in (slice(0, 1), *pieces(images)):
        some = images[piece]
        low, high = min(low, some.min()), max(high, some.max())
        if images.dtype == np.uint8 and high > levels.BYTE // 2:
            return 0, levels.BYTE
    return low, high


def _as_store(images: Any, level: float) -> Store:
    if isinstance(images, StoredImages):
        return images.with_level(level)
    if images.dtype.kind == "f" and level != 1:
        images = images / images.dtype.type(level)
    return image_store(images, int(level) if images.dtype.kind in "iu" else levels.BYTE)


def _decoded(images: list[Any], how: Options, name: str) -> tuple[list[Store], int]:
    """Pictures of all sets, decoded to one size and number of channels, and the level of deep ones.

    Raises DataError.
    """
    from . import folders

    size, channels = how.size, how.channels
    if how.like:
        channels = channels or (1 if how.like[0] == 1 else 3)
        size = size or (how.like[1], how.like[2])
    if size is None or channels is None:
        looks = [each.looked_at() for each in images]
        if channels is None:
            channels = 3 if any(has_colours for _, has_colours in looks) else 1
        if size is None:
            size = folders.common_size(sum((sizes for sizes, _ in looks), start=Counter()))
    found = [each.decoded(channels, size, how.progress, how.level) for each in images]
    white = max(white for _, white in found)
    stores = [
        each.decoded(channels, size, how.progress, white)[0] if 0 < own < white else store
        for each, (store, own) in zip(images, found, strict=True)
    ]
    return stores, int(white) if white in levels.LARGE else levels.BYTE


def _check_classes(sets: Mapping[str, Dataset], name: str) -> None:
    """Say which classes a set has that the training set lacks."""
    train = sets.get("train")
    for which, data in sets.items():
        if train is not None:
            strange = np.setdiff1d(data.labels, train.labels)
            if len(strange):
                listed = ", ".join(data.name_of(int(k)) for k in strange[:5])
                say(f"{name}: the {which} set has the class {listed}, and the train set has not")


def _divided(sets: dict[str, Dataset], source: object) -> Splits:
    """Training, validation and test data of what a source has. Raises DataError."""
    with _of(source):
        return _splits(sets)


@contextmanager
def _of(source: object) -> Iterator[None]:
    """Errors about the sets of a source say whose they are."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _splits(sets: dict[str, Dataset]) -> Splits:
    if ALL in sets:
        data = sets[ALL]
        train, valid, test = (_taken(data, part) for part in splits.of_one_set(data.labels))
        return train, valid, test
    train = sets["train"]
    if "test" in sets:
        test = sets["test"]
    else:
        train, test = _set_aside(train, splits.TEST)
    if "valid" in sets:
        return train, sets["valid"], test
    if splits.is_mnist(train.labels):
        return train[:50_000], train[50_000:], test
    return *_set_aside(train, splits.VALIDATION_OF_TRAINING), test


def _without_validation(sets: dict[str, Dataset]) -> tuple[Dataset, Dataset]:
    """Training data, with those that are for validation else, and test data."""
    if ALL in sets:
        return _set_aside(sets[ALL], splits.TEST)
    train = sets["train"]
    train, test = (train, sets["test"]) if "test" in sets else _set_aside(train, splits.TEST)
    return (_joined(train, sets["valid"]) if "valid" in sets else train), test


def _joined(train: Dataset, valid: Dataset) -> Dataset:
    """Both sets of a source in one. Many images that lie in a file stay there."""
    first, second = train.store, valid.store
    if first.dtype != second.dtype:
        raise DataError(
            f"training images are stored as {first.dtype} and validation images as "
            f"{second.dtype}: expected the same to train on both"
        )
    store: Store = Joined(first, second)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        is_mapped = any(isinstance(each, np.memmap) for each in (first, second))
        if not is_mapped or first.nbytes + second.nbytes <= COPY_BYTES:
            store = np.concatenate([first, second])
    labels = np.concatenate([train.labels, valid.labels])
    files = None
    if train.files is not None and valid.files is not None:
        files = [*train.files, *valid.files]
    return Dataset.from_store(store, labels, train.class_names, train.level, files)


def _set_aside(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    kept, aside = splits.set_aside(data.labels, share)
    return _taken(data, kept), _taken(data, aside)


def _taken(data: Dataset, indices: NDArray[np.int64]) -> Dataset:
    """Some images of a dataset; many that lie in a file stay there."""
    store = data.store
    if isinstance(store, np.memmap) and store.nbytes > COPY_BYTES:
        data = Dataset.from_store(
            Rows(store, np.arange(len(data))), data.labels, data.class_names, data.level, data.files
        )
    return data.select(indices)
