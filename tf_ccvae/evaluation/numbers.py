"""How well number labels are read, set and swapped.

Read, from q(y | x), over the images of which the number is known:
  absolute_error     mean |prediction - truth|, in the label's units; lower is better
  r2                 1 - sum (truth - prediction)^2 / sum (truth - mean)^2; 1 is perfect, 0 is what the mean would reach
  rank_correlation   Spearman's; 1 is perfect
  coverage           share of truths inside the 90 % interval of q(y | x); 0.9 is right

Edited, as the judge reads the decoded pictures (`judge_r2` says how well it reads real ones):
  set                every image set to the number of another image, drawn at random
  swap               every image with the characteristic of another image, drawn at random
each with `correlation`, Pearson's between the number wanted and the one that the judge reads (1 is perfect), and
`distance`, the mean absolute difference of the two over the standard deviation of the training values (0 is perfect).
The wanted number of a swap is the donor's own. Where pictures can be drawn again, `counterfactual` has the same edits
against the true pictures; see `counterfactual_numbers`. All have 95 % intervals by bootstrap over images.
"""

from collections.abc import Callable

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation import counterfactual_numbers
from tf_ccvae.evaluation.context import BATCH, Context
from tf_ccvae.evaluation.intervals import resampled
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.evaluation.plain_view import factor_of
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import Label
from tf_ccvae.models.number_counting import HALF_WIDTH
from tf_ccvae.support.files import JsonObject

EDITS = 1000  # images that are edited, at most


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    """1 - residual over total sum of squares, (n,) and (n,); NaN where the truth does not vary."""
    total = np.square(truth - truth.mean()).sum()
    return float(1 - np.square(truth - predicted).sum() / total) if total > 0 else float("nan")


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's, (n,) and (n,); NaN where one of them does not vary."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's, (n,) and (n,); NaN where one of them does not vary."""
    from scipy.stats import rankdata

    return correlation(rankdata(one), rankdata(other))


def reading(truth: np.ndarray, mean: np.ndarray, deviation: np.ndarray, seed: int = 0) -> JsonObject:
    """The measures of predictions, with intervals.

    Args:
      truth: (n,), in the label's units.
      mean, deviation: of q(y | x), (n,).
      seed: of the bootstrap.
    """
    inside = np.abs(truth - mean) <= HALF_WIDTH * deviation
    measures: dict[str, Callable[[np.ndarray], float]] = {
        "absolute_error": lambda rows: float(np.abs(truth - mean)[rows].mean()),
        "r2": lambda rows: r2(truth[rows], mean[rows]),
        "rank_correlation": lambda rows: rank_correlation(truth[rows], mean[rows]),
        "coverage": lambda rows: float(inside[rows].mean()),
    }
    return {name: resampled(measure, len(truth), seed) for name, measure in measures.items()}


def edited(wanted: np.ndarray, seen: np.ndarray, label: Label, seed: int = 0) -> JsonObject:
    """`correlation` and `distance` of the numbers wanted and seen, (n,) each, with intervals."""
    away = np.abs(wanted - seen) / label.units.deviation
    return {
        "correlation": resampled(lambda rows: correlation(wanted[rows], seen[rows]), len(wanted), seed),
        "distance": resampled(lambda rows: float(away[rows].mean()), len(wanted), seed),
    }


def _edits(context: Context, judge: Judge, index: int, truth: np.ndarray, rows: np.ndarray) -> JsonObject:
    """The scores of setting and swapping one label, in images of which it is known."""
    model, label = context.model, context.labels.items[index]
    rows = rows[:EDITS]
    random = np.random.default_rng([context.seed, index])
    donors = rows[random.permutation(len(rows))]
    mask = np.arange(len(context.labels)) == index
    wanted = truth[donors]
    values = np.where(mask, wanted[:, None], np.nan)
    latents = context.latents
    pictures = {
        "set": interventions.set_values(model, latents[rows], values, mask),
        "swap": interventions.swap_values(model, latents[rows], latents[donors], mask),
    }
    name = factor_of(label.name)
    seen = {kind: judge.factor(interventions.decode(model, z), name)[:, 0] for kind, z in pictures.items()}
    return {kind: edited(wanted, x, label, context.seed) for kind, x in seen.items()}


def measure(context: Context, judge: Judge) -> JsonObject:
    """All measures of every number label, by name, as `numbers`.

    Args:
      context: of the model and the data with all labels.
      judge: reads numbers as factors; see `plain_view.without_numbers`.
    """
    parts = [context.model(context.images[i : i + BATCH]).numbers for i in range(0, len(context.images), BATCH)]
    mean, deviation = (np.concatenate([np.asarray(getattr(x, name)) for x in parts]) for name in ("loc", "scale"))
    results = {}
    against_truth = counterfactual_numbers.measure(context)
    for column, index in enumerate(context.labels.numbers):
        name, truth = context.labels.names[index], context.part.labels[:, index].astype(np.float64)
        rows = np.flatnonzero(known(truth))
        if len(rows) < 2:
            continue
        results[name] = {
            "examples": len(rows),
            **reading(truth[rows], mean[rows, column], deviation[rows, column], context.seed),
            "judge_r2": judge.about["factors"].get(factor_of(name)),
            **_edits(context, judge, index, truth, rows),
            **({"counterfactual": against_truth[name]} if against_truth.get(name) else {}),
        }
    return {"numbers": results}
