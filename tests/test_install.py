"""What `pip install .` in a clone gives: an environment with the declared dependencies only."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest
from nbconv.kernels import compilation
from packaging.requirements import Requirement

import nbconv

ROOT = Path(__file__).parent.parent
SOURCES = ("nbconv", "kernels", "cli", "pyproject.toml", "setup.py", "README.md", "LICENSE")
NAMES = (
    "import nbconv, nbconv.kernels, nbconv.cli; "
    "print(nbconv.__path__, nbconv.kernels.__file__, nbconv.cli.__file__)"
)


def names(path, folder):
    """What NAMES prints for an nbconv with this module path, kernels/ and cli/ in that folder."""
    modules = (folder / "kernels/__init__.py", folder / "cli/__init__.py")
    return " ".join(map(str, ([*map(str, path)], *modules)))


def is_installed(requirement):
    try:
        return requirement.specifier.contains(metadata.version(requirement.name))
    except metadata.PackageNotFoundError:
        return False


def distributions(requirements):
    """The installed distributions that these requirements and theirs come to, by name."""
    found, left = {}, [Requirement(line) for line in requirements]
    while left:
        requirement = left.pop()
        if requirement.name in found or (
            requirement.marker and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        found[requirement.name] = distribution = metadata.distribution(requirement.name)
        left += map(Requirement, distribution.requires or ())
    return found


class Environment:
    """A virtual environment with these requirements, linked from where they are installed here."""

    def __init__(self, folder, requirements):
        venv.create(folder, symlinks=os.name != "nt")
        variables = {"base": str(folder), "platbase": str(folder)}
        self.site = Path(sysconfig.get_path("purelib", "venv", variables))
        self.scripts = Path(sysconfig.get_path("scripts", "venv", variables))
        for distribution in distributions(requirements).values():
            for entry in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
                if not (self.site / entry).exists():
                    (self.site / entry).symlink_to(distribution.locate_file(entry).resolve())

    def pip(self, *arguments, cwd):
        """Run pip for this environment, without a network."""
        pip = ["-m", "pip", "--python", str(self.scripts / "python"), "install", *arguments]
        command = [sys.executable, *pip, "--no-index", "--no-build-isolation"]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def python(self, *arguments, cwd, code=0, **variables):
        """What its Python prints: (standard output, standard error)."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        } | variables
        done = subprocess.run(
            [self.scripts / "python", *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr


def copied(folder):
    """A clone's files, and what an earlier build has left there."""
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(ROOT / name, folder / name)
    (folder / "build/lib/nbconv").mkdir(parents=True)
    (folder / "build/lib/nbconv/removed.py").write_text("")
    return folder


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Install a copy of this checkout with these options: (the environment, the copy)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    missing = [line for line in [*needed, "pip>=22.3"] if not is_installed(Requirement(line))]
    if missing:
        pytest.skip(
            f"needs {', '.join(missing)} in the Python that runs the tests: pip install '.[dev]'"
        )

    def install(*options):
        folder = tmp_path_factory.mktemp("install")
        clone = copied(folder / "clone")
        try:
            environment = Environment(folder / "venv", needed)
        except OSError as error:
            pytest.skip(f"needs a system that links files: {error}")
        environment.pip(*options, ".", cwd=clone)
        return environment, clone

    return install


@pytest.fixture(scope="module")
def installed(make):
    return make()


def test_in_the_clone(installed, tmp_path):
    environment, clone = installed
    script = f"{NAMES}; nbconv.Network([64, 10]); print(nbconv.backend.compilation.CACHE)"
    out, _ = environment.python("-c", script, cwd=clone, NUMBA_CACHE_DIR=str(tmp_path))
    first, cache = out.splitlines()
    assert first == names([clone / "nbconv", clone], clone)
    assert Path(cache) == tmp_path / compilation.CACHE.name
    assert environment.python("-m", "nbconv", "--help", cwd=clone)[0].startswith("Usage: nbconv ")


def test_a_child_process_is_of_the_same_nbconv(installed, tmp_path):
    """The clone's, where it has changed since it was installed."""
    environment, clone = installed
    script = """if True:
        import json
        from nbconv import child
        print(json.dumps(child.command("nbconv", "--version")))
    """
    source = clone / "nbconv/__init__.py"
    before = source.read_text()
    source.write_text(before.replace(f'"{nbconv.__version__}"', '"1000"'))
    try:
        command = json.loads(environment.python("-c", script, cwd=clone)[0])
        for folder in (clone, tmp_path):
            shown = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            assert shown.stdout == "nbconv, version 1000\n"
    finally:
        source.write_text(before)


def test_elsewhere(installed, tmp_path):
    environment, _ = installed
    inside = environment.site / "nbconv"
    assert environment.python("-c", NAMES, cwd=tmp_path)[0] == names([inside], inside) + "\n"
    command = [environment.scripts / "nbconv", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == f"nbconv, version {nbconv.__version__}\n"


@pytest.mark.slow
def test_the_example_of_the_readme(installed, tmp_path):
    """This checkout is found first, and so are its kernels that other tests have compiled."""
    environment, _ = installed
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    out, _ = environment.python("-c", example, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert min(map(float, out.split())) > 0.9


def test_what_only_has_the_name_is_not_taken(installed, tmp_path):
    """Folders named kernels and cli beside the installed nbconv are somebody else's."""
    environment, _ = installed
    others = [environment.site / "kernels", environment.site / "cli"]
    for other in others:
        other.mkdir()
        (other / "__init__.py").write_text("raise RuntimeError('not ours')")
    try:
        assert (
            str(environment.site / "kernels")
            not in environment.python("-c", NAMES, cwd=tmp_path)[0]
        )
        (environment.site / "nbconv/kernels").rename(tmp_path / "kernels-apart")
        _, error = environment.python("-c", NAMES, cwd=tmp_path, code=1)
        assert "No module named 'nbconv.kernels'" in error
    finally:
        (tmp_path / "kernels-apart").rename(environment.site / "nbconv/kernels")
        for other in others:
            shutil.rmtree(other)


def test_a_stale_build_is_not_installed(installed):
    environment, clone = installed
    assert (clone / "build/lib/nbconv/removed.py").exists()
    assert (environment.site / "nbconv/network.py").exists()
    assert not (environment.site / "nbconv/removed.py").exists()


@pytest.mark.parametrize("arguments", ["report run.h5", "plot curves run.h5"])
@pytest.mark.slow
def test_without_matplotlib(installed, tmp_path, arguments):
    environment, _ = installed
    out, error = environment.python("-m", "nbconv", *arguments.split(), cwd=tmp_path, code=1)
    assert (out, error) == (
        "",
        "Error: matplotlib is not installed: expected pip install 'nbconv[plot]'\n",
    )


@pytest.mark.slow
def test_an_editable_installation(make, tmp_path):
    environment, clone = make("--editable")
    for folder in (tmp_path, clone):
        script = f"{NAMES}; nbconv.Network([64, 10])"
        shown, _ = environment.python("-c", script, cwd=folder)
        assert shown == names([clone / "nbconv", clone], clone) + "\n"
