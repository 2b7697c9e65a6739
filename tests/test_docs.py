"""What the README shows is run as it stands."""

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_example_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    exec(compile(example, "README.md", "exec"), {})
    validation, test = map(float, capsys.readouterr().out.split())
    assert validation > 0.9
    assert test > 0.9
    assert (tmp_path / "run.h5").exists()
