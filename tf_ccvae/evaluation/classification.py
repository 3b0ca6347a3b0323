"""How well the model reads labels: accuracy, balanced accuracy, AUROC, average precision, calibration error.

From q(y|x) integrated over the posterior ('exact') and from q(y|z) at the posterior mean. All in [0, 1]; higher is
better but for the calibration error, 0 of which is best.

The expected calibration error is sum_b n_b / n |right_b - confidence_b| over 15 equal bins b of the confidence, the
probability of the most probable value.

References:
  Guo et al., "On calibration of modern neural networks", ICML 2017 (expected calibration error).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from tf_ccvae.evaluation.intervals import combine
from tf_ccvae.labels import MISSING, Labels

BINS = 15
DRAWS = 200
MEASURES = ("accuracy", "balanced_accuracy", "auroc", "average_precision", "calibration_error")


def accuracy(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of examples whose most probable value is the true one: (n,) and (n, values)."""
    return float((probabilities.argmax(1) == truth).mean()) if len(truth) else np.nan


def balanced_accuracy(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the values that occur of the share of their examples that are found."""
    right = probabilities.argmax(1) == truth
    return float(np.mean([right[truth == v].mean() for v in np.unique(truth)])) if len(truth) else np.nan


def auroc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the receiver operating characteristic; mean over values, each against the rest, if more than two."""
    return _against_rest(roc_auc_score, truth, probabilities)


def average_precision(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Average precision; mean over values, each against the rest, if more than two."""
    return _against_rest(average_precision_score, truth, probabilities)


def _against_rest(score: Callable[..., float], truth: np.ndarray, probabilities: np.ndarray) -> float:
    values = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    both = [v for v in values if 0 < (truth == v).sum() < len(truth)]
    return float(np.mean([score(truth == v, probabilities[:, v]) for v in both])) if both else np.nan


def calibration_error(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error, in [0, 1]."""
    if not len(truth):
        return np.nan
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, right - confidence.astype(np.float64), BINS)
    return float(np.abs(gaps).sum() / len(truth))


def measure(truth: np.ndarray, probabilities: np.ndarray, labels: Labels, seed: int = 0) -> dict[str, Any]:
    """All five measures over labels, with intervals.

    Args:
      truth: integer (n, labels), `MISSING` where not known.
      probabilities: float (n, labels, values), 0 for values that a label does not have.
      labels: what the labels are.
      seed: of the bootstrap over examples.

    Returns:
      For each measure `mean` (over labels), `low`, `high` and `labels`.
    """
    random = np.random.default_rng(seed)
    rows = [np.arange(len(truth)), *(random.integers(0, len(truth), len(truth)) for _ in range(DRAWS))]
    result = {}
    for name in MEASURES:
        score = globals()[name]
        table = np.full((len(rows), len(labels)), np.nan)
        for i, label in enumerate(labels):
            for draw, row in enumerate(rows):
                kept = row[truth[row, i] != MISSING]
                if len(kept):
                    table[draw, i] = score(truth[kept, i], probabilities[kept, i, : label.values])
        result[name] = combine(table[0], table[1:], labels.names)
    return result
