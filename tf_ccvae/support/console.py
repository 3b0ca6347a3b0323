"""The terminal of the programs: texts are printed as they are."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console


def plain_console(quiet: bool = False) -> Console:
    """A console that wraps nothing, and takes neither square brackets for styles nor ':smile:' for a picture."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, quiet=quiet)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length as aligned lines, the first column to the left, the others to the right. Nothing is cut."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first + " " * (widths[0] - cell_len(first))]
        cells += [" " * (width - cell_len(text)) + text for text, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
