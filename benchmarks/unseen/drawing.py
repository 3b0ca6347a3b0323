"""From a style's table to factors, labels and pictures; any picture can be drawn again with some factors changed."""

import colorsys
import json
from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.unseen.styles import STYLES
from benchmarks.unseen.tables import NONE, Binary, Style
from tf_ccvae.data.avatars_drawing import draw_all, framed, hex_of, rasterised
from tf_ccvae.data.cache import Array, cached
from tf_ccvae.labels import MISSING

VERSION = 1  # of the pictures: raise it whenever the same seed draws something else
_DRAWS = 64  # random numbers of one face


def names_of(style: Style, factor: str) -> tuple[str, ...]:
    """The categories of a factor, in the order of its numbers."""
    return tuple(style.parts[factor].variants if factor in style.parts else style.shades[factor].shades)


def describe(style: Style, examples: int, seed: int = 0) -> dict[str, np.ndarray]:
    """What the faces of a style are; the first faces of a longer set are the same faces.

    Returns:
      By name, with `examples` rows: int8 (examples,) for each part and shade, the number of its category in `names_of`;
      float32 (examples, 4) `SHADE_vary`, brightness and RGB in [-1, 1], how a colour differs from its shade;
      float32 (examples, 3) `background_color`, RGB in [0, 1]; (examples, 2) `shift` as fractions of the side, and
      (examples,) `scale`.
    """
    columns = iter(np.random.default_rng([seed, *style.name.encode()]).random((examples, _DRAWS)).T)
    factors: dict[str, np.ndarray] = {}
    weights = {name: list(part.variants.values()) for name, part in style.parts.items()}
    weights |= {name: [often for _, often in shade.shades.values()] for name, shade in style.shades.items()}
    for name, often in weights.items():
        factors[name] = np.searchsorted(np.cumsum(often)[:-1], next(columns), side="right").astype(np.int8)
    for name in style.shades:
        factors[f"{name}_vary"] = 2 * np.stack([next(columns) for _ in range(4)], axis=1) - 1
    hsv = [low + (high - low) * next(columns) for low, high in ((0.25, 0.8), (0.25, 0.45), (0.7, 0.95))]
    factors["background_color"] = np.array([colorsys.hsv_to_rgb(*row) for row in zip(*hsv, strict=True)])
    factors["shift"] = (np.stack([next(columns), next(columns)], axis=1) - 0.5) / 64  # half a pixel of 64 either way
    factors["scale"] = 1 + 0.04 * (next(columns) - 0.5)
    return {name: x if x.dtype == np.int8 else x.astype(np.float32) for name, x in factors.items()}


def labels_of(style: Style, factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """int16 (examples, labels): the label's value, or the number of its class; `MISSING` where something covers it."""

    def among(factor: str, names: tuple[str, ...]) -> np.ndarray:
        return np.isin(factors[factor], [names_of(style, factor).index(name) for name in names])

    columns = []
    for label in style.labels.values():
        if isinstance(label, Binary):
            value = among(label.factor, label.variants).astype(np.int16)
        else:
            value = np.full(len(factors["scale"]), MISSING, np.int16)
            for number, names in enumerate(label.classes.values()):
                value[among(label.factor, names)] = number
        for factor, names in label.hidden.items():
            value[among(factor, names)] = MISSING
        columns.append(value)
    return np.stack(columns, axis=1)


def shade_shows(style: Style, factors: Mapping[str, np.ndarray], values: np.ndarray, name: str) -> np.ndarray:
    """bool (examples,): where something of a shade is drawn, and no label about the shade is missing.

    Args:
      style: the style.
      factors: as `describe` gives them.
      values: the labels, (examples, labels), as `labels_of` gives them.
      name: of the shade.
    """
    nowhere = np.zeros(len(values), bool)
    if parts := [part for part, of in style.parts.items() if of.shade == name]:
        nowhere = np.all([_absent(style, factors, part) for part in parts], axis=0)
    for label, column in zip(style.labels.values(), values.T, strict=True):
        if label.factor == name:
            nowhere |= column == MISSING
    return ~nowhere


def _absent(style: Style, factors: Mapping[str, np.ndarray], part: str) -> np.ndarray:
    """bool (examples,): where a part is not drawn."""
    names = names_of(style, part)
    return factors[part] == names.index(NONE) if NONE in names else np.zeros(len(factors[part]), bool)


def rows_of(factors: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One mapping from factors to values for each face, as `draw` takes it."""
    return [{name: x[row] for name, x in factors.items()} for row in range(len(factors["scale"]))]


def changed(style: Style, face: Mapping[str, Any], factors: Mapping[str, Any]) -> dict[str, Any]:
    """A face with some factors changed and all else equal.

    Args:
      style: its style.
      face: its factors.
      factors: the new values; a category by its name or its number.

    Raises:
      KeyError: there is no such factor.
      ValueError: there is no such category.
    """
    if unknown := sorted(set(factors) - set(face)):
        raise KeyError(f"{style.name} has no factor {', '.join(unknown)}; choose from {', '.join(face)}")
    new = {name: names_of(style, name).index(x) if isinstance(x, str) else x for name, x in factors.items()}
    return {**face, **new}


@cache
def _definition(name: str) -> Any:
    from dicebear import Style as Definition

    return Definition(json.loads((files("dicebear_styles") / f"{name}.json").read_text(encoding="utf-8")))


def color_of(style: Style, factors: Mapping[str, Any], name: str) -> np.ndarray:
    """RGB in [0, 1], (..., 3): the shade `name` of a face, or of each of several, varied as their factors say."""
    codes = [code for code, _ in style.shades[name].shades.values()]
    table = np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes]) / 255
    vary = factors[f"{name}_vary"]
    return np.clip(table[factors[name]] * (1 + 0.08 * vary[..., :1]) + 0.025 * vary[..., 1:], 0, 1)


def draw(face: Mapping[str, Any], image_size: int, style: str) -> np.ndarray:
    """One face of a style by its factors, as uint8 (image_size, image_size, 3)."""
    from dicebear import Avatar

    table = STYLES[style]
    chosen = dict(table.fixed)
    for name, part in table.parts.items():
        chosen[part.component] = names_of(table, name)[face[name]]
    options: dict[str, Any] = {"seed": "face"}
    for component, variant in chosen.items():
        options[f"{component}Probability"] = 0 if variant == NONE else 100
        if variant != NONE:
            options[f"{component}Variant"] = [variant]
    for name, shade in table.shades.items():
        for option in shade.options:
            options[f"{option}Color"] = [hex_of(color_of(table, face, name))]
    drawing = framed(str(Avatar(_definition(style), options)), table.square, face["shift"], float(face["scale"]))
    return rasterised(drawing, face["background_color"], image_size)


def load(
    name: str,
    examples: int | None = None,
    seed: int = 0,
    image_size: int = 64,
    cache_dir: Path | None = None,
    processes: int | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Pictures uint8 (examples, image_size, image_size, 3), labels as `labels_of` and factors as `describe` gives them.

    The first call draws them into the cache of the project, the next ones read them.
    """
    style = STYLES[name]
    examples = examples or style.examples
    factors = describe(style, examples, seed)
    faces = rows_of(factors)

    def read(start: int, stop: int) -> dict[str, np.ndarray]:
        drawn = draw_all(faces[start:stop], image_size, processes, artist=partial(draw, style=name))
        return {"images": drawn}

    arrays = {"images": Array((image_size, image_size, 3), np.uint8)}
    identity = {"drawing": VERSION, "seed": seed, "style": repr(style)}
    images = cached(f"unseen-{name}", identity, examples, arrays, read, cache_dir=cache_dir)["images"]
    return images, labels_of(style, factors), factors
