"""How drawn faces are changed in one label and drawn again, whatever they are drawn from.

A face is a row of factors. Those here are of two kinds: parts, such as the glasses, whose number says which variant of
the part is drawn, and shades, such as the hair's, whose number says which colour. A label is about one of them.

A label is set in three steps: its factor takes every number; a part that a label which was `MISSING` is about, and that
shows now, takes every number, since nobody could see it before; and a shade that shows for the first time takes every
number. Of all these faces those are kept whose labels are as they should be.
"""

import abc
import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tf_ccvae.data.cache import Array, cached
from tf_ccvae.data.renderer import Factors, Redrawn
from tf_ccvae.labels import MISSING

VARIANTS = 16  # pictures of one example with one label set, at most; where there are more, they are evenly spread


def taken(factors: Factors, rows: np.ndarray) -> dict[str, np.ndarray]:
    """These rows of all factors."""
    return {name: np.asarray(values)[rows] for name, values in factors.items()}


class Redrawing(abc.ABC):
    """A `Renderer` by factors; a subclass says how they are changed and drawn.

    Args:
      source: name of the data set, for the cache.
      identity: everything that a picture depends on beside its factors, as JSON holds it.
      splits: factors of the examples of each split.
      about: for each label by name the factor that it is about, a part or a shade.
      parts: how many variants each part has, by name.
      shades: how many colours each shade has, by name.
      shade_of: the shade of each part that has one.
      image_shape: (height, width, channels).
      cache_dir: where pictures are kept; the user's cache folder if None.
    """

    def __init__(
        self,
        source: str,
        identity: Mapping[str, object],
        splits: Mapping[str, Factors],
        about: Mapping[str, str],
        parts: Mapping[str, int],
        shades: Mapping[str, int],
        shade_of: Mapping[str, str],
        image_shape: tuple[int, int, int],
        cache_dir: Path | None = None,
    ):
        self.source, self.identity, self.splits = source, dict(identity), dict(splits)
        self.about, self.parts, self.shades, self.shade_of = dict(about), dict(parts), dict(shades), dict(shade_of)
        self.image_shape, self.cache_dir = image_shape, cache_dir

    # To be filled in --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def labels_of(self, factors: Factors) -> np.ndarray:
        """The labels, integer (n, labels), in the order of `about`; `MISSING` where something covers them."""

    @abc.abstractmethod
    def typical(self) -> Factors:
        """Factors of so many faces that all label values which can occur together do; others exclude each other."""

    @abc.abstractmethod
    def with_part(self, factors: Factors, part: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Faces whose part has other variants, integer (n,), and what cannot be beside them taken off."""

    @abc.abstractmethod
    def shows(self, factors: Factors, shade: str) -> np.ndarray:
        """bool (n,): where a shade can be seen."""

    @abc.abstractmethod
    def painted(self, factors: Factors, shade: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Faces with other colours of a shade, integer (n,); -1 leaves a face as it is."""

    @abc.abstractmethod
    def painted_as(self, factors: Factors, shade: str, donors: Factors, where: np.ndarray) -> dict[str, np.ndarray]:
        """Faces with exactly their donors' colours of a shade, where bool (n,) says so."""

    @abc.abstractmethod
    def drawn(self, factors: Factors) -> np.ndarray:
        """The pictures, uint8 (n, height, width, channels)."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The number labels that can be changed; none if a subclass names none."""
        return ()

    def numbers_of(self, factors: Factors) -> np.ndarray:
        """The number labels, float (n, numbers), NaN where something covers them."""
        return np.zeros((len(next(iter(factors.values()))), 0))

    def with_number(self, factors: Factors, label: str, values: np.ndarray) -> dict[str, np.ndarray]:
        """Faces in which a number label is known with other values of it, (n,), and all else as it is."""
        raise KeyError(f"{self.source} draws no {label}")

    # Shared -----------------------------------------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.about)

    @functools.cached_property
    def _together(self) -> np.ndarray:
        """bool (labels, values, labels, values): which values of two labels occur together."""
        values = self.labels_of(self.typical())
        there = values[:, :, None] == np.arange(values.max() + 1)  # (examples, labels, values)
        flat = there.reshape(len(values), -1).astype(np.float32)
        return (flat.T @ flat > 0).reshape(*there.shape[1:], *there.shape[1:])

    def described(self, split: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The factors of examples as they are."""
        return taken(self.splits[split], rows)

    def setting(self, split: str, rows: np.ndarray, label: str, value: int) -> Redrawn:
        old = self.described(split, rows)
        column, factor = self.labels.index(label), self.about[label]
        of = np.flatnonzero(self.labels_of(old)[:, column] != MISSING)
        new, of, numbers = self._crossed(taken(old, of), of, self.parts.get(factor) or self.shades[factor])
        new = self._with(new, factor, numbers)
        kept = self.labels_of(new)[:, column] == value
        new, of = self._opened(old, taken(new, kept), of[kept], factor)
        allowed = self._allowed(old, new, of, column, np.full(len(of), value))
        return _thinned(taken(new, allowed), of[allowed])

    def setting_number(self, split: str, rows: np.ndarray, label: str, values: np.ndarray) -> Redrawn:
        old = self.described(split, rows)
        of = np.flatnonzero(~np.isnan(self.numbers_of(old)[:, self.numbers.index(label)]))
        return Redrawn(of, self.with_number(taken(old, of), label, np.asarray(values)[of]))

    def carrying(self, split: str, rows: np.ndarray, donors: np.ndarray, label: str) -> Redrawn:
        old, owners = self.described(split, rows), self.described(split, donors)
        column, factor = self.labels.index(label), self.about[label]
        wanted = self.labels_of(owners)[:, column]
        of = np.flatnonzero((self.labels_of(old)[:, column] != MISSING) & (wanted != MISSING))
        mine, theirs = taken(old, of), taken(owners, of)
        shade = self.shade_of.get(factor, factor)
        new = mine if factor in self.shades else self._with(mine, factor, theirs[factor])
        if shade in self.shades:  # the label's own colour, and not one that another label is about
            carried = factor in self.shades or shade not in self.about.values()
            there = self.shows(new, shade) & self.shows(theirs, shade)
            new = self.painted_as(new, shade, theirs, there & (carried | ~self.shows(mine, shade)))
        new, of = self._opened(old, new, of, factor, own_shade=False)
        allowed = self._allowed(old, new, of, column, wanted[of])
        allowed &= np.any([_differ(new[name], old[name][of]) for name in new], axis=0)
        return _thinned(taken(new, allowed), of[allowed])

    def draw(self, factors: Factors) -> np.ndarray:
        count = len(next(iter(factors.values())))
        if not count:
            return np.zeros((0, *self.image_shape), np.uint8)
        content = [np.ascontiguousarray(x).reshape(count, -1).view(np.uint8) for x in factors.values()]
        rows, first, places = np.unique(np.concatenate(content, axis=1), axis=0, return_index=True, return_inverse=True)
        faces = taken(factors, first)

        def read(start: int, stop: int) -> dict[str, np.ndarray]:
            return {"images": self.drawn({name: x[start:stop] for name, x in faces.items()})}

        identity = {**self.identity, "faces": hashlib.sha256(rows.tobytes()).hexdigest()}
        arrays = {"images": Array(self.image_shape, np.uint8)}
        images = cached(f"{self.source}-redrawn", identity, len(first), arrays, read, cache_dir=self.cache_dir)
        return images["images"][places]

    def _with(self, factors: Factors, factor: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
        change: Callable[..., dict[str, np.ndarray]] = self.painted if factor in self.shades else self.with_part
        return change(factors, factor, numbers)

    @staticmethod
    def _crossed(factors: Factors, of: np.ndarray, count: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Every face `count` times, its position likewise, and a number from 0 to `count` - 1 for each."""
        places = np.repeat(np.arange(len(of)), count)
        return taken(factors, places), of[places], np.tile(np.arange(count), len(of))

    def _opened(
        self, old: Factors, new: Factors, of: np.ndarray, factor: str, own_shade: bool = True
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The changed faces in every way that what nobody could see before may look.

        Args:
          old: the faces before, n of them.
          new: changed faces.
          of: which face before each of them is.
          factor: that was changed.
          own_shade: whether the shade of that part is open too, if it shows for the first time.
        """
        uncovered = (self.labels_of(old)[of] == MISSING) & (self.labels_of(new) != MISSING)
        parts = {name for name, open_ in zip(self.about.values(), uncovered.T, strict=True) if open_.any()}
        settled = {factor} if own_shade else {factor, self.shade_of.get(factor, factor)}
        for part in sorted((parts & set(self.parts)) - settled):
            columns = [i for i, name in enumerate(self.about.values()) if name == part]
            before = self.labels_of(old)[:, columns] == MISSING
            new, of, numbers = self._crossed(new, of, self.parts[part])
            hidden = (before[of] & (self.labels_of(new)[:, columns] != MISSING)).any(1)
            kept = hidden | (numbers == new[part])
            new, of = self._with(taken(new, kept), part, numbers[kept]), of[kept]
        for shade in sorted(set(self.shades) - settled):
            first = self.shows(new, shade) & ~self.shows(old, shade)[of]
            if first.any():
                new, of, numbers = self._crossed(new, of, self.shades[shade])
                first = np.repeat(first, self.shades[shade])
                kept = first | (numbers == 0)
                new, of = self.painted(taken(new, kept), shade, np.where(first, numbers, -1)[kept]), of[kept]
        return dict(new), of

    def _allowed(self, old: Factors, new: Factors, of: np.ndarray, column: int, values: np.ndarray) -> np.ndarray:
        """bool: where the label has its value, and others differ only as the value or a new colour makes them."""
        before, after = self.labels_of(old)[of], self.labels_of(new)
        differs = (before != after) & (before != MISSING) & (after != MISSING)
        excluded = ~self._together[column, values[:, None], np.arange(len(self.about)), np.maximum(before, 0)]
        for i, factor in enumerate(self.about.values()):
            if factor in self.shades:
                excluded[:, i] |= ~self.shows(old, factor)[of]
        differs[:, column] = False
        return (after[:, column] == values) & ~(differs & ~excluded).any(1)


def _differ(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool (n,): where rows differ; NaN equals NaN."""
    same = (values == others) | ((values != values) & (others != others))
    return ~same.reshape(len(values), -1).all(1)


def _thinned(factors: Factors, of: np.ndarray) -> Redrawn:
    """At most `VARIANTS` of the pictures of each example, evenly spread over their order."""
    counts = np.bincount(of) if len(of) else np.zeros(0, np.int64)
    starts = np.cumsum(counts) - counts
    spread = [np.arange(min(count, VARIANTS)) * count // max(min(count, VARIANTS), 1) for count in counts.tolist()]
    rows = np.concatenate([start + some for start, some in zip(starts, spread, strict=True)] or [of]).astype(np.int64)
    return Redrawn(of[rows], taken(factors, rows))
