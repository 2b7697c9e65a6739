"""Each setting stands in one place, and everything that offers it comes from there."""

import inspect
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from nbconv.cli import main

import nbconv
from nbconv import Network, SettingError, names
from nbconv.layers.initialisers import DEVIATIONS
from nbconv.runs import run as runs
from nbconv.runs.settings import RunSettings
from nbconv.training.settings import Settings

ROOT = Path(__file__).parent.parent


def python(script, folder):
    """What a script prints that finds nbconv in this folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("setting", fields(RunSettings), ids=lambda setting: setting.name)
def test_every_setting_has_help_a_check_and_an_option(setting):
    (option,) = (one for one in main.commands["train"].params if one.name == setting.name)
    assert option.opts == [f"--{setting.name.replace('_', '-')}"]
    assert setting.metadata["help"] in option.help
    assert setting.metadata["help"].endswith(".")
    with pytest.raises(SettingError, match=f"{setting.name} is .*: expected"):
        RunSettings(**{setting.name: object()})
    assert getattr(RunSettings(), setting.name) == setting.default


def test_fit_shows_every_setting():
    shown = inspect.signature(Network([2, 2]).fit).parameters
    assert list(shown)[:6] == ["train", "epochs", "mini_batch_size", "eta", "lmbda", "momentum"]
    for setting in fields(Settings):
        parameter = shown[setting.name]
        required = setting.name in ("epochs", "mini_batch_size")
        assert parameter.default == (parameter.empty if required else setting.default)
        line = f"{setting.name}{'' if required else f' = {setting.default!r}'}: "
        assert f"\n    {line}{setting.metadata['help']}" in inspect.getdoc(Network.fit)


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("elastc", "elastic"), ("validaton", "validation"), ("learning_rate", "eta")],
)
def test_an_unknown_argument_of_fit(digits, given, nearest):
    with pytest.raises(SettingError) as refused:
        Network([64, 10]).fit(digits[0], 1, 10, 0.1, **{given: 1})
    line = f"{given} is not a setting: did you mean {nearest}? Expected one of train, epochs, "
    assert str(refused.value).startswith(line)


@pytest.mark.parametrize(
    ("given", "ours"), [({"batch_size": 10}, "mini_batch_size"), ({"num_epochs": 1}, "epochs")]
)
def test_a_required_argument_of_fit_by_another_name(digits, given, ours):
    needed = {"epochs": 1, "mini_batch_size": 10}
    del needed[ours]
    with pytest.raises(SettingError, match=f"is not a setting: did you mean {ours}[?]"):
        Network([64, 10]).fit(digits[0], **needed, **given)
    with pytest.raises(TypeError, match=ours):
        Network([64, 10]).fit(digits[0], **needed)


def test_an_unknown_setting_of_a_run():
    with pytest.raises(SettingError, match=r"^momentun is not a setting: did you mean momentum\?"):
        runs.checked({"momentun": 0.5})


def test_a_long_value_is_shown_by_its_beginning():
    with pytest.raises(SettingError) as refused:
        Settings(epochs=list(range(9999)))
    line = str(refused.value)
    assert line.startswith("epochs is [0, 1, 2, ")
    assert line.endswith(" ...: expected a whole number of 1 or more")
    assert len(line) < 150
    with pytest.raises(SettingError) as refused:
        Settings(epochs=np.arange(40).reshape(4, 10))
    assert str(refused.value).splitlines() == [str(refused.value)]


def test_values_become_plain_python():
    settings = Settings(np.int64(1), eta=np.float32(0.5), expand=np.True_, patience=np.int8(3))
    for name, value in (("epochs", 1), ("eta", 0.5), ("expand", True), ("patience", 3)):
        assert getattr(settings, name) == value
        assert type(getattr(settings, name)) is type(value)


def test_every_initialiser_has_a_name():
    assert ("auto", *DEVIATIONS) == names.INITIALISERS


def test_the_help_of_train_is_light():
    script = (
        "import sys; from nbconv.cli import main; "
        "main(['train', '--help'], standalone_mode=False); print(*sys.modules)"
    )
    loaded = python(script, Path(nbconv.__file__).parent.parent).splitlines()[-1].split()
    assert "nbconv.training.settings" in loaded
    assert not {"numba", "h5py", "numpy"} & set(loaded)


A_FIELD = """
    wobble: float = setting(0.25, "Wobble by this share.", checks.number, below=1.0)
"""
A_NEW_SETTING = """
import inspect
from pathlib import Path

from click.testing import CliRunner
from nbconv.cli import main

from nbconv import Network
from nbconv.runs import run as runs
from nbconv.training.settings import Settings


def train(*arguments):
    return CliRunner().invoke(main, ["train", *arguments], terminal_width=120).output


assert "  --wobble FLOAT " in train("--help")
assert "Wobble by this share.  [default: 0.25]" in train("--help")
assert inspect.signature(Network.fit).parameters["wobble"].default == 0.25
assert "wobble = 0.25: Wobble by this share." in Network.fit.__doc__
Path("run.toml").write_text("wobble = 2")
refused = "Error: wobble is 2: expected a number of 0 or more and less than 1\\n"
assert train("run.toml").endswith(refused)

network = Network([64, 10])
network.state.run = runs.checked({"net": "64-10", "wobble": 0.5})
network.state.settings = Settings(eta=0.1, wobble=0.5)
network.save("run.h5")
assert Network.load("run.h5").state.settings.wobble == 0.5
assert "was trained with wobble 0.5, and 0.75 was given" in train(
    "--resume", "run.h5", "--wobble", "0.75"
)
print("done")
"""


@pytest.mark.slow
def test_a_new_setting_is_one_field(tmp_path):
    """An option, a name in TOML, an argument of fit, kept and compared by checkpoints."""
    for source, place in (
        ("nbconv", "nbconv"),
        ("kernels", "nbconv/kernels"),
        ("cli", "nbconv/cli"),
    ):
        ignore = shutil.ignore_patterns("__pycache__")  # which other tests write to
        shutil.copytree(ROOT / source, tmp_path / place, ignore=ignore)
    file = tmp_path / "nbconv" / "training" / "settings.py"
    before, end, after = file.read_text().partition("\n    def __post_init__")
    file.write_text(before + A_FIELD + end + after)
    assert python(A_NEW_SETTING, tmp_path) == "done\n"
