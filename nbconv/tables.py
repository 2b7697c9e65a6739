"""Numbers and tables as text."""

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


def duration(seconds: float) -> str:
    """Seconds as people read them: 8 s, 3 min 20 s, 12 min, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
