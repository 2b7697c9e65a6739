"""Datasets from arrays and the embedded digits, and what is refused of arrays in one line."""

import hashlib
from importlib import resources

import numpy as np
import pytest

import nbconv
from nbconv import Dataset, Dense, Network

from .conftest import refusal

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 2, 3, 4), np.uint8)
LEVELS[0, 0, 0, :2] = 0, 255
VALUES = LEVELS / 255
LABELS = np.array([0, 1, 2, 0, 1, 2])


def layouts(array):
    """The same values in other layouts."""
    wide = np.zeros((12, *array.shape[1:]), array.dtype)
    wide[::2] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    return {
        "plain": array,
        "Fortran order": np.asfortranarray(array),
        "sliced": wide[::2],
        "negative strides": np.ascontiguousarray(array[::-1, :, ::-1, ::-1])[::-1, :, ::-1, ::-1],
        "transposed": np.ascontiguousarray(array.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0),
        "read-only": frozen,
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
        "nested lists": array.tolist(),
    }


@pytest.mark.parametrize("layout", layouts(LEVELS))
@pytest.mark.parametrize(
    "dtype", ["uint8", "int64", "uint16", "int8", "bool", "float16", "float32", "float64"]
)
def test_every_dtype_and_layout_gives_the_same_values(dtype, layout):
    exact = {"bool": LEVELS > 100, "int8": LEVELS // 2}.get(
        dtype, LEVELS if "int" in dtype else VALUES
    )
    plain = exact.astype(dtype)
    given = layouts(plain)[layout]
    before = np.array(given)
    data = Dataset(given, LABELS)
    level = {"int8": 127}.get(dtype, 255 if "int" in dtype else 1)  # the largest that there is
    expected = plain.astype(np.float64) / level
    np.testing.assert_allclose(np.asarray(data.images), expected, rtol=2e-7, atol=0)
    assert data.store.dtype in (np.uint8, np.float32, np.float64)
    assert data.store.dtype.isnative
    assert data.store.flags.c_contiguous
    np.testing.assert_array_equal(np.array(given), before)


def test_networks_take_every_layout_and_change_nothing():
    expected = None
    for given in layouts(VALUES.astype(np.float32)).values():
        before, labels = np.array(given), LABELS.copy()
        labels.flags.writeable = False
        net = Network([Dense(3)], input_shape=(2, 3, 4))
        net.fit(Dataset(given, labels), epochs=2, mini_batch_size=4, eta=0.5)
        weights = net.parameters()[0]["weights"]
        expected = weights if expected is None else expected
        np.testing.assert_allclose(weights, expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(np.array(given), before)


def test_floats_keep_their_precision():
    assert Dataset(VALUES, LABELS).images.dtype == np.float64
    np.testing.assert_array_equal(np.asarray(Dataset(VALUES, LABELS).images), VALUES)
    for dtype in (np.float16, np.float32, np.uint8, bool):
        assert Dataset(np.zeros((1, 2, 2), dtype), [0]).images.dtype == np.float32
    assert Dataset(np.zeros((1, 2, 2), np.longdouble), [0]).images.dtype == np.float64


@pytest.mark.parametrize(
    ("shape", "seen"),
    [((6, 2, 3, 4), (2, 3, 4)), ((6, 3, 4), (1, 3, 4)), ((6, 12), (1, 1, 12)), ((1, 1), (1, 1, 1))],
)
def test_shapes(shape, seen):
    data = Dataset(np.zeros(shape), [0] * shape[0])
    assert data.shape == seen
    assert data.images.shape == (shape[0], *seen)
    assert len(data) == len(data.images) == shape[0]


def test_images_read_like_an_array():
    images = Dataset(LEVELS, LABELS).images
    whole = np.asarray(images)
    assert images.dtype == whole.dtype == np.float32
    assert images.ndim == 4
    assert images.size == whole.size
    assert (whole.min(), whole.max()) == (0, 1)
    for key in (0, -1, slice(1, 4), slice(None, None, -2), [2, 0, 2], LABELS == 1, (1, 0), (..., 0),
                (slice(2), 1, 2, 3), (0, 0, 0, 0), ([0, 1], [1, 0]), ()):  # fmt: skip
        np.testing.assert_array_equal(images[key], whole[key])
    assert np.asarray(images, np.float64).dtype == np.float64
    assert np.mean(images) == whole.mean()
    with pytest.raises(IndexError):
        images[6]
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    ramp = np.asarray(Dataset(levels, [0]).images).ravel()
    assert (ramp[0], ramp[255]) == (0, 1)
    assert (np.diff(ramp) > 0).all()


@pytest.mark.parametrize("given", [LEVELS, VALUES])
def test_what_images_give_is_a_copy(given):
    data = Dataset(given.copy(), LABELS)
    data.images[0][...] = 0.5
    np.asarray(data.images)[...] = 0.5
    np.testing.assert_array_equal(data.images[0], Dataset(given, LABELS).images[0])


def test_slices():
    data = Dataset(LEVELS, LABELS)
    for part in (slice(2), slice(1, 5, 2), slice(None, None, -1), slice(-2, None), slice(3, 100)):
        some = data[part]
        np.testing.assert_array_equal(np.asarray(some.images), np.asarray(data.images)[part])
        np.testing.assert_array_equal(some.labels, LABELS[part])
        assert some.store.flags.c_contiguous  # the kernels are compiled for that, once
    assert len(data[1:][1:]) == 4
    assert Dataset(data.images, LABELS[::-1]).labels[0] == 2
    for part in (slice(3, 3), slice(100, None)):
        assert "of 6 images is empty: expected at least one" in refusal(data.__getitem__, part)
    for part in (0, [0, 1], "a"):
        assert f"indexed with {part!r}: expected a slice" in refusal(data.__getitem__, part)


def test_labels_of_every_whole_dtype():
    for dtype in ("uint8", "int8", ">i2", "uint64", "int64"):
        labels = Dataset(LEVELS, LABELS.astype(dtype)).labels
        assert labels.dtype == np.int64
        np.testing.assert_array_equal(labels, LABELS)
    given = LABELS.copy()
    data = Dataset(LEVELS, given)
    given[0] = 7
    assert data.labels[0] == LABELS[0]
    assert given.flags.writeable
    assert Dataset(LEVELS, LABELS[::-1]).classes == 3


BAD_VALUE = VALUES.copy()
BAD_VALUE[4, 1, 2, 3] = np.nan
BAD_INFINITY = VALUES.astype(np.float32)
BAD_INFINITY[3, 0, 0, 0] = -np.inf


class Unwilling:
    """Something like a tensor of another library that gives no array."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("still on the GPU\nsecond line")


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((0, 2, 2)), "images have the shape 0x2x2: expected at least one image"),
        (
            np.zeros((6, 0)),
            "images have the shape 6x0: expected at least one image with at least one pixel",
        ),
        (0.5, "images have the shape of a single number: expected (n, channels, rows, columns)"),
        (np.zeros(6), "images have the shape 6: expected (n, channels, rows, columns)"),
        (np.zeros((6, 1, 1, 1, 1)), "images have the shape 6x1x1x1x1: expected"),
        (None, "images have the dtype object: expected"),
        (np.full((6, 4), {}), "images have the dtype object"),
        (np.zeros((6, 4), complex), "images have the dtype complex128"),
        (np.full((6, 4), "a"), "images have the dtype <U1"),
        (np.zeros((6, 4), "M8[s]"), "images have the dtype datetime64[s]"),
        (np.zeros((6, 4), "u1,f4"), "images have the dtype [('f0'"),
        ([[1, 2], [3]], "images are not an array of numbers (setting an array element"),
        (Unwilling(), "images are not an array of numbers (still on the GPU): expected"),
        (BAD_VALUE, "image 4 has pixels that are NaN or infinite: expected values in [0, 1]"),
        (BAD_INFINITY, "image 3 has pixels that are NaN or infinite"),
        (np.full((6, 4), np.longdouble("1e4000")), "image 0 has pixels that are NaN or infinite"),
        (
            LEVELS.astype(float),
            "image values range from 0 to 255: expected [0, 1]; divide them by 255",
        ),
        (VALUES - 0.5, "range from -0.5 to 0.5: expected [0, 1]; (images + 1) / 2 if they go from"),
        ((VALUES - 0.13) / 0.31, "undo what was done to them, such as a subtracted mean"),
        (LEVELS % 17 / 1.0, "range from 0 to 16: expected [0, 1]; divide them by 16"),
        (
            LEVELS % 74,
            "integer images range from 0 to 73: expected levels 0 to 255, and 73 is dark",
        ),
        (np.float32(VALUES) * np.float32(1.0000001), "to 1.00000012: expected [0, 1]"),
        (LEVELS.astype(int) + 1, "to 256: expected levels 0 to 255"),
        (-LEVELS.astype(int), "integer images range from -255 to "),
        (np.full((6, 4), 2**64 - 1, np.uint64), f"integer images range from {2**64 - 1}"),
    ],
)
def test_images_that_are_refused(images, said):
    assert said in refusal(Dataset, images, LABELS)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1, 2, 0, -3, 1], "label 4 is -3: expected 0 or more"),
        (LABELS + 0.5, "label 0 is 0.5: expected a whole number (0 for the first class) or a name"),
        ([0, 1, 2, 0, np.nan, 1], "label 4 is nan"),
        (LABELS * 1j, "labels have the dtype complex128"),
        ([0, 1, 2, 0, 2**31, 1], "label 4 is 2147483648: expected at most 2147483647"),
        (np.full(6, 2**64 - 1, np.uint64), f"label 0 is {2**64 - 1}: expected at most"),
        ([2**70] * 6, "labels have the dtype object"),
        (np.ones((6, 3)), "labels have the shape 6x3, and their rows are not one-hot"),
        (np.eye(6)[:, None], "labels have the shape 6x1x6: expected a whole number"),
        (1, "labels have the shape of a single number: expected a whole number"),
        ([0, 1], "2 labels were given for 6 images: expected one for each"),
        ([], "0 labels were given for 6 images"),
        ([[0], [1, 2]], "labels are not an array ("),
        (None, "labels have the shape of a single number"),
    ],
)
def test_labels_that_are_refused(labels, said):
    assert said in refusal(Dataset, LEVELS, labels)


def test_pixels_are_checked_piece_by_piece(monkeypatch):
    monkeypatch.setattr("nbconv.data.stores.PIECE_BYTES", 100)
    many = np.zeros((50, 7), np.float32)
    Dataset(many, np.zeros(50, int))
    for bad in (0, 2, 3, 49):
        wrong = many.copy()
        wrong[bad, 6] = np.nan
        assert f"image {bad} has" in refusal(Dataset, wrong, np.zeros(50, int))


@pytest.mark.parametrize("rows", [1, 3, 700])
def test_predictions_take_values_in_the_unit_range(rows):
    """As datasets do: levels as floats, and normalised values, would be answered wrongly."""
    net = Network([Dense(3)], input_shape=4)
    fine = np.full((rows, 4), 0.5)
    for dtype in (np.float32, np.float64):
        assert net.predict(fine.astype(dtype)).shape == (rows,)
        for value in (255, -0.1, 1.001):
            bad = fine.astype(dtype)
            bad[-1, 2] = value
            for use in (net.predict, net.predict_proba, net.activations):
                assert "expected [0, 1]" in refusal(use, bad)
            assert net.predict(fine.astype(dtype)).shape == (rows,)
    bad = fine.copy()
    bad[-1, 0] = np.nan
    assert f"image {rows - 1} has pixels that are NaN" in refusal(net.predict, bad)


@pytest.mark.parametrize("level", [1, 3, 7, 15, 16, 31, 63, 64, 100, 127, 255, 1023, 4095, 65535])
def test_whole_numbers_are_divided_by_their_largest_level(level, caplog):
    """Scikit-learn's digits go to 16, cameras' pictures to 4095: 255 would make them dark."""
    images = np.random.default_rng(0).integers(0, level + 1, (20, 5, 5)).astype(np.uint16)
    images[0, 0, 0] = level
    data = Dataset(images, np.arange(20) % 3)
    np.testing.assert_allclose(np.asarray(data.images)[:, 0], images / level, rtol=1e-6)
    assert (f"divided by {level}, not 255" in caplog.text) == (level not in (1, 255))
    net = Network([Dense(3)], input_shape=(1, 5, 5))
    net.fit(data, 1, 10, 0.1)
    np.testing.assert_array_equal(net.predict(images), net.predict(data.images))
    assert net.preparation.level == data.level == level
    if level < 255:
        assert f"expected levels 0 to {level}" in refusal(net.predict, images + 1)


@pytest.mark.parametrize(
    ("dark", "light", "count", "is_refused"),
    [
        (16, 240, 50, True),
        (1, 255, 50, True),
        (255, 65535, 60, True),
        (16, 240, 49, False),
        (64, 255, 50, False),  # not under a quarter
        (17, 240, 50, False),  # no usual level: dark pictures
        (0, 255, 50, False),
    ],
)
def test_sets_of_whole_numbers_have_one_scale(tmp_path, dark, light, count, is_refused):
    random = np.random.default_rng(0)
    sets = {}
    for name, high, number in (("train", light, 60), ("test", dark, count)):
        images = random.integers(0, high + 1, (number, 4, 4)).astype(np.uint16)
        images[0, 0, 0] = high
        sets |= {f"x_{name}": images, f"y_{name}": np.arange(number) % 3}
    np.savez(tmp_path / "data.npz", **sets)
    if is_refused:
        assert (
            f"the values of x_test and y_test go to {dark}, those of x_train and y_train to "
            f"{light}: expected the same scale for all images"
        ) in refusal(nbconv.load_data, tmp_path / "data.npz")
    else:
        nbconv.load_data(tmp_path / "data.npz")


def test_masks_are_not_dropped():
    """What is masked would be used as if it were not."""
    images, labels = (
        np.ma.MaskedArray(each, np.zeros(each.shape, bool)) for each in (LEVELS, LABELS)
    )
    assert len(Dataset(images, labels)) == len(LABELS)
    images[0, 0, 0, :2] = labels[3] = np.ma.masked
    assert "images are a masked array, and 2 of 144 values are masked: expected none" in refusal(
        Dataset, images, LABELS
    )
    assert "labels are a masked array, and 1 of 6 values" in refusal(Dataset, LEVELS, labels)


def test_dark_levels_are_not_predicted_without_a_word(caplog):
    """Levels to 16 for a network whose images went to 255: scikit-learn's digits again."""
    net = Network([Dense(3)], input_shape=(2, 3, 4))
    net.predict(LEVELS)
    net.predict(np.zeros_like(LEVELS))
    assert not caplog.messages
    net.predict(LEVELS % 17)
    assert "the largest level is 16, and levels are divided by 255" in caplog.messages[0]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (LABELS[:, None], None),
        (LABELS.astype(float), None),
        (np.eye(3)[LABELS], None),
        (np.eye(3, dtype=bool)[LABELS], None),
        ([str(k) for k in LABELS], None),
        (np.array([str(k) for k in LABELS], object), None),
        (["cat2", "cat10", "dog", "cat2", "cat10", "dog"], ("cat2", "cat10", "dog")),
        ([b"a", b"b", b"c", b"a", b"b", b"c"], ("a", "b", "c")),
    ],
)
def test_labels_of_every_kind(given, names):
    data = Dataset(LEVELS, given)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert data.class_names == names
    assert Dataset(LEVELS, LABELS > 0).labels.tolist() == [0, 1, 1, 0, 1, 1]


def test_one_image_may_stand_alone():
    net = Network([Dense(3)], input_shape=(2, 3, 4))
    flat = Network([Dense(3)], input_shape=12)
    square = Network([Dense(3)], input_shape=16)
    for network, image in (
        (net, VALUES[0]),
        (flat, VALUES[0, 0].ravel()),
        (square, np.ones((4, 4))),
    ):
        assert network.predict(image).shape == (1,)
        np.testing.assert_array_equal(network.predict(image), network.predict(image[None]))


def test_class_names():
    named = Dataset(LEVELS, list("abcabc"), class_names=("c", "b", "a"))
    assert named.labels.tolist() == [2, 1, 0, 2, 1, 0]
    assert [named.name_of(k) for k in range(4)] == ["c", "b", "a", "3"]
    assert named[1:3].class_names == named.class_names
    assert "the class 'c' is none of a, b" in refusal(Dataset, LEVELS, list("abcabc"), ("a", "b"))
    assert "the largest label is 2 and there are 2 class names" in refusal(
        Dataset, LEVELS, LABELS, ("a", "b")
    )
    for bad in ("abc", ("a", "a", "b"), (1, 2, 3), ()):
        assert "class_names are" in refusal(Dataset, LEVELS, LABELS, bad)
    net = Network([Dense(3)], input_shape=(2, 3, 4))
    net.fit(named, 1, 6, 0.1)
    assert net.class_names == ("c", "b", "a")
    other = Dataset(LEVELS, list("abcabc"))
    for use in (net.evaluate, lambda data: net.fit(named, 1, 6, 0.1, validation=data)):
        assert "the classes are a, b, c, and the network's c, b, a" in refusal(use, other)


def test_channels_last_are_moved_and_said(caplog):
    last = np.moveaxis(np.repeat(LEVELS[:, :1], 3, 1).repeat(2, 2).repeat(2, 3), 1, 3)
    assert last.shape == (6, 6, 8, 3)
    data = Dataset(last, LABELS)
    assert data.shape == (3, 6, 8)
    assert "6x6x8x3 is taken for (n, rows, columns, channels)" in caplog.text
    np.testing.assert_array_equal(data.store, np.moveaxis(last, 3, 1))
    net = Network([Dense(3)], input_shape=(3, 6, 8))
    np.testing.assert_array_equal(net.predict(last), net.predict(data.images))
    for shape in ((6, 3, 8, 8), (6, 20, 4, 4), (6, 1, 3, 1), (6, 2, 3, 4)):
        assert Dataset(np.zeros(shape), LABELS).shape == shape[1:]


# The embedded digits


def test_digits():
    parts = nbconv.load_data("digits")
    assert [len(part) for part in parts] == [1197, 300, 300]
    for part in parts:
        assert part.shape == (1, 8, 8)
        assert np.unique(part.labels).tolist() == list(range(10))
        assert np.bincount(part.labels).min() >= len(part) // 14
        assert part.store.dtype == np.uint8
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.store.tobytes() + part.labels.astype(np.uint8).tobytes())
    assert digest.hexdigest() == "4952e124b701eeea88f2d991b839739dca4170701438980a72f7907846a78080"
    assert [part.fingerprint for part in nbconv.load_data("digits")] == [
        part.fingerprint for part in parts
    ]
    assert (resources.files("nbconv.data") / "digits.npz").stat().st_size < 100_000


def test_sets_of_different_scales(tmp_path):
    """Divided by one number, the training images would be nearly black."""
    levels = LEVELS.astype(float)
    np.savez(tmp_path / "a.npz", x_train=VALUES, y_train=LABELS, x_test=levels, y_test=LABELS)
    message = refusal(nbconv.load_data, tmp_path / "a.npz")
    assert "x_train and y_train go to 1, those of x_test and y_test to 255" in message
