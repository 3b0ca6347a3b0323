"""CelebA: 202,599 faces with 40 binary labels, from a folder of the original files or through tensorflow-datasets.

The folder holds `img_align_celeba/` with the pictures, `list_attr_celeba.txt` with the number of pictures, the names of
the labels and a line of 1 and -1 for each picture, and `list_eval_partition.txt` with 0 (train), 1 (validation) or 2
(test) for each. The folders `Img`, `Anno` and `Eval` of the original download may stand in between.

As in the official programs, all of a picture (218 pixels high, 178 wide) is scaled to a square, without a crop. Their
validation pictures are the last of the training split; here they are the validation split of the authors of CelebA.

Kaggle's edition has CSV files in place of the lists and the folder of pictures once more in itself; the tree of the
official programs has all of it in a folder `celeba`. Both are read, and so is a folder up to three levels above.

References:
  Liu, Luo, Wang, Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from tf_ccvae.data import cache, tfds
from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split, check_train_labels, columns_of
from tf_ccvae.data.images import squeezed
from tf_ccvae.data.network import reachable
from tf_ccvae.data.pictures import Pictures
from tf_ccvae.labels import Labels

ATTRIBUTES = (
    *("5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose"),
    *("Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses"),
    *("Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache"),
    *("Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks"),
    *("Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick"),
    *("Wearing_Necklace", "Wearing_Necktie", "Young"),
)
PAPER_LABELS = (
    *("Arched_Eyebrows", "Bags_Under_Eyes", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows"),
    *("Chubby", "Eyeglasses", "Heavy_Makeup", "Male", "No_Beard", "Pale_Skin", "Receding_Hairline", "Smiling"),
    *("Wavy_Hair", "Wearing_Necktie", "Young"),
)
IMAGES, LIST, PARTITION = "img_align_celeba", "list_attr_celeba.txt", "list_eval_partition.txt"
LICENCE = "CelebA: for non-commercial research only; the pictures belong to others (see its project page)"
BY_HAND = (f"{IMAGES}.zip", LIST, PARTITION, "list_landmarks_align_celeba.txt", "identity_CelebA.txt")
WAYS = (
    f"either set data.path to a folder with {IMAGES}/, {LIST} and {PARTITION}, or put {', '.join(BY_HAND[:-1])} and "
    f"{BY_HAND[-1]} into {{manual}} and start again"
)
HOST = "https://drive.google.com"  # of the files that tensorflow-datasets downloads


def check_at_hand() -> None:
    """Checks without tensorflow-datasets, whose import takes seconds, that it can give CelebA.

    Raises:
      DataError: it has not been prepared in TFDS_DATA_DIR or ~/tensorflow_datasets, its files were not put there by
        hand, and their host does not answer.
    """
    root = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    manual = root / "downloads" / "manual"
    if any(root.glob("celeb_a/*/dataset_info.json")) or all((manual / name).is_file() for name in BY_HAND):
        return
    if not reachable(HOST):
        ways = WAYS.format(manual=manual)
        raise DataError(f"tfds:celeb_a: not in {root}, and the host of its files cannot be reached; {ways}")


def load(
    path: Path | None = None,
    image_size: int = 64,
    channels: int = 3,
    labels: Sequence[str] = PAPER_LABELS,
    cache_dir: Path | None = None,
    progress: bool = False,
) -> Dataset:
    """CelebA; the pictures are decoded by the first call and read from a cache from then on.

    Args:
      path: folder of the original files; None to go through tensorflow-datasets.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for colour.
      labels: which labels, of `ATTRIBUTES`; by default the 18 of the paper.
      cache_dir: where decoded pictures are kept; the user's cache folder if None.
      progress: show a progress bar on standard error.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, in the
      official splits, and labels int8 (examples, labels), none of them missing.

    Raises:
      DataError: a label is not one of CelebA's; a file is missing or malformed; or tensorflow-datasets has no CelebA
        and cannot make it.
    """
    columns = columns_of(labels, ATTRIBUTES)
    if path is None:
        found = tfds.load("celeb_a", None, image_size, channels, squeezed, WAYS, cache_dir, progress=progress)
        return replace(found.with_labels(labels), name="celeba", about={**found.about, "licence": LICENCE})
    files = {name: _found(path, name) for name in (LIST, PARTITION, IMAGES)}
    values = _attributes(files[LIST])
    names, ends = _partition(files[PARTITION], values, files[LIST])

    shape = (image_size, image_size, channels)
    pictures = Pictures.of_files([files[IMAGES] / name for name in names], squeezed, shape)
    lists = {name: cache.identity_of(files[name]) for name in (LIST, PARTITION)}
    images = cache.cached(
        "celeba",
        {**lists, "images": str(files[IMAGES].resolve())},
        len(names),
        {"images": cache.Array(shape, np.uint8)},
        pictures.read_images,
        cache_dir=cache_dir,
        progress=progress,
    )["images"]
    wanted = np.stack([values[name] for name in names])[:, columns]
    parts = {
        split: Split(images[start:stop], wanted[start:stop])
        for split, (start, stop) in zip(SPLITS, pairwise(ends), strict=True)
    }
    notes = check_train_labels(labels, parts["train"].labels, files[LIST])
    about = {"source": str(path), "licence": LICENCE, "warnings": notes}
    return Dataset("celeba", Labels.of_binary(labels), **parts, about=about)


def _found(folder: Path, name: str) -> Path:
    """A file or folder of CelebA, also where the original download has it."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds {IMAGES}/, {LIST} and {PARTITION}")
    for place in _places(folder):
        if name == IMAGES and (place / name).is_dir():
            nested = place / name / name
            return nested if nested.is_dir() else place / name
        for file in (place / name, place / f"{Path(name).stem}.csv"):
            if name != IMAGES and file.is_file():
                return file
    if name == IMAGES:
        packed = next(folder.rglob(f"{IMAGES}.zip"), None)
        raise DataError(f"{folder}: no folder {IMAGES} in it; " + (f"unpack {packed}" if packed else "put it there"))
    raise DataError(f"{folder}: no file {name} or {Path(name).stem}.csv in it; put it there")


def _places(folder: Path, depth: int = 3) -> Iterator[Path]:
    """A folder and those below it, the nearest first, without folders of pictures."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        below = [inner for place in level for inner in sorted(place.iterdir()) if inner.is_dir()]
        level = [inner for inner in below if inner.name != IMAGES and not inner.name.startswith(".")]


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


def _is_table(path: Path) -> bool:
    return path.suffix == ".csv"


def _attributes(path: Path) -> dict[str, np.ndarray]:
    """For each picture int8 (40,), 0 or 1, in the order of `ATTRIBUTES`."""
    lines = _lines(path)
    first = 3
    if _is_table(path):  # as the text file, but for its first line, commas, and a name above the pictures
        lines = [line.replace(",", " ") for line in lines]
        lines[:1] = [str(len(lines) - 1), *(line.partition(" ")[2] for line in lines[:1])]
        first = 2
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise DataError(f"{path}, line 1: must hold the number of pictures, and line 2 the labels; take the original")
    header = lines[1].split()
    if sorted(header) != sorted(ATTRIBUTES):
        unknown = sorted(set(header) ^ set(ATTRIBUTES)) or ["one of them twice"]
        raise DataError(
            f"{path}, line {first - 1}: must name CelebA's 40 labels once each (see {unknown[0]}); take the original"
        )
    columns = np.array([header.index(name) for name in ATTRIBUTES])
    values: dict[str, np.ndarray] = {}
    for number, line in enumerate(lines[2:], first):
        name, *cells = line.split() or [""]
        if len(cells) != len(ATTRIBUTES):
            raise DataError(f"{path}, line {number}: {len(cells)} values for 40 labels; take the original file")
        if not {"1", "-1"}.issuperset(cells):
            wrong = next(cell for cell in cells if cell not in ("1", "-1"))
            raise DataError(f"{path}, line {number}: {wrong!r} is neither 1 nor -1; take the original file")
        if name in values:
            raise DataError(f"{path}, line {number}: {name} is there twice; remove one line")
        values[name] = np.array([cell == "1" for cell in cells], np.int8)[columns]
    if len(values) != int(lines[0]):
        raise DataError(f"{path}: {len(values)} pictures where line 1 says {lines[0].strip()}; copy the file again")
    return values


def _partition(path: Path, known: dict[str, np.ndarray], attributes: Path) -> tuple[list[str], list[int]]:
    """The pictures in the order of the splits, and where each split begins and the last one ends."""
    splits: dict[str, list[str]] = {"0": [], "1": [], "2": []}
    seen = set()
    table = _is_table(path)
    for number, line in list(enumerate(_lines(path), 1))[int(table) :]:
        cells = line.replace(",", " ").split() if table else line.split()
        if len(cells) != 2 or cells[1] not in splits:
            raise DataError(f"{path}, line {number}: must hold a picture's name and 0, 1 or 2; take the original file")
        if cells[0] not in known:
            raise DataError(f"{path}, line {number}: {cells[0]} is not in {attributes.name}; take both from one place")
        if cells[0] in seen:
            raise DataError(f"{path}, line {number}: {cells[0]} is there twice; remove one line")
        seen.add(cells[0])
        splits[cells[1]].append(cells[0])
    for code, split in zip(splits, SPLITS, strict=True):
        if not splits[code]:
            raise DataError(f"{path}: no picture with {code} ({split}); take the original file")
    if len(seen) != len(known):
        raise DataError(f"{path}: {len(seen)} pictures, {len(known)} in {attributes.name}; take both from one place")
    ends = np.cumsum([0, *(len(names) for names in splits.values())]).tolist()
    return [name for names in splits.values() for name in names], ends
