"""Parquet files with pictures, such as Hugging Face's; others are refused in one line."""

import io
import json
import sys

import numpy as np
import pytest

from nbconv.data import parquet

from .conftest import refusal

pa = pytest.importorskip("pyarrow", reason="needs pyarrow to write and read Parquet files")
image = pytest.importorskip("PIL.Image", reason="needs Pillow to make pictures")
pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow's Parquet")

PIXELS = np.random.default_rng(9).integers(0, 256, (12, 6, 5), np.uint8)
CLASSES = ["cat", "dog", "ant"]


def png(pixels):
    file = io.BytesIO()
    image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PICTURES = [png(pixels) for pixels in PIXELS]
LABELS = [k % 3 for k in range(12)]


def write(path, part=slice(None), pictures="image", labels="label", names=CLASSES, is_struct=True):
    """A file as Hugging Face's library writes it."""
    path.parent.mkdir(exist_ok=True)
    items = PICTURES[part]
    if is_struct:
        items = [{"bytes": item, "path": f"{k}.png"} for k, item in enumerate(items)]
    table = pa.table({pictures: items, labels: LABELS[part]})
    if names:
        features = {pictures: {"_type": "Image"}, labels: {"names": names, "_type": "ClassLabel"}}
        about = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": about})
    pq.write_table(table, path)
    return path


def assert_same(part, rows=slice(None)):
    assert part.images.sources == PICTURES[rows]
    assert list(part.labels) == LABELS[rows]
    assert len(part.files) == len(part.images)


@pytest.mark.parametrize("pictures", ["image", "img", "Picture"])
@pytest.mark.parametrize("labels", ["label", "labels", "fine_label", "class", "target"])
@pytest.mark.parametrize("is_struct", [True, False])
def test_one_file(tmp_path, pictures, labels, is_struct):
    path = write(tmp_path / "a.parquet", slice(None), pictures, labels, is_struct=is_struct)
    found = parquet.read(path)
    assert list(found.parts) == ["all"]
    assert_same(found.parts["all"])
    assert found.class_names == tuple(CLASSES)
    names = found.parts["all"].images.names
    assert names[:2] == (
        ["0.png", "1.png"] if is_struct else ["a.parquet row 0", "a.parquet row 1"]
    )
    assert parquet.read(write(path, names=None)).class_names is None


def test_the_pictures_can_be_decoded(tmp_path):
    found = parquet.read(write(tmp_path / "a.parquet"))
    decoded = found.parts["all"].images.decoded(1, (6, 5))[0]
    np.testing.assert_array_equal(np.asarray(decoded[:])[:, 0], PIXELS)


def test_labels_that_are_names_and_pictures_without_paths(tmp_path):
    path = tmp_path / "a.parquet"
    items = [{"bytes": item, "path": None} for item in PICTURES]
    pq.write_table(pa.table({"image": items, "label": [CLASSES[k] for k in LABELS]}), path)
    part = parquet.read(path).parts["all"]
    assert part.labels[:3] == CLASSES
    assert part.files[11] == "a.parquet row 11"


@pytest.mark.parametrize("within", ["", "data"])
def test_folders(tmp_path, within):
    """As on Hugging Face: sets by the beginning of the name, in several files."""
    write(tmp_path / within / "train-00000-of-00002.parquet", slice(0, 5))
    write(tmp_path / within / "train-00001-of-00002.parquet", slice(5, 9))
    write(tmp_path / within / "validation-00000-of-00001.parquet", slice(9, 10))
    write(tmp_path / within / "test-00000-of-00001.parquet", slice(10, 12), names=None)
    (tmp_path / within / "README.md").write_text("about")
    found = parquet.find(tmp_path)
    assert list(found.parts) == ["train", "valid", "test"]
    assert_same(found.parts["train"], slice(0, 9))
    assert_same(found.parts["valid"], slice(9, 10))
    assert_same(found.parts["test"], slice(10, 12))
    assert found.class_names == tuple(CLASSES)
    assert found.parts["train"].what == (
        f"{tmp_path / within / 'train-00000-of-00002.parquet'} to train-00001-of-00002.parquet"
    )


def test_folders_that_are_not_complete(tmp_path):
    assert parquet.find(tmp_path) is None
    write(tmp_path / "numbers.parquet")
    assert parquet.find(tmp_path) is None
    write(tmp_path / "test.parquet")
    assert refusal(parquet.find, tmp_path) == (
        f"{tmp_path} holds 'test.parquet': expected train-*.parquet as well"
    )
    write(tmp_path / "train-00001-of-00003.parquet")
    assert f"{tmp_path} lacks train-00000-of-00003.parquet: expected it beside train-00001" in (
        refusal(parquet.find, tmp_path)
    )


def test_files_that_name_other_classes(tmp_path):
    write(tmp_path / "train.parquet")
    write(tmp_path / "test.parquet", names=["dog", "cat", "ant"])
    message = refusal(parquet.find, tmp_path)
    assert message.startswith(f"{tmp_path / 'test.parquet'} names other classes than train.parquet")


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"[",
        b"[1]",
        b'{"info": 1}',
        b'{"info": {"features": {"label": {"names": 5}}}}',
        b"\xff",
    ],
)
def test_metadata_of_other_kinds(tmp_path, about):
    table = pa.table({"image": PICTURES, "label": LABELS}).replace_schema_metadata(
        {"huggingface": about}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert parquet.read(tmp_path / "a.parquet").class_names is None


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": [1], "b": [2]},
         "it has the columns 'a', 'b': expected a Parquet file with a column of"),
        ({"image": [b"a"], "text": ["b"]}, "it has the columns 'image', 'text': expected"),
        ({"image": [1], "label": [2]},
         "its column image is int64: expected the bytes of PNG or JPEG"),
        ({"image": ["a.png"], "label": [2]}, "its column image is string: expected the bytes"),
        ({"image": [{"path": "a"}], "label": [2]},
         "its column image is struct<path: string>: expected"),
        ({"image": [{"bytes": "a"}], "label": [2]}, "its column image is struct<bytes: string>"),
        ({"image": [b"a"], "label": [0.5]},
         "its column label is double: expected whole numbers or"),
        ({"image": [b"a"], "label": [[1]]}, "its column label is list"),
        ({"image": [b"a", None], "label": [1, 2]},
         "row 1 has no picture in image: expected its bytes"),
        ({"image": [{"bytes": b"a"}, None], "label": [1, 2]}, "row 1 has no picture in image"),
        ({"image": [{"bytes": None, "path": "a"}, {"bytes": b"a", "path": "a"}], "label": [1, 2]},
         "row 0 has no picture"),
        ({"image": [b"a", b"b"], "label": [None, 2]},
         "row 0 has no label: expected a number or name"),
    ],
)  # fmt: skip
def test_other_columns(tmp_path, columns, said):
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table(columns), path)
    message = refusal(parquet.read, path)
    assert message.startswith(f"{path}: ")
    assert said in message


def test_damaged_files(tmp_path):
    path = write(tmp_path / "a.parquet")
    good = path.read_bytes()
    for content in (b"", b"hello" * 20, b"PAR1" * 10):
        path.write_bytes(content)
        assert refusal(parquet.read, path).startswith(f"{path} is damaged or is not a Parquet file")
    path.write_bytes(b"<!DOCTYPE html>" * 10)
    assert f"{path} begins with <!DOC: it is a web page" in refusal(parquet.read, path)
    for size in range(0, len(good), 37):
        path.write_bytes(good[:size])
        assert refusal(parquet.read, path).startswith(str(path))
    assert "cannot be read" in refusal(parquet.read, tmp_path / "none.parquet")


def test_a_small_file_of_many_large_pictures(tmp_path, monkeypatch):
    """One picture in a dictionary, taken for each row."""
    monkeypatch.setattr(parquet, "MAX_BYTES", 2**24)
    values = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(999, np.int8)), pa.array([bytes(2**20)], pa.binary())
    )
    path = tmp_path / "bomb.parquet"
    pq.write_table(
        pa.table({"image": values, "label": np.zeros(999, int)}),
        path, store_schema=False, dictionary_pagesize_limit=2**22,
    )  # fmt: skip
    assert path.stat().st_size < 2**18
    assert f"{path}: it unpacks to more than 16777216 bytes" in refusal(parquet.read, path)


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refusal(parquet.read, path) == (
        f"{path}: reading Parquet files needs pyarrow; install it with: pip install "
        "'nbconv[parquet]' (or pip install pyarrow)"
    )
