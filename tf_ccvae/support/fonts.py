"""Text in figures as it is: no mathematics between dollar signs, and fonts that have its characters."""

import functools
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import ParamSpec

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

Arguments = ParamSpec("Arguments")


def plain_text(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """A function that draws the same figure with all texts among its arguments as they are.

    Where the usual font lacks a character, a font of this machine that has it is used as well; if there is none, one
    line on standard error says so, once.
    """

    @functools.wraps(draw)
    def drawing(*arguments: Arguments.args, **named: Arguments.kwargs) -> Figure:
        characters = {ord(x) for text in _texts((arguments, named)) for x in text if x.isprintable()}
        families = [*matplotlib.rcParams["font.family"], *_families(frozenset(characters))]
        with matplotlib.rc_context({"text.parse_math": False, "text.usetex": False, "font.family": families}):
            return draw(*arguments, **named)

    return drawing


def columns_of(text: str) -> int:
    """The width of a text, in characters of a Latin font: those of Chinese, say, are twice as wide."""
    return sum(1 + (unicodedata.east_asian_width(x) in "WF") for x in text)


def _texts(content: object) -> Iterator[str]:
    """All texts in nested containers."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for pair in content.items():
            yield from _texts(pair)
    elif isinstance(content, tuple | list):
        for part in content:
            yield from _texts(part)


def _families(characters: frozenset[int]) -> tuple[str, ...]:
    """Fonts that have what the usual font lacks, each with at least one character more."""
    usual = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    missing = characters - set(usual.get_charmap())
    families = []
    for family, path in _fonts() if missing else ():
        try:
            there = missing & set(font_manager.get_font(path).get_charmap())
        except (OSError, RuntimeError):  # a damaged font
            continue
        if there:
            families.append(family)
            missing -= there
        if not missing:
            break
    if missing:
        _say_missing("".join(map(chr, sorted(missing)[:10])))
    return tuple(families)


@functools.cache
def _fonts() -> tuple[tuple[str, str], ...]:
    """Names and files of this machine's upright fonts of usual weight, one of each name."""
    plain = (x for x in font_manager.fontManager.ttflist if x.style == "normal" and x.weight in (400, "normal"))
    return tuple(sorted({font.name: font.fname for font in plain if font.name != "Last Resort"}.items()))


@functools.cache
def _say_missing(characters: str) -> None:
    print(
        f"note: no font of this machine has {characters}; figures show boxes in their place. Install one, such as the "
        "package fonts-noto-cjk for Chinese, Japanese and Korean",
        file=sys.stderr,
    )
