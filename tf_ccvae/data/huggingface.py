"""Any image data set that the package `datasets` reads, from the Hugging Face Hub or from a folder.

`huggingface_columns` says which columns are labels. Pictures are scaled until the shorter side fits, and their centre
is cut out. A folder is one that `save_to_disk` has written, one with a folder of images for each class (see
`class_folders`), or what else `load_dataset` takes; images of a folder that are not read are an error. The package is
not among the requirements; requirements-huggingface.txt installs it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_ccvae.data import cache, class_folders
from tf_ccvae.data.dataset import DataError, Dataset, Split, check_train_labels
from tf_ccvae.data.huggingface_columns import image_column, read_labels
from tf_ccvae.data.images import fitted
from tf_ccvae.data.network import reachable
from tf_ccvae.data.pictures import Pictures
from tf_ccvae.data.splits import Plan, plan
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.support.packages import missing_package

if TYPE_CHECKING:
    import datasets

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class _Source:
    """The examples of a data set, by split.

    Args:
      labels: what they are.
      values: int16 (examples, labels) of each split.
      picture: from split and number to the file of a picture, or its content.
      identity: what tells the pictures from changed ones.
      notes: what was taken for what.
      licence: of the data set.
    """

    labels: Labels
    values: Mapping[str, np.ndarray]
    picture: Callable[[str, int], Path | bytes]
    identity: Mapping[str, object]
    notes: Sequence[str]
    licence: str


def load(
    name: str,
    path: Path | None = None,
    image_size: int = 64,
    channels: int = 3,
    cache_dir: Path | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    label_names: Sequence[str] = (),
    white: int | None = None,
    progress: bool = False,
) -> Dataset:
    """A data set of the Hugging Face Hub, or of a folder.

    Args:
      name: on the Hub, such as `flwrlabs/celeba`, or `owner/name:configuration` where there are several; or a folder.
      path: folder of the data set; None for what `name` says.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for colour.
      cache_dir: where decoded pictures are kept; the user's cache folder if None.
      validation_fraction, test_fraction: shares of the training split for the splits that the data set lacks.
      label_names: labels that will be used; other columns are not looked at. All are if empty.
      white: the value that is white in a 16-bit picture; None for the largest of the fewest bits that hold all of them.
      progress: show a progress bar on standard error.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      int16 (examples, labels).

    Raises:
      DataError: the package `datasets` is not installed, there is no such data set, it cannot be downloaded or read, or
        it has no images or labels.
    """
    where = f"huggingface:{name}"
    folder = path if path is not None else Path(name) if Path(name).is_dir() else None
    found = _class_folders(folder, where) if folder is not None else None
    source = found or _from_package(name, folder, where, label_names)
    sizes = {split: len(values) for split, values in source.values.items()}
    chosen = plan(sizes, validation_fraction, test_fraction, where)
    pictures = _pictures(source, chosen, where, (image_size, image_size, channels), white)
    arrays = cache.cached(
        "huggingface",
        {"name": name, **source.identity, "splits": sizes, "shuffled": chosen.shuffled, "white": white},
        chosen.examples,
        pictures.arrays,
        pictures.read,
        chosen.order,
        cache_dir,
        progress,
    )
    values = np.empty((chosen.examples, len(source.labels)), np.int16)
    values[chosen.order] = np.concatenate(
        [
            np.full_like(source.values[split], MISSING) if split in chosen.unlabelled else source.values[split]
            for split, _ in chosen.parts
        ]
    )
    parts = {split: Split(arrays["images"][a:b], values[a:b]) for split, (a, b) in chosen.rows.items()}
    constant = check_train_labels(source.labels.names, parts["train"].labels, where, label_names)
    about = {
        "source": str(path or name),
        "licence": source.licence,
        "warnings": [*constant, *chosen.notes, *pictures.notes(arrays)],
        "meaning": list(source.notes),
        "white": pictures.used_white(arrays),
    }
    return Dataset("huggingface", source.labels, **parts, about=about)


def _pictures(source: _Source, chosen: Plan, where: str, shape: tuple[int, int, int], white: int | None) -> Pictures:
    """The pictures in the order of `chosen`."""
    places = [(split, i) for split, count in chosen.parts for i in range(count)]

    def content(number: int) -> Path | bytes:
        return source.picture(*places[number])

    def name(number: int) -> str:
        split, i = places[number]
        picture = source.picture(split, i)
        return str(picture) if isinstance(picture, Path) else f"{where}: picture {i} of split {split}"

    return Pictures(chosen.examples, content, name, fitted, shape, white, formats=None)


def _class_folders(folder: Path, where: str) -> _Source | None:
    """The source if the folder holds a folder of images for each class and nothing that says otherwise."""
    if _saved_to_disk(folder) or next(class_folders.data_files(folder), None) is not None:
        return None
    found = class_folders.read(folder, where)
    if found is None:
        return None
    values = {split: np.array(labels, np.int16)[:, None] for split, labels in found.labels.items()}
    identities = [cache.identity_of(file) for files in found.files.values() for file in files]
    return _Source(
        Labels((Label("label", found.classes),)),
        values,
        lambda split, i: found.files[split][i],
        {"files": cache.digest(identities)},
        [f"label: {len(found.classes)} classes, one for each folder ({', '.join(found.classes[:4])}, ...)"],
        "that of the images",
    )


def _from_package(name: str, folder: Path | None, where: str, label_names: Sequence[str]) -> _Source:
    splits = {str(split): rows for split, rows in _opened(name, folder, where).items()}
    if folder is not None and not _saved_to_disk(folder):
        _check_count(folder, splits, where)
    first = next(iter(splits.values()))
    image = image_column(first.features, where)
    labels, values, notes = read_labels(splits, where, label_names)
    import datasets

    encoded = datasets.Image(decode=False)
    raw = {split: rows.select_columns([image]).cast_column(image, encoded) for split, rows in splits.items()}

    def picture(split: str, i: int) -> Path | bytes:
        stored = raw[split][i][image]
        if stored is None:
            return b""
        return stored["bytes"] if stored["bytes"] is not None else Path(stored["path"])

    files = [Path(file["filename"]) for rows in splits.values() for file in rows.cache_files]
    identity = {"files": [cache.identity_of(file) for file in files], "image": image}
    return _Source(labels, values, picture, identity, notes, first.info.license or "see its page on the Hub")


def _check_count(folder: Path, splits: Mapping[str, "datasets.Dataset"], where: str) -> None:
    """Raises a DataError if there are more images in a folder than were read."""
    there, read = len(class_folders.images_in(folder)), sum(len(rows) for rows in splits.values())
    if read < there:
        sizes = ", ".join(f"{split} {len(rows)}" for split, rows in splits.items())
        raise DataError(
            f"{where}: {read} of {there} images are read ({sizes}); name all of them in "
            "metadata.csv, and give files and folders names without train, test or validation in them"
        )


def _saved_to_disk(folder: Path) -> bool:
    return any((folder / file).is_file() for file in ("dataset_dict.json", "state.json"))


def _opened(name: str, folder: Path | None, where: str) -> "Mapping[str, datasets.Dataset]":
    """The splits by name."""
    try:
        import datasets
    except ImportError:
        raise DataError(f"data.name {where}: {missing_package('datasets')}") from None
    try:
        if folder is not None and _saved_to_disk(folder):
            opened = datasets.load_from_disk(str(folder))
        elif folder is not None:
            one = any(folder.glob("metadata.*"))  # names of files say nothing about splits
            opened = datasets.load_dataset(str(folder), data_files={"train": "**"} if one else None)
        else:
            if not reachable(HUB):
                datasets.config.HF_HUB_OFFLINE = True
            place, _, configuration = name.partition(":")
            opened = datasets.load_dataset(place, configuration or None)
    except Exception as error:  # of the package, the network or the files
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= 300 else f"{reason[:300]}..."
        what = "folder" if folder is not None else "no such folder here, and from the Hub"
        raise DataError(f"data.name {where}: cannot be read ({what}: {reason})") from error
    return {"train": opened} if isinstance(opened, datasets.Dataset) else opened
