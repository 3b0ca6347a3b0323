"""Any folder of images with a CSV file of labels.

The CSV file (UTF-8, commas, one header line) has a column `file`, the image's path inside the folder; optionally a
column `split` with `train`, `validation` or `test`; every other column is a label, and empty where nobody knows: a
binary one of 1 and 0, one of classes with a word for each, a grade of ordered classes, or a number with its own units.
`kinds` says how the kind is seen, and `columns` how else on, off and unknown may be written. With `label_names` other
columns are not looked at.

    file,split,smile,breed,age
    anna/1.jpg,train,1,poodle,3.5
    anna/2.jpg,train,0,,11
    ben/1.png,test,,beagle,7

Images are PNG, JPEG, WebP or PGM. Each is turned upright as its EXIF orientation says, laid on white where it is
transparent, converted to grey (ITU-R 601) or RGB without regard to colour profiles, and brought to size: the shorter
side is scaled to the image size with an antialiasing Lanczos filter, then the centre is cut out. They are decoded once
and read from a cache from then on, until a file, its size or its time changes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tf_ccvae.data import cache, numbers
from tf_ccvae.data.class_folders import images_in
from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split, Unusable, check_train_labels
from tf_ccvae.data.folder_table import Table, read_table, refusal
from tf_ccvae.data.images import fitted
from tf_ccvae.data.kinds import Kind
from tf_ccvae.data.pictures import Pictures
from tf_ccvae.label_arrays import in_units_of


def load(
    images: Path,
    labels: Path,
    image_size: int = 64,
    channels: int = 3,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
    label_names: Sequence[str] = (),
    unmarked: str | None = None,
    label_kinds: Mapping[str, Kind] | None = None,
    white: int | None = None,
    left_out: list[str] | None = None,
    cache_dir: Path | None = None,
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
      label_names: the labels to read; every column is one if empty.
      unmarked: 'off' if what is not marked is off in a column that has no 0; None to refuse such a column.
      label_kinds: for some labels which kind they are, as `kinds.read` takes it; the others' is seen from their values.
      white: the value that is white in a 16-bit image; None for the largest of the fewest bits that hold all of them.
      left_out: takes what cannot be used, one sentence each, and the rest is loaded; None to refuse instead.
      cache_dir: where decoded images are kept; the user's cache folder if None.
      progress: show a progress bar on standard error.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, in the order
      of the CSV file, and labels as `dataset.Split` says. `about["warnings"]` is a list of sentences, and
      `about["meaning"]` says what was taken for what.

    Raises:
      DataError: a file is missing, cannot be read, or holds something other than described.
    """
    images, labels = Path(images), Path(labels)
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; give the folder that holds the images")
    table = read_table(labels, images, label_names, unmarked, label_kinds)
    if left_out is None and table.problems:
        raise refusal(labels, table.problems)
    while True:
        splits = _splits(table, labels, validation_fraction, test_fraction, seed)
        if left_out is None:  # before images are decoded for nothing
            check_train_labels(table.names, table.labels[splits["train"]], labels)
        pictures = _pictures(images, labels, table, (image_size, image_size, channels), white)
        identity = _identity(images, table, white)
        try:
            arrays = cache.cached(
                "folder", identity, pictures.count, pictures.arrays, pictures.read, None, cache_dir, progress
            )
            break
        except Unusable as error:
            if left_out is None:
                raise
            left_out += [error.problems[number] for number in sorted(error.problems)]
            table = table.without(list(error.problems))
    if left_out is not None:
        left_out[:0] = [f"{labels}, {problem}" for problem in table.problems]
    notes = check_train_labels(table.names, table.labels[splits["train"]], labels, left_out=left_out)
    if not left_out:  # else it may be named on a line that cannot be used
        notes += _not_named(images, labels, table)
    notes += numbers.far_away(table.described, {name: table.labels[rows] for name, rows in splits.items()})
    pixels = _in_splits(arrays["images"], splits, identity, cache_dir)
    parts = {name: Split(pixels[name], table.labels[rows]) for name, rows in splits.items()}
    return Dataset(
        "folder",
        in_units_of(table.labels[splits["train"]], table.described),
        parts["train"],
        parts["validation"],
        parts["test"],
        {
            "source": str(images),
            "labels": str(labels),
            "licence": "that of the images",
            "warnings": [*notes, *pictures.notes(arrays)],
            "meaning": list(table.notes),
            "white": pictures.used_white(arrays),
        },
    )


def _not_named(images: Path, labels: Path, table: Table) -> list[str]:
    """A sentence about images that are there and that the CSV file does not name; none if it names all."""
    there = images_in(images)
    named = {Path(file) for file in table.files}
    others = [str(path) for path in there if path not in named]
    if not others:
        return []
    some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    return [f"{len(others):,} of {len(there):,} images in {images} are not in {labels.name} and are not used ({some})"]


def _pictures(images: Path, labels: Path, table: Table, shape: tuple[int, int, int], white: int | None) -> Pictures:
    def path(number: int) -> Path:
        return images / table.files[number]

    def place(number: int) -> str:
        return f" ({labels}, line {table.lines[number]})"

    return Pictures(len(table.files), path, lambda number: str(path(number)), fitted, shape, white, place=place)


def _identity(images: Path, table: Table, white: int | None) -> dict[str, object]:
    """Everything that the decoded images depend on: the files with their sizes and times, and the scale."""
    files = []
    for file in table.files:
        state = (images / file).stat()
        files.append([file, state.st_size, state.st_mtime_ns])
    return {"images": str(images.resolve()), "files": cache.digest(files), "white": white}


def _splits(
    table: Table, path: Path, validation_fraction: float, test_fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """For each split, the rows that belong to it, in order."""
    if table.splits is not None:
        splits = {name: np.flatnonzero([split == name for split in table.splits]) for name in SPLITS}
        for name, rows in splits.items():
            if not len(rows):
                raise DataError(f"{path}: no example in split {name}; write {name} into column 'split' of some lines")
        return splits
    if not (validation_fraction > 0 and test_fraction > 0 and validation_fraction + test_fraction < 1):
        raise DataError(
            f"validation fraction {validation_fraction} and test fraction {test_fraction} must be above 0 and "
            "together below 1; change one"
        )
    examples = len(table.files)
    validation = max(1, round(examples * validation_fraction))
    test = max(1, round(examples * test_fraction))
    if examples - validation - test < 1:
        raise DataError(f"{path}: {examples} examples are too few for three splits; add images or change the fractions")
    order = np.random.default_rng(seed).permutation(examples)
    ends = np.split(order, [validation, validation + test])
    return dict(zip(("validation", "test", "train"), (np.sort(rows) for rows in ends), strict=True))


def _in_splits(
    images: np.ndarray, splits: Mapping[str, np.ndarray], identity: Mapping[str, object], cache_dir: Path | None
) -> dict[str, np.ndarray]:
    """The images of each split as a memory map.

    Rows that follow each other are a part of the decoded images. Other rows are copied into a cache of their own, which
    is not decoded anew, so that a split is never held in memory.
    """
    if all(len(rows) == rows[-1] - rows[0] + 1 for rows in splits.values()):
        return {name: images[rows[0] : rows[-1] + 1] for name, rows in splits.items()}
    order = np.concatenate([splits[name] for name in SPLITS])
    copied = cache.cached(
        "folder-splits",
        {**identity, "rows": cache.digest(order.tolist())},
        len(order),
        {"images": cache.Array(images.shape[1:], np.uint8)},
        lambda start, stop: {"images": images[order[start:stop]]},
        cache_dir=cache_dir,
    )["images"]
    ends = np.cumsum([0, *(len(splits[name]) for name in SPLITS)]).tolist()
    return {name: copied[start:stop] for name, start, stop in zip(SPLITS, ends, ends[1:], strict=False)}
