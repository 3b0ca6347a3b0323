"""Any image data set of tensorflow-datasets that has class labels, boolean attributes or numbers.

`tfds_features` says which features are labels. Pictures are scaled until the shorter side fits, and their centre is
cut out. Folders are those of tensorflow-datasets: `data_dir`, or else the environment variable TFDS_DATA_DIR, or else
~/tensorflow_datasets.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tf_ccvae.data import cache, splits
from tf_ccvae.data.dataset import DataError, Dataset, Split, check_train_labels
from tf_ccvae.data.images import Fit, fitted
from tf_ccvae.data.kinds import Kind
from tf_ccvae.data.network import reachable
from tf_ccvae.data.numbers import far_away
from tf_ccvae.data.tfds_features import Features, features_of, labels_of, leaves_of
from tf_ccvae.label_arrays import in_units_of
from tf_ccvae.labels import MISSING

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder

WAYS = "prepare it by 'tfds build {name}' where there is a network, and set data.path to its data_dir"


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
    label_kinds: Mapping[str, Kind] | None = None,
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
      label_kinds: which kind some labels are, as `kinds.read` takes it; whole numbers are labels only so.
      progress: show a progress bar on standard error.
      left_out: takes labels that are not known for any training example, one sentence each; None to refuse them.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      as `dataset.Split` says.

    Raises:
      DataError: there is no such data set, it has no images or labels, a label is not of the kind that the
        settings say, or it cannot be downloaded or read.
    """
    where = f"tfds:{name}"
    builder = _prepared(name, data_dir, ways)
    features = features_of(builder.info.features, where, label_kinds, label_names)
    sizes = {split: int(info.num_examples) for split, info in builder.info.splits.items()}
    chosen = splits.plan(sizes, validation_fraction, test_fraction, where)
    shape = (image_size, image_size, channels)
    kept = _decoded(builder, features, sizes, chosen, shape, fit, where, cache_dir, progress)
    empty = np.empty((chosen.examples, 0))
    listed, numbers = (np.array(kept.get(part, empty)) for part in ("labels", "numbers"))
    found = labels_of(features, listed, numbers, where, lambda row: _called(chosen, row), label_names)
    parts = {split: Split(kept["images"][a:b], found.values[a:b]) for split, (a, b) in chosen.rows.items()}
    values = {split: part.labels for split, part in parts.items()}
    used = {*features.labels, *features.columns, features.image}
    unread = sorted(place for place, _ in leaves_of(builder.info.features) if place not in used)
    about = {
        "source": f"tensorflow-datasets, {builder.info.full_name}",
        "licence": builder.info.redistribution_info.license or "see " + builder.info.homepage,
        "warnings": [
            *check_train_labels(found.labels.names, values["train"], where, label_names, left_out),
            *far_away(found.labels, values),
            *chosen.notes,
        ],
        "meaning": [
            *found.notes,
            f"{'/'.join(features.image)}: the images",
            *(f"{'/'.join(place)}: left out" for place in unread if place not in features.left),
        ],
    }
    labels = in_units_of(values["train"], found.labels)
    return Dataset(builder.name, labels, parts["train"], parts["validation"], parts["test"], about)


def _decoded(
    builder: "DatasetBuilder",
    features: Features,
    sizes: Mapping[str, int],
    chosen: splits.Plan,
    shape: tuple[int, int, int],
    fit: Fit,
    where: str,
    cache_dir: Path | None,
    progress: bool,
) -> dict[str, np.ndarray]:
    """All examples in the order of `chosen`: `images`, and `labels` and `numbers` as `labels_of` takes them, if any."""
    places = {"labels": tuple(features.labels), "numbers": tuple(features.columns)}
    arrays = {
        "images": cache.Array(shape, np.uint8),
        "labels": cache.Array((len(features.labels),), np.int16),
        "numbers": cache.Array((len(features.columns),), np.float64),
    }
    arrays = {part: array for part, array in arrays.items() if array.shape != (0,)}
    nothing = {"labels": MISSING, "numbers": np.nan}

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        rows = {part: np.empty((stop - start, *array.shape), array.dtype) for part, array in arrays.items()}
        known = [split not in chosen.unlabelled for split, a, b in chosen.between(start, stop) for _ in range(a, b)]
        for i, example in enumerate(_examples(builder, features, chosen.between(start, stop), where)):
            picture = _picture(_inside(example, features.image), where)
            rows["images"][i] = fit(picture, *shape)
            for part in rows.keys() & places.keys():
                rows[part][i] = [_inside(example, x) if known[i] else nothing[part] for x in places[part]]
        return rows

    identity = {
        "data_set": str(builder.info.full_name),
        "splits": sizes,
        "fit": fit.__name__,
        "data_dir": str(builder.data_path),
        "shuffled": chosen.shuffled,
        **({"numbers": ["/".join(place) for place in features.columns]} if features.columns else {}),
    }
    return cache.cached(
        f"tfds-{builder.name}", identity, chosen.examples, arrays, read, chosen.order, cache_dir, progress
    )


def _called(chosen: splits.Plan, row: int) -> str:
    """The example in a row of the cache, as the data set counts it."""
    at = int(np.flatnonzero(chosen.order == row)[0])
    ((split, number, _),) = chosen.between(at, at + 1)
    return f"example {number} of split {split}"


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


def _examples(
    builder: "DatasetBuilder", wanted: Features, parts: list[tuple[str, int, int]], where: str
) -> Iterator[Any]:
    """Examples with the features that are read, and no others."""
    import tensorflow_datasets

    tree: dict[str, Any] = {}
    for *outer, name in (wanted.image, *wanted.labels, *wanted.columns):
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
