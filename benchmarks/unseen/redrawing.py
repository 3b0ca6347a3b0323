"""The faces of a style with one label changed, drawn by the same code."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.unseen.drawing import VERSION, describe, draw, labels_of, names_of, rows_of, shade_shows
from benchmarks.unseen.tables import Style
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.redrawing import Redrawing
from tf_ccvae.data.renderer import Factors

_TYPICAL = 4000  # faces among which every pair of values that can occur together does


class StyleRedrawing(Redrawing):
    """The `Renderer` of a style.

    Args:
      style: its table.
      splits: the factors of each split, as `drawing.describe` gives them.
      image_size: side of a picture, in pixels.
      cache_dir: where pictures are kept; the user's cache folder if None.
      processes: how many processes draw; one per core if None.
    """

    def __init__(
        self,
        style: Style,
        splits: Mapping[str, Factors],
        image_size: int = 64,
        cache_dir: Path | None = None,
        processes: int | None = None,
    ):
        self.style, self.processes = style, processes
        super().__init__(
            f"unseen-{style.name}",
            {"drawing": VERSION, "style": repr(style)},
            splits,
            {name: label.factor for name, label in style.labels.items()},
            {name: len(names_of(style, name)) for name in style.parts},
            {name: len(names_of(style, name)) for name in style.shades},
            {name: part.shade for name, part in style.parts.items() if part.shade},
            (image_size, image_size, 3),
            cache_dir,
        )

    def labels_of(self, factors: Factors) -> np.ndarray:
        return labels_of(self.style, factors)

    def typical(self) -> Factors:
        return describe(self.style, _TYPICAL)

    def with_part(self, factors: Factors, part: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        return {**factors, part: numbers.astype(np.int8)}

    def shows(self, factors: Factors, shade: str) -> np.ndarray:
        return shade_shows(self.style, factors, self.labels_of(factors), shade)

    def painted(self, factors: Factors, shade: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """How the colour differs from its shade stays as it is."""
        return {**factors, shade: np.where(numbers >= 0, numbers, factors[shade]).astype(np.int8)}

    def painted_as(self, factors: Factors, shade: str, donors: Factors, where: np.ndarray) -> dict[str, np.ndarray]:
        vary = f"{shade}_vary"
        return {
            **factors,
            shade: np.where(where, donors[shade], factors[shade]),
            vary: np.where(where[:, None], donors[vary], factors[vary]),
        }

    def drawn(self, factors: Factors) -> np.ndarray:
        artist = partial(draw, style=self.style.name)
        return draw_all(rows_of(factors), self.image_shape[0], self.processes, artist=artist)
