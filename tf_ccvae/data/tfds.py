"""Any image data set of tensorflow-datasets that has class labels or boolean attributes.

Every `ClassLabel` is a categorical label, every boolean a binary one, also inside a dictionary such as CelebA's
`attributes`; -1 in a `ClassLabel` is a missing label. Other features are left out. Pictures are scaled until the
shorter side fits, and their centre is cut out. Folders are those of tensorflow-datasets: `data_dir`, or else the
environment variable TFDS_DATA_DIR, or else ~/tensorflow_datasets.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tf_ccvae.data import splits
from tf_ccvae.data.dataset import DataError, Dataset, check_train_labels, describe_classes
from tf_ccvae.data.images import Fit, fitted
from tf_ccvae.data.network import reachable
from tf_ccvae.labels import MISSING, Label, Labels

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder
    from tensorflow_datasets.features import FeatureConnector, FeaturesDict

WAYS = "prepare it by 'tfds build {name}' where there is a network, and set data.path to its data_dir"


@dataclass(frozen=True)
class Features:
    """Where a picture and its labels are in an example: names of nested dictionaries, from the outside in."""

    image: tuple[str, ...]
    labels: Mapping[tuple[str, ...], Label]


def load(
    name: str,
    data_dir: Path | None = None,
    image_size: int = 64,
    channels: int = 3,
    fit: Fit = fitted,
    ways: str = WAYS,
    cache_dir: Path | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    label_names: Sequence[str] = (),
    progress: bool = False,
    left_out: list[str] | None = None,
) -> Dataset:
    """A data set of tensorflow-datasets, which is asked to download it if it is not on this machine.

    Args:
      name: as in the catalogue, with configuration and version if need be: `cifar10`, `name/config:1.0.0`.
      data_dir: of tensorflow-datasets; its own default if None.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for colour.
      fit: how a picture is brought to that size.
      ways: what to do where it cannot be downloaded; `{name}` and `{manual}`, the folder for files that were downloaded
        by hand, are filled in.
      cache_dir: where decoded pictures are kept; the user's cache folder if None.
      validation_fraction, test_fraction: shares of the training split for the splits that the data set lacks.
      label_names: labels that will be used; others may be unknown everywhere. All are used if empty.
      progress: show a progress bar on standard error.
      left_out: takes labels that are not known for any training example, one sentence each; None to refuse them.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      int16 (examples, labels).

    Raises:
      DataError: there is no such data set, it has no images or labels, or it cannot be downloaded or read.
    """
    builder = _prepared(name, data_dir, ways)
    features = features_of(builder.info.features, f"tfds:{name}")
    sizes = {split: int(info.num_examples) for split, info in builder.info.splits.items()}
    chosen = splits.plan(sizes, validation_fraction, test_fraction, f"tfds:{name}")

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        images = np.empty((stop - start, image_size, image_size, channels), np.uint8)
        labels = np.empty((stop - start, len(features.labels)), np.int16)
        known = [split not in chosen.unlabelled for split, a, b in chosen.between(start, stop) for _ in range(a, b)]
        for i, example in enumerate(_examples(builder, features, chosen.between(start, stop), f"tfds:{name}")):
            picture = _picture(_inside(example, features.image), f"tfds:{name}")
            images[i] = fit(picture, image_size, image_size, channels)
            labels[i] = [_inside(example, place) if known[i] else MISSING for place in features.labels]
        return {"images": images, "labels": labels}

    parts = splits.cached(
        f"tfds-{builder.name}",
        {
            "data_set": str(builder.info.full_name),
            "splits": sizes,
            "fit": fit.__name__,
            "data_dir": str(builder.data_path),
        },
        chosen,
        (image_size, image_size, channels),
        len(features.labels),
        read,
        cache_dir,
        progress,
    )
    labels = Labels(tuple(features.labels.values()))
    about = {
        "source": f"tensorflow-datasets, {builder.info.full_name}",
        "licence": builder.info.redistribution_info.license or "see " + builder.info.homepage,
        "warnings": [
            *check_train_labels(labels.names, parts["train"].labels, f"tfds:{name}", label_names, left_out),
            *chosen.notes,
        ],
        "meaning": _meaning(builder.info.features, features),
    }
    return Dataset(builder.name, labels, parts["train"], parts["validation"], parts["test"], about)


def _prepared(name: str, data_dir: Path | None, ways: str) -> "DatasetBuilder":
    """The builder of a data set whose files are on this machine, after a download if need be."""
    import tensorflow_datasets

    try:
        builder = tensorflow_datasets.builder(name, data_dir=None if data_dir is None else str(data_dir))
    except tensorflow_datasets.core.DatasetNotFoundError:
        known = tensorflow_datasets.list_builders(with_community_datasets=False)
        nearest = difflib.get_close_matches(name.partition("/")[0].partition(":")[0], known, n=1)
        hint = f"did you mean tfds:{nearest[0]}?" if nearest else "its catalogue lists all"
        raise DataError(f"data.name tfds:{name}: tensorflow-datasets has no such data set; {hint}") from None
    except Exception as error:
        raise DataError(f"data.name tfds:{name}: {_in_one_line(error)}") from error
    if Path(builder.data_dir, "dataset_info.json").is_file():  # is_prepared() would log a warning where it is not
        return builder
    root = Path(builder.data_dir).parents[str(builder.info.full_name).count("/")]
    manual = root / "downloads" / "manual"
    ways = ways.format(name=name, manual=manual)
    urls = builder.url_infos or {}
    by_hand = bool(urls) and all((manual / str(info.filename)).is_file() for info in urls.values())
    hosts = [url for url in urls if url.startswith("http")]
    if hosts and not by_hand and not reachable(hosts[0]):
        raise DataError(f"tfds:{name}: not in {root}, and the host of its files cannot be reached; {ways}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # of the network, the disk, the checksums or the files put there by hand
        raise DataError(
            f"tfds:{name}: tensorflow-datasets cannot prepare it ({_in_one_line(error)}); {ways}"
        ) from error
    return builder


def _in_one_line(error: BaseException) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 200 else f"{line[:200]}..."


def features_of(features: "FeaturesDict", where: str) -> Features:
    """The picture and the labels among the features of a data set.

    Args:
      features: of its examples.
      where: the data set, for messages.

    Raises:
      DataError: there is no picture, more than one and none called `image`, or no label.
    """
    from tensorflow_datasets import features as kinds

    images: list[tuple[str, ...]] = []
    labels: dict[tuple[str, ...], Label] = {}
    leaves = dict(sorted(_leaves(features), key=lambda leaf: leaf[0]))  # files do not keep their order
    for place, feature in leaves.items():
        name = place[-1] if [x[-1] for x in leaves].count(place[-1]) == 1 else "_".join(place)
        if isinstance(feature, kinds.Image) and not isinstance(feature, kinds.LabeledImage):
            images.append(place)
        elif isinstance(feature, kinds.ClassLabel):
            if (feature.num_classes or 0) >= 2:
                labels[place] = Label(name, splits.class_names(feature.names))
        elif isinstance(feature, kinds.Tensor) and not feature.shape and feature.np_dtype == np.bool_:
            labels[place] = Label(name)
    found = ", ".join("/".join(place) for place in leaves)
    if not images:
        raise DataError(f"{where}: has no image among its features ({found}); use another data set")
    if len(images) > 1 and ("image",) not in images:
        raise DataError(f"{where}: has {len(images)} images in an example and none called image; use another data set")
    if not labels:
        raise DataError(f"{where}: has neither class labels nor booleans among its features ({found})")
    return Features(("image",) if ("image",) in images else images[0], labels)


def _meaning(features: "FeaturesDict", used: Features) -> list[str]:
    """What was taken for what, and which features were not read."""
    left = ["/".join(place) for place, _ in _leaves(features) if place not in used.labels and place != used.image]
    notes = [
        f"{label.name}: {describe_classes(label.classes)}"
        if label.classes
        else f"{label.name}: true is on, false is off"
        for label in used.labels.values()
    ]
    return notes + [f"{'/'.join(used.image)}: the images"] + [f"{name}: left out" for name in sorted(left)]


def _leaves(
    features: "FeaturesDict", place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], "FeatureConnector"]]:
    from tensorflow_datasets import features as kinds

    for name, feature in features.items():
        if isinstance(feature, kinds.FeaturesDict):
            yield from _leaves(feature, (*place, name))
        else:
            yield (*place, name), feature


def _examples(
    builder: "DatasetBuilder", wanted: Features, parts: list[tuple[str, int, int]], where: str
) -> Iterator[Any]:
    """Examples with the features that are read, and no others."""
    import tensorflow_datasets

    tree: dict[str, Any] = {}
    for *outer, name in (wanted.image, *wanted.labels):
        node = tree
        for dictionary in outer:
            node = node.setdefault(dictionary, {})
        node[name] = True
    decoders = tensorflow_datasets.decode.PartialDecoding(tree)
    for split, start, stop in parts:
        try:
            some = builder.as_dataset(split=f"{split}[{start}:{stop}]", decoders=decoders, shuffle_files=False)
            yield from tensorflow_datasets.as_numpy(some)
        except Exception as error:  # of TensorFlow: files that are gone or damaged
            raise DataError(f"{where}: cannot be read ({_in_one_line(error)}); prepare it again") from error


def _inside(example: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        example = example[name]
    return example


def _picture(pixels: np.ndarray, where: str) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise DataError(f"{where}: its images hold {pixels.dtype}, not bytes; use another data set")
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
