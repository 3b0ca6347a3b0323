"""Drawn faces with true labels: 12,000 avatars of the avataaars style, 18 binary labels, and how each was drawn.

`avatars_labels` says what the faces are, `avatars_drawing` draws them, and this module keeps the pictures: they are
drawn once and read from a cache afterwards. `docs/avatars.md` shows the faces and what each label means.
"""

import os
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import FACTORS, LABEL_FACTORS, LABELS, describe, faces_of, labels_of
from tf_ccvae.data.cache import open_array, user_folder
from tf_ccvae.data.dataset import DataError, Dataset, Split

VERSION = 3  # of the pictures: raise it whenever the same seed draws something else


def load(
    image_size: int = 64,
    seed: int = 0,
    examples: int = 12000,
    cache_dir: Path | None = None,
    progress: bool = False,
    processes: int | None = None,
) -> Dataset:
    """The drawn faces: the pictures are drawn by the first call, half a minute on two cores, and read from then on.

    Args:
      image_size: side of a picture, in pixels.
      seed: which faces; the same seed and `image_size` give the same pictures everywhere.
      examples: how many faces, in the ratio 10 : 1 : 1 over the splits; at least 12.
      cache_dir: where the pictures are kept; the user's cache folder if None.
      progress: show a bar with the time left while drawing.
      processes: how many processes draw; one per core if None.

    Returns:
      A Dataset of uint8 (examples, image_size, image_size, 3) images, memory-mapped and read-only; 18 binary labels,
      some missing as `labels_of` says; and the `factors` that `describe` drew, their categories in `about["factors"]`.

    Raises:
      DataError: an argument is out of range, the cache cannot be written or read, or drawing failed.
    """
    if examples < 12 or image_size < 1 or seed < 0:
        raise DataError(f"need examples >= 12, image_size >= 1 and seed >= 0; got {examples}, {image_size} and {seed}")
    cache_dir = cache_dir or user_folder()
    factors = describe(examples, seed)
    path = cache_dir / f"avatars-v{VERSION}-{examples}x{image_size}-seed{seed}.npy"
    if not path.exists():
        _draw_into(path, factors, image_size, processes, progress)
    shape = (examples, image_size, image_size, 3)
    images = open_array(path, shape, np.uint8, "the drawn faces", "to draw them again")
    labels = labels_of(factors)
    ends = (0, examples - 2 * (examples // 12), examples - examples // 12, examples)

    def part(start: int, stop: int) -> Split:
        return Split(images[start:stop], labels[start:stop], {name: x[start:stop] for name, x in factors.items()})

    train, validation, test = (part(a, b) for a, b in pairwise(ends))
    about = {
        "source": "drawn by dicebear-core with the avataaars style of dicebear-styles, lines and positions adapted",
        "licence": "avataaars by Pablo Stanley (https://avataaars.com/): free for personal and commercial use; "
        "dicebear: MIT",
        "seed": seed,
        "version": VERSION,
        "factors": FACTORS,
        "label_factors": LABEL_FACTORS,
    }
    return Dataset("avatars", LABELS, train, validation, test, about)


def _draw_into(
    path: Path, factors: Mapping[str, np.ndarray], image_size: int, processes: int | None, progress: bool
) -> None:
    """Writes a file of its own beside `path`, then renames it: half a drawing is never read, nor are two mixed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, draw_all(faces_of(factors), image_size, processes, progress))
            os.replace(beside, path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot draw the faces into {path} ({error}); choose another cache_dir") from error
