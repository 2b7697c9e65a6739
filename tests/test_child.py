"""Processes of nbconv's own modules find what their parent finds."""

import subprocess
import sys

from nbconv import child


def test_the_parent_s_path_comes_last(tmp_path, monkeypatch):
    """But for the current folder, whose files could shadow any module."""
    for folder in ("added", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "only_here.py").write_text(f"print({folder!r})\n")
        (tmp_path / folder / "json.py").write_text("raise SystemExit('shadowed')\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "here"), *sys.path])
    here = subprocess.run(child.command("only_here"), capture_output=True, text=True, check=False)
    assert "No module named only_here" in here.stderr
    sys.path.insert(0, str(tmp_path / "added"))
    done = subprocess.run(child.command("only_here"), capture_output=True, text=True, check=False)
    assert done.stdout == "added\n", done.stderr
