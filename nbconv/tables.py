"""Tables as aligned text."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], alignment: str) -> str:
    """One line per row, the columns two spaces apart.

    rows: the cells of each row, the header first if there is one. alignment: one character per
    column, "<" for left or ">" for right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    formats = [f"{side}{width}" for side, width in zip(alignment, widths, strict=True)]
    return "\n".join(
        "  ".join(format(cell, form) for cell, form in zip(row, formats, strict=True)).rstrip()
        for row in rows
    )
