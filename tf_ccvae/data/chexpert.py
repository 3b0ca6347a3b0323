"""CheXpert: chest radiographs with the labels of their reports, from a local copy of the data set.

The folder holds `train.csv`, `valid.csv` and the pictures where the column `Path` says, below the folder or, as in the
original, below one named like the data set. Frontal views are read, grey unless `channels` says otherwise; the shorter
side is scaled to the image size and the centre cut out. The test split is `valid.csv`, whose labels radiologists gave;
the validation split is drawn from `train.csv`, patient by patient, for a patient has many pictures.

In `train.csv` a label is 1, 0, -1 where the report is not certain, or empty where it does not mention it.

References:
  Irvin et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison", AAAI 2019.
"""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from tf_ccvae.data import cache
from tf_ccvae.data.columns import taken_for
from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split, check_train_labels, columns_of, listed
from tf_ccvae.data.images import fitted
from tf_ccvae.data.pictures import Pictures, usable
from tf_ccvae.data.tables import csv_lines
from tf_ccvae.labels import MISSING, Labels

OBSERVATIONS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)
COMPETITION_LABELS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
POLICIES = {"missing": MISSING, "positive": 1, "negative": 0}
VIEW, PATH = "Frontal/Lateral", "Path"
_SHUFFLE_SEED = 0  # not the run's: runs with other seeds share the decoded pictures


@dataclass(frozen=True)
class _Row:
    path: str  # below the folder of the data set
    patient: str
    labels: tuple[int, ...]
    place: str  # its file and line


@dataclass
class _Table:
    """The frontal views of a CSV file, what is wrong with other lines, and how often labels are spelled how."""

    rows: list[_Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    spellings: list[Counter[str]] = field(default_factory=list)  # of each label


def load(
    path: Path,
    image_size: int = 64,
    channels: int = 1,
    labels: Sequence[str] = COMPETITION_LABELS,
    uncertain: str = "missing",
    unmentioned: str = "missing",
    validation_fraction: float = 0.1,
    cache_dir: Path | None = None,
    progress: bool = False,
    left_out: list[str] | None = None,
) -> Dataset:
    """CheXpert; the pictures are decoded by the first call and read from a cache from then on.

    Args:
      path: the folder with train.csv and valid.csv.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for three equal channels.
      labels: which labels, of `OBSERVATIONS`; by default the five of the competition.
      uncertain, unmentioned: what a label is that is -1, or empty: 'missing', 'positive' or 'negative'.
      validation_fraction: share of the training pictures for validation, above 0 and below 1, rounded up to whole
        patients; the same patients for every seed.
      cache_dir: where decoded pictures are kept; the user's cache folder if None.
      progress: show a progress bar on standard error.
      left_out: takes what cannot be used, one sentence each, and the rest is loaded; None to refuse instead.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      int8 (examples, labels).

    Raises:
      DataError: a label is not one of CheXpert's, or a file is missing or malformed.
    """
    columns_of(labels, OBSERVATIONS)
    meaning = {"1": 1, "0": 0, "-1": POLICIES[uncertain], "": POLICIES[unmentioned]}
    files = {"train": path / "train.csv", "test": path / "valid.csv"}
    tables = {split: _read_table(file, labels, meaning) for split, file in files.items()}
    problems = [problem for table in tables.values() for problem in table.problems]
    problems += _without_zero(labels, tables["train"], meaning, files["train"])
    if problems and (left_out is None or not all(table.rows for table in tables.values())):
        raise DataError(listed(problems, "things to correct"))
    if left_out is not None:
        left_out += problems
    train, validation = _by_patient(tables["train"].rows, validation_fraction, files["train"])
    order = [*train, *tables["test"].rows]
    splits = ["train"] * validation + ["validation"] * (len(train) - validation) + ["test"] * (len(order) - len(train))
    shape = (image_size, image_size, channels)

    def decode(kept: np.ndarray) -> np.ndarray:
        rows = [order[number] for number in kept]
        pictures = Pictures.of_files(
            [path / row.path for row in rows], fitted, shape, path, lambda number: f" ({rows[number].place})"
        )
        without = {} if len(rows) == len(order) else {"kept": cache.digest([row.path for row in rows])}
        return cache.cached(
            "chexpert",
            {file.name: cache.identity_of(file) for file in files.values()} | without,
            len(rows),
            {"images": cache.Array(shape, np.uint8)},
            pictures.read_images,
            cache_dir=cache_dir,
            progress=progress,
        )["images"]

    def enough(kept: np.ndarray) -> bool:
        return {splits[number] for number in kept} == set(SPLITS)

    kept, images = usable(len(order), decode, enough, left_out)
    values = np.array([order[number].labels for number in kept], np.int8).reshape(len(kept), len(labels))
    rows = {split: np.flatnonzero([splits[number] == split for number in kept]) for split in SPLITS}
    parts = {split: Split(images[x[0] : x[-1] + 1], values[x[0] : x[-1] + 1]) for split, x in rows.items()}
    about = {
        "source": str(path),
        "licence": "Stanford University Dataset Research Use Agreement",
        "warnings": check_train_labels(labels, parts["train"].labels, files["train"], left_out=left_out),
        "meaning": _meaning(labels, tables, meaning),
    }
    return Dataset("chexpert", Labels.of_binary(labels), parts["train"], parts["validation"], parts["test"], about)


def _read_table(path: Path, labels: Sequence[str], meaning: Mapping[str, int]) -> _Table:
    """The frontal views in a CSV file."""
    lines = csv_lines(path, f"CheXpert's {path.name}")
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    wrong = [_column_hint(column, header) for column in (PATH, VIEW, *labels) if header.count(column) != 1]
    if wrong:
        raise DataError(f"{path}: {listed(wrong, 'columns to correct')}")
    table = _Table(spellings=[Counter() for _ in labels])
    for line, cells in lines[1:]:
        where = f"{path}, line {line}"
        try:
            row = _row(cells, header, labels, meaning, where, table.spellings)
        except DataError as error:
            table.problems.append(f"{where}: {error}")
            continue
        if row is not None:
            table.rows.append(row)
    if not table.rows and not table.problems:
        raise DataError(f"{path}: holds no frontal view; take the original file")
    return table


def _column_hint(column: str, header: Sequence[str]) -> str:
    if column in header:
        return f"column {column!r} is there twice; take CheXpert's original file"
    near = difflib.get_close_matches(column.lower(), {name.lower(): name for name in header}, n=1, cutoff=0.8)
    found = next((name for name in header if near and name.lower() == near[0]), None)
    hint = f"{found!r} is there, rename it" if found else "take CheXpert's original file"
    return f"column {column!r} is not there; {hint}"


def _row(
    cells: Sequence[str],
    header: Sequence[str],
    labels: Sequence[str],
    meaning: Mapping[str, int],
    where: str,
    spellings: Sequence[Counter[str]],
) -> _Row | None:
    """A line of the table, whose spellings are counted; None if it is not a frontal view.

    Raises:
      DataError: it cannot be used; the message does not name the line.
    """
    if len(cells) != len(header):
        raise DataError(f"{len(cells)} values for {len(header)} columns; take the original file")
    view = cells[header.index(VIEW)].strip()
    if view not in ("Frontal", "Lateral"):
        raise DataError(f"column {VIEW!r}: {view!r} is neither Frontal nor Lateral; take the original file")
    if view == "Lateral":
        return None
    texts = [cells[header.index(label)].strip() for label in labels]
    wrong = [
        f"column {label!r}: {_plain(text)!r} is not 1, 0, -1 or empty; correct it"
        for label, text in zip(labels, texts, strict=True)
        if _plain(text) not in meaning
    ]
    if wrong:
        raise DataError("; ".join(wrong))
    picture, patient = _place(cells[header.index(PATH)].strip())
    for count, text in zip(spellings, texts, strict=True):
        count[text] += 1
    return _Row(picture, patient, tuple(meaning[_plain(text)] for text in texts), where)


def _plain(text: str) -> str:
    return text.removesuffix(".0")


def _without_zero(labels: Sequence[str], table: _Table, meaning: Mapping[str, int], path: Path) -> list[str]:
    """What is wrong with labels that are never off although some cells are empty: `No Finding`, in the original."""
    problems = []
    for label, spellings in zip(labels, table.spellings, strict=True):
        values = {meaning[_plain(text)] for text in spellings}
        if 1 in values and 0 not in values and "" in spellings:
            problems.append(
                f"{path}: column {label!r}: has no 0 in the whole file, so an empty cell may mean off or unknown; set "
                "data.unmentioned: negative if it means off, or leave the label out of data.label_names"
            )
    return problems


def _meaning(labels: Sequence[str], tables: Mapping[str, _Table], meaning: Mapping[str, int]) -> list[str]:
    """What was taken for what in each column."""
    notes = []
    for i, label in enumerate(labels):
        cells = sum((table.spellings[i] for table in tables.values()), Counter[str]())
        notes.append(f"{label}: {taken_for(list(cells.elements()), {text: meaning[_plain(text)] for text in cells})}")
    return notes


def _place(text: str) -> tuple[str, str]:
    """The path of a picture below the data set's folder, and its patient."""
    parts = PurePosixPath(text).parts
    if parts and parts[0] not in ("train", "valid"):
        parts = parts[1:]  # the name of the data set, such as CheXpert-v1.0-small
    if len(parts) < 2 or parts[0] not in ("train", "valid") or ".." in parts or not re.match(r"patient\d+$", parts[1]):
        raise DataError(
            f"column {PATH!r}: {text!r} is not like CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"
            "; take the original file"
        )
    return str(PurePosixPath(*parts)), "/".join(parts[:2])


def _by_patient(rows: Sequence[_Row], fraction: float, table: Path) -> tuple[list[_Row], int]:
    """The rows in a random order of patients, and where those of the validation split begin: the last patients."""
    patients = sorted({row.patient for row in rows})
    shuffled = np.random.default_rng(_SHUFFLE_SEED).permutation(len(patients))
    rank = {patients[i]: int(position) for position, i in enumerate(shuffled)}
    ordered = sorted(rows, key=lambda row: rank[row.patient])
    start = min(len(ordered) - 1, round(len(ordered) * (1 - fraction)))
    while start and ordered[start - 1].patient == ordered[start].patient:
        start -= 1
    if not start:
        raise DataError(f"{table}: {len(patients)} patients are too few to draw validation ones from; add some")
    return ordered, start
