"""The files of compiled kernels: nothing that happens to them stops a program."""

import os
import pickle
import subprocess
import sys

import pytest
from conftest import LINUX, POSIX
from nbconv.kernels import compilation

COMPUTE = """
import numpy as np
from nbconv.kernels import cpu, scalar
for dtype in "float32", "float64":
    a = np.linspace(-1, 1, 9).astype(dtype)
    cpu.activation_forward(a, (scalar.TANH, 0.0))
    print(a.tobytes().hex())
"""


def compute(folder, head=""):
    """(what a process computes with a kernel, what it says), the kernel's files in that folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", head + COMPUTE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_only_what_was_saved_is_loaded(tmp_path):
    files = compilation._Files(tmp_path, "kernel")
    assert files.load("key") is None
    files.save("key", ["content"])
    files.save("other", ["other"])
    assert files.load("key") == ["content"]
    path, other = (next(tmp_path.glob(files._path(key).name)) for key in ("key", "other"))
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert files.load("key") is None
        path.write_bytes(good[:place])
        assert files.load("key") is None
    path.write_bytes(other.read_bytes())
    assert files.load("key") is None
    path.write_bytes(compilation._seal("key", b"no pickle") + b"no pickle")
    assert files.load("key") is None
    path.unlink()
    path.mkdir()
    assert files.load("key") is None
    files.save("key", ["content"])  # cannot be, and no exception
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, other.name])


@pytest.mark.slow
def test_kernels_that_cannot_be_kept(tmp_path, monkeypatch):
    """With this setting Numba leaves some out; they are compiled in each process."""
    monkeypatch.setenv("NUMBA_OPT", "0")
    right, said = compute(tmp_path)
    assert len(right.splitlines()) == 2
    assert said == ""


@pytest.mark.slow
def test_a_damaged_cache_is_compiled_again(tmp_path):
    right, _ = compute(tmp_path)
    (folder,) = tmp_path.iterdir()
    kernels = sorted(folder.glob("*.nbc"))
    assert len(kernels) >= 4
    for number, path in enumerate(kernels):
        content = path.read_bytes()
        path.write_bytes(
            [b"", content[: len(content) // 2], b"\x80" * 99, content + b"x"][number % 4]
        )
    assert compute(tmp_path) == (right, "")
    for path in kernels:  # and repaired
        content = path.read_bytes()
        assert content[32:]
        pickle.loads(content[32:])


@POSIX
@pytest.mark.slow
def test_a_full_disk_is_one_line(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    right, said = compute(tmp_path, limit)
    assert said.count("\n") == 1
    assert f"compiled kernels cannot be kept in {tmp_path}" in said
    assert "(File too large)" in said
    assert not list(tmp_path.rglob("*.nbc"))
    assert compute(tmp_path) == (right, "")


@LINUX
@pytest.mark.slow
def test_a_filled_cache_need_not_be_writable(tmp_path):
    """Mounted read-only, as jobs share one: its kernels are used, and nothing is said."""
    right, _ = compute(tmp_path)
    mount = "mount --bind $0 $0 && mount -o remount,ro,bind $0 && touch $0/x"
    private = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    tried = subprocess.run([*private, mount, tmp_path], capture_output=True, text=True, check=False)
    if "Read-only" not in tried.stderr:
        pytest.skip(f"a folder cannot be mounted read-only here: {tried.stderr.strip()}")
    script = f"{COMPUTE}\nfrom nbconv.kernels import compilation as c\nprint(c.CACHE)\n"
    script += "print(sum(cpu.activation_forward.stats.cache_misses.values()))"
    done = subprocess.run(
        [*private, f'{mount} || exec "$@"', tmp_path, sys.executable, "-c", script],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (folder,) = tmp_path.iterdir()
    assert done.stdout == f"{right}{folder}\n0\n"
    assert done.stderr.replace(tried.stderr, "") == ""


@LINUX
@pytest.mark.slow
def test_no_right_to_write_is_one_line(tmp_path):
    """The kernels are then in a temporary folder, which goes with the process."""
    head = f"import tempfile\ntempfile.tempdir = {str(tmp_path)!r}\n"
    right, said = compute("/proc/nowhere", head)
    assert said.startswith("compiled kernels cannot be kept in /proc/nowhere/")
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == []
    assert compute(tmp_path) == (right, "")


@LINUX
def test_no_place_for_a_cache(tmp_path):
    """Read-only everywhere, as in a container without a temporary folder."""
    head = "import tempfile\ntempfile._get_default_tempdir = lambda: '/proc/nowhere'\n"
    environment = {**os.environ, "NUMBA_CACHE_DIR": "/proc/nowhere", "TMPDIR": "/proc/nowhere"}
    script = f"{head}from nbconv.kernels import compilation as c; print(c.CACHE, c.CACHE_IS_KEPT)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None False\n"
    assert done.stderr.count("\n") == 1


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root: chown")
def test_another_users_cache_is_not_run(tmp_path):
    mine = compilation._why_not(tmp_path / "mine")
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    assert mine is None
    assert compilation._why_not(tmp_path / "theirs") == "another user owns it or can write to it"


@POSIX
def test_a_cache_that_everybody_can_write_to_is_not_run(tmp_path):
    tmp_path.chmod(0o777)
    assert compilation._why_not(tmp_path) == "another user owns it or can write to it"
    tmp_path.chmod(0o775)
    assert compilation._why_not(tmp_path) is None
