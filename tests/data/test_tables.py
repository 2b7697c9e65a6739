"""CSV files as people have them."""

import gzip

import numpy as np
import pytest

from nbconv import DataError, Network, Softmax, load_data
from nbconv.data import splits
from nbconv.data.sources import load_images, split
from nbconv.runs.using import answers

from .conftest import IMAGES, LABELS, refusal

FLAT = IMAGES.reshape(20, 16)


def csv(labels=LABELS, pixels=FLAT, header=None, last=False, delimiter=","):
    """A table's text. header: its first line."""
    lines = [header] if header else []
    for label, row in zip(labels, pixels, strict=True):
        cells = [*map(str, row), str(label)] if last else [str(label), *map(str, row)]
        lines.append(delimiter.join(cells))
    return "\n".join(lines) + "\n"


PIXELS = ",".join(f"pixel{k}" for k in range(16))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (csv(header=f"label,{PIXELS}"), None),
        (csv(header=f"label,{PIXELS}").replace("\n", "\r\n"), None),
        ("\ufeff" + csv(header=f"Label,{PIXELS}"), None),
        (csv(header=f"{PIXELS},class", last=True), None),
        (csv(header=f"label;{PIXELS}".replace(",", ";"), delimiter=";"), None),
        (csv(delimiter="\t"), None),
        (csv(), None),
        (csv(last=True, pixels=np.concatenate([FLAT * 0, FLAT], 1)[:, 12:28] * 1), None),
        (csv(header=f"label,{PIXELS}", labels=LABELS / 1.0), None),
        (csv(header=f"label,{PIXELS}", labels=["a", "b", "c"] * 6 + ["a", "b"]), ("a", "b", "c")),
        (csv(labels=['"x y"', "b", "c"] * 6 + ['"x y"', "b"]), ("b", "c", "x y")),
    ],
)
@pytest.mark.parametrize("is_gzipped", [False, True])
def test_tables(tmp_path, text, names, is_gzipped):
    path = tmp_path / ("data.csv.gz" if is_gzipped else "data.csv")
    content = text.encode()
    path.write_bytes(gzip.compress(content) if is_gzipped else content)
    which, data = split(path, None)
    assert which == "all"
    assert data.shape == (1, 4, 4)
    assert data.class_names == names
    expected = LABELS if names != ("b", "c", "x y") else (LABELS + 2) % 3
    np.testing.assert_array_equal(data.labels, expected)
    if "x" not in text.split("\n")[0] or True:
        pixels = data.store.reshape(20, 16)
        assert pixels.dtype == np.uint8
    assert [len(part) for part in load_data(path)] == [14, 3, 3]


def test_quotes_in_the_name_of_a_class(tmp_path):
    quoted = ['"say ""x"""', '"""x"""', ' "cat"', "dog "]
    (tmp_path / "data.csv").write_text(csv(labels=quoted * 5, header=f"label,{PIXELS}"))
    data = split(tmp_path / "data.csv", None)[1]
    assert [data.name_of(label) for label in data.labels[:4]] == ['say "x"', '"x"', "cat", "dog"]


def test_a_row_that_pandas_made_a_header(tmp_path, caplog):
    """It numbers the repetitions of a column's name: 0, 0.1, 0.2."""
    numbers = [7, *[0] * 12, 255, 0, 3, 7]
    header = ",".join(
        str(n) if n not in numbers[:k] else f"{n}.{numbers[:k].count(n)}"
        for k, n in enumerate(numbers)
    )
    assert ",0.10,0.11,255,0.12,3,7.1" in header
    (tmp_path / "data.csv").write_text(csv(header=header))
    data = split(tmp_path / "data.csv", None)[1]
    assert np.array_equal(data.store, IMAGES[:, None])
    assert "its first line is passed over as a header" in caplog.text
    reals = np.concatenate([np.arange(16)[None] / 10, np.zeros((19, 16))]).round(1) / 2
    (tmp_path / "data.csv").write_text(csv(pixels=reals))
    assert len(split(tmp_path / "data.csv", None)[1]) == 20


@pytest.mark.parametrize("header", [None, f"label,{PIXELS}"])
def test_empty_lines_in_front(tmp_path, header):
    (tmp_path / "data.csv").write_text("\n \n\r\n" + csv(header=header))
    data = split(tmp_path / "data.csv", None)[1]
    assert np.array_equal(data.store, IMAGES[:, None])
    assert np.array_equal(data.labels, LABELS)


def test_tables_that_pandas_writes(tmp_path):
    """Columns by number, with or without one that numbers the rows."""
    numbers = ",".join(map(str, range(17)))
    (tmp_path / "data.csv").write_text(csv(header=numbers))
    data = split(tmp_path / "data.csv", None)[1]
    assert np.array_equal(data.labels, LABELS)
    rows = csv(header=f"label,{PIXELS}").splitlines()
    for name in ("", "Unnamed: 0"):
        lines = [f"{name},{rows[0]}", *(f"{60_000 + k},{row}" for k, row in enumerate(rows[1:]))]
        (tmp_path / "index.csv").write_text("\n".join(lines))
        numbered = split(tmp_path / "index.csv", None)[1]
        assert numbered.store.dtype == np.uint8
        assert np.array_equal(numbered.store, data.store)
        assert np.array_equal(numbered.labels, LABELS)


def test_a_class_in_the_first_row_is_no_header(tmp_path):
    """Whatever it is called; names of columns are one, and so are numbers from 0 or 1."""
    names = np.array(["y", "class", "emu"])
    labels = np.arange(30) % 3
    pixels = np.random.default_rng(0).integers(0, 256, (30, 16))
    pixels[0, 0], pixels[1, 0] = 255, 0
    header = {
        "": {False: None, True: None},
        "numbers": {False: "label," + ",".join(map(str, range(16))), True: None},
        "from 1": {False: "label," + ",".join(map(str, range(1, 17))), True: None},
        "texts": {False: f"label,{PIXELS}", True: f"{PIXELS},label"},
    }
    for by_place in header.values():
        for last, first_line in by_place.items():
            text = csv(names[labels], pixels, header=first_line, last=last)
            (tmp_path / "data.csv").write_text(text)
            data = split(tmp_path / "data.csv", None)[1]
            assert [data.name_of(label) for label in data.labels] == names[labels].tolist()
            assert np.array_equal(data.store.reshape(30, 16), pixels)
    (tmp_path / "data.csv").write_text(csv(labels, pixels, ",".join(map(str, range(1, 18)))))
    assert len(split(tmp_path / "data.csv", None)[1]) == 30


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([16_777_216, 16_777_217] * 10, "expected numbers below 16,777,216"),
        (["yes", "no", "", "no"] * 5, "a label is an empty text"),
    ],
)
def test_labels_that_would_be_lost(tmp_path, labels, said):
    (tmp_path / "data.csv").write_text(csv(header=f"label,{PIXELS}", labels=labels))
    with pytest.raises(DataError, match=said):
        split(tmp_path / "data.csv", None)


def test_levels_of_a_table(tmp_path, caplog):
    """As scikit-learn's digits: the label last, levels to 16, the first pixel always 0."""
    pixels = np.random.default_rng(0).integers(0, 17, (40, 64))
    pixels[:, 0], pixels[0, 5] = 0, 16
    labels = np.arange(40) % 10
    (tmp_path / "digits.csv").write_text(csv(labels, pixels, last=True))
    data = split(tmp_path / "digits.csv", None)[1]
    np.testing.assert_array_equal(data.labels, labels)
    np.testing.assert_allclose(data.images[:].reshape(40, 64), pixels / 16, rtol=1e-6)
    assert "last column is taken for the labels" in caplog.text
    assert "divided by 16, not 255" in caplog.text
    (tmp_path / "reals.csv").write_text(csv(pixels=FLAT / 255))
    np.testing.assert_allclose(
        split(tmp_path / "reals.csv", None)[1].images[:].reshape(20, 16), FLAT / 255, rtol=1e-5
    )


def test_a_folder_of_tables(tmp_path, caplog):
    """As Kaggle's: the test set has no labels, so a part of the training set is the test set."""
    header = f"label,{PIXELS}"
    (tmp_path / "train.csv").write_text(csv(header=header))
    unlabelled = PIXELS + "\n" + "\n".join(",".join(map(str, row)) for row in FLAT)
    (tmp_path / "test.csv").write_text(unlabelled)
    (tmp_path / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    train, valid, test = load_data(tmp_path)
    assert "test.csv has no labels, so it is not used as the test set" in caplog.text
    assert [len(train), len(valid), len(test)] == [14, 3, 3]
    (tmp_path / "test.csv").write_text(csv(header=header, pixels=255 - FLAT))
    train, valid, test = load_data(tmp_path)
    assert [len(train), len(valid), len(test)] == [17, 3, 20]
    np.testing.assert_array_equal(test.store.reshape(20, 16), 255 - FLAT)
    kept, _ = splits.set_aside(LABELS.astype(int), 1 / 6)
    np.testing.assert_array_equal(train.labels, LABELS[kept])
    (tmp_path / "mnist_test.csv").write_text(csv(header=header))
    assert "both the test set: expected one of each" in refusal(load_data, tmp_path)


@pytest.mark.parametrize("headers", [(PIXELS, "label"), (None, None), (f",{PIXELS}", ",0")])
@pytest.mark.parametrize("names", [None, ("cat", "fire truck", "dog")])
def test_labels_in_a_file_of_their_own(tmp_path, headers, names):
    """As scikit-learn's train_test_split leaves them, with pandas' index or without."""
    for kind, rows, header in zip("Xy", (FLAT, LABELS[:, None]), headers, strict=True):
        texts = [",".join(map(str, row)) for row in rows]
        if kind == "y" and names:
            texts = [names[int(text)] for text in texts]
        if header and header.startswith(","):
            texts = [f"{90 - k},{text}" for k, text in enumerate(texts)]
        for which in ("train", "test"):
            (tmp_path / f"{kind}_{which}.csv").write_text(
                "\n".join([header] * bool(header) + texts)
            )
    train, valid, test = load_data(tmp_path)
    assert [len(train), len(valid), len(test)] == [17, 3, 20]
    np.testing.assert_array_equal(test.store, IMAGES[:, None])
    order = range(3) if names is None else [sorted(names).index(name) for name in names]
    np.testing.assert_array_equal(test.labels, np.array(order)[LABELS])
    assert test.class_names == (names and tuple(sorted(names)))


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (None, "1\n2\n", "y_train.csv: it has 2 rows, and X_train.csv 20 images: expected a label"),
        (
            None,
            "1,2\n" * 20,
            "y_train.csv: it has rows of 2 columns: expected one column of labels",
        ),
        (f"label,{PIXELS}", "1\n" * 20, "X_train.csv: it has labels, and y_train.csv, too"),
        (None, "a,b,c\n" + "1\n" * 20, "expected one column of labels"),
        (None, "", "y_train.csv: it has 0 rows"),
    ],
)
def test_labels_that_do_not_fit_their_images(tmp_path, images, labels, said):
    text = csv(header=images) if images else "\n".join(",".join(map(str, row)) for row in FLAT)
    (tmp_path / "X_train.csv").write_text(text)
    (tmp_path / "y_train.csv").write_text(labels)
    assert said in refusal(load_data, tmp_path)


@pytest.mark.parametrize(
    ("pixels", "others"),
    [
        ([f"pixel{k}" for k in range(16)], ["label_id"]),
        ([f"{r}x{c}" for r in range(4) for c in range(4)], ["fold", "split"]),
        ([str(k) for k in range(16)], ["weight"]),
        ([f"V{k}" for k in range(16)], ["label_id"]),
    ],
)
def test_other_columns_are_no_pixels(tmp_path, pixels, others):
    path = tmp_path / "data.csv"
    values = np.concatenate([FLAT, np.tile(LABELS[:, None], len(others))], 1)
    path.write_text(csv(header=",".join(["label", *pixels, *others]), pixels=values))
    message = refusal(load_data, path)
    assert f"has columns {pixels[0].lower()} to {pixels[-1].lower()}, and {', '.join(others)} " in (
        message
    )
    assert "drop the others" in message


@pytest.mark.parametrize(
    "names",
    [
        ["sepal_length", "sepal_width", "petal_length", "petal_width"],
        ["time", *(f"v{k}" for k in range(28)), "amount"],
        ["age", *(f"x{k}" for k in range(4))],
        [*(f"mean_{k}" for k in range(9)), *(f"sd_{k}" for k in range(9))],
    ],
)
def test_columns_of_all_names(tmp_path, names):
    """A table of measurements is one row of pixels."""
    values = np.random.default_rng(0).random((20, len(names))).round(3)
    (tmp_path / "data.csv").write_text(csv(header=",".join(["label", *names]), pixels=values))
    assert np.prod(split(tmp_path / "data.csv", None)[1].shape) == len(names)


@pytest.mark.parametrize("header", [PIXELS, f"id,{PIXELS}", None, ",".join(map(str, range(16)))])
def test_images_without_labels(tmp_path, header):
    """As Kaggle's test.csv; with labels it is a data set."""
    path = tmp_path / "test.csv"
    rows = [",".join(map(str, row)) for row in FLAT]
    if header and header.startswith("id"):
        rows = [f"{k},{row}" for k, row in enumerate(rows)]
    path.write_text("\n".join([header] * bool(header) + rows))
    images = load_images(path, (1, 4, 4))
    assert np.array_equal(images.store, IMAGES[:, None])
    net = Network([Softmax(3)], input_shape=(1, 4, 4))
    assert len(list(answers(net, [str(path)]))) == 20
    for text in (csv(header=f"label,{PIXELS}"), csv(), csv(labels=["a", "b"] * 10)):
        path.write_text(text)
        assert load_images(path, (1, 4, 4)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: expected a CSV file with a row for each image"),
        ("\n\n", "is empty"),
        (f"label,{PIXELS}\n1,2,3\n", "has 17 columns in its header and 3 below it"),
        (csv(header=f"label,{PIXELS}") + "1,2\n", "is damaged or is not"),
        (csv(header=f"label,{PIXELS}") + "1," + ",".join(["x"] * 16), "is damaged or is not"),
        (csv(header=f"label,class,{PIXELS}", pixels=np.insert(FLAT, 0, 1, 1)), "several columns"),
        (csv(labels=["a"] * 20, pixels=np.insert(FLAT.astype(str), 3, "b", 1)), "hold no numbers"),
        ("<!DOCTYPE html>\n<html>\n", "web page"),
        (csv(labels=LABELS * 0.5 + 0.1, pixels=FLAT / 7), "looks like labels: expected a header"),
    ],
)
def test_bad_tables(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    message = refusal(load_data, path)
    assert message.startswith(str(path))
    assert said in message
