"""The drawn faces of `avatars` with one label changed, drawn by the same code."""

import colorsys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tf_ccvae.data import avatars_numbers
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import FACTORS, FRAME_RGB, HAIR_RGB, SKIN_RGB, describe, faces_of, labels_of
from tf_ccvae.data.redrawing import Redrawing
from tf_ccvae.data.renderer import Factors

ABOUT = {  # the part, or the shade, that each label is about, in the order of the labels
    "Eyeglasses": "glasses",
    "Sunglasses": "glasses",
    "Smiling": "mouth",
    "Mouth_Slightly_Open": "mouth",
    "No_Beard": "facial_hair",
    "Mustache": "facial_hair",
    "Wearing_Hat": "hat",
    "Bald": "hair",
    "Long_Hair": "hair",
    **dict.fromkeys(("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"), "hair_shade"),
    **dict.fromkeys(("Pale_Skin", "Dark_Skin"), "skin"),
    "Eyes_Closed": "eyes",
    "Raised_Eyebrows": "brows",
    "Angry_Eyebrows": "brows",
}
COLORED = ("hair", "facial_hair", "glasses", "hat")  # parts with a shade and a colour of their own
_HUES = 8  # of hats, evenly spread over those that are drawn
_TYPICAL = 4000  # faces among which every pair of values that can occur together does


def _palette() -> dict[str, np.ndarray]:
    """The colours of each shade in the order of its numbers: (colours, 3), RGB in [0, 1]; the middle of a range."""
    anchors: dict[str, Mapping[str, tuple[int, int, int]]] = {"hair": HAIR_RGB, "facial_hair": HAIR_RGB}
    anchors["glasses"] = FRAME_RGB
    found = {f"{part}_shade": [rgb[name] for name in FACTORS[f"{part}_shade"]] for part, rgb in anchors.items()}
    found["skin"] = [np.mean(SKIN_RGB[name], axis=0).tolist() for name in FACTORS["skin"]]
    hues = 0.2 + 0.8 * (np.arange(_HUES) + 0.5) / _HUES
    hats = np.array([colorsys.hsv_to_rgb(hue, 0.7, 0.7) for hue in hues])
    return {**{name: np.array(rgb) / 255 for name, rgb in found.items()}, "hat_shade": hats}


class AvatarsRedrawing(Redrawing):
    """The `Renderer` of `avatars`.

    Args:
      splits: the factors of each split, as `avatars_labels.describe` gives them.
      image_size: side of a picture, in pixels.
      version: of the pictures.
      cache_dir: where pictures are kept; the user's cache folder if None.
      processes: how many processes draw; one per core if None.
    """

    def __init__(
        self,
        splits: Mapping[str, Factors],
        image_size: int,
        version: int,
        cache_dir: Path | None = None,
        processes: int | None = None,
    ):
        self.processes, self.palette = processes, _palette()
        super().__init__(
            "avatars",
            {"drawing": version},
            splits,
            ABOUT,
            {name: len(FACTORS[name]) for name in set(ABOUT.values()) - set(self.palette)},
            {name: len(colors) for name, colors in self.palette.items()},
            {part: f"{part}_shade" for part in COLORED},
            (image_size, image_size, 3),
            cache_dir,
        )

    def labels_of(self, factors: Factors) -> np.ndarray:
        return labels_of(factors)

    def typical(self) -> Factors:
        return describe(_TYPICAL)

    def with_part(self, factors: Factors, part: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """With a hat there is no hair, and with hair no hat."""
        new = {**factors, part: numbers.astype(np.int8)}
        if part in ("hat", "hair"):
            other = "hair" if part == "hat" else "hat"
            new[other] = np.where(numbers > 0, 0, new[other]).astype(np.int8)
        for name in COLORED:
            new[f"{name}_color"] = np.where(new[name][:, None] > 0, new[f"{name}_color"], np.float32(np.nan))
        return new

    def shows(self, factors: Factors, shade: str) -> np.ndarray:
        if shade == "skin":
            return np.ones(len(factors["skin"]), bool)
        return factors[shade.removesuffix("_shade")] > 0

    def painted(self, factors: Factors, shade: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        where = (numbers >= 0) & self.shows(factors, shade)
        name = f"{shade.removesuffix('_shade')}_color"
        color = np.where(where[:, None], self.palette[shade][numbers], factors[name]).astype(np.float32)
        new = {**factors, name: color}
        if shade in factors:
            new[shade] = np.where(where, numbers, factors[shade]).astype(np.int8)
        return new

    def painted_as(self, factors: Factors, shade: str, donors: Factors, where: np.ndarray) -> dict[str, np.ndarray]:
        name = f"{shade.removesuffix('_shade')}_color"
        new = {**factors, name: np.where(where[:, None], donors[name], factors[name])}
        if shade in factors:
            new[shade] = np.where(where, donors[shade], factors[shade])
        return new

    @property
    def numbers(self) -> tuple[str, ...]:
        return avatars_numbers.NAMES

    def numbers_of(self, factors: Factors) -> np.ndarray:
        return avatars_numbers.numbers_of(factors)

    def with_number(self, factors: Factors, label: str, values: np.ndarray) -> dict[str, np.ndarray]:
        return avatars_numbers.changed(factors, label, values)

    def drawn(self, factors: Factors) -> np.ndarray:
        return draw_all(faces_of(factors), self.image_shape[0], self.processes)
