"""The book's pickles are read by an unpickler that admits arrays alone.

All others are refused in one line.
"""

import gzip
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

import nbconv
from nbconv import load_data

from .conftest import HUGE, IMAGES, LABELS, Code, pickled_sets, refusal


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("suffix", [".pkl", ".pkl.gz", ".PKL.GZ"])
def test_pickles_like_the_books(tmp_path, protocol, suffix):
    content = pickled_sets(protocol)
    path = tmp_path / f"mnist{suffix}"
    path.write_bytes(content if suffix == ".pkl" else gzip.compress(content))
    parts = load_data(path)
    assert [len(part) for part in parts] == [10, 5, 5]
    assert parts[0].shape == (1, 4, 4)
    assert parts[0].store.dtype == np.float32
    np.testing.assert_array_equal(np.rint(parts[1].images[:, 0] * 255), IMAGES[10:15])
    np.testing.assert_array_equal(parts[2].labels, LABELS[15:])


def test_pickles_of_other_arrays(tmp_path):
    """Lists for tuples, Fortran order, big-endian and strided arrays.

    Images that are no squares stay flat.
    """
    path = tmp_path / "data.pkl"
    values = (IMAGES / 255).reshape(20, 16)[:, :15]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for images in (
            values,
            np.asfortranarray(values),
            values.astype(">f4"),
            values[::2].astype(">f8"),
            values > 0.5,
        ):
            path.write_bytes(
                pickle.dumps([[images, LABELS[: len(images)].astype(">i2")]] * 3, protocol)
            )
            train, _, test = load_data(path)
            np.testing.assert_array_equal(train.store[:, 0, 0], images)
            assert test.labels.dtype == np.int64


def python2_pickle():
    """As Python 2's cPickle.dump(..., protocol=2) with NumPy 1 wrote it."""

    def array(content, code):
        shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in content.shape) + b"t"
        return (
            b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
            b"q\x03\x87Rq\x04(K\x01" + shape + b"cnumpy\ndtype\nq\x05U\x02" + code
            + b"q\x06K\x00K\x01\x87Rq\x07(K\x03U\x01<q\x08NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
            b"K\x00tb\x89T" + struct.pack("<i", content.nbytes) + content.tobytes() + b"tb"
        )  # fmt: skip

    images = (IMAGES / 255).astype("<f4").reshape(20, 16)
    pairs = [
        array(images[a:b], b"f4") + array(LABELS[a:b].astype("<i8"), b"i8") + b"\x86"
        for a, b in ((0, 9), (9, 20))
    ]
    return b"\x80\x02" + pairs[0] + pairs[1] + pairs[1] + b"\x87q\x09."


def test_python_2_pickles(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        genuine = pickle.loads(python2_pickle(), encoding="latin1")
    (tmp_path / "mnist.pkl.gz").write_bytes(gzip.compress(python2_pickle()))
    parts = load_data(tmp_path / "mnist.pkl.gz")
    assert [len(part) for part in parts] == [9, 11, 11]
    for part, (images, labels) in zip(parts, genuine, strict=True):
        np.testing.assert_array_equal(part.store.reshape(-1, 16), images)
        np.testing.assert_array_equal(part.labels, labels)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_never_runs(tmp_path, protocol):
    path, marker = tmp_path / "bad.pkl", tmp_path / "marker"
    sets = pickle.loads(pickled_sets())
    for bad in (
        Code(marker),
        (*sets[:2], Code(marker)),
        [(Code(marker), LABELS)] * 3,
        (*sets[:2], (sets[0][0], Code(marker))),
    ):
        path.write_bytes(pickle.dumps(bad, protocol))
        message = refusal(load_data, path)
        assert message.startswith(str(path))
        assert "it asks for " in message
        assert "only NumPy arrays are loaded" in message
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"cos\nsystem\n(S'touch marker'\ntR.",
            "it asks for 'os.system', and only NumPy arrays are loaded",
        ),
        (
            b"(S'touch marker'\nios\nsystem\n.",
            "it asks for 'os.system', and only NumPy arrays are loaded",
        ),
        (b"(cos\nsystem\nS'touch marker'\no.", "it asks for 'os.system'"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "it asks for 'builtins.eval'"),
        (b"cnumpy\nload\n(S'other'\ntR.", "it asks for 'numpy.load'"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "it asks for 'numpy.core.multiarray.fromfile'"),
        (
            b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__base__\x93.",
            "it asks for 'numpy.ndarray.__base__'",
        ),
        (b"cnumpy\nndarray\n(I5\ntR.", "is damaged or is not a pickle of three"),
        (b"\x82\x01.", "it refers to objects outside of it, and only NumPy arrays are loaded"),
        (b"Pname\n.", "it refers to objects outside of it"),
        (b"I1\nQ.", "it refers to objects outside of it"),
        (b"c_codecs\nencode\n(Vabc\nVrot13\ntR.", "it asks for the encoding 'rot13'"),
        (b"cnumpy\ndtype\n(S'O8'\ntR.", "it holds an array of the dtype 'O8': expected numbers"),
        (b"cnumpy\ndtype\n(S'f4,O'\ntR.", "it holds an array of the dtype 'f4,O'"),
        (b"cnumpy\ndtype\n(I4\ntR.", "is damaged or is not"),
        (pickle.dumps("a\n" * 999)[:-1] + b"\x94h\x00\x93.", r"it asks for 'a\na\na"),
        (b"cnumpy\ndtype\n(S'" + b"f" * 999 + b"'\ntR.", "it holds an array of the dtype 'ffff"),
        (b"cnumpy\ndtype\n(S'f" + b"4" * 999 + b"'\ntR.", "is damaged or is not"),
        (pickle.dumps({"images": 1}), "holds a dict with the keys 'images': expected a pickle of"),
        (
            pickle.dumps((1, 2, 3)),
            "holds something else: expected a pickle of three (images, labels) pairs",
        ),
        (pickle.dumps(((1, 2),) * 3), "holds something other than arrays"),
        (pickle.dumps((IMAGES, LABELS)), "holds something else: expected"),
        (
            pickle.dumps(((IMAGES, LABELS.astype(object)),) * 3),
            "it holds an array of the dtype 'O8'",
        ),
        (
            pickle.dumps(((IMAGES, LABELS[:4]),) * 3),
            "training data: 4 labels were given for 20 images",
        ),
        (
            pickle.dumps(((IMAGES, LABELS), (IMAGES[:0], LABELS[:0])) * 2)[:-1],
            "is damaged or is not",
        ),
        (
            pickle.dumps(((IMAGES, LABELS), (IMAGES[:0], LABELS[:0]), (IMAGES, LABELS))),
            "validation data: images have",
        ),
        (
            pickle.dumps(((np.zeros((0, 16)), LABELS[:0]),) * 3),
            "training data: images have the shape 0x16",
        ),
        (
            pickle.dumps(((IMAGES * 1.5, LABELS),) * 3),
            "training data: image values range from 0 to 382.5",
        ),
        (pickled_sets() + b"x", "continues after its pickle: the file is damaged"),
        (b"", "is damaged or is not a pickle"),
        (b".", "is damaged or is not a pickle"),
        (b"hello", "is damaged or is not a pickle"),
        (b"\0" * 99, "is damaged or is not a pickle"),
        pytest.param(
            b"N" * 1_000_001 + b".",
            "it has more than 1,000,000 parts: expected a few arrays",
            marks=pytest.mark.slow,
        ),
        (b"c" + b"a" * 100_000, "is damaged or is not a pickle"),
        (b"\x8e" + struct.pack("<Q", HUGE), "the pickle has more than 2147483648 bytes"),
        (b"\x96" + struct.pack("<Q", HUGE), "the pickle has more than 2147483648 bytes"),
        (b"\x8e" + struct.pack("<Q", 2**30) + b"abc", "is damaged or is not a pickle"),
        (b"Nr\xff\xff\xff\xff.", "holds something else"),
    ],
)
def test_bad_pickles(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    for name, packed in (("bad.pkl", content), ("bad.pkl.gz", gzip.compress(content))):
        Path(name).write_bytes(packed)
        message = refusal(load_data, name)
        assert said in message
        assert message.startswith(name)
    assert not Path("marker").exists()


def test_a_forged_array_is_not_believed(tmp_path):
    """Bytes that are to be taken for pointers, and shapes that the bytes do not fill."""
    for old, new in (
        (b"X\x02\x00\x00\x00f8", b"X\x02\x00\x00\x00O8"),
        (b"K\x14K\x10", b"K\xffK\xff"),
    ):
        content = pickle.dumps((((IMAGES / 255).reshape(20, 16), LABELS),) * 3, 2)
        assert old in content
        (tmp_path / "bad.pkl").write_bytes(content.replace(old, new))
        assert "bad.pkl" in refusal(load_data, tmp_path / "bad.pkl")


@pytest.mark.slow
def test_truncated_and_corrupt_pickles(tmp_path):
    path = tmp_path / "data.pkl"
    for protocol in (2, 5):
        good = pickled_sets(protocol)
        for size in range(0, len(good), 29):
            path.write_bytes(good[:size])
            assert refusal(load_data, path).startswith(str(path))
        for position in range(0, len(good), 4):
            path.write_bytes(
                good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :]
            )
            try:
                load_data(path)  # a pixel or a label changed: a pickle has no sum
            except nbconv.DataError as error:
                assert str(error).startswith(str(path))  # noqa: PT017
