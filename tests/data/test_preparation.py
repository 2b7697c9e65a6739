"""Pictures of every kind, made like the training images: what comes out, and what is said."""

import io
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

import nbconv
from nbconv import Network, Softmax
from nbconv.data import archives, pictures
from nbconv.data.preparation import Ink, Preparation

from .conftest import IMAGES, refusal

pytest.importorskip("PIL", reason="reading pictures needs Pillow")
from PIL import Image


def ink_images(count=60, side=28, box=20, dark=False):
    """Bars at angles, light on black, normalised as MNIST's digits are."""
    images = []
    random = np.random.default_rng(0)
    for _ in range(count):
        rows, columns = (box, int(random.integers(4, box))) if random.random() < 0.7 else (
            int(random.integers(4, box)), box)  # fmt: skip
        image = np.zeros((side, side), np.uint8)
        top, left = round((side - rows) / 2), round((side - columns) / 2)
        image[top : top + rows, left : left + columns] = 255
        images.append(255 - image if dark else image)
    return np.array(images)


def trained(images, labels=None):
    net = Network([Softmax(2)], input_shape=(1, *images.shape[1:]))
    net.fit(nbconv.Dataset(images, np.arange(len(images)) % 2), 1, 10, 0.1)
    return net


@pytest.fixture(scope="module")
def net():
    return trained(ink_images())


def drawing(rows=300, columns=260, where=(40, 60, 140, 110), paper=235, ink=30):
    """A dark bar on light paper."""
    picture = np.full((rows, columns), paper, np.uint8)
    top, left, bottom, right = where
    picture[top:bottom, left:right] = ink
    return picture


def bar(image):
    """(top, left, bottom, right) of what is light in an image (1, rows, columns)."""
    rows, columns = (np.flatnonzero((image[0] > 0.5).any(axis=axis)) for axis in (1, 0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def saved(array, form="PNG", **options):
    file = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(
        file, form, **options
    )
    return file.getvalue()


def test_what_is_measured(net):
    ink = net.preparation.ink
    assert ink == Ink(20, "mass", (13.5, 13.5), 0.0, ink.stroke)
    assert 6 < ink.stroke < 14  # bars of 4 to 20 pixels
    dark = trained(ink_images(dark=True)).preparation.ink
    assert dark == Ink(20, "mass", (13.5, 13.5), 1.0, dark.stroke)
    random = np.random.default_rng(0)
    assert trained(random.integers(0, 256, (40, 12, 12), np.uint8)).preparation.ink is None
    moved = [np.roll(image, tuple(random.integers(-4, 5, 2)), (0, 1)) for image in ink_images()]
    assert trained(np.array(moved)).preparation.ink is None


def with_alpha(picture):
    """Black ink, where the picture is dark, on nothing."""
    zero = np.zeros_like(picture)
    return np.dstack([zero, zero, zero, 235 - picture])


def sideways(picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    return saved(np.rot90(picture), "JPEG", exif=exif, quality=95)


def shaded(picture):
    """Light from the left, and grain."""
    columns = np.linspace(1, 0.6, picture.shape[1])
    return (picture * columns + np.random.default_rng(0).normal(0, 3, picture.shape)).clip(0, 255)


def boxed(picture):
    picture = np.pad(picture, 40, mode="edge")
    inside = picture[20:-20, 20:-20].copy()
    picture[16:-16, 16:-16] = 255 - picture[0, 0]
    picture[20:-20, 20:-20] = inside
    return picture


WAYS = {
    "PNG": saved,
    "JPEG": lambda picture: saved(picture, "JPEG"),
    "WebP named otherwise": lambda picture: saved(picture, "WEBP"),
    "TIFF": lambda picture: saved(picture, "TIFF"),
    "PGM": lambda picture: saved(picture, "PPM"),
    "colour": lambda picture: saved(Image.fromarray(picture).convert("RGB")),
    "CMYK": lambda picture: saved(Image.fromarray(picture).convert("CMYK"), "JPEG"),
    "palette": lambda picture: saved(Image.fromarray(picture).convert("P"), "GIF"),
    "1 bit": lambda picture: saved(Image.fromarray(picture).convert("1", dither=0)),
    "16 bits": lambda picture: saved(picture.astype(np.uint16) * 257),
    "12 of 16 bits": lambda picture: saved(picture.astype(np.uint16) * 16),
    "transparent": lambda picture: saved(with_alpha(picture)),
    "EXIF": sideways,
    "inverted": lambda picture: saved(255 - picture),
    "shaded": lambda picture: saved(shaded(picture).astype(np.uint8)),
    "1,500 pixels": lambda picture: saved(np.kron(picture, np.ones((5, 5), np.uint8))),
    "an array": lambda picture: picture,
    "real values": lambda picture: picture / 255,
    "channels last": lambda picture: np.dstack([picture] * 3),
    "PIL": Image.fromarray,
    "a scan's rim": lambda picture: np.pad(picture, 9, constant_values=255 - picture[0, 0]),
    "in a box": boxed,
}


@pytest.mark.parametrize("way", WAYS)
def test_ink_is_put_where_theirs_is(net, way):
    (image,) = net.prepare([WAYS[way](drawing())])
    assert image.dtype == np.float32
    assert image.shape == (1, 28, 28)
    top, left, bottom, right = bar(image)
    assert abs(bottom - top - 20) <= 1  # 100 x 50 pixels become 20 x 10
    assert abs(right - left - 10) <= 1
    assert abs(top + bottom - 28) <= 2
    assert abs(left + right - 28) <= 2
    assert image[0, 0].max() == 0
    assert image.max() > 0.9
    assert net.preparation.unlike(image[None]) == [""]


def test_marks_all_along_the_edges_are_said(net):
    raster = np.asarray(Image.fromarray(drawing() // 2 + 60).convert("1").convert("L"))
    (there,) = net.prepared([("raster", np.kron(raster, np.ones((2, 2), np.uint8)))])
    assert there.done[-1] == "marks all along the edges, where plain paper is expected"
    (plain,) = net.prepared([("plain", drawing())])
    assert "along the edges" not in " ".join(plain.done)


def test_dark_ink_stays_dark():
    (image,) = trained(ink_images(dark=True)).prepare([saved(255 - drawing())])
    assert bar(1 - image)[2] - bar(1 - image)[0] in (19, 20, 21)
    assert image[0, 0].min() == 1


def test_what_is_right_already_stays_as_it_is(net):
    images = ink_images(10)
    np.testing.assert_allclose(net.prepare(list(images))[:, 0], images / 255, atol=1e-6)
    np.testing.assert_allclose(net.prepare(list(255 - images))[:, 0], images / 255, atol=1e-6)
    (done,) = {tuple(each.done) for each in net.prepared(enumerate_named(255 - images))}
    assert done == ("inverted",)
    for mode in ("RGB", "RGBA", "P"):  # the same greys in another kind of file
        (there,) = net.prepare([Image.fromarray(images[0]).convert(mode)])
        np.testing.assert_allclose(there[0], images[0] / 255, atol=1e-6)


def enumerate_named(images):
    return [(str(k), image) for k, image in enumerate(images)]


def test_one_or_several(net, tmp_path):
    (tmp_path / "a.png").write_bytes(saved(drawing()))
    path = tmp_path / "a.png"
    for one in (path, str(path), Image.open(path), drawing(), drawing()[None], [path], (path,)):
        assert net.prepare(one).shape == (1, 1, 28, 28)
    for several in ([path, str(path)], np.array([drawing()] * 2), iter([path, path])):
        assert net.prepare(several).shape == (2, 1, 28, 28)
    assert "no pictures were given" in refusal(net.prepare, [])


def test_what_was_done_is_said(net):
    def done(picture):
        return next(net.prepared([("a", picture)])).done

    assert done(saved(drawing())) == ["inverted", "ink of 100x50 moved and scaled"]
    assert done(sideways(drawing()))[0] == "turned upright"
    assert "no ink was found" in done(np.full((50, 40), 200, np.uint8))
    frames = [Image.fromarray(drawing()), Image.fromarray(255 - drawing())]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert done(moving)[0] == "the first of 2 frames"


def test_what_is_unlike_is_said(net):
    grey = np.full((1, 1, 28, 28), 0.5)
    noise = np.random.default_rng(0).random((1, 1, 28, 28))
    assert net.preparation.unlike(grey) == ["one colour: nothing to be seen"]
    assert net.preparation.unlike(noise)[0].startswith("unlike the training images: border 0.")
    assert net.preparation.unlike(ink_images(5)[:, None] / 255) == [""] * 5


def test_photos_are_resized_and_not_inverted():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 3, 16, 16), np.uint8)
    images[::2] //= 2
    net = Network([Softmax(2)], input_shape=(3, 16, 16))
    net.fit(nbconv.Dataset(images, np.arange(40) % 2), 1, 10, 0.1)
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16] = 200, 100, 50
    (image,) = net.prepare(picture)
    np.testing.assert_allclose(image[:, 2, 3] * 255, [200, 100, 50], atol=1)
    np.testing.assert_allclose(image[:, 13, 3], 0, atol=0.01)
    assert next(net.prepared([("a", picture)])).done == ["resized from 32x32"]


def test_grey_networks_take_colours_and_colour_networks_grey(net):
    net3 = Network([Softmax(2)], input_shape=(3, 28, 28))
    assert net3.prepare(drawing()).shape == (1, 3, 28, 28)
    flat = Network([Softmax(2)], input_shape=784)
    assert flat.prepare(drawing()).shape == (1, 1, 28, 28)
    assert flat.predict(flat.prepare(drawing())).shape == (1,)


def test_it_is_kept_and_copied(net, tmp_path):
    import copy
    import pickle

    net.save(tmp_path / "net.h5")
    for other in (
        Network.load(tmp_path / "net.h5"),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
    ):
        assert other.preparation == net.preparation
        assert other.class_names == net.class_names
        np.testing.assert_array_equal(other.prepare(drawing()), net.prepare(drawing()))
    assert Preparation.from_dict(net.preparation.to_dict()) == net.preparation


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged or is not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is damaged or is not a picture"),
        (saved(IMAGES[0])[:60], "is damaged"),
        (saved(IMAGES[0])[:20], "is damaged or is not a picture"),
        (b"\0\0\0\x18ftypheic" + bytes(30), "HEIC picture, which needs pillow-heif"),
    ],
)
def test_bad_pictures(net, tmp_path, content, said):
    (tmp_path / "bad.png").write_bytes(content)
    message = refusal(net.prepare, tmp_path / "bad.png")
    assert message.startswith(f"{tmp_path / 'bad.png'}")
    assert said in message
    assert "Ghostscript" not in message


def test_pictures_that_are_too_large(net, tmp_path):
    """The size is compared before anything is decoded."""
    bomb = bytearray(saved(IMAGES[0]))
    bomb[16:24] = struct.pack(">II", 2**15, 2**15)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    (tmp_path / "bomb.png").write_bytes(bomb)
    assert "it has more pixels than 134,217,728, the most there may be" in refusal(
        net.prepare, tmp_path / "bomb.png"
    )
    assert "does not exist" in refusal(net.prepare, tmp_path / "none.png")
    for bad, said in (
        (np.zeros((2, 2, 2, 2, 2)), "has the shape 2x2x2x2"),
        (np.zeros((5, 20, 20)), "5 channels: expected 1, 3 or 4"),
        (np.full((20, 20), 255.0), "range from 255 to 255: expected levels or values in [0, 1]"),
        (np.full((20, 20), np.nan), "expected levels or values in [0, 1]"),
        (np.full((20, 20), 300), "expected levels 0 to 255"),
    ):
        assert said in refusal(net.prepare, [bad])


def test_without_pillow(net, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    assert "reading pictures needs Pillow; install it with: pip install 'nbconv[pictures]'" in (
        refusal(net.prepare, "a.png")
    )


def test_zip_of_pictures(tmp_path, monkeypatch):
    """Unpacked once; names that lead out of it are refused."""
    monkeypatch.setattr("pooch.os_cache", lambda name: str(tmp_path / "cache"))
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a", "b"):
            for n in range(7):
                archive.writestr(f"top/{name}/{n}.png", saved(np.full((4, 4), n, np.uint8)))
        archive.writestr("__MACOSX/top/a/._0.png", b"x")
    assert [len(part) for part in nbconv.load_data(path)] == [10, 2, 2]
    assert nbconv.load_data(path)[0].class_names == ("a", "b")
    assert len(list((tmp_path / "cache" / "archives").iterdir())) == 1
    for bad in ("../out.png", "/out.png", "a/../../out.png"):
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            archive.writestr(bad, b"x")
        assert "which is outside of it" in refusal(nbconv.load_data, tmp_path / "bad.zip")
    assert not (tmp_path / "out.png").exists()
    (tmp_path / "bad.zip").write_bytes(path.read_bytes()[:300])
    assert str(tmp_path / "bad.zip") in refusal(nbconv.load_data, tmp_path / "bad.zip")
    assert len(list((tmp_path / "cache" / "archives").iterdir())) == 1


def test_archives_have_bounds(tmp_path, monkeypatch):
    """Of bytes and of files, empty ones too; a tar archive is read like a zip archive."""
    monkeypatch.setattr("pooch.os_cache", lambda name: str(tmp_path / "cache"))
    path = tmp_path / "data.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("a", "b"):
            for n in range(7):
                content = saved(np.full((4, 4), n, np.uint8))
                entry = tarfile.TarInfo(f"{name}/{n}.png")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    assert [len(part) for part in nbconv.load_data(path)] == [10, 2, 2]
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for n in range(9):
            archive.writestr(f"a/{n}.png", b"")
    monkeypatch.setattr(archives, "MAX_FILES", 8)
    assert "unpacks to more than" in refusal(nbconv.load_data, tmp_path / "many.zip")
    monkeypatch.setattr(archives, "MAX_FILES", 100)
    monkeypatch.setattr(archives, "MAX_UNPACKED", 100)
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        archive.writestr("a/0.png", bytes(101))
    assert "unpacks to more than 100 bytes" in refusal(nbconv.load_data, tmp_path / "large.zip")
    assert len(list((tmp_path / "cache" / "archives").iterdir())) == 1


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_in_archives(kind, tmp_path, monkeypatch, caplog):
    """A link to a file in the archive is that file; others are counted and left out."""
    monkeypatch.setattr("pooch.os_cache", lambda name: str(tmp_path / "cache"))
    path = tmp_path / f"data.{kind}"
    links = {  # by name; a hard link leads from the root, a symbolic one from its folder
        "top/b/1.png": "0.png",
        "top/b/2.png": "1.png",
        "top/b/3.png": "../a/3.png",
        "top/b/out.png": "../../../etc/passwd",
        "top/b/root.png": "/etc/passwd",
        "top/b/round.png": "round.png",
        "top/b/lost.png": "nowhere.png",
        "top/c": "a",
    }
    pictures_of = {
        f"top/{name}/{n}.png": saved(np.full((4, 4), n, np.uint8))
        for name, count in (("a", 9), ("b", 1))
        for n in range(count)
    }
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            for name, to in links.items():  # before what they lead to
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, to
                archive.addfile(entry)
            for name, content in pictures_of.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            hard = tarfile.TarInfo("top/b/4.png")
            hard.type, hard.linkname = tarfile.LNKTYPE, "top/b/0.png"
            archive.addfile(hard)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, to in links.items():
                entry = zipfile.ZipInfo(name)
                entry.create_system, entry.external_attr = 3, 0o120777 << 16
                archive.writestr(entry, to)
            for name, content in pictures_of.items():
                archive.writestr(name, content)
    sets = nbconv.load_data(path)
    labels = np.concatenate([part.labels for part in sets])
    assert np.bincount(labels).tolist() == [9, 5 if kind == "tar" else 4]
    assert "5 links, such as top/b/out.png, do not lead to a file in it" in caplog.text


def test_endings():
    assert pictures.is_picture("A.JPG")
    assert not pictures.is_picture("a.npy")
