"""Which value of a label somebody means, by the same rule as in Python, on the command line and in the examples."""

from collections.abc import Sequence
from numbers import Integral

from tf_ccvae.labels import Label


def value_of(value: str | int, names: Sequence[str], binary: bool) -> int:
    """The index of a value; `tf_ccvae.labels.Label.value_of` decides what a number or a text means.

    Args:
      value: an index or a text.
      names: of the label's values, in order.
      binary: whether the label is on or off.

    Raises:
      ValueError: there is no such value; the message names those there are.
    """
    try:
        return Label("label", () if binary else tuple(names)).value_of(value)
    except ValueError:
        numbers = f", or the numbers 0 to {len(names) - 1}" if isinstance(value, Integral) else ""
        raise ValueError(f"no such value; there are {', '.join(names)}{numbers}") from None
