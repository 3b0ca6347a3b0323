"""Arrays of the values of labels, one column each: which are known, and which columns belong to number labels.

Number labels and the others are treated by different formulas. `Columns` takes arrays apart into the part of either
kind and puts the results together again; latents of labels likewise, and style latents stay behind them.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tf_ccvae.labels import MISSING, Labels, latent_owners
from tf_ccvae.number_labels import Scale
from tf_ccvae.support.errors import UserError


class LabelsRefused(UserError, ValueError):
    """A label met something that has no way to treat its kind; the message is one line that names both."""


def known(values: Any) -> np.ndarray:
    """Which values are known: bool, of the shape of an array of integers (`MISSING`) or of floats (NaN)."""
    values = np.asarray(values)
    return ~np.isnan(values) if np.issubdtype(values.dtype, np.floating) else values != MISSING


def no_values(labels: Labels, shape: tuple[int, ...]) -> np.ndarray:
    """An array of values of which none is known: int64, or float64 if there is a number label."""
    return np.full(shape, np.nan) if labels.numbers else np.full(shape, MISSING, np.int64)


def in_units_of(values: Any, labels: Labels) -> Labels:
    """The labels, number labels in the units of these values (examples, labels); as they are where no two differ."""
    items = []
    for label, column in zip(labels, np.asarray(values).T, strict=True):
        differ = label.scale is not None and len(np.unique(column[known(column)])) > 1
        items.append(replace(label, scale=Scale.of_values(column)) if differ else label)
    return Labels(tuple(items))


def refuse_numbers(labels: Labels, what: str, remedy: str = "leave it out by data.label_names") -> None:
    """For what has no way to treat number labels.

    Args:
      labels: what the labels are.
      what: has none, as the subject of a sentence.
      remedy: what to do.

    Raises:
      LabelsRefused: there is a number label; the message names it.
    """
    if labels.numbers:
        name = labels.names[labels.numbers[0]]
        raise LabelsRefused(f"{what} knows no labels that are numbers, and {name!r} is one; {remedy}")


def refuse_grades(labels: Labels, what: str, remedy: str) -> None:
    """For what has no way to treat grades; as `refuse_numbers`.

    Raises:
      LabelsRefused: there is a grade; the message names it.
    """
    if labels.grades:
        raise LabelsRefused(f"{what} knows no grades, and {labels.names[labels.grades[0]]!r} is one; {remedy}")


class Columns(NamedTuple):
    """Which columns belong to number labels and which to the others, in order.

    plain, numbers: int64, positions of labels.
    plain_latents, number_latents: int64, positions of their latents.
    """

    plain: np.ndarray
    numbers: np.ndarray
    plain_latents: np.ndarray
    number_latents: np.ndarray

    @classmethod
    def of(cls, labels: Labels) -> "Columns":
        is_number = np.array([bool(x.scale) for x in labels], bool)
        owned = is_number[latent_owners(labels)]
        return cls(*(np.flatnonzero(x) for x in (~is_number, is_number, ~owned, owned)))

    @property
    def together(self) -> np.ndarray:
        """Where each label is behind the others and the numbers, one after the other: the inverse of taking apart."""
        return np.argsort(np.concatenate([self.plain, self.numbers]))

    @property
    def latents_together(self) -> np.ndarray:
        """As `together`, for latents."""
        return np.argsort(np.concatenate([self.plain_latents, self.number_latents]))
