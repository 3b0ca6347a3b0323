"""Any folder of images with a CSV file of labels.

The CSV file (UTF-8, commas, one header line) has a column `file`, the image's path inside the folder; optionally a
column `split` with `train`, `validation` or `test`; every other column is a binary label: 1, 0, and empty or -1 where
nobody knows. A label with more than two classes is not read: give each class a column of its own.

    file,split,smile,glasses
    anna/1.jpg,train,1,0
    anna/2.jpg,train,0,
    ben/1.png,test,,1

Images are PNG, JPEG, WebP or PGM. Each is turned upright as its EXIF orientation says, laid on white where it is
transparent, converted to grey (ITU-R 601) or RGB without regard to colour profiles, and brought to size: the shorter
side is scaled to the image size with an antialiasing Lanczos filter, then the centre is cut out.
"""

import difflib
import os
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split, check_train_labels
from tf_ccvae.data.images import fitted, opened
from tf_ccvae.data.tables import csv_lines
from tf_ccvae.labels import MISSING, Labels

VALUES = {"1": 1, "0": 0, "-1": MISSING, "": MISSING}


def load(
    images: Path,
    labels: Path,
    image_size: int = 64,
    channels: int = 3,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    progress: bool = False,
) -> Dataset:
    """Reads a folder of images and the labels in a CSV file.

    Args:
      images: folder of images.
      labels: CSV file, as described above.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for colour.
      validation_fraction, test_fraction: shares of the examples, above 0 and together below 1, at least one example
        each; not used if the CSV file has a column `split`.
      seed: which examples fall into which split; not used if the CSV file has a column `split`.
      progress: show a progress bar on standard error.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels) in memory, in the order of the CSV file,
      and labels int8 (examples, labels). `about["warnings"]` is a list of sentences.

    Raises:
      DataError: a file is missing, cannot be read, or holds something other than described.
    """
    images, labels = Path(images), Path(labels)
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; give the folder that holds the images")
    table = _read_table(labels)
    for row in table.rows:
        if not os.path.isfile(images / row.file):
            raise DataError(f"{labels}, line {row.line}: no image {row.file} in {images}; correct or remove the line")
    splits = _splits(table, labels, validation_fraction, test_fraction, seed)
    values = np.array([row.labels for row in table.rows], np.int8)
    notes = check_train_labels(table.names, values[splits["train"]], labels)
    pixels, small = _read_images(images, table.rows, image_size, channels, labels, progress)
    if small:
        notes.append(f"{small} of {len(pixels)} images are smaller than {image_size} pixels and were enlarged")
    return Dataset(
        name="folder",
        labels=Labels.of_binary(table.names),
        **{name: Split(pixels[rows], values[rows]) for name, rows in splits.items()},
        about={"source": str(images), "labels": str(labels), "licence": "that of the images", "warnings": notes},
    )


# The CSV file.


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    split: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class _Table:
    names: tuple[str, ...]
    has_splits: bool
    rows: tuple[_Row, ...]


def _read_table(path: Path) -> _Table:
    lines = csv_lines(path, "the CSV file of labels")
    if not lines:
        raise DataError(f"{path}: is empty; the first line must name the columns: file, optionally split, labels")
    first, header = lines[0]
    header = [name.strip() for name in header]
    names = _check_header(header, f"{path}, line {first}")
    rows = []
    for line, cells in lines[1:]:
        where = f"{path}, line {line}"
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} values for {len(header)} columns; quote values that hold commas")
        rows.append(_read_row(dict(zip(header, (cell.strip() for cell in cells), strict=True)), names, line, where))
    if not rows:
        raise DataError(f"{path}: has no examples; add one line for each image below the header")
    _check_unique(rows, path)
    return _Table(names, "split" in header, tuple(rows))


def _check_header(header: Sequence[str], where: str) -> tuple[str, ...]:
    """The names of the labels."""
    if "" in header:
        raise DataError(f"{where}: column {header.index('') + 1} has no name; name it, or remove its comma")
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DataError(f"{where}: column {twice[0]!r} is there twice; remove or rename one")
    if "file" not in header:
        raise DataError(f"{where}: no column 'file'; {_file_hint(header)}")
    names = tuple(name for name in header if name not in ("file", "split"))
    if not names:
        raise DataError(f"{where}: no column of labels; add a column with 1, 0 or nothing for each image")
    return names


def _file_hint(header: Sequence[str]) -> str:
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        return "put commas between the columns"
    near = [name for name in header if name.lower().startswith("file")]
    near += [name for name in header if difflib.get_close_matches("file", [name.lower()], cutoff=0.7)]
    return f"rename {near[0]!r}, or add one" if near else "add one with the path of each image inside the folder"


def _read_row(cells: dict[str, str], names: Sequence[str], line: int, where: str) -> _Row:
    file = cells["file"]
    if not file:
        raise DataError(f"{where}: column 'file' is empty; name an image or remove the line")
    normal = os.path.normpath(file)
    if os.path.isabs(file) or normal.split(os.sep)[0] == os.pardir:
        raise DataError(f"{where}: {file} is outside the folder of images; write the path inside the folder")
    split = cells.get("split", "")
    if "split" in cells and split not in SPLITS:
        raise DataError(f"{where}: column 'split': {split!r} is not one of {', '.join(SPLITS)}{_nearest(split)}")
    for name in names:
        if cells[name] not in VALUES:
            raise DataError(
                f"{where}: column {name!r}: {cells[name]!r} is not a label; write 1, 0, or nothing (or -1) where "
                "it is not known"
            )
    return _Row(line, normal, split, tuple(VALUES[cells[name]] for name in names))


def _nearest(split: str) -> str:
    nearest = difflib.get_close_matches(split.lower(), SPLITS, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _check_unique(rows: Sequence[_Row], path: Path) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        if row.file in seen:
            raise DataError(f"{path}, line {row.line}: {row.file} is on line {seen[row.file]} too; remove one")
        seen[row.file] = row.line


# Splits.


def _splits(
    table: _Table, path: Path, validation_fraction: float, test_fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """For each split, the rows that belong to it, in order."""
    if table.has_splits:
        splits = {name: np.flatnonzero([row.split == name for row in table.rows]) for name in SPLITS}
        for name, rows in splits.items():
            if not len(rows):
                raise DataError(f"{path}: no example in split {name}; write {name} into column 'split' of some lines")
        return splits
    if not (validation_fraction > 0 and test_fraction > 0 and validation_fraction + test_fraction < 1):
        raise DataError(
            f"validation fraction {validation_fraction} and test fraction {test_fraction} must be above 0 and "
            "together below 1; change one"
        )
    examples = len(table.rows)
    validation = max(1, round(examples * validation_fraction))
    test = max(1, round(examples * test_fraction))
    if examples - validation - test < 1:
        raise DataError(f"{path}: {examples} examples are too few for three splits; add images or change the fractions")
    order = np.random.default_rng(seed).permutation(examples)
    ends = np.split(order, [validation, validation + test])
    return dict(zip(("validation", "test", "train"), (np.sort(rows) for rows in ends), strict=True))


# Images.


def _read_images(
    folder: Path, rows: Sequence[_Row], size: int, channels: int, labels: Path, progress: bool
) -> tuple[np.ndarray, int]:
    """uint8 (rows, size, size, channels), and how many images were smaller than that."""
    pixels = np.empty((len(rows), size, size, channels), np.uint8)

    def read(index: int) -> bool:
        row = rows[index]
        try:
            pixels[index], small = _read_image(folder / row.file, size, channels)
        except DataError as error:
            raise DataError(f"{folder / row.file}: {error} ({labels}, line {row.line})") from None
        return small

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        done = pool.map(read, range(len(rows)))
        if progress and sys.stderr.isatty():
            done = iter(track(done, "reading images", len(rows), console=Console(stderr=True), transient=True))
        try:
            return pixels, sum(done)
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise


def read_image(path: Path, size: int, channels: int) -> np.ndarray:
    """One image as uint8 (size, size, channels), brought to size as the module's docstring says.

    Raises:
      DataError: it is no image of a known format, or damaged; the message does not name it.
    """
    return _read_image(path, size, channels)[0]


def _read_image(path: Path, size: int, channels: int) -> tuple[np.ndarray, bool]:
    """uint8 (size, size, channels), and whether the image was smaller than that."""
    return opened(path, lambda image: (fitted(image, size, size, channels), min(image.size) < size))
