"""CelebA's lists: which labels each picture has, and which split it is in, as text files or Kaggle's CSV files.

Everything that is wrong in them is looked for before anything is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tf_ccvae.data.dataset import SPLITS, DataError, listed

_CODES = ("0", "1", "2")  # of the splits, in the order of `SPLITS`


@dataclass(frozen=True)
class Lists:
    """The pictures that both lists know.

    Args:
      names: of the pictures' files.
      splits: the split of each picture.
      values: int8 (pictures, labels), 0 or 1.
      problems: what is wrong with the lists, one sentence each.
    """

    names: tuple[str, ...]
    splits: tuple[str, ...]
    values: np.ndarray
    problems: tuple[str, ...]

    def refusal(self) -> DataError:
        """All that is wrong in one line."""
        return DataError(listed(self.problems, "things to correct"))


def read(attributes: Path, partition: Path, labels: Sequence[str]) -> Lists:
    """Reads both lists.

    Args:
      attributes: the list of labels: the number of pictures, the names of the labels, then for each picture its name
        and 1 or -1 for each label; or a CSV file that names the labels on line 1.
      partition: the list of splits: for each picture its name and 0, 1 or 2; or a CSV file with a line above.
      labels: the names of the labels, in the order of the columns of `Lists.values`.

    Raises:
      DataError: a file is not text, or the labels are not named in it as they should be.
    """
    problems: list[str] = []
    values, named = _attributes(attributes, labels, problems)
    split_of, listed_there = _partition(partition, named, attributes, problems)
    astray = [name for name in named if name not in listed_there]
    if astray:
        some = ", ".join(astray[:3]) + (", ..." if len(astray) > 3 else "")
        problems.append(
            f"{partition}: {len(named) - len(astray)} pictures, {len(named)} in {attributes.name}, and no line for "
            f"{some}; take both from one place"
        )
    names = tuple(name for name in split_of if name in values)
    table = np.array([values[name] for name in names], np.int8).reshape(len(names), len(labels))
    return Lists(names, tuple(split_of[name] for name in names), table, tuple(problems))


def _attributes(path: Path, labels: Sequence[str], problems: list[str]) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """For each picture int8 (labels,), 0 or 1; and the line of every picture, also where its labels cannot be used."""
    lines = _lines(path)
    first = 3
    if _is_table(path):  # as the text file, but for its first line, commas, and a name above the pictures
        lines = [line.replace(",", " ") for line in lines]
        lines[:1] = [str(len(lines) - 1), *(line.partition(" ")[2] for line in lines[:1])]
        first = 2
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise DataError(f"{path}, line 1: must hold the number of pictures, and line 2 the labels; take the original")
    header = lines[1].split()
    if sorted(header) != sorted(labels):
        unknown = sorted(set(header) ^ set(labels)) or ["one of them twice"]
        raise DataError(
            f"{path}, line {first - 1}: must name CelebA's {len(labels)} labels once each (see {', '.join(unknown[:3])}"
            f"{', ...' if len(unknown) > 3 else ''}); take the original"
        )
    columns = np.array([header.index(name) for name in labels])
    values: dict[str, np.ndarray] = {}
    named: dict[str, int] = {}
    for number, line in enumerate(lines[2:], first):
        name, *cells = line.split() or [""]
        if name in named:
            problems.append(f"{path}, line {number}: {name} is there twice; remove one line")
            continue
        named[name] = number
        if len(cells) != len(labels):
            problems.append(
                f"{path}, line {number}: {len(cells)} values for {len(labels)} labels; take the original file"
            )
        elif not {"1", "-1"}.issuperset(cells):
            wrong = next(cell for cell in cells if cell not in ("1", "-1"))
            problems.append(f"{path}, line {number}: {wrong!r} is neither 1 nor -1; take the original file")
        else:
            values[name] = np.array([cell == "1" for cell in cells], np.int8)[columns]
    if len(lines) - 2 != int(lines[0]):
        problems.append(f"{path}: {len(lines) - 2} pictures where line 1 says {lines[0].strip()}; copy the file again")
    return values, named


def _partition(
    path: Path, named: dict[str, int], attributes: Path, problems: list[str]
) -> tuple[dict[str, str], set[str]]:
    """The split of each picture, and all names in the list, also where their lines cannot be used."""
    split_of: dict[str, str] = {}
    seen: set[str] = set()
    nearest = _Nearest(named)
    for number, cells in _rows_of_partition(path):
        name = cells[0]
        if len(cells) != 2 or cells[1] not in _CODES:
            problems.append(f"{path}, line {number}: must hold a picture's name and 0, 1 or 2; take the original file")
        elif name in seen:
            problems.append(f"{path}, line {number}: {name} is there twice; remove one line")
        elif name not in named:
            near = nearest.of(name)
            hint = f"{near} is there, write that" if near else "take both from one place"
            problems.append(f"{path}, line {number}: {name} is not in {attributes.name}; {hint}")
            seen.add(near or name)
        else:
            split_of[name] = SPLITS[_CODES.index(cells[1])]
        seen.add(name)
    return split_of, seen


def _rows_of_partition(path: Path) -> Iterator[tuple[int, list[str]]]:
    table = _is_table(path)
    for number, line in list(enumerate(_lines(path), 1))[int(table) :]:
        yield number, (line.replace(",", " ") if table else line).split() or [""]


class _Nearest:
    """Finds a name that differs in the case of letters or in its ending; reads all names when it is first asked."""

    def __init__(self, names: dict[str, int]):
        self.names = names
        self._by_key: dict[str, str] | None = None

    def of(self, name: str) -> str | None:
        if self._by_key is None:
            self._by_key = {_key(known): known for known in self.names}
        return self._by_key.get(_key(name))


def _key(name: str) -> str:
    return Path(name.replace("\\", "/").lower()).stem


def _is_table(path: Path) -> bool:
    return path.suffix == ".csv"


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not a text file; take the original {path.name}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); take the original {path.name}") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return lines
