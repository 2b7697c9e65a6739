"""Write the tables of docs/performance.md from the results: python benchmarks/tables.py.

Each table stands between two markers in the page.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from compare import ENGINES, HERE, RESULTS

PAGE = HERE.parent / "docs" / "performance.md"


def lines(head: list[str], rows: list[list[str]], numbers_from: int) -> Iterator[str]:
    """A Markdown table; the columns from index `numbers_from` on are aligned to the right."""
    rule = ["---:" if column >= numbers_from else "---" for column in range(len(head))]
    for row in (head, rule, *rows):
        yield f"| {' | '.join(row)} |"


def comparison(results: dict[str, Any]) -> Iterator[str]:
    """Training or inference, compared with other engines."""
    names = [name for name in ENGINES if name in results["environment"]["versions"]]
    rows = []
    for result in results["results"]:
        medians = {name: f"{each['median']:.1f}" for name, each in result["microseconds"].items()}
        cells = [medians.get(name, "") for name in names]
        fastest = f"{result['ratio']:.2f} ({result['fastest_peer']})"
        rows.append([result["network"], str(result["mini_batch"]), *cells, fastest])
    return lines(["network", "images", *names, "fastest peer over nbconv"], rows, 2)


def kernels(results: dict[str, Any]) -> Iterator[str]:
    """Each kernel, compared with sgemm."""
    rows = [
        [
            each["kernel"],
            f"{each['operations'] / 1e6:.2f}",
            f"{each['bytes'] / 1e3:.0f}",
            f"{each['limit']:.0f}",
            f"{each['nbconv']:.0f}",
            f"{each['sgemm']:.0f}",
            f"{each['nbconv'] / each['sgemm']:.2f}",
        ]
        for each in results["results"]
    ]
    head = ["kernel", "million operations", "kB", "limit", "nbconv", "sgemm", "ratio"]
    return lines(head, rows, 1)


def growth(results: dict[str, Any]) -> Iterator[str]:
    """Each series of networks of growing size."""
    rows = []
    for name, series in results["series"].items():
        members, ratios = series["members"], series["slowest_to_fastest"]
        labels = "; ".join(each["label"] for each in members)
        rates = [
            ", ".join(f"{1000 / each['ns_per_1000_operations'][threads]:.0f}" for each in members)
            for threads in "12"
        ]
        rows.append([name, labels, *rates, f"{ratios['1']:.2f}, {ratios['2']:.2f}"])
    head = [
        "series",
        "sizes",
        "one thread, GFLOP/s",
        "two threads, GFLOP/s",
        "slowest over fastest, one and two threads",
    ]
    return lines(head, rows, 5)


TABLES = {"training": comparison, "inference": comparison, "kernels": kernels, "growth": growth}

if __name__ == "__main__":
    text = PAGE.read_text()
    for name, table in TABLES.items():
        content = "\n".join(table(json.loads((RESULTS / f"{name}.json").read_text())))
        text, count = re.subn(
            rf"(<!-- {name} -->\n).*?(\n<!-- end -->)",
            lambda match, content=content: match[1] + content + match[2],
            text,
            flags=re.S,
        )
        if count != 1:
            raise SystemExit(
                f"{PAGE.name} has {count} places for {name}: expected one, "
                f"'<!-- {name} -->' ... '<!-- end -->'"
            )
    PAGE.write_text(text)
