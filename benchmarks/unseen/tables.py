"""What a style's table says: which variants a factor has and how often, and which labels follow from the factors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

NONE = "none"


@dataclass(frozen=True)
class Part:
    """A part of the drawing.

    Args:
      component: its name in the style.
      variants: the style's names with how often each is drawn, adding up to 1; `NONE` where the part may be absent.
      shade: name of the shade that colours it; empty for none.
    """

    component: str
    variants: Mapping[str, float]
    shade: str = ""


@dataclass(frozen=True)
class Shade:
    """The colour of something, one of some shades that is then varied a little.

    Args:
      options: names of the style's colours that get it.
      shades: RGB as '#rrggbb' and how often, by name, in their order where `ordered`.
      ordered: the shades are steps from one end to the other, so the number of a shade is a grade.
    """

    options: tuple[str, ...]
    shades: Mapping[str, tuple[str, float]]
    ordered: bool = False


@dataclass(frozen=True)
class Binary:
    """A label that is 1 where a factor is one of `variants`, and not known where a part covers what it is about.

    Args:
      factor: its name in the table of parts or of shades.
      variants: names of variants or shades.
      hidden: variants that leave the label open, by name of a factor.
    """

    factor: str
    variants: tuple[str, ...]
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Category:
    """A label with one class for each group of a factor's variants. Arguments as of `Binary`; the groups share none."""

    factor: str
    classes: Mapping[str, tuple[str, ...]]
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Style:
    """One data set.

    Args:
      name: of the style in dicebear-styles.
      licence: with the author and the source.
      square: left, top and side of what a picture shows, in the style's units.
      parts, shades: the factors, by name.
      labels: by name.
      ordered: names of factors whose variants are steps in their order.
      fixed: components that are the same in every picture: a variant, or `NONE`.
      examples: how many pictures, over all splits.
    """

    name: str
    licence: str
    square: tuple[float, float, float]
    parts: Mapping[str, Part]
    shades: Mapping[str, Shade]
    labels: Mapping[str, Binary | Category]
    ordered: tuple[str, ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    examples: int = 4800
