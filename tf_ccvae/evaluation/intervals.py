"""Means with 95 % intervals by bootstrap over examples.

References:
  Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3 (percentile intervals).
"""

from collections.abc import Callable, Sequence

import numpy as np

from tf_ccvae.support.files import JsonObject

DRAWS = 1000
LEVELS = (2.5, 97.5)


def interval(mean: float, draws: np.ndarray) -> dict[str, float | None]:
    """`mean`, and as `low` and `high` the 2.5 and 97.5 percentiles of its bootstrap draws, None without any."""
    low, high = np.nanpercentile(draws, LEVELS).tolist() if np.isfinite(draws).any() else (None, None)
    return {"mean": float(mean), "low": low, "high": high}


def label_means(
    values: np.ndarray, counted: np.ndarray, names: Sequence[str], seed: int = 0, draws: int = DRAWS
) -> JsonObject:
    """Means per label and their mean over labels, with intervals from the same resampled examples.

    Args:
      values: float (examples, labels).
      counted: float or bool (examples, labels), the weight of each value; labels without any weight are left out.
      names: of the labels.
      seed: of the bootstrap.
      draws: how many resamples.

    Returns:
      `mean`, `low`, `high`, and `labels`: the same for each label, by name.
    """
    counted = np.asarray(counted, np.float64)
    return label_ratios(np.where(counted > 0, values, 0.0) * counted, counted, names, seed, draws)


def label_ratios(
    above: np.ndarray, below: np.ndarray, names: Sequence[str], seed: int = 0, draws: int = DRAWS
) -> JsonObject:
    """The sum of one thing over that of another per label, and their mean over labels, with intervals.

    Args:
      above, below: float (examples, labels); labels whose sum below is not above 0 are left out.
      names, seed, draws: as in `label_means`.

    Returns:
      As `label_means`.
    """
    times = np.random.default_rng(seed).multinomial(len(above), np.full(len(above), 1 / len(above)), draws)
    times = np.vstack([np.ones(len(above)), times])  # the first row is the sample itself
    total = times @ below
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where(total > 0, times @ above / total, np.nan)  # (1 + draws, labels)
    return combine(ratios[0], ratios[1:], names)


def mean_over(result: JsonObject, names: Sequence[str]) -> float | None:
    """The mean of a result of `label_means` over some of its labels; None if it has none of them."""
    means = [result["labels"][name]["mean"] for name in names if name in result["labels"]]
    return float(np.mean(means)) if means else None


def combine(means: np.ndarray, draws: np.ndarray, names: Sequence[str]) -> JsonObject:
    """Means (labels,) and their bootstrap draws (draws, labels) as a result; labels without a mean are left out."""
    there = np.flatnonzero(np.isfinite(means))
    if not len(there):
        return {"mean": None, "low": None, "high": None, "labels": {}}
    draws = draws[:, there]
    finite = np.isfinite(draws)
    over_labels = np.where(finite, draws, 0).sum(1) / np.maximum(finite.sum(1), 1)
    return {
        **interval(means[there].mean(), over_labels),
        "labels": {names[int(i)]: interval(means[i], draws[:, k]) for k, i in enumerate(there)},
    }


def resampled(
    statistic: Callable[[np.ndarray], float], examples: int, seed: int = 0, draws: int = 200
) -> dict[str, float | None]:
    """A statistic of rows with its interval.

    Args:
      statistic: takes integer rows, those of one resample, and returns a number; NaN where it is not defined.
      examples: how many rows there are.
      seed: of the bootstrap.
      draws: how many resamples.
    """
    random = np.random.default_rng(seed)
    values = [statistic(random.integers(0, examples, examples)) for _ in range(draws)]
    return interval(statistic(np.arange(examples)), np.array(values, np.float64))
