"""Drawn faces with true labels: 12,000 avatars of the avataaars style, 18 binary labels, and how each was drawn.

`avatars_labels` says what the faces are, `avatars_drawing` draws them, and this module keeps the pictures: they are
drawn once and read from the cache of all sources later. `docs/avatars.md` shows the faces and what each label means.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np

from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import FACTORS, LABEL_FACTORS, LABELS, STYLE_FACTORS, describe, faces_of, labels_of
from tf_ccvae.data.avatars_redrawing import AvatarsRedrawing
from tf_ccvae.data.cache import Array, cached, open_array, user_folder
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
      progress: show a bar with the time left on the terminal while drawing.
      processes: how many processes draw; one per core if None.

    Returns:
      A Dataset of uint8 (examples, image_size, image_size, 3) images, memory-mapped and read-only; 18 binary labels,
      some missing as `labels_of` says; the `factors` that `describe` drew, their categories in `about["factors"]`; and
      the `renderer` that draws these faces with one label changed.

    Raises:
      DataError: an argument is out of range, the cache cannot be written or read, or drawing failed.
    """
    if examples < 12 or image_size < 1 or seed < 0:
        raise DataError(f"need examples >= 12, image_size >= 1 and seed >= 0; got {examples}, {image_size} and {seed}")
    factors = describe(examples, seed)
    faces, shape = faces_of(factors), (image_size, image_size, 3)
    older = _older_file(cache_dir or user_folder(), examples, image_size, seed)

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        some = draw_all(faces[start:stop], image_size, processes) if older is None else older[start:stop]
        return {"images": some}

    images = cached(
        "avatars",
        {"drawing": VERSION, "seed": seed},
        examples,
        {"images": Array(shape, np.uint8)},
        read,
        cache_dir=cache_dir,
        progress=progress,
        doing="drawing",
    )["images"]
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
        "style_factors": STYLE_FACTORS,
        "positions": ("shift",),
    }
    splits = {"train": train.factors, "validation": validation.factors, "test": test.factors}
    renderer = AvatarsRedrawing(splits, image_size, VERSION, cache_dir, processes)
    return Dataset("avatars", LABELS, train, validation, test, about, renderer)


def _older_file(folder: Path, examples: int, image_size: int, seed: int) -> np.ndarray | None:
    """The same pictures in the file that former versions of this package kept them in; None if it cannot be used."""
    path = folder / f"avatars-v{VERSION}-{examples}x{image_size}-seed{seed}.npy"
    if not path.is_file():
        return None
    try:
        return open_array(
            path, (examples, image_size, image_size, 3), np.uint8, "the drawn faces", "to draw them again"
        )
    except DataError:
        return None
