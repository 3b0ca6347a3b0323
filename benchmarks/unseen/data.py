"""A style as a data set: splits with factors, and which factors vary within a label."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.unseen.drawing import VERSION, color_of, load, names_of, shade_shows
from benchmarks.unseen.redrawing import StyleRedrawing
from benchmarks.unseen.styles import STYLES
from benchmarks.unseen.tables import Binary, Style
from tf_ccvae.data.dataset import SPLITS, Dataset, Split
from tf_ccvae.labels import Label, Labels


def labels(style: Style) -> Labels:
    """What the columns of `drawing.labels_of` mean."""
    return Labels(
        tuple(
            Label(name) if isinstance(label, Binary) else Label(name, tuple(label.classes))
            for name, label in style.labels.items()
        )
    )


def label_factors(style: Style) -> dict[str, tuple[int, tuple[str, ...]]]:
    """For each label that leaves something open: a value of it, and the factors that still vary among its faces.

    A binary label is looked at where it is 1, a categorical one at the class of most variants. What varies is which of
    the variants it is, if there are several, and the colour of the part, if it has one.
    """
    found = {}
    for name, label in style.labels.items():
        groups = [(), label.variants] if isinstance(label, Binary) else list(label.classes.values())
        value = max(range(len(groups)), key=lambda i: len(groups[i]))
        if label.factor in style.shades:
            varies = [f"{label.factor}_color"]
        else:
            shade = style.parts[label.factor].shade
            varies = [label.factor] * (len(groups[value]) > 1) + [f"{shade}_color"] * bool(shade)
        if varies:
            found[name] = (value, tuple(varies))
    return found


def known_factors(style: Style, factors: Mapping[str, np.ndarray], values: np.ndarray) -> dict[str, np.ndarray]:
    """The factors that can be seen.

    Args:
      style: the style.
      factors: as `drawing.describe` gives them.
      values: the labels, (examples, labels), as `drawing.labels_of` gives them.

    Returns:
      By name, with a row for each example: the number of the variant of each part; float32 (examples, 3)
      `SHADE_color`, RGB in [0, 1], NaN where nothing of that colour is drawn; and background, shift and scale.
    """
    found = {name: factors[name] for name in style.parts}
    for name in style.shades:
        color = color_of(style, factors, name).astype(np.float32)
        color[~shade_shows(style, factors, values, name)] = np.nan
        found[f"{name}_color"] = color
    return found | {name: factors[name] for name in ("background_color", "shift", "scale")}


def dataset(
    name: str,
    examples: int | None = None,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    cache_dir: Path | None = None,
    processes: int | None = None,
) -> Dataset:
    """The data set of a style, 64x64 pixels; the first call draws it.

    Args:
      name: of the style.
      examples: how many faces over all splits; as many as the style says if None.
      seed: which faces.
      validation_fraction, test_fraction: shares of the faces.
      cache_dir: where the pictures are kept; the user's cache folder if None.
      processes: how many draw; one per core if None.
    """
    style = STYLES[name]
    images, values, drawn = load(name, examples, seed, cache_dir=cache_dir, processes=processes)
    factors = known_factors(style, drawn, values)
    validation, test = (max(1, round(len(images) * part)) for part in (validation_fraction, test_fraction))
    ends = (0, len(images) - validation - test, len(images) - test, len(images))
    splits = [
        Split(images[a:b], values[a:b], {factor: x[a:b] for factor, x in factors.items()}) for a, b in pairwise(ends)
    ]
    about = {
        "source": f"drawn by dicebear-core with the style {name} of dicebear-styles",
        "licence": style.licence,
        "seed": seed,
        "version": VERSION,
        "factors": {part: names_of(style, part) for part in style.parts},
        "label_factors": label_factors(style),
        "style_factors": ("background_color", "shift"),
        "positions": ("shift",),
    }
    described = {
        split: {factor: x[a:b] for factor, x in drawn.items()}
        for split, (a, b) in zip(SPLITS, pairwise(ends), strict=True)
    }
    renderer = StyleRedrawing(style, described, images.shape[1], cache_dir, processes)
    return Dataset(f"unseen-{name}", labels(style), *splits, about, renderer)
