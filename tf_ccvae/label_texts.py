"""What people write about labels: a text NAME=VALUE."""

from collections.abc import Callable, Sequence


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
