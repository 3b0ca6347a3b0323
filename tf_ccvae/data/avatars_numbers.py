"""Number labels of the drawn faces, from how each was drawn; they are there where the settings name them.

Hair_Lightness   of the hair's colour, 0 to 100 %: the mean of the largest and the smallest of red, green and blue
Hair_Hue         of the hair's colour, in degrees from red: yellow is at 60, pink below 0; unknown where hair is grey
                 or black
Skin_Lightness   of the skin's colour, 0 to 100 %
Head_Size        in % of the middle size

What a hat covers, or what is not there, is unknown.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tf_ccvae.data.avatars_labels import FACTORS
from tf_ccvae.data.dataset import SPLITS, Dataset, Split
from tf_ccvae.label_arrays import in_units_of, known
from tf_ccvae.labels import Label, Labels
from tf_ccvae.number_labels import Scale

NAMES = ("Hair_Lightness", "Hair_Hue", "Skin_Lightness", "Head_Size")
COLOURS = {  # the colour that a number is of, and which of hue, lightness and saturation it is
    "Hair_Lightness": ("hair_color", 1),
    "Hair_Hue": ("hair_color", 0),
    "Skin_Lightness": ("skin_color", 1),
}
GREY = 0.25  # saturation below which a colour has no hue to see
DARK = 0.2  # lightness below which it has none either


def numbers_of(factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The number labels of described faces, float32 (examples, 4) in the order of `NAMES`, NaN where not known.

    Args:
      factors: as `avatars_labels.describe` returns them.
    """
    hair = factors["hair_color"].astype(np.float64)
    too_little = factors["hair"] == FACTORS["hair"].index("sides")
    hair = np.where(too_little[:, None], np.nan, hair)
    lightness = _lightness(hair)
    hue = np.array([colorsys.rgb_to_hsv(*rgb)[:2] if np.isfinite(rgb).all() else (np.nan,) * 2 for rgb in hair])
    from_red = (360 * hue[:, 0] + 180) % 360 - 180
    seen = (hue[:, 1] >= GREY) & (lightness >= DARK)
    columns = [
        100 * lightness,
        np.where(seen, from_red, np.nan),
        100 * _lightness(factors["skin_color"].astype(np.float64)),
        100 * factors["scale"].astype(np.float64),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def changed(factors: Mapping[str, np.ndarray], name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """The faces with other values of one number, and all else as it is.

    A colour keeps its other two coordinates of hue, lightness and saturation (`colorsys.rgb_to_hls`).

    Args:
      factors: as `avatars_labels.describe` returns them; the number is known of all faces.
      name: one of `NAMES`.
      values: (n,), in the number's units.
    """
    if name == "Head_Size":
        return {**factors, "scale": (np.asarray(values) / 100).astype(factors["scale"].dtype)}
    part, place = COLOURS[name]
    units = np.mod(np.asarray(values, np.float64) / 360, 1) if name == "Hair_Hue" else np.asarray(values) / 100
    colours = factors[part].copy()
    for row, (rgb, value) in enumerate(zip(factors[part].astype(np.float64), np.clip(units, 0, 1), strict=True)):
        coordinates = [*colorsys.rgb_to_hls(*rgb)]
        coordinates[place] = value
        colours[row] = colorsys.hls_to_rgb(*coordinates)
    return {**factors, part: colours}


def _lightness(rgb: np.ndarray) -> np.ndarray:
    return (rgb.max(1) + rgb.min(1)) / 2


def with_numbers(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """The drawn faces with some of `NAMES` behind their own labels."""
    columns = [NAMES.index(name) for name in names]

    def part(name: str) -> Split:
        split = dataset.split(name)
        own = np.where(known(split.labels), split.labels, np.nan)
        both = np.concatenate([own, numbers_of(split.factors)[:, columns]], axis=1)
        return replace(split, labels=both.astype(np.float32))

    train, validation, test = map(part, SPLITS)
    added = tuple(Label(name, scale=Scale(0.0, 1.0, 0.0, 0.0)) for name in names)  # before their units are known
    labels = in_units_of(train.labels, Labels((*dataset.labels, *added)))
    return replace(dataset, labels=labels, train=train, validation=validation, test=test)
