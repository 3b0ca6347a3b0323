"""ccvae.json as the client uses it: read with its format checked, and what values of its labels mean."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from serving.errors import BadInput
from serving.values import value_of
from tf_ccvae.number_labels import Scale, as_number, warn_if_far
from tf_ccvae.support.files import JsonObject

FORMATS = (1, 2, 3)  # of ccvae.json that can be read; those that `export.manifest` writes


def read(path: Path) -> JsonObject:
    """The content of a ccvae.json.

    Raises:
      BadInput: it cannot be read, or is of a format that is not known here.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: is not a readable ccvae.json ({error})") from None
    return checked(content, str(path))


def checked(content: JsonObject, where: str) -> JsonObject:
    """The content of a ccvae.json whose format is known.

    Raises:
      BadInput: its format is not known here.
    """
    if not isinstance(content, dict) or content.get("format") not in FORMATS:
        found = content.get("format") if isinstance(content, dict) else None
        known = ", ".join(map(str, FORMATS))
        raise BadInput(f"{where}: is ccvae.json of format {found!r}, and this client reads {known}; update tf_ccvae")
    return content


def meaning(value: str | float, label: JsonObject) -> float:
    """The value of a label of ccvae.json that a number or a text means: an index, or the number in its units.

    Warns:
      Caution: the number is far outside the training values.

    Raises:
      ValueError: there is no such value; the message says which there are.
    """
    if label["kind"] != "number":
        return value_of(value, label["values"], label["kind"] == "binary")
    number = as_number(value)
    scale = Scale(**label["scale"])
    if number is None:
        raise ValueError(f"is not a number; training values were {scale.low:g} to {scale.high:g}")
    warn_if_far(label["name"], scale, number, depth=4)  # of a line that calls a method of the client
    return number


def readable(rows: Mapping[str, np.ndarray], description: JsonObject) -> list[JsonObject]:
    """What `classify` gave, by names: for each row `probabilities` by label and value, and `numbers` by label.

    Args:
      rows: `probabilities` (n, labels, values), and `numbers` (n, number labels, 2) if there are such labels.
      description: content of ccvae.json.
    """
    labels = description["labels"]
    listed = [(i, x) for i, x in enumerate(labels) if x["kind"] != "number"]
    numbers = [x["name"] for x in labels if x["kind"] == "number"]
    said: list[JsonObject] = []
    for i, probabilities in enumerate(rows["probabilities"]):
        named = {x["name"]: _by_value(x["values"], probabilities[place]) for place, x in listed}
        said.append({"probabilities": named})
        if numbers:
            parts = zip(numbers, rows["numbers"][i].astype(float), strict=True)
            said[-1]["numbers"] = {name: {"mean": mean, "deviation": deviation} for name, (mean, deviation) in parts}
    return said


def _by_value(values: list[str], probabilities: np.ndarray) -> dict[str, float]:
    return {value: round(float(p), 6) for value, p in zip(values, probabilities, strict=False)}
