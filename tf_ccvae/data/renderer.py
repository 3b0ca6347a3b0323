"""Data sets whose pictures were drawn can draw them again with one label changed: what an edit should have made."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

Factors = Mapping[str, np.ndarray]  # what pictures are drawn from: by name, one row for each picture


class Redrawn(NamedTuple):
    """Examples with one label changed, described but not drawn yet.

    Args:
      of: int64 (pictures,), ascending: for each picture, the position of its example among those that were passed. An
        example has several pictures where the change can look in several ways, and none where it cannot be drawn.
      factors: what the pictures are drawn from, with `pictures` rows.
    """

    of: np.ndarray
    factors: Factors


class Renderer(Protocol):
    """Draws examples of a data set again.

    In every picture all that the changed label does not concern is the same as in the example: other labels, background
    and position. Another label differs only if its value and the new one exclude each other. What the change uncovers
    (the hair under a hat) is not known, and there are pictures of several ways it may look.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels that can be changed."""
        ...

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the number labels that can be changed."""
        ...

    def setting(self, split: str, rows: np.ndarray, label: str, value: int) -> Redrawn:
        """Examples with a label at a value, in each way the label can have it.

        Args:
          split: name of the split.
          rows: integer (n,), of the examples in the split.
          label: its name.
          value: of the label.
        """
        ...

    def setting_number(self, split: str, rows: np.ndarray, label: str, values: np.ndarray) -> Redrawn:
        """Examples with a number label at other values, each in one way; none of those in which it is not known.

        Args:
          split: name of the split.
          rows: integer (n,), of the examples in the split.
          label: its name, one of `numbers`.
          values: (n,), in the label's units.
        """
        ...

    def carrying(self, split: str, rows: np.ndarray, donors: np.ndarray, label: str) -> Redrawn:
        """Examples with a label as their donors have it: with their value, their variant and their colour of it.

        An example that would stay as it is has no picture, nor has one to which the donor's variant would carry another
        label too (sunglasses, where the label is eyeglasses).

        Args:
          split: name of the split.
          rows: integer (n,), of the examples in the split.
          donors: integer (n,), of their donors in the same split.
          label: its name.
        """
        ...

    def draw(self, factors: Factors) -> np.ndarray:
        """The pictures, uint8 (n, height, width, channels); drawn once and read from the cache later."""
        ...
