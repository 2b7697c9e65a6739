"""Building blocks of an HTML page: one file, no scripts, no external resources.

It has a light and a dark scheme, and styles for phones and for print.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from string import Template

SMALLEST = 0.55  # of a picture's size; on a narrower screen it can be scrolled
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { --paper: #fff; --ink: #222; --quiet: #5c5c5c; --rule: #ddd; --card: #f5f7fa; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181c; --ink: #e6e6e6; --quiet: #a8a8a8; --rule: #3a3d42; --card: #22252a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.25; }
h2 { margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule);
  font-size: 1.25rem; }
a { color: inherit; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none;
  font-size: .9rem; }
dl { display: grid; grid-template-columns: repeat(6, 1fr); gap: .75rem; margin: 1.25rem 0; }
dl div { padding: .6rem .8rem; border-radius: .4rem; background: var(--card); }
dt { color: var(--quiet); font-size: .8rem; }
dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { margin-bottom: 1rem; border-collapse: collapse; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; padding-top: .4rem; }
caption, figcaption, .quiet { color: var(--quiet); font-size: .9rem; text-align: left; }
th, td { padding: .25rem 1.25rem .25rem 0; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: top; }
th, td.number { overflow-wrap: normal; }
thead th { color: var(--quiet); font-weight: normal; }
td.number, th.number { text-align: right; }
figure { margin: 1rem 0 1.5rem; }
figure .scroll { border-radius: .4rem; background: #fff; padding: .75rem;
  border: 1px solid var(--rule); }
img { display: block; height: auto; max-width: 100%; }
figcaption { margin-top: .4rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr));
  gap: 0 1rem; }
pre { white-space: pre-wrap; padding: .75rem; border-radius: .4rem; background: var(--card);
  font-size: .85rem; }
@media (max-width: 56rem) { dl { grid-template-columns: repeat(3, 1fr); } }
@media (max-width: 30rem) {
  dl { grid-template-columns: repeat(2, 1fr); }
  body { padding: 1rem .75rem 2rem; }
  figure .scroll { padding: .4rem; }
}
@media screen and (prefers-color-scheme: dark) {
  /* Lines on paper become lines on a board. Pictures of images keep their shades, less glaring. */
  .chart .scroll { background: #1a1a1a; }
  .chart img { filter: invert(.9) hue-rotate(180deg); }
  .images img { filter: brightness(.85); }
  .images .scroll { background: #d9d9d9; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --quiet: #444; --rule: #bbb; --card: #f4f4f4; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2 { break-after: avoid; }
  figure, tr, dl div { break-inside: avoid; }
  img { min-width: 0 !important; }
}
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="quiet">$about</p>
<dl>$facts</dl>
<nav aria-label="Sections"><ul>$contents</ul></nav>
</header>
<main>
$sections
</main>
</body>
</html>
""")


def page(title: str, about: str, facts: Mapping[str, str], sections: Mapping[str, str]) -> str:
    """The page.

    about: a line below the title. facts: values by name, shown large at the top. sections: HTML by
    title; empty ones are omitted.
    """
    shown = {name: html for name, html in sections.items() if html}
    anchors = {name: name.lower().replace(" ", "-") for name in shown}
    fact_items = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts.items()
    )
    links = (f'<li><a href="#{anchors[name]}">{escape(name)}</a></li>' for name in shown)
    bodies = (
        f'<section id="{anchors[name]}">\n<h2>{escape(name)}</h2>\n{html}\n</section>'
        for name, html in shown.items()
    )
    return PAGE.substitute(
        title=escape(title),
        about=escape(about),
        facts="".join(fact_items),
        contents="".join(links),
        sections="\n".join(bodies),
    )


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", *, numeric: bool = False
) -> str:
    """A table whose first column has the rows' headers.

    numeric: align the other columns to the right.
    """
    kind = ' class="number"' if numeric else ""
    titles = "".join(
        f'<th scope="col"{kind if k else ""}>{escape(cell)}</th>' for k, cell in enumerate(head)
    )
    body = ""
    for name, *cells in rows:
        data = "".join(f"<td{kind}>{escape(cell)}</td>" for cell in cells)
        body += f'<tr><th scope="row">{escape(name)}</th>{data}</tr>\n'
    caption = f"<caption>{escape(caption)}</caption>" if caption else ""
    return _scrollable(
        f"<table>{caption}<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}</tbody></table>"
    )


def _scrollable(html: str) -> str:
    """Content that can be scrolled sideways, by touch or with the keyboard, if it is too wide."""
    return f'<div class="scroll" tabindex="0">{html}</div>'


def paragraph(text: str) -> str:
    """A paragraph in small grey letters."""
    return f'<p class="quiet">{escape(text)}</p>'


def code(text: str) -> str:
    """A block of code."""
    return f"<pre><code>{escape(text)}</code></pre>"


def figure(svg: bytes, width: float, caption: str, alternative: str, kind: str) -> str:
    """A picture with a caption.

    width: in inches, if there is room. alternative: its alt text. kind: "chart", or "images", whose
    shades mean something and stay in the dark scheme.
    """
    data = base64.b64encode(svg).decode()
    size = f"width:{width:.3g}in;min-width:{SMALLEST * width:.3g}in"
    image = (
        f'<img src="data:image/svg+xml;base64,{data}" style="{size}" alt="{escape(alternative)}">'
    )
    caption = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{_scrollable(image)}\n{caption}</figure>'


def row(*figures: str) -> str:
    """Figures side by side, where there is room."""
    return f'<div class="row">{"".join(figures)}</div>'
