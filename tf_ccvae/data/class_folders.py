"""A folder with a folder of images for each class, read by its layout alone.

    photos/cat/1.png, photos/dog/2.png                      classes
    photos/train/cat/1.png, photos/test/dog/2.png           splits of classes
    photos/train/cat/1.png, photos/unlabelled/3.png         with images that nobody has labelled

Folders at the top are splits only if all of them are called like one, so that a class may be called `train` beside
`cat`; names of files say nothing. Links to folders are followed. Where two readings are possible, folders are refused.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tf_ccvae.data.dataset import DataError, listed
from tf_ccvae.data.splits import OTHER_NAMES, is_unlabelled
from tf_ccvae.labels import MISSING

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".pgm", ".ppm", ".bmp", ".gif", ".tif", ".tiff"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".nef", ".arw"),  # refused by name, not overlooked
)
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")  # of PNG, JPEG and WebP files without an ending
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
    """All images below a folder, as paths below it; what begins with a dot is left out.

    Links to folders are followed, but not to one that holds the link.
    """
    found = list[Path]()
    above: dict[str, tuple[str, ...]] = {str(folder): (os.path.realpath(folder),)}
    for place, folders, files in os.walk(folder, followlinks=True):
        held_by = above.pop(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = {os.path.join(place, name): os.path.realpath(os.path.join(place, name)) for name in folders}
        folders[:] = [name for name in folders if inside[os.path.join(place, name)] not in held_by]
        above |= {path: (*held_by, real) for path, real in inside.items()}
        found += [Path(place, name) for name in files if not name.startswith(".") and _is_image(Path(place, name))]
    return sorted(path.relative_to(folder) for path in found)


def _is_image(path: Path) -> bool:
    """By its ending; by how it begins if it has none."""
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_BEGINNINGS)
    except OSError:  # a link that leads nowhere
        return False


def read(folder: Path, where: str, left_out: list[str] | None = None) -> ClassFolders | None:
    """The images of a folder with a folder for each class; None if images are not in folders.

    Args:
      folder: that holds the folders.
      where: it is, for messages.
      left_out: takes the images that lie elsewhere, one sentence each; None to refuse them.

    Raises:
      DataError: images lie beside the folders of classes, or at different depths, there is but one class, or what the
        classes are is not clear.
    """
    images = images_in(folder)
    if all(len(path.parts) == 1 for path in images):
        return None
    tops = {path.parts[0] for path in images if len(path.parts) > 1}
    only_splits = all(_is_split(top) for top in tops)
    in_splits = only_splits and any(len(path.parts) > 2 for path in images)
    if only_splits and not in_splits:
        raise DataError(
            f"{where}: its folders are called like splits ({', '.join(sorted(tops))}) and hold no folders of classes; "
            "put a folder for each class into them"
        )
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
    _check_depth(labelled, int(in_splits), where)
    classes = tuple(sorted({path.parts[-2] for path in labelled}))
    if unreadable := [name for name in classes if name.encode(errors="replace").decode() != name]:
        raise DataError(f"{where}: the name of folder {unreadable[0]} is not UTF-8; rename the folder")
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


def _check_depth(labelled: Sequence[Path], first: int, where: str) -> None:
    """Refuses photos/cat/2019/1.png beside photos/dog/2019/2.png: either folder may be the class.

    Args:
      labelled: images in folders of classes, all at one depth.
      first: where in their paths the folder below that of the split stands.
      where: they are, for messages.
    """
    deep = [path for path in labelled if len(path.parts) > 2 + first]
    if len({path.parts[first] for path in deep}) > 1:
        raise DataError(
            f"{where}: {deep[0]} lies in {deep[0].parts[-2]} and in {deep[0].parts[first]}, and it is not clear which "
            "is its class; put the images of a class into one folder without folders in it"
        )


def _is_split(name: str) -> bool:
    return name.lower() in _SPLITS or is_unlabelled(name)


def _split(name: str) -> str:
    """What `splits.plan` calls a folder of this name."""
    return "train" if name.lower() == "training" else name.lower()


def data_files(folder: Path) -> Iterator[Path]:
    """Files at or below the top of a folder that say what `datasets` should read: metadata, or tables with pictures."""
    for pattern in ("metadata.*", "*/metadata.*", "*.parquet", "*/*.parquet", "*.arrow", "*.py"):
        yield from folder.glob(pattern)
