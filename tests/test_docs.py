"""The README's example runs; the files, links, names, settings and commands of all pages exist.

Pages are also the texts of notebooks.
"""

import ast
import builtins
import functools
import json
import pkgutil
import re
import shlex
import tomllib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from nbconv.cli import main
from nbconv.kernels import interface

from nbconv import NbconvError, notation
from nbconv.reproduce import chosen
from nbconv.runs.settings import NAMED

ROOT = Path(__file__).parent.parent
DOCS = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("notebooks/*.ipynb")])
PAGES = ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in DOCS)]
FOLDERS = ("nbconv", "kernels", "cli", "tests", "benchmarks")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# What the pages name and this project does not define, and whose it is.
ELSEWHERE = {
    "basic_conv": "the book's conv.py",
    "shallow": "the book's conv.py",
    "generate_gradient.py": "the book's",
    "overfitting.py": "the book's",
    "set_inpt": "the book's network3",
    "theano.function": "Theano's",
    "torch.compile": "PyTorch's",
    "GridSearchCV": "scikit-learn's",
    "StandardScaler": "scikit-learn's",
    "sample_weight": "scikit-learn's",
    "n_jobs": "scikit-learn's",
    "partial_fit": "scikit-learn's",
    "check_estimator": "scikit-learn's",
    'model.export("run.onnx", format="onnx")': "Keras's",
    'torch.onnx.export(model, (inputs,), "run.onnx")': "PyTorch's",
    "pip install onnxruntime pillow": "ONNX Runtime's and Pillow's",
    "onnxruntime-web": "ONNX Runtime's",
    "pip install 'nbconv[plot]' notebook": "ours, and Jupyter's",
    "curl --data-binary @new.jpg http://127.0.0.1:8000": "curl's",
    "compute-sanitizer python ...": "CUDA's",
    "CUDA_LAUNCH_BLOCKING=1": "CUDA's",
    "log1p": "C's",
    "spawn": "Python's multiprocessing",
    "fish_source": "click's",
    "zsh_source": "click's",
    'eval "$(_NBCONV_COMPLETE=bash_source nbconv)"': "the shell's",
    "run.toml": "the reader's",
    ".venv": "written by make",
    "build/site": "written by make docs",
    "benchmarks/results/gpu.json": "written on a machine with a GPU",
}

CODE = r"`([^`\n]+)`"
LINK = r"\[[^\]\n]*\]\(([^)\n]+)\)"
# A name with its file beside it: "FILE, `name` and `name`", and "`name` in FILE".
FILE_FIRST = re.compile(rf"(?:{CODE}|{LINK}),? ((?:{CODE}(?:, | and )?)+)")
FILE_LAST = re.compile(rf"{CODE} (?:in|of) (?:{CODE}|{LINK})")


@functools.cache
def defined():
    """{file: its names}: functions, classes, Class.member, arguments, variables, strings."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return {path: set(names_in(ast.parse(path.read_text(encoding="utf-8")))) for path in files}


def names_in(tree):
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name):
                yield name
                yield from (f"{name}.{member}" for part in node.body for member in names_in(part))
            case ast.FunctionDef(name=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.Constant(value=str(name)):
                yield name


def files(span):
    """The files and folders that a path means: from the root, as installed, or a name alone."""
    pattern = re.sub(r"^nbconv/(kernels|cli)/", r"\1/", span).rstrip("/")
    if not re.fullmatch(r"[\w*-][\w./*-]*", pattern):
        return []
    found = list(ROOT.glob(pattern))
    for folder in FOLDERS:
        found += (ROOT / folder).rglob(pattern)
    return found


def is_path(span):
    endings = "py|md|toml|json|txt|html|h5|gz"
    return bool(re.fullmatch(rf"[\w.*-]*(/[\w.*-]*)+|[\w.*-]+\.({endings})", span))


def is_name(name):
    """Whether a name is in some file, or is a module; with dots: of a class, module or package."""
    owner, _, last = name.removeprefix("net.").rpartition(".")
    for path, names in defined().items():
        owners = ("", path.stem, *path.parts)
        if name in names or name == path.stem or (last in names and owner in owners):
            return True
    if not re.fullmatch(r"\w+(\.\w+)+", name):
        return hasattr(builtins, name)
    with suppress(ImportError, AttributeError):
        return bool(pkgutil.resolve_name(name))
    return False


def is_net(span):
    """Whether it is a network, or one of its layers."""
    for net in (span, f"{span}-10N"):
        with suppress(NbconvError):
            return bool(notation.parse(net))
    return False


def is_option(word):
    """Whether a command has it, or it is the end of another experiment's name: `-300`."""
    commands = [*main.commands.values(), *main.commands["ensemble"].commands.values()]
    parameters = [one for each in commands for one in each.params]
    options = {name for one in parameters for name in (*one.opts, *one.secondary_opts)}
    return word in options or any(name.endswith(word) for name in NAMED)


def unknown_names(span):
    """Those of the names in an expression that are nowhere. Raises SyntaxError if it is none."""
    nodes = list(ast.walk(ast.parse(span, mode="eval")))
    within = [node.value for node in nodes if isinstance(node, ast.Attribute)]
    dotted = [node for node in nodes if isinstance(node, ast.Name | ast.Attribute)]
    names = [ast.unparse(node) for node in dotted if node not in within]
    names += [node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg]
    return [name for name in names if not is_name(name)]


def check_nbconv(arguments):
    """A command's name, options and choices. Raises click.UsageError or NbconvError."""
    command, context = main, click.Context(main)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        _, command, arguments = command.resolve_command(context, arguments)
        context = click.Context(command)
    values, _, _ = command.make_parser(context).parse_args(list(arguments))
    for parameter in command.params:
        value = values.get(parameter.name)
        is_given = isinstance(value, str) and not value.isupper()  # `nbconv plot KIND`
        if isinstance(parameter.type, click.Choice) and is_given:
            parameter.type.convert(value, parameter, context)
    if command.name == "reproduce" and isinstance(values["names"], tuple) and values["names"]:
        chosen(values["names"])
    if values.get("net", "fc") not in NAMED:
        notation.parse(values["net"])


def check_command(line):
    """A line for the shell. Raises ValueError, click.UsageError or NbconvError."""
    words = shlex.split(line, comments=True)
    while "=" in words[0]:
        words.pop(0)
    match [word.removeprefix(".venv/bin/") for word in words]:
        case ["nbconv", *arguments] | ["python", "-m", "nbconv", *arguments]:
            check_nbconv([*arguments, "fc"] if arguments[-1:] == ["--net"] else arguments)
        case ["mpiexec", "-n", _, *command]:
            check_command(shlex.join(command))
        case ["make", *targets]:
            for target in targets:
                name, is_variable, _ = target.partition("=")
                if not re.search(rf"\$\({name}\)" if is_variable else rf"(?m)^{name}:", MAKEFILE):
                    raise ValueError(f"the Makefile has no {name}")
        case ["python", "-m", name, *_]:
            if not find_spec(name):
                raise ValueError(f"there is no module {name}")
        case ["python" | "pytest", *arguments]:
            for path in filter(is_path, arguments):
                if not files(path):
                    raise ValueError(f"there is no {path}")
        case ["pip", "install", what]:
            name, _, extras = what.partition("[")
            unknown = set(re.findall(r"\w+", extras)) - set(PROJECT["optional-dependencies"])
            if name not in (".", PROJECT["name"]) or unknown:
                raise ValueError(f"pyproject.toml has no {what}")
        case _:
            raise ValueError("no known command")


def complaint(span):
    """What is wrong with a span of code; "" if all that it names exists."""
    extras = PROJECT["optional-dependencies"]
    if span in ELSEWHERE or span in extras or is_name(span) or is_net(span):
        return ""
    try:
        if re.match(r"(\w+=\S* )*(\.venv/bin/)?(nbconv|make|mpiexec|python|pytest|pip)( |$)", span):
            check_command(span)
        elif re.match(r"--?\w", span):
            unknown = [
                word for word in re.findall(r"(?:^| )(--?\w\S*)", span) if not is_option(word)
            ]
            return f"no command has {unknown[0]}" if unknown else ""
        elif is_path(span):
            return "" if files(span) or is_name(span.rstrip("/")) else "there is no such file"
        else:
            unknown = unknown_names(span.lstrip("$."))
            return f"nothing is named {unknown[0]}" if unknown else ""
    except SyntaxError:
        return "neither a name, a path, a command nor an expression"
    except click.UsageError as error:
        return error.format_message()
    except (NbconvError, ValueError) as error:
        return str(error)
    return ""


def placed_names(line):
    """(file, name) where a line says which file a name is in."""
    for match in FILE_FIRST.finditer(line):
        for name in re.findall(CODE, match[3]):
            yield (match[1] or match[2]).removeprefix("../"), name.removeprefix(".")
    for match in FILE_LAST.finditer(line):
        yield (match[2] or match[3]).removeprefix("../"), match[1]


def complaints(text, folder):
    """(line, what it names, what is wrong) for all that a page in that folder names."""
    language = None  # of the block of code that a line is in
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            language = line[3:] if language is None else None
        elif language == "sh" and line and not line.startswith("#"):
            yield number, line, complaint(line)
        elif language is None:
            for span in re.findall(CODE, line):
                yield number, span, complaint(span)
            for target in re.findall(LINK, line):
                is_there = re.match("https?:", target) or (folder / target).exists()
                yield number, target, "" if is_there else "there is no such file"
            for file, name in placed_names(line):
                places = [defined()[path] for path in files(file) if path in defined()]
                is_there = not places or any(name in names for names in places)
                is_fine = is_there or name in ELSEWHERE
                yield number, name, "" if is_fine else f"it is not in {file}"


def test_the_example_of_the_readme(tmp_path, monkeypatch, capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1]
    exec(compile(example, "README.md", "exec"), {})
    validation, test = map(float, capsys.readouterr().out.split())
    assert validation > 0.9
    assert test > 0.9
    assert (tmp_path / "run.h5").exists()


def text_of(page):
    """A page's text; of a notebook, that between its cells of code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown")
    return "\n\n".join("".join(cell["source"]) for cell in cells)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page):
    found = complaints(text_of(ROOT / page), (ROOT / page).parent)
    wrong = [f"{page}:{number}: {span}: {said}" for number, span, said in found if said]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a layer's `backwards`", "nothing is named backwards"),
        ("`Engine._plan_all`", "nothing is named Engine._plan_all"),
        ("`nbconv.load_dates(path)`", "nothing is named nbconv.load_dates"),
        ("`fit(monitor_layer=True)`", "nothing is named monitor_layer"),
        (
            "[nbconv/engine/engine.py](../nbconv/engine/engine.py) `sgd`",
            "it is not in nbconv/engine/engine.py",
        ),
        ("`sgd` in `nbconv/engine/engine.py`", "it is not in nbconv/engine/engine.py"),
        ("`engine.py`, `Engine.descend` and `softmax`", "it is not in engine.py"),
        ("[here](../nbconv/motor.py)", "there is no such file"),
        ("`nbconv/motor.py`", "there is no such file"),
        ("`nbconv fit`", "No such command 'fit'"),
        ("`nbconv eval run.h5 --epochs 3`", "No such option"),
        ("`nbconv train --backend gpu`", "'gpu' is not one of"),
        ("`nbconv train --net 20C5-MP2`", "'MP2' is the last layer"),
        ("`nbconv reproduce ch7`", "ch7 cannot be reproduced"),
        ("`--learning-rate 1`", "no command has --learning-rate"),
        ("`make all`", "the Makefile has no all"),
        ("`pytest tests/test_all.py`", "there is no tests/test_all.py"),
        ("`python -m nbconv.fit`", "there is no module nbconv.fit"),
        ("`pip install 'nbconv[gpu]'`", "pyproject.toml has no nbconv[gpu]"),
        ("```sh\nnbconv train --fast\n```", "No such option"),
    ],
)
def test_a_wrong_name_is_found(line, said):
    (found,) = [told for _, _, told in complaints(line, ROOT / "docs") if told]
    assert said in found


def test_every_kernel_has_its_equation():
    """Those that compute something: docs/equations.md names each."""
    text = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    bookkeeping = {"add", "advance", "outside_unit"}
    assert {name for name in interface.KERNELS if f"`{name}`" not in text} <= bookkeeping
