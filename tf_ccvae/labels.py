"""What the labels are: names, binary or categorical, and how many characteristic latents each one owns.

A label value is an integer: 0 or 1 for a binary label, a class index for a categorical one, `MISSING` where nobody
knows it. Characteristic latents are laid out label after label; the style latents follow.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import TypedDict

import numpy as np

MISSING = -1
WORDS = {"off": 0, "no": 0, "false": 0, "0": 0, "on": 1, "yes": 1, "true": 1, "1": 1}  # of binary labels
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # also in the programs of examples/
Value = int | str | bool  # how people name a value of a label; `Label.value_of` says what it means


@dataclass(frozen=True)
class Label:
    """One label.

    Args:
      name: unique among the labels of a data set.
      classes: names of the classes of a categorical label, at least two; empty for a binary label.
      latents: number of characteristic latents, at least 1.
    """

    name: str
    classes: tuple[str, ...] = ()
    latents: int = 1

    def __post_init__(self) -> None:
        if self.latents < 1:
            raise ValueError(f"label {self.name!r}: latents must be at least 1, got {self.latents}")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"label {self.name!r}: classes must be at least two different names, got {self.classes}")

    @property
    def binary(self) -> bool:
        return not self.classes

    @property
    def values(self) -> int:
        """Number of values the label can take."""
        return len(self.classes) or 2

    @property
    def value_names(self) -> tuple[str, ...]:
        """The name of each value: off and on, or the classes."""
        return self.classes or ("off", "on")

    def value_of(self, value: Value) -> int:
        """The value that a number or a text means.

        A number is an index. A text is the name of a class; if no name is equal, the only name that is equal without
        regard to case; for a binary label also yes and no, true and false, 1 and 0 in any case; and digits are an index
        if no class of this label is named by a number. True and False are the values of binary labels alone.

        Raises:
          ValueError: it means no value of this label, or several; the message lists the names.
        """
        if isinstance(value, bool | np.bool_):
            if self.binary:
                return int(value)
        elif isinstance(value, Integral):
            if 0 <= value < self.values:
                return int(value)
        elif isinstance(value, str):
            index = self._named(value)
            if index is not None:
                return index
        names = ", ".join(self.value_names)
        numbers = "" if any(map(NUMBER.fullmatch, self.classes)) else f", or 0 to {self.values - 1}"
        raise ValueError(f"label {self.name!r}: {value!r} is not one of {names}{numbers}")

    def _named(self, text: str) -> int | None:
        """The value that a text means, None if it means none or several."""
        if text in self.value_names:
            return self.value_names.index(text)
        alike = [i for i, name in enumerate(self.value_names) if name.lower() == text.lower()]
        if alike:
            return alike[0] if len(alike) == 1 else None
        if self.binary:
            return WORDS.get(text.lower())
        digits = text.isascii() and text.isdigit() and not any(map(NUMBER.fullmatch, self.classes))
        return int(text) if digits and int(text) < self.values else None


def parted(text: str, names: Sequence[str], has: Callable[[str, str], bool]) -> tuple[str, str] | None:
    """A text NAME=VALUE as its two parts, None if it has no '='. Names of labels and classes may hold '=' themselves.

    Of several ways to part the text, the one with the longest name of a label that has the value; then the one with the
    longest name of a label; then the one with the longest name.

    Args:
      text: such as `Smiling=on`.
      names: of the labels.
      has: whether a label, by its name, has a value.
    """
    places = [i for i, x in enumerate(text) if x == "=" and i]
    parts = [(text[:i], text[i + 1 :]) for i in reversed(places)]
    named = [part for part in parts if part[0] in names]
    return next((part for part in named if has(*part)), next(iter(named or parts), None))


class LabelConfig(TypedDict):
    """A label as files and the configurations of models hold it; see `Label`."""

    name: str
    classes: Sequence[str]
    latents: int


@dataclass(frozen=True)
class Labels:
    """The labels of a data set, in order.

    Raises:
      ValueError: two labels share a name.
    """

    items: tuple[Label, ...]

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"label names must differ, found twice: {', '.join(twice)}")

    @classmethod
    def of_binary(cls, names: Iterable[str], latents: int = 1) -> "Labels":
        """Binary labels with the same number of characteristic latents each."""
        return cls(tuple(Label(name, latents=latents) for name in names))

    @classmethod
    def from_config(cls, config: Iterable[LabelConfig]) -> "Labels":
        return cls(tuple(Label(c["name"], tuple(c["classes"]), int(c["latents"])) for c in config))

    def get_config(self) -> list[LabelConfig]:
        return [{"name": x.name, "classes": list(x.classes), "latents": x.latents} for x in self.items]

    def with_latents(self, latents: int) -> "Labels":
        """The same labels with `latents` characteristic latents each."""
        return Labels(tuple(Label(x.name, x.classes, latents) for x in self.items))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Label]:
        return iter(self.items)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(x.name for x in self.items)

    @property
    def characteristic(self) -> int:
        """Total number of characteristic latents."""
        return sum(x.latents for x in self.items)

    @property
    def values(self) -> int:
        """The largest number of values that any label takes (2 if there are only binary labels or none)."""
        return max((x.values for x in self.items), default=2)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each label's characteristic latents are among all latents."""
        ends = np.cumsum([0] + [x.latents for x in self.items]).tolist()
        return tuple(slice(a, b) for a, b in pairwise(ends))

    @property
    def binary(self) -> tuple[int, ...]:
        """Positions of the binary labels."""
        return tuple(i for i, x in enumerate(self.items) if x.binary)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the categorical labels."""
        return tuple(i for i, x in enumerate(self.items) if not x.binary)


def value_mask(labels: Labels) -> np.ndarray:
    """bool (labels, values): True where the label has that value."""
    mask = [[v < label.values for v in range(labels.values)] for label in labels]
    return np.array(mask, bool).reshape(len(labels), labels.values)


def latent_owners(labels: Labels) -> np.ndarray:
    """int64 (characteristic,): for each characteristic latent, the position of the label that it belongs to."""
    return np.repeat(np.arange(len(labels)), [x.latents for x in labels]).astype(np.int64)


def owner_matrix(labels: Labels) -> np.ndarray:
    """float64 (characteristic, labels): 1 where the latent belongs to the label."""
    return np.eye(len(labels))[latent_owners(labels)]
