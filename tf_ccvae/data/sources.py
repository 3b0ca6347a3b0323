"""From data settings to a data set."""

from collections.abc import Callable
from dataclasses import replace

from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, columns_of
from tf_ccvae.data.unseen_values import unseen_values
from tf_ccvae.settings import Config, Data

# A source is imported when data are read from it: some need packages or much time.


def load(data: Data, seed: int, progress: bool = False, left_out: list[str] | None = None) -> Dataset:
    """The data set that the settings name, with the labels that they name.

    Args:
      data: the settings.
      seed: of random splits. The drawn faces are the same for every seed.
      progress: show a progress bar while drawing, decoding or downloading.
      left_out: takes what cannot be used, one sentence each, where the source can go on without it; None to refuse.

    Raises:
      DataError: the data are missing or malformed, or have no label that the settings name.
    """
    source, _, name = data.name.partition(":")
    dataset = LOADERS[source](data, name, seed, left_out, progress)
    lenient = bool(left_out)  # labels may be among what was left out
    if data.label_names and not (lenient and not set(data.label_names) <= set(dataset.labels.names)):
        dataset = dataset.with_labels(data.label_names)
    if not lenient:
        columns_of(data.sided, dataset.labels.names, "data.sided")
    unseen = unseen_values(dataset.labels, {name: dataset.split(name).labels for name in SPLITS})
    warnings = [*dataset.about.get("warnings", ()), *unseen]
    return replace(dataset, about={**dataset.about, "warnings": warnings}) if unseen else dataset


def settled(config: Config, dataset: Dataset) -> Config:
    """The settings with what was found out from the data, so that other images are read like those of the run."""
    white = dataset.about.get("white")
    if white is None or config.data.white is not None:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"white": white})})


def check_at_hand(data: Data) -> None:
    """Says at once, before TensorFlow is imported, that a data set to be downloaded is out of reach.

    Raises:
      DataError: it is CelebA from tensorflow-datasets, and neither its files nor their host is there.
    """
    if data.name == "celeba" and data.path is None:
        from tf_ccvae.data import celeba

        celeba.check_at_hand()


def _avatars(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import avatars, avatars_numbers

    if data.channels != 3:
        raise DataError("data.channels: the avatars are drawn in colour; set data.channels to 3")
    dataset = avatars.load(image_size=data.image_size, examples=data.examples, progress=progress)
    numbers = [name for name in avatars_numbers.NAMES if name in data.label_names]
    return avatars_numbers.with_numbers(dataset, numbers) if numbers else dataset


def _folder(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import folder

    if data.images is None or data.labels is None:
        raise DataError("data.images and data.labels: both are needed with data.name folder")
    return folder.load(
        data.images,
        data.labels,
        image_size=data.image_size,
        channels=data.channels,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        seed=seed,
        label_names=data.label_names,
        unmarked=data.unmarked,
        label_kinds=data.label_kinds,
        white=data.white,
        left_out=left_out,
        progress=progress,
    )


def _celeba(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import celeba

    labels = data.label_names or celeba.PAPER_LABELS
    return celeba.load(data.path, data.image_size, data.channels, labels, progress=progress, left_out=left_out)


def _chexpert(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import chexpert

    if data.path is None:
        raise DataError("data.path: needed with data.name chexpert")
    return chexpert.load(
        data.path,
        data.image_size,
        data.channels,
        labels=data.label_names or chexpert.COMPETITION_LABELS,
        uncertain=data.uncertain,
        unmentioned=data.unmentioned,
        validation_fraction=data.validation_fraction,
        progress=progress,
        left_out=left_out,
    )


def _tfds(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import tfds

    return tfds.load(
        name,
        data.path,
        data.image_size,
        data.channels,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        label_names=data.label_names,
        label_kinds=data.label_kinds,
        progress=progress,
        left_out=left_out,
    )


def _huggingface(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import huggingface

    return huggingface.load(
        name,
        data.path,
        data.image_size,
        data.channels,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        label_names=data.label_names,
        unmarked=data.unmarked,
        label_kinds=data.label_kinds,
        white=data.white,
        progress=progress,
        left_out=left_out,
    )


def _idx(data: Data, name: str, seed: int, left_out: list[str] | None, progress: bool) -> Dataset:
    from tf_ccvae.data import idx

    size = (data.image_size, data.channels)
    return idx.load(data.path, data.name, *size, data.validation_fraction, seed, progress, left_out)


LOADERS: dict[str, Callable[[Data, str, int, list[str] | None, bool], Dataset]] = {
    "avatars": _avatars,
    "folder": _folder,
    "celeba": _celeba,
    "chexpert": _chexpert,
    "mnist": _idx,
    "fashion_mnist": _idx,
    "tfds": _tfds,
    "huggingface": _huggingface,
}
