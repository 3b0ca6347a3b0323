"""CheXpert: chest radiographs with the labels of their reports, from a local copy of the data set.

The folder holds `train.csv`, `valid.csv` and the pictures where the column `Path` says, below the folder or, as in the
original, below one named like the data set. Frontal views are read, grey unless `channels` says otherwise; the shorter
side is scaled to the image size and the centre cut out. The test split is `valid.csv`, whose labels radiologists gave;
the validation split is drawn from `train.csv`, patient by patient, for a patient has many pictures.

In `train.csv` a label is 1, 0, -1 where the report is not certain, or empty where it does not mention it.

References:
  Irvin et al., "CheXpert: A Large Chest Radiograph Dataset with Uncertainty Labels and Expert Comparison", AAAI 2019.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from tf_ccvae.data import cache
from tf_ccvae.data.dataset import DataError, Dataset, Split, check_train_labels, columns_of
from tf_ccvae.data.images import fitted
from tf_ccvae.data.pictures import Pictures
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

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      int8 (examples, labels).

    Raises:
      DataError: a label is not one of CheXpert's, or a file is missing or malformed.
    """
    columns_of(labels, OBSERVATIONS)
    meaning = {"1": 1, "0": 0, "-1": POLICIES[uncertain], "": POLICIES[unmentioned]}
    tables = {"train": path / "train.csv", "test": path / "valid.csv"}
    rows = {split: _read_table(table, labels, meaning) for split, table in tables.items()}
    rows["train"], validation = _by_patient(rows["train"], validation_fraction, tables["train"])
    order = [*rows["train"], *rows["test"]]

    shape = (image_size, image_size, channels)
    pictures = Pictures.of_files([path / row.path for row in order], fitted, shape)
    images = cache.cached(
        "chexpert",
        {table.name: cache.identity_of(table) for table in tables.values()},
        len(order),
        {"images": cache.Array(shape, np.uint8)},
        pictures.read_images,
        cache_dir=cache_dir,
        progress=progress,
    )["images"]
    values = np.array([row.labels for row in order], np.int8)
    ends = {"train": (0, validation), "validation": (validation, len(rows["train"]))}
    ends["test"] = (len(rows["train"]), len(order))
    parts = {split: Split(images[start:stop], values[start:stop]) for split, (start, stop) in ends.items()}
    about = {
        "source": str(path),
        "licence": "Stanford University Dataset Research Use Agreement",
        "warnings": check_train_labels(labels, parts["train"].labels, tables["train"]),
    }
    return Dataset("chexpert", Labels.of_binary(labels), **parts, about=about)


def _read_table(table: Path, labels: Sequence[str], meaning: Mapping[str, int]) -> list[_Row]:
    """The frontal views in a CSV file."""
    lines = csv_lines(table, f"CheXpert's {table.name}")
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    for column in (PATH, VIEW, *labels):
        if header.count(column) != 1:
            times = "is not there" if column not in header else "is there twice"
            raise DataError(f"{table}: column {column!r} {times}; take CheXpert's original {table.name}")
    places = [header.index(label) for label in labels]
    rows = []
    for line, cells in lines[1:]:
        where = f"{table}, line {line}"
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} values for {len(header)} columns; take the original file")
        view = cells[header.index(VIEW)].strip()
        if view not in ("Frontal", "Lateral"):
            raise DataError(
                f"{where}: column {VIEW!r}: {view!r} is neither Frontal nor Lateral; take the original file"
            )
        if view == "Frontal":
            texts = [cells[place].strip().removesuffix(".0") for place in places]
            for label, text in zip(labels, texts, strict=True):
                if text not in meaning:
                    raise DataError(f"{where}: column {label!r}: {text!r} is not 1, 0, -1 or empty; correct it")
            picture, patient = _place(cells[header.index(PATH)].strip(), where)
            rows.append(_Row(picture, patient, tuple(meaning[text] for text in texts)))
    if not rows:
        raise DataError(f"{table}: holds no frontal view; take the original file")
    return rows


def _place(text: str, where: str) -> tuple[str, str]:
    """The path of a picture below the data set's folder, and its patient."""
    parts = PurePosixPath(text).parts
    if parts and parts[0] not in ("train", "valid"):
        parts = parts[1:]  # the name of the data set, such as CheXpert-v1.0-small
    if len(parts) < 2 or parts[0] not in ("train", "valid") or ".." in parts or not re.match(r"patient\d+$", parts[1]):
        raise DataError(
            f"{where}: column {PATH!r}: {text!r} is not like CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg"
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
