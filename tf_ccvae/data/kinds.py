"""Which kind of label a column of text is, and its values: binary, one of classes, a grade, or a number.

The kind is seen from all cells together, or the settings say it (`data.label_kinds`):

    0 and 1, or words for off and on (see `columns`)       binary
    other numbers                                          a number, in its own units
    up to 200 different words, each twice on the average   one of classes

Whole numbers of few values may be classes or grades as well; they are taken for a number, which is said with how to
change it. A column is a grade only where the settings say so: numbers by their size, words in the order in which the
settings list them in place of the kind. What is listed is a value, `none` too, which is unknown in other columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tf_ccvae.data.columns import UNKNOWN, NotLabels, as_number, kind_of_cell, read_column
from tf_ccvae.data.dataset import describe_classes
from tf_ccvae.labels import MISSING, Label
from tf_ccvae.number_labels import Scale

KINDS = ("binary", "class", "number", "grade")
Kind: TypeAlias = str | Sequence[str | int | float]  # one of `KINDS`, or the values of a grade in order
MOST_CLASSES = 200  # different words up to which a column is one of classes
FEW = 20  # different whole numbers up to which they may as well be classes
MOST_SHOWN = 6  # grades that a message lists
LARGEST = 1e30  # beyond it float32 soon ends
STRAYS = 0.05  # share of other cells up to which they are mistakes in a binary column
PICTURES = ("id", "image_id", "index", "number", "no", "nr", "row")  # names of columns that number the pictures


@dataclass(frozen=True)
class Read:
    """A column that was read.

    label: what it is; a number label in the units of the whole column.
    values: float32 (examples,), NaN where not known.
    meaning: what was taken for what.
    """

    label: Label
    values: np.ndarray
    meaning: str

    @property
    def varies(self) -> bool:
        """Whether it holds at least two different values."""
        return len(np.unique(self.values[~np.isnan(self.values)])) > 1


def read(
    name: str, cells: Sequence[str], lines: Sequence[int], unmarked: str | None = None, kind: Kind | None = None
) -> Read:
    """The label in a column.

    Args:
      name: of the column.
      cells: one for each example, without blanks around it.
      lines: the line of each cell, for messages.
      unmarked: as `columns.read_column` takes it.
      kind: one of `KINDS`, or the values of a grade in order; None to see it from the cells.

    Raises:
      NotLabels: it holds none, or something that does not fit its kind.
    """
    if kind == "grade" or not (kind is None or isinstance(kind, str)):
        return _grade(name, cells, lines, None if kind == "grade" else kind)
    if kind == "number":
        return _number(name, cells, lines)
    if kind == "class":
        return _classes(name, cells)
    try:
        column = read_column(cells, lines, unmarked)
    except NotLabels as error:
        if kind == "binary":
            raise
        found = _guessed(name, cells)
        if found == "number":
            return _number(name, cells, lines)
        if found == "class":
            return _classes(name, cells)
        raise NotLabels(f"{error}{found}") from error
    values = np.where(column.values == MISSING, np.nan, column.values).astype(np.float32)
    return Read(Label(name), values, column.meaning)


def _guessed(name: str, cells: Sequence[str]) -> str:
    """'number' or 'class', or what a message about a column that is neither says behind what it says so far."""
    known = [cell for cell in cells if not _unknown(cell)]
    others = [cell for cell in known if kind_of_cell(cell) == "other"]
    if not others:
        return ""
    numbers = [number for cell in known if (number := as_number(cell)) is not None and np.isfinite(number)]
    if len(numbers) == len(known):
        if len(others) <= STRAYS * len(known):
            return f"; or set data.label_kinds: {{{name}: number}} if they are meant"
        if name.lower() in PICTURES or (len(numbers) > FEW and _counts_up(numbers)):
            raise NotLabels(
                "holds another whole number for each picture, so it is no label; leave it out by data.label_names, or "
                f"set data.label_kinds: {{{name}: number}}"
            )
        return "number"
    few = 2 * len(set(known)) <= len(known) and len(set(known)) <= MOST_CLASSES
    words = not numbers and 2 * len(others) > len(known)
    return "class" if few and words else ""


def _unknown(cell: str) -> bool:
    return not cell or cell.lower() in UNKNOWN


def _counts_up(numbers: Sequence[float]) -> bool:
    """Whether they are as many whole numbers in a row, in any order."""
    ordered = np.sort(numbers)
    return bool((np.diff(ordered) == 1).all() and ordered[0] == int(ordered[0]))


def _number(name: str, cells: Sequence[str], lines: Sequence[int]) -> Read:
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if _unknown(cell):
            continue
        number = as_number(cell)
        if number is None or not abs(number) < LARGEST:
            point = "; write a point in place of the comma" if as_number(cell.replace(",", ".", 1)) is not None else ""
            hint = point or "; write a number or nothing"
            raise NotLabels(f"{cell[:40]!r} (line {lines[i]}) is no number that can be used{hint}")
        values[i] = number
    known = values[~np.isnan(values)]
    different = np.unique(known)
    if len(different) < 2:
        what = f"is {different[0]:g} in the whole file" if len(different) else "is empty in the whole file"
        raise NotLabels(f"{what}, so there is nothing to learn; remove the column")
    between = f"{different[0]:g} to {different[-1]:g}"
    if len(different) <= FEW and (different == np.round(different)).all():
        meaning = (
            f"{len(different)} different whole numbers, {between}, taken for a number; "
            f"data.label_kinds: {{{name}: class}} takes them for classes, {{{name}: grade}} for grades"
        )
    else:
        meaning = f"a number, {between}"
    if len(known) < len(values):
        meaning += ", with unknown ones"
    return Read(Label(name, scale=Scale.of_values(values)), values.astype(np.float32), meaning)


def _classes(name: str, cells: Sequence[str]) -> Read:
    """Words by the alphabet, numbers by their size; 1 and 1.0 are the same class."""
    known = [cell for cell in cells if not (_unknown(cell) or kind_of_cell(cell) == "minus")]
    numbers = {cell: as_number(cell) for cell in set(known)}
    if all(number is not None for number in numbers.values()):
        called = {cell: f"{number:g}" for cell, number in numbers.items()}
        classes = sorted(set(called.values()), key=float)
    else:
        called = {cell: cell for cell in numbers}
        classes = sorted(set(known))
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise NotLabels(f"holds {len(classes):,} different words, so it is no label; 2 to {MOST_CLASSES} are classes")
    place = {class_: i for i, class_ in enumerate(classes)}
    values = np.array([place[called[cell]] if cell in called else np.nan for cell in cells], np.float32)
    return Read(Label(name, tuple(classes)), values, describe_classes(classes))


def _grade(name: str, cells: Sequence[str], lines: Sequence[int], listed: Sequence[str | int | float] | None) -> Read:
    """Numbers by their size, or what the settings list; 1 and 1.0 are the same grade."""
    called = {cell: _called(cell) for cell in set(cells)}
    grades = _by_size(name, called) if listed is None else [_called(str(x).strip()) for x in listed]
    if len(set(grades)) < max(len(grades), 2):
        raise NotLabels(f"data.label_kinds lists {', '.join(grades)}; list two or more different grades in order")
    place = {grade: i for i, grade in enumerate(grades)}
    alike = {grade.lower(): i for grade, i in place.items()}
    if len(alike) < len(place):
        alike = {}  # case tells grades apart
    values, unknown = np.full(len(cells), np.nan, np.float32), set[str]()
    for i, cell in enumerate(cells):
        found = place.get(called[cell], alike.get(called[cell].lower()))
        if found is not None:
            values[i] = found
        elif _unknown(cell) or kind_of_cell(cell) == "minus":
            unknown.add(cell)
        else:
            raise NotLabels(
                f"{cell[:40]!r} (line {lines[i]}) is not one of the grades {', '.join(grades)}; correct it, or list it "
                "in data.label_kinds"
            )
    if len(np.unique(values[~np.isnan(values)])) < 2:
        raise NotLabels("holds fewer than two different grades in the whole file, so there is nothing to learn")
    shown = " < ".join(grades[:MOST_SHOWN]) + (" < ..." if len(grades) > MOST_SHOWN else "")
    spelled = ", ".join(repr(cell) for cell in sorted(unknown) if cell)
    meaning = f"{len(grades)} grades in order ({shown})" + (f"; {spelled}: unknown" if spelled else "")
    return Read(Label(name, tuple(grades), ordered=True), values, meaning)


def _by_size(name: str, called: Mapping[str, str]) -> list[str]:
    """The grades in a column of numbers; -1 is unknown as for classes, unless there are numbers below it.

    Args:
      name: of the column.
      called: what each different cell is called.
    """
    numbers = {cell: number for cell in called if (number := as_number(cell)) is not None and np.isfinite(number)}
    words = sorted(cell for cell in called if cell not in numbers and not _unknown(cell))
    if words:
        shown = ", ".join(words[:MOST_SHOWN]) + (", ..." if len(words) > MOST_SHOWN else "")
        raise NotLabels(
            "holds words, of which a grade has to know the order; list all of them from the lowest on, such as "
            f"data.label_kinds: {{{name}: [{shown}]}}"
        )
    lowest = min(numbers.values(), default=0.0)
    grades = {called[cell] for cell, number in numbers.items() if number != -1 or lowest < -1}
    if not 2 <= len(grades) <= MOST_CLASSES:
        raise NotLabels(f"holds {len(grades):,} different numbers, so it is no grade; 2 to {MOST_CLASSES} are")
    return sorted(grades, key=float)


def _called(cell: str) -> str:
    """What a grade is called: numbers in one spelling, words as they are."""
    number = as_number(cell)
    return cell if number is None or not np.isfinite(number) else f"{number:g}"
