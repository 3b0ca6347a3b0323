"""The pictures and labels of a Hugging Face data set before they are decoded, from a folder or from the package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_ccvae.data import cache, class_folders
from tf_ccvae.data.dataset import DataError, describe_classes
from tf_ccvae.data.huggingface_columns import image_column, read_labels
from tf_ccvae.data.kinds import Kind
from tf_ccvae.data.network import reachable
from tf_ccvae.labels import Label, Labels
from tf_ccvae.support.packages import missing_package

if TYPE_CHECKING:
    import datasets

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Source:
    """The examples of a data set, by split.

    Args:
      labels: what they are.
      values: int16 (examples, labels) of each split.
      picture: from split and number to the file of a picture, or its content.
      name: from split and number to what messages call it.
      identity: what tells the pictures from changed ones.
      notes: what was taken for what.
      licence: of the data set.
      folder: that holds it; None for the Hub.
    """

    labels: Labels
    values: Mapping[str, np.ndarray]
    picture: Callable[[str, int], Path | bytes]
    name: Callable[[str, int], str]
    identity: Mapping[str, object]
    notes: Sequence[str]
    licence: str
    folder: Path | None

    def places(self) -> list[tuple[str, int]]:
        """The split and the number of every picture, split by split."""
        return [(split, i) for split, values in self.values.items() for i in range(len(values))]

    def only(self, kept: np.ndarray) -> "Source":
        """The source with the pictures of these numbers in `places`, integer (n,), alone."""
        places = self.places()
        if len(kept) == len(places):
            return self
        rows: dict[str, list[int]] = {}
        for number in kept:
            split, i = places[number]
            rows.setdefault(split, []).append(i)
        return replace(
            self,
            values={split: self.values[split][numbers] for split, numbers in rows.items()},
            picture=lambda split, i: self.picture(split, rows[split][i]),
            name=lambda split, i: self.name(split, rows[split][i]),
            identity={**self.identity, "kept": cache.digest(rows)},
        )


def open_source(
    name: str,
    folder: Path | None,
    where: str,
    label_names: Sequence[str] = (),
    unmarked: str | None = None,
    left_out: list[str] | None = None,
    label_kinds: Mapping[str, Kind] | None = None,
) -> Source:
    """The pictures and labels of a data set.

    Args:
      name: on the Hub.
      folder: of the data set; None to take it from the Hub.
      where: the data set, for messages.
      label_names, unmarked, left_out, label_kinds: as `huggingface.load` takes them.

    Raises:
      DataError: as `huggingface.load`.
    """
    found = _class_folders(folder, where, left_out) if folder is not None else None
    if found and label_kinds:
        raise DataError("data.label_kinds: not used with a folder of images for each class; remove it")
    return found or _from_package(name, folder, where, label_names, unmarked, left_out, label_kinds)


def _class_folders(folder: Path, where: str, left_out: list[str] | None) -> Source | None:
    """The source if the folder holds a folder of images for each class and nothing that says otherwise."""
    if _saved_to_disk(folder) or next(class_folders.data_files(folder), None) is not None:
        return None
    found = class_folders.read(folder, where, left_out)
    if found is None:
        return None
    values = {split: np.array(labels, np.int16)[:, None] for split, labels in found.labels.items()}
    identities = [cache.identity_of(file) for files in found.files.values() for file in files]
    return Source(
        Labels((Label("label", found.classes),)),
        values,
        lambda split, i: found.files[split][i],
        lambda split, i: str(found.files[split][i]),
        {"files": cache.digest(identities)},
        [f"label: {describe_classes(found.classes)}, one for each folder"],
        "that of the images",
        folder,
    )


def _from_package(
    name: str,
    folder: Path | None,
    where: str,
    label_names: Sequence[str],
    unmarked: str | None,
    left_out: list[str] | None,
    label_kinds: Mapping[str, Kind] | None,
) -> Source:
    splits = {str(split): rows for split, rows in _opened(name, folder, where).items()}
    first = next(iter(splits.values()))
    image = image_column(first.features, where)
    labels, values, notes = read_labels(splits, where, label_names, unmarked, label_kinds)
    import datasets

    encoded = datasets.Image(decode=False)
    raw = {split: rows.select_columns([image]).cast_column(image, encoded) for split, rows in splits.items()}

    def file(split: str, i: int) -> Path | None:
        stored = raw[split][i][image]
        return Path(stored["path"]) if stored is not None and stored["bytes"] is None else None

    def picture(split: str, i: int) -> Path | bytes:
        stored = raw[split][i][image]
        return b"" if stored is None else file(split, i) or stored["bytes"]

    def name_of(split: str, i: int) -> str:
        return str(file(split, i) or f"{where}: picture {i} of split {split}")

    if folder is not None and not _saved_to_disk(folder):
        _check_count(folder, splits, file, where, left_out)
    files = [Path(x["filename"]) for rows in splits.values() for x in rows.cache_files]
    identity = {"files": [cache.identity_of(x) for x in files], "image": image}
    licence = first.info.license or "see its page on the Hub"
    return Source(labels, values, picture, name_of, identity, notes, licence, folder)


def _check_count(
    folder: Path,
    splits: Mapping[str, "datasets.Dataset"],
    file: Callable[[str, int], Path | None],
    where: str,
    left_out: list[str] | None,
) -> None:
    """Looks for images in a folder that were not read, which are an error if `left_out` is None."""
    there, read = class_folders.images_in(folder), sum(len(rows) for rows in splits.values())
    if read >= len(there):
        return
    sizes = ", ".join(f"{split} {len(rows)}" for split, rows in splits.items())
    used = {file(split, i) for split, rows in splits.items() for i in range(len(rows))}
    used = {path.resolve() for path in used if path is not None}
    others = [str(path) for path in there if (folder / path).resolve() not in used]
    remedy = (
        "name all of them in metadata.csv, and give files and folders names without train, test or validation in them"
    )
    if left_out is None:
        some = f", but not {', '.join(others[:10])}{', ...' if len(others) > 10 else ''}" if used and others else ""
        raise DataError(f"{where}: {read} of {len(there)} images are read ({sizes}){some}; {remedy}")
    left_out += [f"{where}: {other} is not read; {remedy}" for other in others]


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
