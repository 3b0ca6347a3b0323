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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tf_ccvae.data import cache, celeba_lists, tfds
from tf_ccvae.data.celeba_lists import Lists
from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split, check_train_labels, columns_of, listed
from tf_ccvae.data.images import squeezed
from tf_ccvae.data.near_miss import Index
from tf_ccvae.data.network import reachable
from tf_ccvae.data.pictures import Pictures, usable
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
    left_out: list[str] | None = None,
) -> Dataset:
    """CelebA; the pictures are decoded by the first call and read from a cache from then on.

    Args:
      path: folder of the original files; None to go through tensorflow-datasets.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for colour.
      labels: which labels, of `ATTRIBUTES`; by default the 18 of the paper.
      cache_dir: where decoded pictures are kept; the user's cache folder if None.
      progress: show a progress bar on standard error.
      left_out: takes what cannot be used, one sentence each, and the rest is loaded; None to refuse instead.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, in the
      official splits, and labels int8 (examples, labels), none of them missing.

    Raises:
      DataError: a label is not one of CelebA's; a file is missing or malformed; or tensorflow-datasets has no CelebA
        and cannot make it.
    """
    columns = columns_of(labels, ATTRIBUTES)
    if path is None:
        found = tfds.load(
            "celeb_a", None, image_size, channels, squeezed, WAYS, cache_dir, progress=progress, left_out=left_out
        )
        return replace(found.with_labels(labels), name="celeba", about={**found.about, "licence": LICENCE})
    files = _find_parts(path)
    lists = celeba_lists.read(files[LIST], files[PARTITION], ATTRIBUTES)
    of_split = {split: np.flatnonzero([x == split for x in lists.splits]) for split in SPLITS}
    empty = [f"{code} ({split})" for code, split in enumerate(SPLITS) if not len(of_split[split])]
    if lists.problems and (left_out is None or empty):
        raise lists.refusal()
    if empty:
        raise DataError(f"{files[PARTITION]}: no picture with {' or '.join(empty)}; take the original file")
    if left_out is not None:
        left_out += lists.problems
    order = np.concatenate([of_split[split] for split in SPLITS])  # of the splits, one after the other
    numbers, images = _pictures(files, lists, order, (image_size, image_size, channels), left_out, cache_dir, progress)

    wanted, places = lists.values[:, columns][numbers], np.array(lists.splits)[numbers]
    rows = {split: np.flatnonzero(places == split) for split in SPLITS}
    parts = {split: Split(images[x[0] : x[-1] + 1], wanted[x[0] : x[-1] + 1]) for split, x in rows.items()}
    about = {
        "source": str(path),
        "licence": LICENCE,
        "warnings": check_train_labels(labels, parts["train"].labels, files[LIST], left_out=left_out),
        "meaning": [f"every label: 1 is on and -1 is off in {files[LIST].name}"],
    }
    return Dataset("celeba", Labels.of_binary(labels), parts["train"], parts["validation"], parts["test"], about)


def _pictures(
    files: Mapping[str, Path],
    lists: Lists,
    order: np.ndarray,
    shape: tuple[int, int, int],
    left_out: list[str] | None,
    cache_dir: Path | None,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of `order` that can be decoded: their numbers in `lists`, and uint8 (n, *shape)."""
    identities = {name: cache.identity_of(files[name]) for name in (LIST, PARTITION)}

    def decode(kept: np.ndarray) -> np.ndarray:
        paths = [files[IMAGES] / lists.names[number] for number in order[kept]]
        without = {} if len(kept) == len(order) else {"kept": cache.digest([path.name for path in paths])}
        return cache.cached(
            "celeba",
            {**identities, "images": str(files[IMAGES].resolve()), **without},
            len(paths),
            {"images": cache.Array(shape, np.uint8)},
            Pictures.of_files(paths, squeezed, shape, files[IMAGES]).read_images,
            cache_dir=cache_dir,
            progress=progress,
        )["images"]

    def enough(kept: np.ndarray) -> bool:
        return {lists.splits[number] for number in order[kept]} == set(SPLITS)

    kept, images = usable(len(order), decode, enough, left_out)
    return order[kept], images


def _find_parts(folder: Path) -> dict[str, Path]:
    """The files and the folder of CelebA, also where the original download has them.

    Raises:
      DataError: some are not there; it names all of them.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds {IMAGES}/, {LIST} and {PARTITION}")
    parts = {name: _part(folder, name) for name in (LIST, PARTITION, IMAGES)}
    missing = [name for name, part in parts.items() if part is None]
    if missing:
        index = Index(folder)
        raise DataError(
            f"{folder}: {listed([_not_there(folder, name, index) for name in missing], 'parts are missing')}"
        )
    return {name: part for name, part in parts.items() if part is not None}


def _part(folder: Path, name: str) -> Path | None:
    for place in _places(folder):
        if name == IMAGES and (place / name).is_dir():
            nested = place / name / name
            return nested if nested.is_dir() else place / name
        for file in (place / name, place / f"{Path(name).stem}.csv"):
            if name != IMAGES and file.is_file():
                return file
    return None


def _not_there(folder: Path, name: str, index: Index) -> str:
    if name == IMAGES:
        packed = next(folder.rglob(f"{IMAGES}.zip"), None)
        return f"no folder {IMAGES} in it; " + (f"unpack {packed}" if packed else "put it there")
    near = index.nearest(name)
    hint = f"{near} is there, rename it" if near else "put it there"
    return f"no file {name} or {Path(name).stem}.csv in it; {hint}"


def _places(folder: Path, depth: int = 3) -> Iterator[Path]:
    """A folder and those below it, the nearest first, without folders of pictures."""
    level = [folder]
    for _ in range(depth + 1):
        yield from level
        below = [inner for place in level for inner in sorted(place.iterdir()) if inner.is_dir()]
        level = [inner for inner in below if inner.name != IMAGES and not inner.name.startswith(".")]
