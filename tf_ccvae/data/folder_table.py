"""The CSV file of labels that goes with a folder of images: which image, which split, which labels.

Everything that is wrong is looked for before anything is said, so that one look at the message is enough.
"""

import difflib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tf_ccvae.data import kinds
from tf_ccvae.data.columns import NotLabels
from tf_ccvae.data.dataset import SPLITS, DataError, columns_of, listed, of_kind, printable
from tf_ccvae.data.near_miss import Index
from tf_ccvae.data.tables import csv_lines
from tf_ccvae.labels import Labels

FILE, SPLIT = "file", "split"


@dataclass(frozen=True)
class Table:
    """The usable lines of a CSV file of labels.

    Args:
      described: what the labels are, number labels in the units of the whole file.
      lines: the line of each example in the file.
      files: the path of each example's image below the folder of images.
      splits: the split of each example; None if the file has no such column.
      labels: (examples, labels), as `dataset.Split` holds them.
      notes: what was taken for what, one sentence for each label.
      problems: what cannot be used, one sentence each.
    """

    described: Labels
    lines: tuple[int, ...]
    files: tuple[str, ...]
    splits: tuple[str, ...] | None
    labels: np.ndarray
    notes: tuple[str, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def names(self) -> tuple[str, ...]:
        return self.described.names

    def without(self, rows: Sequence[int]) -> "Table":
        """The table without some of its examples."""
        kept = np.setdiff1d(np.arange(len(self.lines)), rows)
        splits = None if self.splits is None else tuple(self.splits[i] for i in kept)
        lines, files = (tuple(x[i] for i in kept) for x in (self.lines, self.files))
        return Table(self.described, lines, files, splits, self.labels[kept], self.notes, self.problems)


def read_table(
    path: Path,
    images: Path,
    label_names: Sequence[str] = (),
    unmarked: str | None = None,
    label_kinds: Mapping[str, kinds.Kind] | None = None,
) -> Table:
    """Reads a CSV file of labels.

    Args:
      path: the CSV file.
      images: the folder of images.
      label_names: the labels to read; all columns but `file` and `split` if empty.
      unmarked: 'off' if what is not marked is off in a column without any 0, None if such a column is a problem.
      label_kinds: for some labels which kind they are, as `kinds.read` takes it; the others' is seen from their values.

    Returns:
      What can be used, and what cannot.

    Raises:
      DataError: the file cannot be read, its header is wrong, or nothing can be used.
    """
    lines = csv_lines(path, "the CSV file of labels")
    if not lines:
        raise DataError(f"{path}: is empty; the first line must name the columns: file, optionally split, labels")
    first, header = lines[0]
    header = [name.strip() for name in header]
    names = _label_names(header, f"{path}, line {first}", label_names)
    if not lines[1:]:
        raise DataError(f"{path}: has no examples; add one line for each image below the header")
    problems = [
        f"line {line}: {len(cells)} values for {len(header)} columns; quote values that hold commas"
        for line, cells in lines[1:]
        if len(cells) != len(header)
    ]
    rows = [
        (line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))
        for line, cells in lines[1:]
        if len(cells) == len(header)
    ]
    columns_of(tuple(label_kinds or ()), names, "data.label_kinds")
    labels, notes, kept, wrong = _labels(rows, names, unmarked, label_kinds or {})
    problems += wrong
    good = _usable(rows, images, problems)
    if problems and not (kept and good):
        raise refusal(path, problems)
    return Table(
        kept,
        tuple(rows[i][0] for i in good),
        tuple(os.path.normpath(rows[i][1][FILE]) for i in good),
        tuple(rows[i][1][SPLIT] for i in good) if SPLIT in header else None,
        labels[good],
        tuple(notes),
        tuple(printable(problem) for problem in problems),
    )


def refusal(path: Path, problems: Sequence[str]) -> DataError:
    """All problems of a CSV file in one line."""
    text = listed(problems, "things to correct")
    return DataError(f"{path}, {text}" if text.startswith("line ") else f"{path}: {text}")


def _label_names(header: Sequence[str], where: str, wanted: Sequence[str]) -> tuple[str, ...]:
    if "" in header and not wanted:
        raise DataError(f"{where}: column {header.index('') + 1} has no name; name it, or remove its comma")
    twice = [name for name, count in Counter(header).items() if count > 1 and (name in (FILE, SPLIT) or not wanted)]
    twice += [name for name in wanted if header.count(name) > 1]
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} is there twice; remove or rename one")
    if FILE not in header:
        raise DataError(f"{where}: no column 'file'; {_file_hint(header)}")
    names = tuple(name for name in header if name not in (FILE, SPLIT))
    if not names:
        raise DataError(f"{where}: no column of labels; add a column with 1, 0 or nothing for each image")
    columns_of(wanted, names)
    return tuple(wanted) or names


def _file_hint(header: Sequence[str]) -> str:
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        return "put commas between the columns"
    near = [name for name in header if name.lower().startswith("file")]
    near += [name for name in header if difflib.get_close_matches("file", [name.lower()], cutoff=0.7)]
    return f"rename {near[0]!r}, or add one" if near else "add one with the path of each image inside the folder"


def _labels(
    rows: Sequence[tuple[int, dict[str, str]]],
    names: Sequence[str],
    unmarked: str | None,
    by_name: Mapping[str, kinds.Kind],
) -> tuple[np.ndarray, list[str], Labels, list[str]]:
    """Values (rows, labels), what was taken for what, the labels that can be used, what is wrong with the others."""
    read, wrong = {}, {}
    lines = [line for line, _ in rows]
    for name in names:
        try:
            read[name] = kinds.read(name, [cells[name] for _, cells in rows], lines, unmarked, by_name.get(name))
        except NotLabels as error:
            wrong[name] = str(error)
    problems = [f"column {name!r}: {reason}" for name, reason in wrong.items()]
    usable = [name for name, column in read.items() if column.varies]
    if wrong and usable:
        problems[-1] += f"; data.label_names: [{', '.join(usable)}] leaves other columns out"
    labels = Labels(tuple(column.label for column in read.values()))
    values = np.array([column.values for column in read.values()], np.float32).reshape(len(read), len(rows)).T
    return of_kind(labels, values), [f"{name}: {x.meaning}" for name, x in read.items()], labels, problems


def _usable(rows: Sequence[tuple[int, dict[str, str]]], images: Path, problems: list[str]) -> list[int]:
    """The rows whose image and split can be used; what is wrong with the others is added to `problems`."""
    index, seen, good = Index(images), dict[str, int](), []
    for i, (line, cells) in enumerate(rows):
        reason = _of_row(cells, line, images, index, seen)
        if reason is None:
            good.append(i)
        else:
            problems.append(f"line {line}: {reason}")
    return good


def _of_row(cells: dict[str, str], line: int, images: Path, index: Index, seen: dict[str, int]) -> str | None:
    """What is wrong with the image or the split of a row; `seen` holds the line of each image before."""
    file = cells[FILE]
    if not file:
        return "column 'file' is empty; name an image or remove the line"
    normal = os.path.normpath(file)
    if os.path.isabs(file) or normal.split(os.sep)[0] == os.pardir:
        return f"{file} is outside the folder of images; write the path inside the folder"
    if normal in seen:
        return f"{normal} is on line {seen[normal]} too; remove one"
    seen[normal] = line
    if cells.get(SPLIT, SPLITS[0]) not in SPLITS:
        nearest = difflib.get_close_matches(cells[SPLIT].lower(), SPLITS, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        return f"column 'split': {cells[SPLIT]!r} is not one of {', '.join(SPLITS)}{hint}"
    if not os.path.isfile(images / normal):
        near = index.nearest(file)
        hint = f"; {near} is there, write that" if near else "; correct or remove the line"
        return f"no image {normal} in {images}{hint}"
    return None
