"""Which columns of a Hugging Face data set are labels, and their values.

Class labels are categorical labels and booleans binary ones. Columns of integers, decimals or text are looked at as a
whole: 0 and 1, or words for on and off, are a binary label; few different words are classes, and so are few different
integers if the settings ask for the column by its name. A column is a number label only where the settings say so
(`data.label_kinds`), for most numbers in such data describe the pictures, and a grade likewise, class labels too: the
order in which a data set names its classes is seldom one of grades. A column of lists of classes gives one binary label
for each class: on where the list holds it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_ccvae.data import kinds
from tf_ccvae.data.columns import NotLabels, as_number, read_column
from tf_ccvae.data.dataset import DataError, columns_of, describe_classes
from tf_ccvae.data.splits import class_names
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import MISSING, Label, Labels

if TYPE_CHECKING:
    import datasets
    from datasets.features.features import FeatureType

MOST_CLASSES = 200  # different values up to which a column of words or integers is one of classes
_NAMES = ("file_name", "image_path", "path", "id", "image_id")  # of columns that say which picture it is

Values = dict[str, np.ndarray]  # by split, int16 or float32 for a number, (examples,) or (examples, labels)


def image_column(features: "datasets.Features", where: str) -> str:
    """The name of the column of pictures.

    Raises:
      DataError: there is none, or more than one and none called `image`.
    """
    import datasets

    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if not images:
        raise DataError(f"{where}: has no column of images ({', '.join(features)}); use another data set")
    if len(images) > 1 and "image" not in images:
        raise DataError(f"{where}: has {len(images)} columns of images, none called image; use another data set")
    return "image" if "image" in images else images[0]


def read_labels(
    splits: "Mapping[str, datasets.Dataset]",
    where: str,
    wanted: Sequence[str] = (),
    unmarked: str | None = None,
    label_kinds: Mapping[str, kinds.Kind] | None = None,
) -> tuple[Labels, dict[str, np.ndarray], list[str]]:
    """The labels of all examples.

    Args:
      splits: of the data set, by name.
      where: the data set, for messages.
      wanted: names of labels, or of columns, that the settings ask for; all columns are looked at if empty.
      unmarked: as `columns.read_column` takes it.
      label_kinds: which kind some columns are, as `kinds.read` takes it.

    Returns:
      What the labels are; for each split int16 (examples, labels), or float32 with a number label; and what was taken
      for what, one sentence a column.

    Raises:
      DataError: no column is one of labels, or one is not of the kind that the settings say.
    """
    import datasets

    features = next(iter(splits.values())).features
    columns_of(tuple(label_kinds or ()), tuple(features), "data.label_kinds")
    labels: list[Label] = []
    parts: dict[str, list[np.ndarray]] = {split: [] for split in splits}
    notes: list[str] = []
    for name, feature in features.items():
        if isinstance(feature, datasets.Image) or (wanted and not _asked(name, feature, wanted)):
            continue
        columns = {split: rows.select_columns([name]).with_format("arrow")[:] for split, rows in splits.items()}
        cells = {split: column[name].to_pylist() for split, column in columns.items()}
        kind = (label_kinds or {}).get(name)
        by_kind = _of_kind(name, feature, cells, unmarked, kind, where) if kind else None
        read = by_kind or _column(name, feature, cells, name in wanted, unmarked)
        if isinstance(read, str):
            notes.append(f"{name}: left out, for it {read}")
            continue
        made, values, note = read
        notes.append(f"{name}: {note}")
        taken = {label.name for label in labels}
        labels += [replace(x, name=f"{name}_{x.name}") if x.name in taken else x for x in made]
        for split in splits:
            parts[split].append(values[split].reshape(len(cells[split]), len(made)))
    if not labels and wanted and not notes:
        there = ", ".join(name for name, x in features.items() if not isinstance(x, datasets.Image)) or "none"
        raise DataError(f"{where}: no column for data.label_names ({', '.join(wanted)}); its columns are {there}")
    if not labels:
        raise DataError(f"{where}: no column holds labels ({'; '.join(notes) or ', '.join(features)})")
    whole = Labels(tuple(labels))
    return whole, {split: _together(x, bool(whole.numbers)) for split, x in parts.items()}, notes


def _together(parts: Sequence[np.ndarray], floats: bool) -> np.ndarray:
    """Columns side by side, integers with `MISSING` or floats with NaN."""
    if floats:
        parts = [np.where(known(part), part, np.nan).astype(np.float32) for part in parts]
    return np.concatenate(parts, axis=1)


def _of_kind(
    name: str, feature: Any, cells: dict[str, list[Any]], unmarked: str | None, kind: kinds.Kind, where: str
) -> tuple[list[Label], Values, str] | None:
    """A column of the kind that the settings say; None where the type of the column says it too."""
    import datasets

    of_classes, grade = isinstance(feature, datasets.ClassLabel), kind == "grade" or not isinstance(kind, str)
    if not isinstance(feature, datasets.Value) and not (of_classes and grade):
        if kind == "class" and of_classes:
            return None
        what = "grade" if grade else kind
        raise DataError(f"{where}: data.label_kinds: column {name!r} cannot be a {what}; leave it out there")
    called = class_names(feature.names) if of_classes else None

    def text(cell: Any) -> str:
        return "" if cell is None or (called and cell < 0) else called[cell].strip() if called else _text(cell)

    texts = [text(x) for column in cells.values() for x in column]
    try:
        made = kinds.read(name, texts, range(len(texts)), unmarked, kind)
    except NotLabels as error:
        reason = str(error).replace("(line ", "(example ").replace("on line ", "on example ")
        raise DataError(f"{where}: column {name!r}: {reason}") from error
    ends = np.cumsum([len(column) for column in cells.values()])[:-1]
    values = made.values if kind == "number" else np.where(np.isnan(made.values), MISSING, made.values).astype(np.int16)
    return [made.label], dict(zip(cells, np.split(values, ends), strict=True)), made.meaning


def _asked(name: str, feature: "FeatureType", wanted: Sequence[str]) -> bool:
    """Whether a column can hold one of the labels that the settings ask for."""
    import datasets

    if name in wanted or isinstance(feature, datasets.List | datasets.LargeList):
        return True
    return any(label.startswith(f"{name}_") for label in wanted)


def _column(
    name: str, feature: "FeatureType", cells: dict[str, list[Any]], asked: bool, unmarked: str | None
) -> tuple[list[Label], Values, str] | str:
    """Labels, values and what was taken for what; or why the column holds no labels."""
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        if feature.num_classes < 2:
            return "has one class alone"
        classes = class_names(feature.names)
        values = _each(cells, lambda x: MISSING if x is None else x)
        return [Label(name, classes)], values, describe_classes(classes)
    if isinstance(feature, datasets.List | datasets.LargeList):
        return _lists(feature.feature, cells)
    if not isinstance(feature, datasets.Value):
        return "holds something else"
    texts = {split: ["" if x is None else _text(x) for x in column] for split, column in cells.items()}
    whole = [text for column in texts.values() for text in column]
    try:
        column = read_column(whole, range(len(whole)), unmarked)
        meaning = dict(zip(whole, column.values.tolist(), strict=True))
        return [Label(name)], _each(texts, lambda x: meaning[x]), column.meaning
    except NotLabels as error:
        different = sorted({x for x in whole if x and x.lower() != "nan"})
        classes = _classes(name, feature.dtype, different, len(whole), asked)
        if not classes:
            return str(error).partition("(line")[0].replace("; first on line 0", "").strip()
    number = {text: i for i, text in enumerate(classes)}
    return [Label(name, classes)], _each(texts, lambda x: number.get(x, MISSING)), describe_classes(classes)


def _text(cell: object) -> str:
    return str(cell).lower() if isinstance(cell, bool) else str(cell).strip()


def _classes(name: str, dtype: str, different: Sequence[str], examples: int, asked: bool) -> tuple[str, ...]:
    """The classes of a column of words or integers; none if it is something else."""
    few = 2 <= len(different) <= MOST_CLASSES and 2 * len(different) <= examples
    numbers = [as_number(text) for text in different]
    if dtype in ("string", "large_string") and not all(x is not None for x in numbers):
        return tuple(different) if few and (asked or name.lower() not in _NAMES) else ()
    whole = all(x is not None and x == int(x) for x in numbers)
    if not (few and asked and whole):
        return ()
    return tuple(sorted(different, key=lambda text: as_number(text) or 0.0))


def _lists(inner: "FeatureType", cells: dict[str, list[Any]]) -> tuple[list[Label], Values, str] | str:
    import datasets

    if isinstance(inner, datasets.ClassLabel):
        classes, items = class_names(inner.names), list[str | int](range(inner.num_classes))
    elif isinstance(inner, datasets.Value) and inner.dtype in ("string", "large_string"):
        items = sorted({x for column in cells.values() for some in column for x in some or () if x is not None})
        classes = tuple(map(str, items))
    else:
        return "holds lists of something else than classes"
    if not 1 <= len(items) <= MOST_CLASSES:
        return f"holds lists of {len(items)} different words"
    number = {item: i for i, item in enumerate(items)}

    def row(some: Sequence[str | int] | None) -> list[int]:
        if some is None:
            return [MISSING] * len(items)
        here = {number[x] for x in some if x in number}
        return [int(i in here) for i in range(len(items))]

    return [Label(x) for x in classes], _each(cells, row), f"lists of {len(items)} classes, each a label: on if listed"


def _each(cells: Mapping[str, Sequence[Any]], value: Callable[[Any], object]) -> Values:
    return {split: np.array([value(x) for x in column], np.int16) for split, column in cells.items()}
