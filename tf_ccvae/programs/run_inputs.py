"""What programs that use a finished run take from it and from the user: its settings, its data, images, labels."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_ccvae.data.class_folders import SUFFIXES
from tf_ccvae.data.dataset import DataError, Dataset
from tf_ccvae.settings import Config, ConfigError, check_data
from tf_ccvae.settings.schema import Data

if TYPE_CHECKING:
    from tf_ccvae.training.run_directory import Run

PLACES = ("images", "labels", "path")  # the data settings that say where files are; they may differ from the run's


@dataclass(frozen=True)
class RunSettings:
    """The settings of a run, with the places of its data as they are now.

    run: the run directory.
    config: its settings.
    moved: for some of `PLACES` another place than the run's settings say.
    """

    run: Run
    config: Config
    moved: Mapping[str, Path] = field(default_factory=dict)


def add_places(parser: argparse._ActionsContainer) -> None:
    """Adds the options that say where the data of a run are now: `--data.images`, `--data.labels`, `--data.path`."""
    for name in PLACES:
        what = f"{(Data.model_fields[name].description or '').split(',')[0]}, if it is elsewhere than when fit ran"
        parser.add_argument(f"--data.{name}", type=Path, dest=f"data_{name}", help=what)


def places_of(arguments: argparse.Namespace) -> dict[str, Path]:
    """The values of the options of `add_places`."""
    return {name: place for name in PLACES if (place := getattr(arguments, f"data_{name}")) is not None}


def settings_of_run(run: Run, moved: Mapping[str, Path] | None = None) -> RunSettings:
    """The settings of a run.

    Args:
      run: the run directory.
      moved: as `places_of` returns it.

    Raises:
      ConfigError: config.yaml cannot be used.
    """
    moved = dict(moved or {})
    config = Config.of_run(run.config)
    return RunSettings(run, config.model_copy(update={"data": config.data.model_copy(update=moved)}), moved)


def load_data(settings: RunSettings) -> Dataset:
    """The data of a run.

    Raises:
      ConfigError, DataError: they are not there, or malformed.
    """
    from tf_ccvae.data import sources

    check_data(settings.config, [f"data.{name}" for name in settings.moved], settings.run.config)
    return sources.load(settings.config.data, settings.config.seed, progress=True)


def first_test_images(settings: RunSettings, count: int) -> np.ndarray:
    """The first test images, uint8 (count or less, height, width, channels): those that the run keeps, if they suffice.

    Raises:
      RunError, ConfigError, DataError: neither the run nor its data can be read.
    """
    kept = None if settings.moved else settings.run.read_examples()
    if kept is not None:
        return kept.images[:count]
    return np.asarray(load_data(settings).test.images[:count])


def read_images(
    names: Sequence[str], image_shape: tuple[int, int, int], settings: RunSettings, split: str = "test"
) -> tuple[np.ndarray, list[str]]:
    """Images by file, by folder (all images in it, by name) or by index in a split of the run's data.

    Files of any size are brought to the model's as `data.folder` says: the shorter side scaled, the centre cut out.
    The first test images come from the run itself, which keeps them.

    Args:
      names: files, folders and indices, in order.
      image_shape: of the model.
      settings: of the run, for its data.
      split: which split indices count in.

    Returns:
      uint8 (n, height, width, channels), and a short name for each.

    Raises:
      RunError, ConfigError, DataError: there is no name, or something cannot be read; the message says what.
    """
    from tf_ccvae.data.images import read_image

    if not names:
        raise ConfigError("name at least one image: a file, a folder, or an index into the test split such as 0")
    kept = settings.run.read_examples() if split == "test" and not settings.moved else None
    dataset = None
    images, titles = [], []
    for name in names:
        path = Path(name)
        if name.isdecimal() and not path.exists():
            if kept is not None and int(name) < len(kept.images):
                images.append(kept.images[int(name)])
            else:
                dataset = dataset or load_data(settings)
                pictures = dataset.split(split).images
                if int(name) >= len(pictures):
                    raise ConfigError(f"{name}: no such image; the {split} split has {len(pictures)}, counted from 0")
                images.append(np.asarray(pictures[int(name)]))
            titles.append(f"{split} {name}")
            continue
        files = [path]
        if path.is_dir():
            files = sorted(x for x in path.iterdir() if x.suffix.lower() in SUFFIXES)
            if not files:
                raise ConfigError(f"{path}: no images in this folder ({', '.join(SUFFIXES)})")
        for file in files:
            if not file.is_file():
                raise ConfigError(f"{file}: no such file; name an image, a folder, or an index into the {split} split")
            try:
                images.append(read_image(file, image_shape[0], image_shape[2], settings.config.data.white))
            except DataError as error:
                raise DataError(f"{file}: {error}") from None
            titles.append(file.stem)
    return np.stack(images), titles
