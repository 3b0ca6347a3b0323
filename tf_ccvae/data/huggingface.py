"""Any image data set that the package `datasets` reads, from the Hugging Face Hub or from a folder.

`huggingface_columns` says which columns are labels. Pictures are scaled until the shorter side fits, and their centre
is cut out. A folder is one that `save_to_disk` has written, one with a folder of images for each class (see
`class_folders`), or what else `load_dataset` takes; images of a folder that are not read are an error. The package is
not among the requirements; requirements-huggingface.txt installs it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tf_ccvae.data import cache, numbers
from tf_ccvae.data.dataset import Dataset, Split, Unusable, check_train_labels
from tf_ccvae.data.huggingface_source import Source, open_source
from tf_ccvae.data.images import fitted
from tf_ccvae.data.kinds import Kind
from tf_ccvae.data.near_miss import Index
from tf_ccvae.data.pictures import Pictures, usable
from tf_ccvae.data.splits import Plan, plan
from tf_ccvae.label_arrays import in_units_of
from tf_ccvae.labels import MISSING


def load(
    name: str,
    path: Path | None = None,
    image_size: int = 64,
    channels: int = 3,
    cache_dir: Path | None = None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    label_names: Sequence[str] = (),
    unmarked: str | None = None,
    label_kinds: Mapping[str, Kind] | None = None,
    white: int | None = None,
    progress: bool = False,
    left_out: list[str] | None = None,
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
      unmarked: 'off' if what is not marked is off in a column that has no 0; None to leave such a column out.
      label_kinds: which kind some columns are, as `kinds.read` takes it; a column is a number label or a grade only so.
      white: the value that is white in a 16-bit picture; None for the largest of the fewest bits that hold all of them.
      progress: show a progress bar on standard error.
      left_out: takes what cannot be used, one sentence each, and the rest is loaded; None to refuse instead.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels), memory-mapped and read-only, and labels
      as `dataset.Split` says.

    Raises:
      DataError: the package `datasets` is not installed, there is no such data set, it cannot be downloaded or read, or
        it has no images or labels.
    """
    where = f"huggingface:{name}"
    folder = path if path is not None else Path(name) if Path(name).is_dir() else None
    source = open_source(name, folder, where, label_names, unmarked, left_out, label_kinds)

    def decode(kept: np.ndarray) -> tuple[Source, Plan, Pictures, dict[str, np.ndarray]]:
        rest = source.only(kept)
        sizes = {split: len(values) for split, values in rest.values.items()}
        chosen = plan(sizes, validation_fraction, test_fraction, where)
        pictures = _pictures(rest, chosen, where, (image_size, image_size, channels), white)
        identity = {"name": name, **rest.identity, "splits": sizes, "shuffled": chosen.shuffled, "white": white}
        try:
            arrays = cache.cached(
                "huggingface",
                identity,
                chosen.examples,
                pictures.arrays,
                pictures.read,
                chosen.order,
                cache_dir,
                progress,
            )
        except Unusable as error:  # by number in the order of the plan, which is not that of the source
            read, numbers = _places(chosen), {place: i for i, place in enumerate(rest.places())}
            raise Unusable({numbers[read[n]]: text for n, text in error.problems.items()}) from None
        return rest, chosen, pictures, arrays

    count = sum(len(values) for values in source.values.values())
    _, (source, chosen, pictures, arrays) = usable(count, decode, lambda kept: len(kept) > 0, left_out)
    floats = bool(source.labels.numbers)
    nothing = np.nan if floats else MISSING
    values = np.empty((chosen.examples, len(source.labels)), np.float32 if floats else np.int16)
    values[chosen.order] = np.concatenate(
        [
            np.full_like(source.values[split], nothing) if split in chosen.unlabelled else source.values[split]
            for split, _ in chosen.parts
        ]
    )
    parts = {split: Split(arrays["images"][a:b], values[a:b]) for split, (a, b) in chosen.rows.items()}
    constant = check_train_labels(source.labels.names, parts["train"].labels, where, label_names, left_out)
    far = numbers.far_away(source.labels, {name: split.labels for name, split in parts.items()})
    about = {
        "source": str(path or name),
        "licence": source.licence,
        "warnings": [*constant, *far, *chosen.notes, *pictures.notes(arrays)],
        "meaning": list(source.notes),
        "white": pictures.used_white(arrays),
    }
    labels = in_units_of(parts["train"].labels, source.labels)
    return Dataset("huggingface", labels, parts["train"], parts["validation"], parts["test"], about)


def _places(chosen: Plan) -> list[tuple[str, int]]:
    """The split and the number of every picture, in the order in which they are read."""
    return [(split, i) for split, count in chosen.parts for i in range(count)]


def _pictures(source: Source, chosen: Plan, where: str, shape: tuple[int, int, int], white: int | None) -> Pictures:
    """The pictures in the order of `chosen`."""
    places = _places(chosen)

    def content(number: int) -> Path | bytes:
        return source.picture(*places[number])

    def name(number: int) -> str:
        return source.name(*places[number])

    def hint(number: int) -> str:
        picture = content(number)
        return index.hint(picture) if index is not None and isinstance(picture, Path) else ""

    index = None if source.folder is None else Index(source.folder)
    return Pictures(chosen.examples, content, name, fitted, shape, white, formats=None, place=hint)
