"""What the labels are: names, kinds, and how many characteristic latents each one owns.

A label value is an integer: 0 or 1 for a binary label, the place of a class for a categorical one and for a grade,
whose classes stand in order, `MISSING` where nobody knows it. The value of a number label is a number in the user's own
units, NaN where nobody knows it. An array of the values of several labels, one column each, is an array of integers
where none of them is a number label; with a number label it is an array of floats, and then NaN stands for a missing
value of any label, for -1 may be a number; `label_arrays` has more about them. Characteristic latents are laid out
label after label; the style latents follow.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Integral
from typing import NotRequired, TypedDict

import numpy as np

from tf_ccvae.number_labels import NUMBER, Scale, as_number

MISSING = -1  # among integers
WORDS = {"off": 0, "no": 0, "false": 0, "0": 0, "on": 1, "yes": 1, "true": 1, "1": 1}  # of binary labels
Value = int | float | str | bool  # how people name a value; `Label.value_of` and `Label.number_of` say what it means


@dataclass(frozen=True)
class Label:
    """One label.

    Args:
      name: unique among the labels of a data set.
      classes: names of the classes of a categorical label or a grade, at least two; empty for the other kinds.
      latents: number of characteristic latents, at least 1.
      scale: the units of a number label; None for the other kinds.
      ordered: whether the classes stand in order, from little to much, say: the label is a grade.
    """

    name: str
    classes: tuple[str, ...] = ()
    latents: int = 1
    scale: Scale | None = None
    ordered: bool = False

    def __post_init__(self) -> None:
        if self.latents < 1:
            raise ValueError(f"label {self.name!r}: latents must be at least 1, got {self.latents}")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"label {self.name!r}: classes must be at least two different names, got {self.classes}")
        if self.classes and self.scale:
            raise ValueError(f"label {self.name!r}: has classes or a scale, not both")
        if self.ordered and not self.classes:
            raise ValueError(f"label {self.name!r}: is a grade without classes; list them in order")

    @property
    def kind(self) -> str:
        """'binary', 'class', 'grade' or 'number'."""
        listed = "grade" if self.ordered else "class" if self.classes else "binary"
        return "number" if self.scale else listed

    @property
    def binary(self) -> bool:
        return self.kind == "binary"

    @property
    def values(self) -> int:
        """Number of values that can be listed: 2 or more, and 0 for a number label."""
        return 0 if self.scale else len(self.classes) or 2

    @property
    def value_names(self) -> tuple[str, ...]:
        """The name of each value: off and on, or the classes; none for a number label."""
        return () if self.scale else self.classes or ("off", "on")

    @property
    def units(self) -> Scale:
        """The units of a number label.

        Raises:
          ValueError: it is no number label.
        """
        if self.scale is None:
            raise ValueError(f"label {self.name!r}: is no number label")
        return self.scale

    @property
    def ends(self) -> tuple[float, float]:
        """Two values far apart: the first and the last, and for a number label those of `Scale.ends`."""
        return self.scale.ends if self.scale else (0, self.values - 1)

    def written(self, value: float) -> str:
        """A value as people read it: off, on, the name of a class, or the number."""
        return f"{value:.4g}" if self.scale else self.value_names[int(value)]

    def number_of(self, value: Value) -> float:
        """The number that a number or a text means, in the units of a number label.

        Raises:
          ValueError: it is no finite number.
        """
        number = as_number(value)
        if number is None:
            between = f"{self.units.low:g} to {self.units.high:g}"
            raise ValueError(f"label {self.name!r}: {value!r} is not a number; training values were {between}")
        return number

    def meant(self, value: Value) -> float:
        """`value_of` or `number_of`, as the kind of the label asks.

        Raises:
          ValueError: as those.
        """
        return self.number_of(value) if self.scale else self.value_of(value)

    def value_of(self, value: Value) -> int:
        """The value of a binary label or of one with classes that a number or a text means.

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


class LabelConfig(TypedDict):
    """A label as files and the configurations of models hold it; see `Label`.

    `kind` is 'number' and there is a `scale` for a number label; it is 'grade' for a grade, and not there otherwise.
    """

    name: str
    classes: Sequence[str]
    latents: int
    kind: NotRequired[str]
    scale: NotRequired[dict[str, float]]


def config_of(label: Label) -> LabelConfig:
    """A label as a configuration holds it."""
    config: LabelConfig = {"name": label.name, "classes": list(label.classes), "latents": label.latents}
    if label.scale:
        return {**config, "kind": "number", "scale": dict(vars(label.scale))}
    return {**config, "kind": "grade"} if label.ordered else config


def label_of(config: LabelConfig) -> Label:
    """The label in a configuration.

    Raises:
      ValueError: it is of a kind that this version does not know.
    """
    kind = config.get("kind")
    if kind not in (None, "number", "grade"):
        raise ValueError(f"label {config['name']!r}: is of kind {kind!r}, which this version of tf_ccvae does not know")
    scale = Scale(**{key: float(x) for key, x in config["scale"].items()}) if kind == "number" else None
    return Label(config["name"], tuple(config["classes"]), int(config["latents"]), scale, kind == "grade")


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
        return cls(tuple(map(label_of, config)))

    def get_config(self) -> list[LabelConfig]:
        return list(map(config_of, self.items))

    def with_latents(self, latents: int) -> "Labels":
        """The same labels with `latents` characteristic latents each."""
        return Labels(tuple(replace(x, latents=latents) for x in self.items))

    def __len__(self) -> int:
        return len(self.items)

    def same_as(self, other: "Labels") -> bool:
        """Whether the labels have the same names, kinds and classes; latents and scales may differ."""
        own, others = ([(x.name, x.kind, x.classes) for x in labels] for labels in (self, other))
        return own == others

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
        """The largest number of values that any label takes (2 if none takes more)."""
        return max((x.values for x in self.items if x.values), default=2)

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
        return tuple(i for i, x in enumerate(self.items) if x.kind == "class")

    @property
    def grades(self) -> tuple[int, ...]:
        """Positions of the grades."""
        return tuple(i for i, x in enumerate(self.items) if x.ordered)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Positions of the number labels."""
        return tuple(i for i, x in enumerate(self.items) if x.scale)

    @property
    def of_numbers(self) -> "Labels":
        """The number labels, in order."""
        return Labels(tuple(x for x in self.items if x.scale))

    @property
    def plain(self) -> "Labels":
        """The labels that are no number labels, in order."""
        return Labels(tuple(x for x in self.items if not x.scale)) if self.numbers else self


def value_mask(labels: Labels) -> np.ndarray:
    """bool (labels, values): True where the label has that value; nowhere for a number label."""
    mask = [[v < label.values for v in range(labels.values)] for label in labels]
    return np.array(mask, bool).reshape(len(labels), labels.values)


def latent_owners(labels: Labels) -> np.ndarray:
    """int64 (characteristic,): for each characteristic latent, the position of the label that it belongs to."""
    return np.repeat(np.arange(len(labels)), [x.latents for x in labels]).astype(np.int64)


def owner_matrix(labels: Labels) -> np.ndarray:
    """float64 (characteristic, labels): 1 where the latent belongs to the label."""
    return np.eye(len(labels))[latent_owners(labels)]
