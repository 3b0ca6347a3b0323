"""What setting a label does to what no label is about: background, clothes and position, as the judge reads them.

Of up to `EXAMPLES` images a label, those that come first in the split, the label is set to another value. Only for data
sets that name their style factors (`Dataset.about["style_factors"]`), which the judge has learned to read.

style_kept: the judge's readings before, those of the plain reconstructions, against its readings after: for each factor
  the share of images with the same category, or 1 - sum |after - before|^2 / sum |before - mean of before|^2 of a
  continuous one; mean over factors. 1 is kept; 0 is what the mean reading in place of every reading would give. It can
  be below 0.
"""

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import label_ratios
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING
from tf_ccvae.support.files import JsonObject

EXAMPLES = 200


def losses(judge: Judge, factor: str, before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a reading loses, and what it could lose: float64 (n,) each.

    Args:
      judge: who reads.
      factor: name of a factor that the judge knows.
      before, after: its readings of n pictures, as `Judge.factor` returns them.
    """
    if judge.factors[factor] is not None:
        return (before.argmax(1) != after.argmax(1)).astype(np.float64), np.ones(len(before))
    before, after = before.astype(np.float64), after.astype(np.float64)
    return np.square(after - before).sum(1), np.square(before - before.mean(0)).sum(1)


def measure(context: Context) -> JsonObject:
    """`style_kept`, and as its `factors` the mean over labels for each; nothing where no factor is of style."""
    judge, labels = context.judge, context.labels
    factors = [x for x in context.dataset.about.get("style_factors", ()) if x in judge.factors]
    if not factors:
        return {}
    shape = (len(factors), len(context.images), len(labels))
    lost, possible = np.zeros(shape), np.zeros(shape)
    for i, label in enumerate(labels):
        rows = np.flatnonzero(context.truth[:, i] != MISSING)[:EXAMPLES]
        if not len(rows):
            continue
        mask = np.arange(len(labels)) == i
        values = np.where(mask, (context.truth[rows, i, None] + 1) % label.values, MISSING)
        edited = interventions.set_values(context.model, context.latents[rows], values, mask)
        pictures = interventions.decode(context.model, edited)
        for k, factor in enumerate(factors):
            readings = judge.factor(context.rebuilt[rows], factor), judge.factor(pictures, factor)
            lost[k, rows, i], possible[k, rows, i] = losses(judge, factor, *readings)
    whole = possible.sum(1, keepdims=True)
    lost, possible = (np.divide(x, whole, out=np.zeros_like(x), where=whole > 0) for x in (lost, possible))
    kept = possible - lost

    def mean(of: slice) -> JsonObject:
        return label_ratios(kept[of].sum(0), possible[of].sum(0), labels.names, context.seed)

    each = {factor: mean(slice(k, k + 1))["mean"] for k, factor in enumerate(factors)}
    return {"style_kept": {**mean(slice(None)), "factors": each}}
