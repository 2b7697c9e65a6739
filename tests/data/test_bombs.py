"""Files that would fill the memory are refused, and large ones read, by small processes."""

import bz2
import gzip
import struct
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from .conftest import LABELS, NAMES, header, idx_folder, npy_bytes

LIMITED = """
import resource, sys, time
import h5py, zlib, zipfile, pickletools, nbconv
from nbconv.data.sources import load_images
nbconv.Dataset, nbconv.Network
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + {megabytes} * 2**20,) * 2)
for code in sys.argv[1:]:
    begun = time.perf_counter()
    try:
        exec(code)
    except nbconv.DataError as error:
        print(error)
    assert time.perf_counter() - begun < {seconds}, (code, time.perf_counter() - begun)
"""


def with_little_memory(folder, *codes, megabytes=100, seconds=10):
    """What these print in a folder, in a process that may take so much memory, and time a code."""
    if not sys.platform.startswith("linux"):
        pytest.skip("limits the memory as Linux does")
    script = LIMITED.format(megabytes=megabytes, seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", script, *codes],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def packed(content, zeros):
    """Gzip of content and so many times 16 MiB of zeros: 1,000 times smaller than unpacked."""
    return gzip.compress(content) + gzip.compress(bytes(2**24)) * zeros


def refusals(folder, names, megabytes=100):
    """What loading each of these, one after the other, says."""
    loads = [f"nbconv.load_data({name!r})" for name in names]
    return with_little_memory(folder, *loads, megabytes=megabytes)


@pytest.mark.slow
def test_gzip_bombs(tmp_path):
    # First of all: what others have taken and given back leaves the memory in pieces.
    (tmp_path / "parts.pkl.gz").write_bytes(gzip.compress(b"(" * 2**24) * 320)
    expected = {"parts.pkl.gz": "it has more than 1,000,000 parts"}
    for number, (shape, said) in enumerate(
        (
            ((12, 5, 5), "declares 300 bytes of data and holds more"),
            ((300, 4096, 4096), "declares 5033164800 bytes of data in the shape [300, 4096, 4096]"),
            ((100, 4096, 4096), "declares more data than this machine's memory holds"),
        )
    ):
        folder = idx_folder(tmp_path / f"idx{number}", ".gz")
        content = b"\0\0\x08\3" + struct.pack(">III", *shape)
        (folder / f"{NAMES[0]}.gz").write_bytes(packed(content, 320))
        expected[folder.name] = said
    for number, (content, said) in enumerate(
        (
            (b"", "is damaged or is not a pickle"),
            (b"\x8e" + struct.pack("<Q", 5 * 2**30), "the pickle has more than 2147483648 bytes"),
            (
                b"\x8e" + struct.pack("<Q", 2**30),
                "declares more data than this machine's memory holds",
            ),
            (b"T\x00\x00\x00\x40", "declares more data than this machine's memory holds"),
            (b"V", "is damaged or is not a pickle"),
            (b"Nr\xff\xff\xff\xff", "is damaged or is not a pickle"),
        )
    ):
        (tmp_path / f"{number}.pkl.gz").write_bytes(packed(content, 320))
        expected[f"{number}.pkl.gz"] = said
    messages = refusals(tmp_path, expected)
    for message, said in zip(messages, expected.values(), strict=True):
        assert said in message


def zip_bomb(path, content, zeros, method=zipfile.ZIP_DEFLATED, claim=None):
    """An .npz whose images.npy unpacks to content and that many times 16 MiB of zeros."""
    if method == zipfile.ZIP_DEFLATED:
        pieces = []
        for part in (content, bytes(2**24)):
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            pieces.append(packer.compress(part) + packer.flush(zlib.Z_FULL_FLUSH))
        data = pieces[0] + pieces[1] * zeros + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    else:
        data = bz2.compress(content) + bz2.compress(bytes(2**24)) * zeros
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", data)
        archive.writestr("labels.npy", npy_bytes(LABELS))
    forged = bytearray(path.read_bytes())
    size = struct.pack("<I", len(content) + zeros * 2**24 if claim is None else claim)
    central = forged.index(b"PK\1\2", len(data))
    forged[8:10] = forged[central + 10 : central + 12] = struct.pack("<H", method)
    forged[22:26] = forged[central + 24 : central + 28] = size
    path.write_bytes(forged)


@pytest.mark.slow
def test_zip_bombs(tmp_path):
    expected = {}
    big = npy_bytes(header=header("(200, 4096, 4096)"))[:-320]
    fits = npy_bytes(header=header("(100, 4096, 4096)"))[:-320]
    long = npy_bytes(header="", version=b"\2\0", length=100 * 2**24)[:-320]
    cases = (
        (big, 200, {}, " unpacks to 33554"),
        (fits, 100, {}, "declares more data than this machine's memory holds"),
        (fits, 100, {"claim": 400}, "Bad CRC-32"),
        (npy_bytes(), 100, {}, "declares 320 bytes of data and holds more"),
        (npy_bytes(), 100, {"claim": len(npy_bytes())}, "Bad CRC-32"),
        (
            npy_bytes(),
            100,
            {"method": zipfile.ZIP_BZIP2},
            "has a compression method that numpy.savez does not use",
        ),
        (long, 100, {}, "is damaged or is not an .npz file"),
    )
    for number, (content, zeros, options, said) in enumerate(cases):
        zip_bomb(tmp_path / f"{number}.npz", content, zeros, **options)
        expected[f"{number}.npz"] = said
    for name, message in zip(expected, refusals(tmp_path, expected), strict=True):
        assert message.startswith(name)
        assert expected[name] in message


@pytest.mark.slow
def test_h5_of_many_gigabytes(tmp_path):
    count = 2_000_000
    with h5py.File(tmp_path / "big.h5", "w") as file:
        for part in ("train", "test"):
            images = file.create_dataset(
                f"{part}_images", (count, 1, 64, 64), np.uint8, chunks=(100, 1, 64, 64)
            )
            images[:40] = np.arange(40, dtype=np.uint8)[:, None, None, None]
            images[-1:] = 255
            file.create_dataset(f"{part}_labels", (count,), np.uint8, chunks=(10_000,))[:40] = (
                np.arange(40) % 3
            )
    assert (tmp_path / "big.h5").stat().st_size < 10 * 2**20
    code = (
        "train, valid, test = nbconv.load_data('big.h5'); print(len(train), len(valid), "
        "len(test))\n"
        "print(int(train[20:].images[5].max() * 255 + 0.5), valid.images[-1].min())\n"
        "net = nbconv.Network([nbconv.Dense(3)], input_shape=4096)\n"
        "print(net.fit(train[:40], 1, 10, 0.1, test=test[-50:], "
        "validation=valid[:50])['validation_accuracy'][0] >= 0)"
    )
    assert with_little_memory(tmp_path, code, megabytes=600, seconds=60) == [
        "1666667 333333 2000000",
        "30 1.0",
        "True",
    ]


@pytest.mark.slow
def test_h5_that_declares_too_much(tmp_path):
    cases = (
        (
            (10**12, 1, 1),
            (1000, 1, 1),
            "labels has the shape (1000000000000,): expected at most 268435456 labels",
        ),
        (
            (20, 10**6, 10**6),
            (1, 1000, 1000),
            "declares more data than this machine's memory holds",
        ),
        (
            (20, 50_000, 50_000),
            (1, 50_000, 50_000),
            "images has chunks of the shape (1, 50000, 50000): expected at most",
        ),
    )
    for number, (shape, chunks, _said) in enumerate(cases):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file.create_dataset("images", shape, np.uint8, chunks=chunks)
            file.create_dataset("labels", shape[:1], np.uint8, chunks=(20,))
    messages = refusals(tmp_path, ["0.h5", "1.h5", "2.h5"], megabytes=400)
    for message, (_shape, _chunks, said) in zip(messages, cases, strict=True):
        assert said in message
