"""Files of format version 1: read as saved, and by a child process if they are crafted."""

import re
import shutil
import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import LINUX

from nbconv import Network, child
from nbconv.checkpoint import file as checkpoint
from nbconv.checkpoint import version1
from nbconv.checkpoint.contents import Contents

from .conftest import refusal, same


def write(path, contents, edit=lambda file: None, digest=True, **options):
    """Contents as nbconv 0.1.0 wrote them, edited; seal and digest fit for a trusting reader."""
    with h5py.File(path, "w", libver=("v110", "v110"), userblock_size=512) as file:
        for group, attributes in contents.attributes.items():
            file.require_group(group or "/").attrs.update(attributes)
        for name, array in contents.arrays.items():
            file[name] = array
        file.attrs["version"] = 1
        file.attrs["digest"] = ""
        file.attrs["digest"] = gathered(file).digest()
        edit(file)
        if digest:
            file.attrs["digest"] = gathered(file).digest()
    path.write_bytes(version1.sealed(path.read_bytes()[512:]))


def gathered(file):
    """What a trusting reader reads."""
    contents = Contents()
    gather(file, contents)
    return contents


def gather(group, contents, prefix="", depth=0):
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in group.attrs.items()
    }
    contents.attributes[prefix.removesuffix("/")] = plain
    for name in group if depth < 4 and len(contents.arrays) < 100 else ():
        item = group.get(name)
        if isinstance(item, h5py.Group):
            gather(item, contents, f"{prefix}{name}/", depth + 1)
        elif (
            isinstance(item, h5py.Dataset)
            and item.shape is not None
            and item.size < 10**6
            and item.dtype.kind in "iuf"
        ):
            contents.arrays[prefix + name] = item[()]


@pytest.fixture
def contents(trained):
    """Those of the trained network."""
    return checkpoint.load(trained)


def test_it_is_loaded_with_a_line_and_saved_as_version_2(trained, contents, tmp_path, caplog):
    path = tmp_path / "a.h5"
    write(path, contents)
    net = Network.load(path)
    same(Network.load(trained), net)
    (line,) = caplog.messages
    assert line.startswith(f"{path} has format version 1")
    net.save(path)
    assert path.read_bytes().startswith(b"nbconv checkpoint, format 2")


def test_a_velocity_of_zeros_was_stored(tmp_path):
    """Version 2 leaves it out."""
    net = Network([3, 2])
    net.save(tmp_path / "a.h5")
    contents = checkpoint.load(tmp_path / "a.h5")
    assert not [name for name in contents.arrays if name.startswith("optimizer/")]
    for name in ("weights", "biases"):
        layer = contents.arrays[f"layers/0-dense/{name}"]
        contents.arrays[f"optimizer/0-dense/{name}"] = np.zeros_like(layer)
    write(tmp_path / "b.h5", contents)
    same(net, Network.load(tmp_path / "b.h5"))


def test_a_stale_checksum_of_the_superblock_is_mended(contents, tmp_path):
    """With HDF5 1.x a file had its right seal and the checksum of a file that is open."""
    path = tmp_path / "a.h5"
    write(path, contents)
    stale = bytearray(path.read_bytes()[512:])
    stale[44:48] = bytes.fromhex("6a4ce945")
    path.write_bytes(version1.sealed(bytes(stale)))
    assert checkpoint.load(path).digest() == contents.digest()


def test_digest_and_seal_are_both_needed(contents, tmp_path):
    path = tmp_path / "a.h5"
    write(path, contents, put("history/cost", np.ones(3)), digest=False)
    assert "its content does not fit its digest" in refusal(path)
    write(path, contents)
    with h5py.File(path, "r+") as file:
        file["history/cost"][0] = 0
    assert "is damaged, or another program changed it" in refusal(path)


def put(name, value, **options):
    """An edit: this dataset in the place of one that may be there."""

    def edit(file):
        if name in file:
            del file[name]
        file.create_dataset(name, data=value, **options)

    return edit


def attribute(group, **values):
    return lambda file: file[group].attrs.update(values)


def external_storage(file):
    outside = file.filename + ".outside"
    Path(outside).write_bytes(bytes(40))
    del file["best/3-softmax/biases"]
    file.create_dataset("best/3-softmax/biases", (10,), "f4", external=[(outside, 0, 40)])


def virtual(file):
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(".", "layers/3-softmax/biases", (10,))
    del file["best/3-softmax/biases"]
    file.create_virtual_dataset("best/3-softmax/biases", layout)


def huge(**options):
    def edit(file):
        del file["history/cost"]
        file.create_dataset("history/cost", (2**40,), "f8", **options)

    return edit


def many_names(file):
    """Two groups that hold one array of no bytes under 90,000 names."""
    file["layers/0"] = np.ones(0)
    below = file.create_group("layers/0-many")
    for number in range(300):
        below[str(number)] = file["layers/0"]
        file[f"layers/many{number}"] = below


def texts(file):
    """One long text that 1,000 attributes claim, 1 GB of it."""
    file["training"].attrs.create(
        "run", np.array(["x" * 10**6] * 10, object), dtype=h5py.string_dtype()
    )


def linked(name, link):
    def edit(file):
        del file[name]
        file[name] = link

    return edit


CRAFTED = {
    "attribute of an array": (
        attribute("layers/0-conv2d/weights", more="x"),
        "'layers/0-conv2d/weights' is not stored as plain",
    ),
    "soft link": (linked("best", h5py.SoftLink("/layers")), "'best' is a link"),
    "dangling link": (linked("best", h5py.SoftLink("/none")), "'best' is a link"),
    "external link": (
        linked("history/cost", h5py.ExternalLink("other.h5", "/x")),
        "'history/cost' is a link",
    ),
    "cycle": (lambda file: file.__setitem__("layers/up", file["/"]), "one group or array too many"),
    "cycle of itself": (
        lambda file: file.__setitem__("best/0-conv2d/up", file["best"]),
        "one group or array too many",
    ),
    "many names": (many_names, "one group or array too many"),
    "deep groups": (
        lambda file: file.create_group("/".join("a" * 500)),
        "one group or array too many",
    ),
    "virtual": (virtual, "'best/3-softmax/biases' is not stored as plain numbers"),
    "external storage": (
        external_storage,
        "'best/3-softmax/biases' is not stored as plain numbers",
    ),
    "chunked": (put("history/cost", np.ones(3), chunks=(3,)), "is not stored as plain numbers"),
    "compressed": (
        put("history/cost", np.ones(3), compression="gzip"),
        "is not stored as plain numbers",
    ),
    "filtered": (
        put("history/cost", np.ones(3), fletcher32=True),
        "is not stored as plain numbers",
    ),
    "huge": (huge(), "'history/cost' would make it larger than it is"),
    "huge in chunks": (huge(chunks=(2**16,)), "is not stored as plain numbers"),
    "texts for numbers": (put("history/cost", ["a", "b", "c"]), "is not stored as plain numbers"),
    "structures for numbers": (
        put("history/cost", np.ones(3, "f4,f8")),
        "is not stored as plain numbers",
    ),
    "nothing for numbers": (
        put("history/cost", h5py.Empty("f8")),
        "is not stored as plain numbers",
    ),
    "truths for numbers": (
        put("history/cost", np.ones(3, bool)),
        "is not stored as plain numbers|expected float64",
    ),
    "lists for numbers": (
        put(
            "history/cost",
            np.array([np.ones(2)] * 3 + [None], object)[:3],
            dtype=h5py.vlen_dtype("f8"),
        ),
        "not stored as plain",
    ),
    "type for a group": (
        lambda file: file.__setitem__("type", np.dtype("f8")),
        "'type' is not stored as plain numbers",
    ),
    "list of texts": (texts, "the attribute 'run' is neither a text nor a number"),
    "list of numbers": (
        attribute("training", epoch=[1, 2]),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "no value": (
        attribute("training", epoch=h5py.Empty("i8")),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "truth": (
        attribute("training", epoch=True),
        "the attribute 'epoch' is neither a text nor a number",
    ),
    "bytes": (
        attribute("training", data=np.bytes_(b"x")),
        "the attribute 'data' is neither a text nor a number",
    ),
    "reference": (
        lambda file: file.attrs.__setitem__("more", file["best"].ref),
        "the attribute 'more' is neither a text nor a number",
    ),
    "many attributes": (
        attribute("training", **{f"a{number}": 1 for number in range(200)}),
        "attributes at one place",
    ),
    "other version": (attribute("/", version=3), "'format' and 'version' are not"),
    "no format": (lambda file: file.attrs.__delitem__("format"), "'format' and 'version' are not"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_crafted_file_is_refused(contents, tmp_path, case):
    """By what the child process runs."""
    edit, said = CRAFTED[case]
    path = tmp_path / "a.h5"
    write(path, contents, edit)
    with pytest.raises(ValueError, match=said):
        version1.read(path.read_bytes())


def test_a_crafted_file_is_one_line(contents, tmp_path):
    write(tmp_path / "a.h5", contents, linked("best", h5py.SoftLink("/layers")))
    assert "no checkpoint as nbconv writes it: 'best' is a link" in refusal(tmp_path / "a.h5")


@LINUX
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended its process with exit code -11"),
        ("time.sleep(60)", "did not come back within 2 s"),
        ("bytes(2**35)", "MemoryError"),
    ],
)
@pytest.mark.slow
def test_what_hdf5_does_to_the_child_is_one_line(contents, tmp_path, monkeypatch, code, said):
    """A copy of the package whose reader does what HDF5 was seen to do."""
    write(tmp_path / "a.h5", contents)
    package = tmp_path / "package" / "nbconv"
    root = Path(checkpoint.__file__).parents[2]
    shutil.copytree(root / "nbconv", package)
    for name in ("kernels", "cli"):
        shutil.copytree(root / name, package / name)
    module = package / "checkpoint" / "version1.py"
    reader = "def read(image: bytes) -> Contents:\n"
    assert module.read_text().count(reader) == 1
    broken = f"{reader}    import os, signal, time\n    {code}\n"
    module.write_text(module.read_text().replace(reader, broken))
    monkeypatch.setattr(version1, "SECONDS", 2)
    monkeypatch.setattr(child, "__file__", str(package / "child.py"))
    began = time.monotonic()
    assert said in refusal(tmp_path / "a.h5")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("shape", [(), (40,)])
def test_one_text_in_many_places_is_not_read_so_often(contents, tmp_path, shape):
    """A file of 2 MB: 40 attributes, or one of 40 parts, all point at one text of 1 MB.

    It is written in HDF5's old format, whose attributes have no checksums.
    """
    path = tmp_path / "a.h5"
    write(tmp_path / "good.h5", contents)
    with (
        h5py.File(tmp_path / "good.h5") as good,
        h5py.File(path, "w", userblock_size=512) as file,
    ):
        file.attrs.update(good.attrs)
        file.create_group("training").attrs.update(
            dict(good["training"].attrs) | {"run": "x" * 10**6}
        )
        for number in range(1 if shape else 40):
            text = np.array(["y" * 7777] * 40, object) if shape else "y" * 7777
            file["training"].attrs.create(f"a{number}", text, dtype=h5py.string_dtype())
    body = path.read_bytes()[512:]
    # A text's length, and where it lies; the text itself has eight bytes for its length.
    short, long = (
        re.compile(struct.pack("<I", length) + b"(?!\0{4}).{12}", re.DOTALL)
        for length in (7777, 10**6)
    )
    assert len(short.findall(body)) == 40
    (place,) = long.findall(body)
    path.write_bytes(version1.sealed(short.sub(lambda _: place, body)))
    with h5py.File(path) as file:
        assert len(np.ravel(file["training"].attrs["a0"])[0]) == 10**6
    said = "is neither a text nor a number" if shape else "would make it larger than it is"
    with pytest.raises(ValueError, match=said):
        version1.read(path.read_bytes())
