"""The recipe for a layer in a user's own file, as docs/layer.md shows it."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import nbconv
from nbconv import Conv2D, Dense, Network, SettingError, Softmax
from nbconv.diagnostics import gradcheck
from nbconv.layers import LAYERS, LayerSpec

PAGE = (Path(__file__).parent.parent / "docs" / "layer.md").read_text(encoding="utf-8")
EXAMPLE = next(
    part for part in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "Affine" in part
)
DEFINITIONS = EXAMPLE[: EXAMPLE.index("train, valid, test")]


@pytest.fixture
def affine(tmp_path, monkeypatch):
    """The module of the recipe's layer, known only within the test."""
    (tmp_path / "affine.py").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import affine

    yield affine
    del sys.modules["affine"], LAYERS["Affine"]


@pytest.mark.slow
def test_it_trains_saves_and_loads(tmp_path):
    (tmp_path / "example.py").write_text(EXAMPLE)
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.7
    with pytest.raises(nbconv.CheckpointError, match=r"'Affine'.*import the module that registers"):
        Network.load(tmp_path / "own.h5")


@pytest.mark.slow
def test_its_gradient(affine):
    layers = [Conv2D(3, 3), affine.Affine(), Conv2D(2, 2), Softmax(3)]
    assert gradcheck.check("affine", layers, (1, 7, 7), None).error < gradcheck.BOUND


def test_what_cannot_be_registered(affine):
    @dataclass(frozen=True)
    class Affine(LayerSpec):
        notation = "B"

        def build(self, input_shape, index, recorder, dtype):
            raise NotImplementedError

    with pytest.raises(SettingError, match="a layer Affine is registered already"):
        nbconv.register_layer(Affine)
    with pytest.raises(SettingError, match="expected a dataclass derived from LayerSpec"):
        nbconv.register_layer(int)
    assert nbconv.register_layer(affine.Affine) is affine.Affine


def test_layers_of_feature_maps_come_before_dense_ones(affine):
    with pytest.raises(SettingError, match="layer 2, A, comes after a dense layer"):
        Network([Dense(20), affine.Affine(), Softmax(3)], (1, 7, 7))
