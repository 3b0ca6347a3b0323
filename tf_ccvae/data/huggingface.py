"""Any image data set that the package `datasets` reads, from the Hugging Face Hub or from a folder.

Every `ClassLabel` is a categorical label, every column of booleans a binary one; -1 in a `ClassLabel` and a missing
value are missing labels. Other columns are left out. Pictures are scaled until the shorter side fits, and their centre
is cut out. A folder is one that `save_to_disk` has written, or what `load_dataset` takes, such as a folder of images
for each class. The package is not among the requirements; requirements-huggingface.txt installs it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tf_ccvae.data import cache
from tf_ccvae.data.dataset import DataError, Dataset, check_train_labels
from tf_ccvae.data.images import fitted
from tf_ccvae.data.network import reachable
from tf_ccvae.data.splits import cached, class_names, plan
from tf_ccvae.labels import MISSING, Label, Labels

HUB = "https://huggingface.co"


def load(
    name: str,
    path: Path | None = None,
    image_size: int = 64,
    channels: int = 3,
    cache_dir: Path | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
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
      progress: show a progress bar on standard error.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      int16 (examples, labels).

    Raises:
      DataError: the package `datasets` is not installed, there is no such data set, it cannot be downloaded or read, or
        it has no images or labels.
    """
    where = f"huggingface:{name}"
    splits = _opened(name, path, where)
    image, labels = columns_of(next(iter(splits.values())).features, where)
    sizes = {str(split): len(rows) for split, rows in splits.items()}
    chosen = plan(sizes, validation_fraction, test_fraction, where)
    wanted = {split: splits[split].select_columns([image, *labels.names]) for split, _ in chosen.parts}

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        images = np.empty((stop - start, image_size, image_size, channels), np.uint8)
        values = np.empty((stop - start, len(labels)), np.int16)
        numbered = ((s, i) for s, first, last in chosen.between(start, stop) for i in range(first, last))
        for row, (split, i) in enumerate(numbered):
            try:
                example = wanted[split][i]
                images[row] = fitted(example[image], image_size, image_size, channels)
            except Exception as error:  # Pillow raises many kinds for a damaged picture
                reason = " ".join(str(error).split())
                raise DataError(f"{where}: picture {i} of split {split} cannot be read ({reason})") from error
            known = (example[label] for label in labels.names)
            values[row] = [MISSING if value is None else int(value) for value in known]
        return {"images": images, "labels": values}

    files = [Path(file["filename"]) for split, _ in chosen.parts for file in wanted[split].cache_files]
    parts = cached(
        "huggingface",
        {
            "name": name,
            "files": [cache.identity_of(file) for file in files],
            "splits": sizes,
            "columns": [image, *labels.names],
        },
        chosen,
        (image_size, image_size, channels),
        len(labels),
        read,
        cache_dir,
        progress,
    )
    about = {
        "source": str(path or name),
        "licence": wanted[chosen.parts[0][0]].info.license or "see its page on the Hub",
        "warnings": check_train_labels(labels.names, parts["train"].labels, where),
    }
    return Dataset("huggingface", labels, **parts, about=about)


def _opened(name: str, path: Path | None, where: str) -> Any:
    """The splits by name, a `datasets.DatasetDict`."""
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"data.name {where}: needs the package datasets; run 'pip install -r requirements-huggingface.txt'"
        ) from None
    folder = path if path is not None else Path(name) if Path(name).is_dir() else None
    try:
        if folder is not None and any((folder / file).is_file() for file in ("dataset_dict.json", "state.json")):
            opened = datasets.load_from_disk(str(folder))
        elif folder is not None:
            opened = datasets.load_dataset(str(folder))
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


def columns_of(features: Any, where: str) -> tuple[str, Labels]:
    """The column of pictures and the labels.

    Args:
      features: `datasets.Features`.
      where: the data set, for messages.

    Raises:
      DataError: there is no picture, more than one and none called `image`, or no label.
    """
    import datasets

    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    labels = []
    for name, feature in features.items():
        if isinstance(feature, datasets.ClassLabel) and feature.num_classes >= 2:
            labels.append(Label(name, class_names(feature.names)))
        elif isinstance(feature, datasets.Value) and feature.dtype == "bool":
            labels.append(Label(name))
    found = ", ".join(features)
    if not images:
        raise DataError(f"{where}: has no column of images ({found}); use another data set")
    if len(images) > 1 and "image" not in images:
        raise DataError(f"{where}: has {len(images)} columns of images, none called image; use another data set")
    if not labels:
        raise DataError(f"{where}: has neither class labels nor booleans among its columns ({found})")
    return "image" if "image" in images else images[0], Labels(tuple(labels))
