"""What the site needs beyond mkdocs.yml: README and others as pages, source files, MathML."""

import re
from html import unescape
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
OTHERS = {  # pages of the site that are files elsewhere
    "index.md": ROOT / "README.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "changelog.md": ROOT / "CHANGELOG.md",
}
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def _place(path: Path) -> str:
    """Where on the site a file or folder of the project stands."""
    for page, other in OTHERS.items():
        if path == other:
            return page
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"source/{path.relative_to(ROOT).as_posix()}.md"


def _linked(pages: list[Path]) -> set[Path]:
    """The files and folders outside docs that pages link to, with the Python files in them."""
    found: set[Path] = set()
    for page in pages:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            path = (page.parent / link).resolve()
            if path.exists() and not path.is_relative_to(DOCS) and path not in OTHERS.values():
                found |= {path, *(path.glob("*.py") if path.is_dir() else ())}
    return found


def _source(path: Path) -> str:
    """A page that shows a source file, or lists those of a folder."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        files = sorted(path.glob("*.py"))
        return f"# {name}\n\n" + "\n".join(
            f"- [{file.name}]({path.name}/{file.name}.md)" for file in files
        )
    language = "python" if path.suffix == ".py" else "text"
    return f"# {name}\n\n````{language}\n{path.read_text(encoding='utf-8')}\n````\n"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are no files of docs."""
    pages = [*DOCS.glob("*.md"), *OTHERS.values()]
    generated = {_place(path): _source(path) for path in _linked(pages)}
    for place, path in OTHERS.items():
        files.append(File.generated(config, place, content=path.read_text(encoding="utf-8")))
    for place, content in generated.items():
        level = InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, place, content=content, inclusion=level))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as they are on the site, where these pages stand in one folder."""
    written = OTHERS.get(page.file.src_uri, DOCS / page.file.src_uri)
    if not written.is_file():  # the page of a source file
        return markdown
    return LINK.sub(lambda link: _place((written.parent / link[1]).resolve()), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """LaTeX as MathML, which browsers show without a script."""
    kinds = {"span": "inline", "div": "block"}
    return MATH.sub(lambda math: convert(unescape(math[2]), display=kinds[math[1]]), html)
