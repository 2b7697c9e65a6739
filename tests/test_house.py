"""The rules of the house, executable: who imports whom, what is packaged, what --help loads."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIGHT = ("nbconv.kernels.interface", "nbconv.kernels.activations")  # types, names and numbers
# nbconv's modules from the ground up: each may import those before it, and those of its own room.
FLOORS = [
    {"errors", "checks", "activations", "names", "files", "tables", "child", "threads", "display"},
    {"backend", "data"},
    {"layers"},
    {"engine"},
    {"training"},
    {"checkpoint", "inputs"},
    {"network", "notation", "book", "onnx"},
    {"runs"},
    {"diagnostics", "doctor", "ensemble", "sklearn"},
    {"plots"},
    {"reproduce", "report", "demo"},
    {"__main__"},
]
# Each backend, and those that it must not import.
BACKENDS = {
    "cpu": ("nbconv.kernels.cuda",),
    "cuda": ("nbconv.kernels.cpu",),
    "reference": ("nbconv.kernels.cpu", "nbconv.kernels.cuda"),
}


def imports(path, package):
    """The absolute names of the modules that a file imports, at its top or within functions.

    Those imported for types alone are left out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            )
            module = ".".join([*base, node.module] if node.module else base)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources():
    """(file, its package, its module's name) of everything that is installed."""
    for folder, package in (
        ("nbconv", "nbconv"),
        ("kernels", "nbconv.kernels"),
        ("cli", "nbconv.cli"),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT / folder).with_suffix("").parts
            yield path, ".".join([package, *inside[:-1]]), ".".join([package, *inside])


def test_imports_run_one_way():
    for path, package, module in sources():
        if module == "nbconv.data.make_digits":
            continue
        for name in imports(path, package):
            if module.startswith("nbconv.kernels"):
                assert name.split(".")[0] != "nbconv" or name.startswith("nbconv.kernels"), (
                    f"{path} imports {name}"
                )
                for one, others in BACKENDS.items():
                    if module.startswith(f"nbconv.kernels.{one}"):
                        assert not name.startswith(others), f"{path} imports {name}"
            elif not module.startswith("nbconv.cli"):
                assert not name.startswith("nbconv.cli") or module == "nbconv.__main__", (
                    f"{path} imports {name}"
                )
                if name.startswith("nbconv.kernels") or name.split(".")[0] == "numba":
                    assert module in (
                        "nbconv.backend",
                        "nbconv.doctor",
                        "nbconv.threads",
                    ) or name.startswith(LIGHT), f"{path} imports {name}"


def test_the_floors_of_the_house():
    floor = {module: number for number, modules in enumerate(FLOORS) for module in modules}
    for path, package, module in sources():
        room = module.split(".")[1]
        if not module.startswith("nbconv.") or room in ("kernels", "cli", "__init__"):
            continue
        assert room in floor, f"{path} is on no floor: put {room} into FLOORS"
        for name in imports(path, package):
            other = name.split(".")[1] if name.startswith("nbconv.") else ""
            if other in floor and other != room:
                assert floor[other] <= floor[room], f"{path} imports {name} from a floor above"


def test_every_folder_is_packaged():
    packages = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    assert packages == {package for _, package, _ in sources()}


def test_what_is_imported_is_declared():
    """By the names that pip knows. numba brings llvmlite, numba-cuda's extras bring cuda."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = sum(project["optional-dependencies"].values(), project["dependencies"])
    declared = {re.match(r"[\w-]+", line)[0] for line in lines}
    names = {
        "PIL": "pillow",
        "llvmlite": "numba",
        "cuda": "numba-cuda",
        "numba_cuda": "numba-cuda",
        "pillow_heif": "pillow-heif",
        "sklearn": "scikit-learn",
    }
    for path, package, module in sources():
        if module == "nbconv.data.make_digits":
            continue
        used = (
            {name.split(".")[0] for name in imports(path, package)}
            - {"nbconv"}
            - sys.stdlib_module_names
        )
        assert {names.get(name, name) for name in used} <= declared, (
            f"{path} imports what pyproject.toml does not declare"
        )


def test_help_is_light():
    """nbconv --help loads neither Numba nor h5py nor NumPy."""
    script = (
        "import sys; from nbconv.cli import main; "
        "main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    loaded = out.splitlines()[-1].split()
    assert "click" in loaded
    assert not {"numba", "h5py", "numpy"} & set(loaded)


def test_public_names():
    import nbconv

    for name in nbconv.__all__:
        assert getattr(nbconv, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        nbconv.nothing  # noqa: B018 -- the access is the test
