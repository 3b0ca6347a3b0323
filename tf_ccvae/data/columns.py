"""What the cells of a column of labels mean: the whole column is looked at before anything is decided.

1, true, yes, on, y and t are on, and 0, false, no, off, n and f are off, in any case; numbers may be written as 1.0.
Empty cells and what pandas writes for a missing value (nan, NA, None, ...) are unknown, and so is -1. But a column
without any 0 has another meaning: in one of 1 and -1, or of 1 and nothing, it is not the unknown that is marked. Such a
column is refused, or read as on and off if the settings say that what is not marked is off.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tf_ccvae.labels import MISSING

ON = ("true", "yes", "on", "y", "t")
OFF = ("false", "no", "off", "n", "f")
UNKNOWN = (
    *("nan", "-nan", "na", "n/a", "<na>", "#na", "#n/a", "#n/a n/a", "null", "none", "nil", "nat", "?", "unknown"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
)
_MEANINGS = {1: "on", 0: "off", MISSING: "unknown"}
_SHOWN = 4  # different cells that a message lists


class NotLabels(Exception):
    """A column that is not one of labels; the message says why and what to do, without the name of the column."""


@dataclass(frozen=True)
class Column:
    """A column of labels.

    Args:
      values: int8 (examples,), 1, 0 or `MISSING`.
      meaning: what was taken for what, such as "'1.0' is on, '0.0' is off, empty is unknown".
    """

    values: np.ndarray
    meaning: str


def read_column(cells: Sequence[str], lines: Sequence[int], unmarked: str | None = None) -> Column:
    """The labels in a column.

    Args:
      cells: one for each example, without blanks around it.
      lines: the line of each cell, for messages.
      unmarked: 'off' if what is not marked is off in a column that has no 0; None to refuse such a column.

    Raises:
      NotLabels: cells are something else, or the column has no 0.
    """
    kinds = {cell: kind_of_cell(cell) for cell in set(cells)}
    others = [cell for cell in cells if kinds[cell] == "other"]
    if others:
        raise NotLabels(_about_others(cells, lines, others))
    present = set(kinds.values())
    meanings = {"on": 1, "off": 0, "minus": MISSING, "empty": MISSING, "unknown": MISSING}
    if "on" in present and "off" not in present:
        mark = next((kind for kind in ("minus", "empty", "unknown") if kind in present), None)
        if unmarked is None:
            raise NotLabels(_about_no_zero(mark))
        if mark is not None:
            meanings[mark] = 0
    values = np.array([meanings[kinds[cell]] for cell in cells], np.int8)
    return Column(values, taken_for(cells, {cell: meanings[kind] for cell, kind in kinds.items()}))


def kind_of_cell(cell: str) -> str:
    """'on', 'off', 'minus' for -1, 'empty', 'unknown', or 'other'."""
    text = cell.lower()
    if text in ON or text in OFF:
        return "on" if text in ON else "off"
    if not text or text in UNKNOWN:
        return "unknown" if text else "empty"
    number = as_number(text)
    return {1.0: "on", 0.0: "off", -1.0: "minus"}.get(number, "other") if number is not None else "other"


def as_number(text: str) -> float | None:
    """The number that a text is in decimal notation, else None."""
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def taken_for(cells: Sequence[str], meanings: Mapping[str, int]) -> str:
    """What was taken for what: "'1.0' is on, '0.0' is off, empty is unknown".

    Args:
      cells: all cells of a column; the most frequent spelling of a value is named first.
      meanings: the value of each different cell, 1, 0 or `MISSING`.
    """
    spellings: dict[int, list[str]] = {1: [], 0: [], MISSING: []}
    for cell, _ in Counter(cells).most_common():
        spellings[meanings[cell]].append(f"{cell!r}" if cell else "empty")
    return ", ".join(
        f"{_some(texts)} {'is' if len(texts) == 1 else 'are'} {_MEANINGS[value]}"
        for value, texts in spellings.items()
        if texts
    )


def _some(texts: Sequence[str]) -> str:
    """Up to `_SHOWN` texts in a list."""
    if len(texts) > _SHOWN:
        return f"{', '.join(texts[:_SHOWN])} and {len(texts) - _SHOWN} more"
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _about_no_zero(mark: str | None) -> str:
    if mark is None:
        return "is 1 in the whole file, so there is nothing to learn; remove the column or fill in 0"
    cell = {"minus": "-1", "empty": "an empty cell", "unknown": "a missing value"}[mark]
    return (
        f"has no 0 in the whole file, so {cell} may mean off or unknown; write 0 where the label is off, or set "
        f"data.unmarked: off if {cell} means off"
    )


def _about_others(cells: Sequence[str], lines: Sequence[int], others: Sequence[str]) -> str:
    line = next(line for cell, line in zip(cells, lines, strict=True) if cell == others[0])
    different = list(dict.fromkeys(others))
    known = [cell for cell in cells if kind_of_cell(cell) not in ("empty", "unknown")]
    if len(others) <= len(known) / 2 and len(different) <= _SHOWN:
        which = " and ".join(f"{cell[:40]!r}" for cell in different)
        what = "is not a label" if len(different) == 1 else "are not labels"
        return f"{which} (line {line}) {what}; write 1, 0 or nothing"
    some = ", ".join(f"{cell[:40]}" for cell in different[:_SHOWN]) + (", ..." if len(different) > _SHOWN else "")
    if all(as_number(cell) is not None for cell in different):
        return f"holds other numbers than 1 and 0 ({some}; first on line {line}), so it is no label"
    if len(different) > max(4, len(known) / 2):
        return f"holds text ({some}; first on line {line}), so it is no label"
    return (
        f"holds names of classes ({some}; first on line {line}), and a label is on or off; give each class a column of "
        "its own with 1 and 0"
    )
