"""How far off grades are read, set and swapped, which accuracy does not say: the next grade is as wrong as the last.

Read, the most probable grade of q(y | x), over the images of which the grade is known:
  steps_off          mean |prediction - truth|, in steps from one grade to the next; 0 is perfect
  rank_correlation   Spearman's; 1 is perfect

Edited, as the judge reads the decoded pictures (`judge_steps_off` says how far off it reads real ones):
  set                every image set to the grade of another image, drawn at random
  swap               every image with the characteristic of another image, drawn at random
each with the same two measures of the grade that the judge reads against the one wanted, which of a swap is the
donor's own. All have 95 % intervals by bootstrap over images.
"""

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import resampled
from tf_ccvae.evaluation.numbers import EDITS, rank_correlation
from tf_ccvae.labels import MISSING
from tf_ccvae.support.files import JsonObject


def agreement(wanted: np.ndarray, found: np.ndarray, seed: int = 0) -> JsonObject:
    """`steps_off` and `rank_correlation` of two integer arrays of grades (n,), with intervals."""
    away = np.abs(wanted - found)
    return {
        "steps_off": resampled(lambda rows: float(away[rows].mean()), len(wanted), seed),
        "rank_correlation": resampled(lambda rows: rank_correlation(wanted[rows], found[rows]), len(wanted), seed),
    }


def _edits(context: Context, index: int, truth: np.ndarray, rows: np.ndarray) -> JsonObject:
    """The measures of setting and swapping one label, in images of which it is known."""
    model, rows = context.model, rows[:EDITS]
    random = np.random.default_rng([context.seed, index])
    donors = rows[random.permutation(len(rows))]
    mask = np.arange(len(context.labels)) == index
    wanted, latents = truth[donors], context.latents
    pictures = {
        "set": interventions.set_values(model, latents[rows], np.where(mask, wanted[:, None], MISSING), mask),
        "swap": interventions.swap_values(model, latents[rows], latents[donors], mask),
    }
    seen = {
        kind: context.judge.probabilities(interventions.decode(model, z))[:, index].argmax(-1)
        for kind, z in pictures.items()
    }
    return {kind: agreement(wanted, grades, context.seed) for kind, grades in seen.items()}


def measure(context: Context) -> JsonObject:
    """All measures of every grade, by name, as `grades`; what is edited only for a model that edits labels."""
    results = {}
    for index in context.labels.grades:
        truth = context.truth[:, index]
        rows = np.flatnonzero(truth != MISSING)
        if len(rows) < 2:
            continue
        values = context.labels.items[index].values
        read, judged = (table[:, index, :values].argmax(-1) for table in (context.probabilities, context.seen))
        results[context.labels.names[index]] = {
            "examples": len(rows),
            **agreement(truth[rows], read[rows], context.seed),
            "judge_steps_off": float(np.abs(truth - judged)[rows].mean()),
            **(_edits(context, index, truth, rows) if context.model.edits else {}),
        }
    return {"grades": results}
