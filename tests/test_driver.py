"""What is said where CUDA does not work: real processes, with a library like a broken driver."""

import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM"):
    pytest.skip("the simulator needs no driver", allow_module_level=True)

ASK = "from nbconv.backend import why_not_cuda; print(why_not_cuda())"
DRIVER = """
#include <stdlib.h>
#include <unistd.h>
static int first;  /* the process that called first: a driver refuses its children */
int cuInit(unsigned flags)
{
    (void)flags;
    if (!first) first = getpid();
    return first == getpid() ? atoi(getenv("STATUS")) : 3;
}
int cuDriverGetVersion(int *version) { *version = atoi(getenv("VERSION")); return 0; }
"""


def ask(script=ASK, path=(), options=(), **environment):
    """What a process prints that sees these folders' libraries first."""
    variables = {
        name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"
    }
    variables |= {"LD_LIBRARY_PATH": ":".join(map(str, path)), **environment}
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A folder with a libcuda.so.1 that answers what STATUS and VERSION say."""
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("needs Linux and a C compiler to make a driver library that answers as asked")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(DRIVER)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", folder / "driver.c"], check=True
    )
    return folder


def test_where_there_is_no_gpu(invoke):
    """Here, for conftest.py hides those that there are."""
    pytest.importorskip("numba_cuda", reason="needs numba-cuda, which is for Linux and Windows")
    for arguments in (("train", "--backend", "cuda"), ("parity", "--backends", "cpu,cuda")):
        error = invoke(*arguments, code=1).stderr
        assert error.startswith("Error: backend 'cuda' is not there: ")
        assert "no NVIDIA driver is installed" in error or "CUDA_VISIBLE_DEVICES is ''" in error
        assert error.count("\n") == 1
    assert re.search(r"cuda +off: \S", invoke("doctor").stdout)


@pytest.mark.slow
def test_only_a_verbose_command_says_that_there_is_no_gpu(command):
    train = ("train", "--epochs", "1", "--net", "64-10", "--out", "run.h5")
    assert "Backend" not in command(*train).stderr
    for arguments in (("-v", *train), (*train, "--verbose")):
        assert command(*arguments).stderr.count("Backend: cpu, because ") == 1
    assert "Backend" not in command("-v", "eval", "run.h5", "--backend", "cpu").stderr


@pytest.mark.slow
def test_a_faulty_driver_is_named_once(command, driver):
    pytest.importorskip("numba_cuda", reason="needs numba-cuda, which is for Linux and Windows")
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(driver),
        "STATUS": "999",
        "VERSION": "13000",
    }
    for name in ("train", "ensemble train --members 2"):
        told = command(*name.split(), "--epochs", "1", "--net", "64-10", env=environment).stderr
        assert (
            told.count("Backend: cpu, because the NVIDIA driver does not start (CUDA error 999)")
            == 1
        )


@pytest.mark.slow
def test_a_driver_without_a_gpu_is_no_fault(command, driver):
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(driver),
        "STATUS": "100",
        "VERSION": "13000",
    }
    assert (
        "Backend" not in command("train", "--epochs", "1", "--net", "64-10", env=environment).stderr
    )


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ("numba_cuda", r"numba-cuda is not installed: pip install 'nbconv\[cu13\]'"),
        (
            "cuda_bindings",
            r"CUDA's packages for Python are not installed: pip install 'nbconv\[cu13\]'",
        ),
        (
            "nvidia",
            r"CUDA's (nvvm|nvrtc|nvJitLink) library is not installed: pip install 'nbconv\[cu13\]'",
        ),
    ],
)
@pytest.mark.slow
def test_without_a_package(tmp_path, driver, without, expected):
    """A folder of all installed packages but that one."""
    pytest.importorskip(
        "cuda.core", reason="needs numba-cuda with CUDA's packages: pip install 'nbconv[cu13]'"
    )
    for package in Path(site.getsitepackages()[0]).iterdir():
        if not package.name.startswith((without, f"_{without}")):
            (tmp_path / package.name).symlink_to(package)
    own = "sys.path = [p for p in sys.path if 'site-packages' not in p]"
    script = f"import site, sys; {own}; site.addsitedir({str(tmp_path)!r}); {ASK}"
    assert re.match(expected, ask(script, [driver], ("-S",), STATUS="0", VERSION="13000"))


@pytest.mark.parametrize(
    ("status", "version", "visible", "expected"),
    [
        (100, 13000, None, "the NVIDIA driver finds no GPU: see what nvidia-smi shows"),
        (
            100,
            13000,
            "",
            "CUDA_VISIBLE_DEVICES is '', which hides every GPU: unset it, or name one that is "
            "there",
        ),
        (3, 13000, None, "this process was forked from one that had used the GPU"),
        (803, 13000, None, "restart the machine"),
        (999, 13000, None, "the NVIDIA driver does not start (CUDA error 999)"),
        (
            0,
            11080,
            None,
            "the NVIDIA driver supports CUDA 11.8: expected 12 or newer; update the driver",
        ),
        (
            0,
            12040,
            None,
            "supports CUDA 12.4 and the installed toolkit is CUDA 13: update the driver, or pip",
        ),
        (0, 13000, None, "None"),
    ],
)
@pytest.mark.slow
def test_one_line_for_each_driver(driver, status, version, visible, expected):
    pytest.importorskip(
        "cuda.core", reason="needs numba-cuda with CUDA's packages: pip install 'nbconv[cu13]'"
    )
    environment = {"STATUS": str(status), "VERSION": str(version)}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    line = ask(path=[driver], **environment)
    assert expected in line
    assert "\n" not in line


@pytest.mark.slow
def test_a_numpy_that_numba_cuda_cannot_use(tmp_path, command):
    """A folder that says of itself that NumPy 2.5.0 is installed there."""
    pytest.importorskip("numba_cuda", reason="needs numba-cuda, which is for Linux and Windows")
    (tmp_path / "numpy-2.5.0.dist-info").mkdir()
    (tmp_path / "numpy-2.5.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: numpy\nVersion: 2.5.0\n"
    )
    line = "numba-cuda does not work with NumPy 2.5.0: pip install 'numpy<2.5'"
    assert ask(PYTHONPATH=str(tmp_path)) == line
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert f"off: {line}\n" in command("doctor", env=environment).stdout


@pytest.mark.slow
def test_a_fork_after_the_question(driver):
    pytest.importorskip(
        "cuda.core", reason="needs numba-cuda with CUDA's packages: pip install 'nbconv[cu13]'"
    )
    script = (
        ASK + "; import os, sys; sys.stdout.flush(); child = os.fork(); "
        "child or print(why_not_cuda()); child and os.wait()"
    )
    first, second = ask(script, [driver], STATUS="0", VERSION="13000").splitlines()
    assert first == "None"
    assert "was forked from one that had used the GPU" in second
