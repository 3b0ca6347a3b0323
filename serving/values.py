"""Which value of a label somebody means, by the same rule as in Python, on the command line and in the examples."""

import re
from collections.abc import Sequence
from numbers import Integral

import numpy as np

WORDS = {"off": 0, "no": 0, "false": 0, "0": 0, "on": 1, "yes": 1, "true": 1, "1": 1}
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")


def value_of(value: str | int, names: Sequence[str], binary: bool) -> int:
    """The index of a value.

    A number is an index. A text is a value's name exactly, else the only name that is equal without regard to case,
    else for a binary label one of `WORDS`. For another label a text of digits is an index, if no name is a number.
    True and False are values of binary labels only.

    Args:
      value: an index or a text.
      names: of the label's values, in order.
      binary: whether the label is on or off.

    Raises:
      ValueError: there is no such value; the message names those there are.
    """
    message = f"no such value; there are {', '.join(names)}"
    if isinstance(value, bool | np.bool_):
        if binary:
            return int(value)
        raise ValueError(message)
    if isinstance(value, Integral):
        if 0 <= value < len(names):
            return int(value)
        raise ValueError(f"{message}, or the numbers 0 to {len(names) - 1}")
    if not isinstance(value, str):
        raise ValueError(message)
    alike = [i for i, name in enumerate(names) if name.lower() == value.lower()]
    if value in names:
        return list(names).index(value)
    if len(alike) == 1:
        return alike[0]
    if binary and value.lower() in WORDS:
        return WORDS[value.lower()]
    numbered = any(NUMBER.fullmatch(name) for name in names)
    if not binary and not numbered and re.fullmatch("[0-9]+", value) and int(value) < len(names):
        return int(value)
    raise ValueError(message)
