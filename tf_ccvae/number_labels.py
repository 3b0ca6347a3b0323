"""What a number label has that others have not: a scale, and numbers that people write."""

import re
import warnings
from dataclasses import dataclass
from math import isfinite
from numbers import Real

import numpy as np

from tf_ccvae.support.errors import Caution

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # also in the programs of examples/


def as_number(value: object) -> float | None:
    """The finite number that a number or a text in decimal notation means; None for anything else, True and False too.

    A comma is no decimal point, for it may as well stand between thousands.
    """
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, str):
        value = float(value) if NUMBER.fullmatch(value.strip()) else None
    number = float(value) if isinstance(value, Real | np.number) else float("nan")
    return number if isfinite(number) else None


@dataclass(frozen=True)
class Scale:
    """The units of a number label, which are those of its training values.

    The model works with standardised values, (value - mean) / deviation.

    Args:
      mean, deviation: of the training values; the deviation is above 0.
      low, high: the smallest and the largest training value.
    """

    mean: float
    deviation: float
    low: float
    high: float

    def __post_init__(self) -> None:
        numbers = (self.mean, self.deviation, self.low, self.high)
        if not all(isfinite(x) for x in numbers) or self.deviation <= 0 or self.low > self.high:
            raise ValueError(f"scale of a number label: deviation above 0 and low <= high are needed, got {numbers}")

    @classmethod
    def of_values(cls, values: np.ndarray) -> "Scale":
        """That of the values (examples,) that are known, of which at least two differ."""
        known = np.asarray(values, np.float64)
        known = known[~np.isnan(known)]
        return cls(float(known.mean()), float(known.std()), float(known.min()), float(known.max()))

    @property
    def ends(self) -> tuple[float, float]:
        """Where a traversal starts and ends: two deviations to either side of the mean, inside the training range."""
        reach = 2 * self.deviation
        return max(self.low, self.mean - reach), min(self.high, self.mean + reach)

    def far(self, value: float) -> bool:
        """Whether a number is outside the training range by more than half of it."""
        reach = (self.high - self.low) / 2
        return not self.low - reach <= value <= self.high + reach


def warn_if_far(name: str, scale: Scale, *values: float, depth: int = 1) -> None:
    """Warns by `Caution` of each value that is far outside the training values of a number label; see `Scale.far`.

    Args:
      name: of the label.
      scale: its units.
      values: that it is set to.
      depth: how many functions lie between this one and the user's line, at which the warning points.
    """
    for value in filter(scale.far, values):
        warnings.warn(
            f"{name}={value:g} is far outside the training values, {scale.low:g} to {scale.high:g}; no picture has "
            "taught the model what it looks like",
            Caution,
            stacklevel=depth + 2,
        )
