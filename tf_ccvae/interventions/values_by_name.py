"""Labels and their values by name, and the values of labels that nobody named.

`Label.value_of` says which numbers and texts name a value, and `Label.number_of` those of a number label.
"""

import difflib
from collections.abc import Mapping

import numpy as np

from tf_ccvae.label_arrays import known, no_values
from tf_ccvae.label_texts import parted
from tf_ccvae.labels import Value
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.number_labels import warn_if_far
from tf_ccvae.objective.exclusions import value_places, value_slices

UNSPECIFIED = ("prior", "missing")


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


def label_value(model: LabelledVAE, name: str, value: Value) -> float:
    """The value of a label, an integer or the number of a number label; see `Label.meant`.

    Raises:
      ValueError: the model has no such label, or the label no such value.
    """
    return model.labels.items[label_index(model, name)].meant(value)


def setting_of(model: LabelledVAE, text: str) -> tuple[str, str] | None:
    """A text NAME=VALUE as its two parts, None if it has no '='; see `label_texts.parted`."""

    def has(name: str, value: str) -> bool:
        try:
            label_value(model, name, value)
        except ValueError:
            return False
        return True

    return parted(text, model.labels.names, has)


def label_values(model: LabelledVAE, settings: Mapping[str, Value]) -> tuple[np.ndarray, np.ndarray]:
    """Named values as arrays: values (labels,), as `label_arrays.no_values` where not named, and bool (labels,), where.

    Warns:
      Caution: a number is far outside its training values.

    Raises:
      ValueError: an unknown label or value.
    """
    values = no_values(model.labels, (len(model.labels),))
    for name, value in settings.items():
        index = label_index(model, name)
        values[index] = label_value(model, name, value)
        warn_outside(model, index, values[index], depth=2)
    return values, known(values)


def warn_outside(model: LabelledVAE, index: int, *values: float, depth: int = 1) -> None:
    """`warn_if_far` for the label in a position, if it is a number label; `depth` counts as there."""
    label = model.labels.items[index]
    if label.scale:
        warn_if_far(label.name, label.scale, *values, depth=depth + 1)


def choose_values(
    model: LabelledVAE, settings: Mapping[str, Value], count: int, seed: int, unspecified: str = "prior"
) -> np.ndarray:
    """Label values for `generate`, (count, labels): the named ones fixed, the others drawn or missing.

    They are int64, or float64 where there is a number label, which is drawn from the normal that fits its training
    values, inside their range.

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
    named, mask = label_values(model, settings)
    values = np.tile(named, (count, 1))
    if unspecified == "missing":
        return values
    random = np.random.default_rng(seed)
    statistics = model.label_statistics
    prior = np.exp(np.asarray(statistics.log_label_prior, np.float64))  # (L, V)
    excluded = np.asarray(statistics.incompatible) > 0
    places, slices = value_places(model.labels), value_slices(model.labels)
    allowed = np.ones((count, len(excluded)), bool)
    for index in np.flatnonzero(mask):
        if not model.labels.items[index].scale:
            allowed &= ~excluded[places[index, int(named[index])]]
    # Rare values first: whether there is a hat is drawn before what the hat would hide.
    for index in np.argsort(np.where(mask, -1, prior.max(1)), kind="stable"):
        scale = model.labels.items[index].scale
        if mask[index]:
            continue
        if scale:
            values[:, index] = random.normal(scale.mean, scale.deviation, count).clip(scale.low, scale.high)
            continue
        rates = prior[index, : model.labels.items[index].values]
        chances = rates * allowed[:, slices[index]]
        chances = np.where(chances.sum(1, keepdims=True) > 0, chances, rates)
        cumulative = np.cumsum(chances, axis=1)
        uniform = random.random((count, 1)) * cumulative[:, -1:]
        drawn = (cumulative <= uniform).sum(1).clip(max=model.labels.items[index].values - 1)
        values[:, index] = drawn
        allowed &= ~excluded[places[index, drawn]]
    return values


def sample_labels(model: LabelledVAE, count: int, seed: int) -> np.ndarray:
    """Label values drawn from p(y), without those that exclude each other, (count, labels)."""
    return choose_values(model, {}, count, seed)
