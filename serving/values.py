"""Which value of a label somebody means, by the same rule as in Python, on the command line and in the examples."""

from collections.abc import Callable, Sequence
from numbers import Integral

from serving.errors import BadInput
from tf_ccvae.label_texts import parted
from tf_ccvae.labels import Label
from tf_ccvae.number_labels import as_number
from tf_ccvae.support.files import JsonObject


def value_of(value: str | float, names: Sequence[str], binary: bool) -> int:
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


def setting_of(text: str, labels: Callable[[], Sequence[JsonObject]]) -> tuple[str, str]:
    """The label and the value in a text such as `Smiling=on`; names of both may hold '=' themselves.

    Args:
      text: what somebody wrote.
      labels: returns what `ccvae.json` says of the labels; only asked where the text holds several '='.

    Raises:
      BadInput: there is no '=', or nothing on one side of it.
    """
    name, equals, value = text.partition("=")
    if "=" in value:
        about = {label["name"]: label for label in labels()}

        def has(label: str, value: str) -> bool:
            try:
                if about[label]["kind"] == "number":
                    return as_number(value) is not None
                value_of(value, about[label]["values"], about[label]["kind"] == "binary")
            except ValueError:
                return False
            return True

        name, value = parted(text, tuple(about), has) or ("", "")
    if not (equals and name and value):
        raise BadInput(f"--label: must be such as Smiling=1, got {text!r}")
    return name, value
