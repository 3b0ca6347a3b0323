"""How well the model reads labels: accuracy, balanced accuracy, AUROC, average precision, calibration error.

From q(y|x) integrated over the posterior ('exact') and from q(y|z) at the posterior mean. All in [0, 1]; higher is
better but for the calibration error, 0 of which is best.

The expected calibration error is sum_b n_b / n |right_b - confidence_b| over 15 equal bins b of the confidence, the
probability of the most probable value.

The bootstrap over examples is a matrix `times` (draws, n): how often each example is in each resample. All measures
take it and give one number per row, (draws,); `NaN` where a resample has no example or, for the two areas, one value
only. scikit-learn's `roc_auc_score` and `average_precision_score` give the same with `sample_weight`, one resample at a
time, which is a hundred times as slow.

References:
  Guo et al., "On calibration of modern neural networks", ICML 2017 (expected calibration error).
"""

from collections.abc import Callable

import numpy as np

from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import combine
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.support.files import JsonObject

BINS = 15
DRAWS = 200


def accuracy(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Share of examples whose most probable value is the true one: (n,), (n, values) and (draws, n) -> (draws,)."""
    return _ratio(times @ (probabilities.argmax(1) == truth), times.sum(1))


def balanced_accuracy(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean over the values that occur of the share of their examples that are predicted so."""
    right = probabilities.argmax(1) == truth
    of_value = truth[:, None] == np.unique(truth)
    return _mean(_ratio(times @ (of_value & right[:, None]), times @ of_value))


def auroc(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Area under the receiver operating characteristic; mean over values, each against the rest, if more than two.

    P(score of a positive example > that of a negative one) + P(equal) / 2.
    """

    def area(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
        above = positive.sum(1, keepdims=True) - positive.cumsum(1)
        pairs = (negative * (above + positive / 2)).sum(1)
        return _ratio(pairs, positive.sum(1) * negative.sum(1))

    return _against_rest(area, truth, probabilities, times)


def average_precision(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Average precision; mean over values, each against the rest, if more than two.

    sum_k (recall_k - recall_{k-1}) precision_k over the scores k as thresholds, from the highest on.
    """

    def area(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
        hits, wrong = (part[:, ::-1].cumsum(1)[:, ::-1] for part in (positive, negative))
        precision = np.nan_to_num(_ratio(hits, hits + wrong))
        both = (positive.sum(1) > 0) & (negative.sum(1) > 0)
        return np.where(both, _ratio((positive * precision).sum(1), positive.sum(1)), np.nan)

    return _against_rest(area, truth, probabilities, times)


def calibration_error(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Expected calibration error, in [0, 1]."""
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == truth
    bins = np.eye(BINS)[np.minimum((confidence * BINS).astype(int), BINS - 1)]
    gaps = times @ (bins * (right - confidence)[:, None])  # (draws, bins)
    return _ratio(np.abs(gaps).sum(1), times.sum(1))


Area = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _against_rest(area: Area, truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The mean of an area over values; it takes how often positive and negative examples have each score, ascending."""
    values = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = []
    for value in values:
        order = np.argsort(probabilities[:, value], kind="stable")
        scores = probabilities[order, value]
        starts = np.flatnonzero(np.diff(scores, prepend=scores[:1] - 1))  # of examples with one score
        positive = truth[order] == value
        counts = (np.add.reduceat(times[:, order] * part, starts, axis=1) for part in (positive, ~positive))
        areas.append(area(*counts))
    return _mean(np.stack(areas, axis=1))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean(columns: np.ndarray) -> np.ndarray:
    """The mean of each row over its numbers; NaN for a row without any."""
    return _ratio(np.nansum(columns, axis=1), np.isfinite(columns).sum(1))


MEASURES = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "auroc": auroc,
    "average_precision": average_precision,
    "calibration_error": calibration_error,
}


def from_arrays(truth: np.ndarray, probabilities: np.ndarray, labels: Labels, seed: int = 0) -> JsonObject:
    """All five measures over labels, with intervals.

    Args:
      truth: integer (n, labels), `MISSING` where not known.
      probabilities: float (n, labels, values), 0 for values that a label does not have.
      labels: what the labels are.
      seed: of the bootstrap over examples.

    Returns:
      For each measure `mean` (over labels), `low`, `high` and `labels`.
    """
    examples = len(truth)
    drawn = np.random.default_rng(seed).multinomial(examples, np.full(examples, 1 / examples), DRAWS)
    times = np.vstack([np.ones(examples), drawn])  # the first row is the sample itself
    result = {}
    for name, score in MEASURES.items():
        table = np.full((len(times), len(labels)), np.nan)
        for i, label in enumerate(labels):
            rows = truth[:, i] != MISSING
            if rows.any():
                table[:, i] = score(truth[rows, i], probabilities[rows, i, : label.values], times[:, rows])
        result[name] = combine(table[0], table[1:], labels.names)
    return result


def measure(context: Context) -> JsonObject:
    """All five measures of q(y|x) as `exact`, and of q(y|z) as `posterior_mean` for a model that has it."""
    result = {"exact": from_arrays(context.truth, context.probabilities, context.labels, context.seed)}
    points = context.model.values_table(context.latents)
    if points is not None:
        result["posterior_mean"] = from_arrays(context.truth, np.asarray(points), context.labels, context.seed)
    return {"classification": result}
