"""A folder with a folder of images for each class, read by its layout alone.

    photos/cat/1.png, photos/dog/2.png                      classes
    photos/train/cat/1.png, photos/test/dog/2.png           splits of classes
    photos/train/cat/1.png, photos/unlabelled/3.png         with images that nobody has labelled

Folders at the top are splits only if all of them are called like one, so that a class may be called `train` beside
`cat`; names of files say nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tf_ccvae.data.dataset import DataError, listed
from tf_ccvae.data.splits import OTHER_NAMES, is_unlabelled
from tf_ccvae.labels import MISSING

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".pgm", ".ppm", ".bmp", ".gif", ".tif", ".tiff")
_SPLITS = ("train", "training", *(name for names in OTHER_NAMES.values() for name in names))


@dataclass(frozen=True)
class ClassFolders:
    """Images in folders of classes.

    Args:
      classes: the names of the classes, sorted.
      files: the images of each split, sorted.
      labels: the class of each of these, by its place among `classes`, or `MISSING`.
    """

    classes: tuple[str, ...]
    files: dict[str, list[Path]]
    labels: dict[str, list[int]]


def images_in(folder: Path) -> list[Path]:
    """All images below a folder, as paths below it; what begins with a dot is left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not any(part.startswith(".") for part in path.parts))


def read(folder: Path, where: str, left_out: list[str] | None = None) -> ClassFolders | None:
    """The images of a folder with a folder for each class; None if images are not in folders.

    Args:
      folder: that holds the folders.
      where: it is, for messages.
      left_out: takes the images that lie elsewhere, one sentence each; None to refuse them.

    Raises:
      DataError: images lie beside the folders of classes, or at different depths, or there is but one class.
    """
    images = images_in(folder)
    if all(len(path.parts) == 1 for path in images):
        return None
    tops = {path.parts[0] for path in images if len(path.parts) > 1}
    in_splits = all(_is_split(top) for top in tops) and any(len(path.parts) > 2 for path in images)
    split_of = {path: _split(path.parts[0]) if in_splits else "train" for path in images}
    labelled = [path for path in images if not is_unlabelled(split_of[path])]
    depths = [len(path.parts) for path in labelled]
    usual = max(set(depths), key=depths.count, default=0)
    astray = {path for path in labelled if len(path.parts) != usual}
    remedy = "put every image into the folder of its class"
    if astray and left_out is None:
        places = listed(sorted(map(str, astray)), "images lie beside or below the folders of classes")
        raise DataError(f"{where}: {places}; {remedy}")
    if left_out is not None:
        left_out += [f"{path}: lies beside or below the folders of classes; {remedy}" for path in sorted(astray)]
    images, labelled = ([path for path in paths if path not in astray] for paths in (images, labelled))
    classes = tuple(sorted({path.parts[-2] for path in labelled}))
    if len(classes) < 2:
        raise DataError(
            f"{where}: images of one class alone ({', '.join(classes) or 'none'}); make a folder for each class"
        )
    files: dict[str, list[Path]] = {}
    labels: dict[str, list[int]] = {}
    for path in images:
        split = split_of[path]
        files.setdefault(split, []).append(folder / path)
        labels.setdefault(split, []).append(MISSING if is_unlabelled(split) else classes.index(path.parts[-2]))
    return ClassFolders(classes, files, labels)


def _is_split(name: str) -> bool:
    return name.lower() in _SPLITS or is_unlabelled(name)


def _split(name: str) -> str:
    """What `splits.plan` calls a folder of this name."""
    return "train" if name.lower() == "training" else name.lower()


def data_files(folder: Path) -> Iterator[Path]:
    """Files at or below the top of a folder that say what `datasets` should read: metadata or tables."""
    for pattern in ("metadata.*", "*/metadata.*", "*.parquet", "*/*.parquet", "*.arrow", "*.jsonl", "*.csv", "*.py"):
        yield from folder.glob(pattern)
