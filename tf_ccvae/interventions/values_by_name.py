"""Labels and their values by name, and the values of labels that nobody named.

A value is 0 or 1 (or False, True, "off", "on"), or for a categorical label a class name or index.
"""

import difflib
from collections.abc import Mapping

import numpy as np

from tf_ccvae.labels import MISSING, value_mask
from tf_ccvae.models.labelled_vae import LabelledVAE

UNSPECIFIED = ("prior", "missing")
Value = int | str | bool


def label_index(model: LabelledVAE, name: str) -> int:
    """Position of the label called `name`.

    Raises:
      ValueError: the model has no such label; the message lists the nearest.
    """
    names = model.labels.names
    if name not in names:
        lower = {x.lower(): x for x in names}
        nearest = [lower[x] for x in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
        hint = f"nearest: {', '.join(nearest)}" if nearest else f"the model has {', '.join(names) or 'none'}"
        raise ValueError(f"no label {name!r}; {hint}")
    return names.index(name)


def label_value(model: LabelledVAE, name: str, value: Value) -> int:
    """The value of a label as an integer: 0 or 1, or the index of a class.

    Raises:
      ValueError: the model has no such label, or the label no such value.
    """
    label = model.labels.items[label_index(model, name)]
    text = str(value).lower()
    if label.binary:
        known = {"0": 0, "off": 0, "false": 0, "no": 0, "1": 1, "on": 1, "true": 1, "yes": 1}
        if text in known:
            return known[text]
        raise ValueError(f"label {name!r}: {value!r} is not one of 0, 1, off, on")
    classes = {x.lower(): i for i, x in enumerate(label.classes)}
    if text in classes:
        return classes[text]
    if text.isdigit() and int(text) < label.values:
        return int(text)
    raise ValueError(f"label {name!r}: {value!r} is not one of {', '.join(label.classes)}")


def label_values(model: LabelledVAE, settings: Mapping[str, Value]) -> tuple[np.ndarray, np.ndarray]:
    """Named values as arrays: values int64 (labels,), `MISSING` where not named, and asked bool (labels,).

    Raises:
      ValueError: an unknown label or value.
    """
    values = np.full(len(model.labels), MISSING, np.int64)
    for name, value in settings.items():
        values[label_index(model, name)] = label_value(model, name, value)
    return values, values != MISSING


def choose_values(
    model: LabelledVAE, settings: Mapping[str, Value], count: int, seed: int, unspecified: str = "prior"
) -> np.ndarray:
    """Label values for `generate`, int64 (count, labels): the named ones as given, the others drawn or missing.

    Args:
      model: a trained model.
      settings: values by label name.
      count: how many rows.
      seed: of the draws.
      unspecified: 'prior' draws the other labels one after the other from p(y_i), leaving out values that training
        labels say exclude those chosen so far; 'missing' leaves them missing.

    Raises:
      ValueError: an unknown label or value, or an unknown way to treat the others.
    """
    if unspecified not in UNSPECIFIED:
        raise ValueError(f"unspecified must be one of {', '.join(UNSPECIFIED)}, got {unspecified!r}")
    given, asked = label_values(model, settings)
    values = np.tile(given, (count, 1))
    if unspecified == "missing":
        return values
    random = np.random.default_rng(seed)
    statistics = model.label_statistics
    prior = np.exp(np.asarray(statistics.log_label_prior, np.float64))  # (L, V)
    excluded = np.asarray(statistics.incompatible) > 0
    allowed = np.tile(value_mask(model.labels), (count, 1, 1))
    for index in np.flatnonzero(asked):
        allowed &= ~excluded[index, given[index]]
    # Rare values first: whether there is a hat is drawn before what the hat would hide.
    for index in np.argsort(np.where(asked, -1, prior.max(1)), kind="stable"):
        if asked[index]:
            continue
        chances = prior[index] * allowed[:, index]
        chances = np.where(chances.sum(1, keepdims=True) > 0, chances, prior[index])
        cumulative = np.cumsum(chances, axis=1)
        uniform = random.random((count, 1)) * cumulative[:, -1:]
        values[:, index] = (cumulative <= uniform).sum(1).clip(max=model.labels.items[index].values - 1)
        allowed &= ~excluded[index, values[:, index]]
    return values


def sample_labels(model: LabelledVAE, count: int, seed: int) -> np.ndarray:
    """Label values drawn from p(y), without those that exclude each other, int64 (count, labels)."""
    return choose_values(model, {}, count, seed)
