"""The documentation as a site (make docs), and the code of its pages."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import POSIX
from test_docs import PAGES, ROOT

import nbconv

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
# Pages whose Python another test runs, with files of its own or as a part of something.
RUN_BY = {
    "README.md": "test_docs.py",
    "docs/layer.md": "test_own_layer.py",
    "docs/onnx.md": "test_onnx.py",
    "docs/pictures.md": "test_pictures.py",
    "docs/sklearn.md": "test_sklearn.py",
}
A_NETWORK = "import nbconv\nnbconv.Network([784, 10]).save({!r})\n"


@pytest.mark.slow
def test_it_builds_without_a_broken_link(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    equations = (tmp_path / "equations.html").read_text(encoding="utf-8")
    assert "<math" in equations
    assert "arithmatex" not in equations
    assert 'href="source/kernels/reference/conv.py.html"' in equations
    source = (tmp_path / "source" / "kernels" / "reference" / "conv.py.html").read_text("utf-8")
    assert "conv2d_forward" in source
    assert "predict_proba" in (tmp_path / "api.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_python_on_a_page_is_python(page):
    for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        compile(textwrap.dedent(block), page, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_python_on_a_page_runs(page, tmp_path):
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    if page in RUN_BY:
        assert Path(page).name in (ROOT / "tests" / RUN_BY[page]).read_text(encoding="utf-8")
        return
    if page == "docs/architecture.md":  # a line of the settings
        assert all(block in (ROOT / "nbconv/training/settings.py").read_text() for block in blocks)
        return
    code = "\n".join(blocks)
    if '"mnist"' in code and "NBCONV_DATA" not in os.environ:
        pytest.skip("needs MNIST: set NBCONV_DATA")
    files = [name.replace("*", "0") for name in re.findall(r'"([\w*-]+\.h5)"', code)]
    done = subprocess.run(
        [sys.executable, "-c", "".join(map(A_NETWORK.format, files)) + code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_citation_is_of_this_version():
    assert f"\nversion: {nbconv.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@POSIX
@pytest.mark.slow
def test_an_array_of_members_from_python(tmp_path):
    """submitit's example, on its executor for one machine; a second time nothing is trained."""
    pytest.importorskip("submitit", reason="submitit is not installed")
    page = (ROOT / "docs" / "machines.md").read_text(encoding="utf-8")
    script = re.search(r"```py\n(import submitit\n.*?)```", page, re.DOTALL)[1]
    small = "nbconv ensemble train --net 64-10 --data digits --epochs 1 --out five"
    script = (
        script.replace("nbconv ensemble train --net dropout --data mnist --out five", small)
        .replace('"nbconv ', f'"{sys.executable} -m nbconv ')
        .replace('AutoExecutor(folder="jobs")', 'AutoExecutor(folder="jobs", cluster="local")')
        .replace("--members 5", "--members 2")
        .replace("range(1, 6)", "range(1, 3)")
    )
    written = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("of 2 is trained") == 2, done.stdout
        written.append([path.read_bytes() for path in sorted((tmp_path / "five").glob("*.h5"))])
    assert len(written[0]) == 2
    assert written[0] == written[1]
    sealed = [sys.executable, "-m", "nbconv", "ensemble", "seal", "five"]
    assert subprocess.run(sealed, cwd=tmp_path, check=False).returncode == 0


@POSIX
@pytest.mark.slow
def test_an_array_of_seeds(tmp_path):
    page = (ROOT / "docs" / "machines.md").read_text(encoding="utf-8")
    script = re.search(r"```bash\n(.*?)```", page, re.DOTALL)[1]
    (tmp_path / "members.sh").write_text(
        script.replace("--net conv-conv-relu --data mnist", "--net 64-10 --epochs 1")
    )
    (tmp_path / "nbconv").write_text(f'#!/bin/sh\nexec {sys.executable} -m nbconv "$@"\n')
    (tmp_path / "nbconv").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for index, said in (("0", "Checkpoint: member-0.h5"), ("1", "member-1.h5"), ("1", "finished")):
        done = subprocess.run(
            [shutil.which("bash") or "sh", "members.sh"],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": index},
            capture_output=True,
            text=True,
            check=False,
        )
        assert said in done.stdout + done.stderr
    assert (tmp_path / "member-0.h5").read_bytes() != (tmp_path / "member-1.h5").read_bytes()
