"""What setting a label does to the picture, as the judge sees it.

For every label and every value, the label of every image of the split is set to that value.

success: share of edits after which the judge sees the value that was set, among images that have another value; mean
  over the label's values. In [0, 1]; higher is better.
selectivity: mean over edits of the mean absolute change of the judge's probability of all other labels, against the
  original image, minus the same for the plain reconstruction. In [-1, 1]; lower is better, 0 is the reconstruction's
  own. `unrelated` is the same without pairs of labels whose values exclude each other (blond and brown hair). None
  where there are no other labels.
matrix: mean change of the judge's probability of a column's value when a row's label is set on instead of off (a
  categorical label has a row per class: set to that class instead of left alone). In [-1, 1]; the diagonal should be
  near 1, the rest near 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import label_means
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.support.files import JsonObject


class Edits(NamedTuple):
    """What the judge sees after each edit of each image.

    value: the most probable value of the label that was set, int64 (n, labels set, values set).
    change: total variation from the judge's probabilities of the original, (n, labels set, values set, labels).
    mean: the judge's probabilities, mean over images, float64 (labels set, values set, labels, values).

    What a label without such a value would have is 0, 0 and NaN.
    """

    value: np.ndarray
    change: np.ndarray
    mean: np.ndarray


def look_at(edited: Callable[[int, int], np.ndarray], labels: Labels, original: np.ndarray) -> Edits:
    """Summarises edits one after the other, so that memory holds the probabilities of one edit at a time.

    Args:
      edited: the judge's probabilities after label i is set to value v in every image, (n, labels, values).
      labels: what the labels are.
      original: the judge's probabilities for the images, (n, labels, values).
    """
    shape = (len(labels), labels.values)
    value = np.zeros((len(original), *shape), np.int64)
    change = np.zeros((len(original), *shape, len(labels)), original.dtype)
    mean = np.full((*shape, *shape), np.nan)
    for i, label in enumerate(labels):
        for v in range(label.values):
            seen = edited(i, v)
            value[:, i, v] = seen[:, i].argmax(-1)
            change[:, i, v] = 0.5 * np.abs(seen - original).sum(-1)
            mean[i, v] = seen.mean(axis=0, dtype=np.float64)
    return Edits(value, change, mean)


def edit_probabilities(
    model: LabelledVAE, latents: np.ndarray, judge: Judge, label: int, value: int, mode: str = "transport"
) -> np.ndarray:
    """The judge's probabilities after one label is set to a value in every image: float32 (n, labels, values).

    Args:
      model: whose interventions these are.
      latents: of the images, (n, D).
      judge: who looks.
      label: position of the label.
      value: of the label.
      mode: how labels are set.
    """
    mask = np.arange(len(model.labels)) == label
    edited = interventions.set_values(model, latents, np.where(mask, value, MISSING), mask, mode)
    return judge.probabilities(interventions.decode(model, edited))


def from_arrays(
    labels: Labels,
    truth: np.ndarray,
    original: np.ndarray,
    rebuilt: np.ndarray,
    edits: Edits,
    incompatible: np.ndarray,
    seed: int = 0,
) -> JsonObject:
    """Success, selectivity and the matrix, from the judge's probabilities.

    Args:
      labels: what the labels are.
      truth: integer (n, labels), `MISSING` where not known; there the judge's reading of the original counts.
      original, rebuilt: the judge's probabilities for the images and their reconstructions, (n, labels, values).
      edits: what the judge sees after every edit, as `look_at` returns it.
      incompatible: (labels, values, labels, values), 1 where two values exclude each other.
      seed: of the bootstrap over images.
    """
    count = len(labels)
    current = np.where(truth == MISSING, original.argmax(-1), truth)
    values = np.array([x.values for x in labels])
    changes = np.arange(labels.values) != current[..., None]  # (n, labels, values set)
    changes &= np.arange(labels.values) < values[:, None]
    right = edits.value == np.arange(labels.values)
    # A value that few images lack counts as much as one that most of them lack.
    share = changes / np.maximum(changes.sum(axis=0, keepdims=True), 1)
    weight = share.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        success = np.where(weight > 0, (share * right).sum(-1) / weight, 0.0)

    plain = 0.5 * np.abs(rebuilt - original).sum(-1)[:, None, None]
    there = np.arange(labels.values) < values[:, None]  # (labels, values set)
    excess = np.where(there[..., None], edits.change - plain, 0)  # (n, i, v, j)
    others = ~np.eye(count, dtype=bool)
    related = incompatible.any(axis=(1, 3))
    changed = changes.astype(float)

    def over_others(pairs: np.ndarray) -> JsonObject:
        per_edit = np.einsum("nivj,ij->niv", excess, pairs) / np.maximum(pairs.sum(1), 1)[None, :, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            change = np.where(changed.sum(-1) > 0, (changed * per_edit).sum(-1) / changed.sum(-1), 0.0)
        return label_means(change, changed.sum(-1) * pairs.any(1), labels.names, seed)

    selectivity = over_others(others)
    selectivity["unrelated"] = over_others(others & ~related)["mean"]
    selectivity["reconstruction"] = float(0.5 * np.abs(rebuilt - original).sum(-1).mean()) if count else 0.0
    return {
        "set_success": label_means(success, weight, labels.names, seed),
        "selectivity": selectivity,
        "matrix": matrix(labels, rebuilt, edits.mean),
    }


def cells(labels: Labels) -> list[tuple[int, int, str]]:
    """Rows and columns of the matrix: (label, value, name), one per binary label and one per class of the others."""
    parts = []
    for i, label in enumerate(labels):
        names = enumerate(label.classes) if label.classes else [(1, "")]
        parts += [(i, v, f"{label.name}{'=' if name else ''}{name}") for v, name in names]
    return parts


def matrix(labels: Labels, rebuilt: np.ndarray, mean: np.ndarray) -> JsonObject:
    """`names` of rows and columns and `values` (rows, columns)."""
    places = cells(labels)
    values = np.zeros((len(places), len(places)))
    plain = rebuilt.mean(axis=0, dtype=np.float64)
    for row, (i, v, _) in enumerate(places):
        before = mean[i, 0] if labels.items[i].binary else plain
        for column, (j, w, _) in enumerate(places):
            values[row, column] = mean[i, v, j, w] - before[j, w]
    return {"names": [name for *_, name in places], "values": values.round(5).tolist()}


def measure(context: Context) -> JsonObject:
    """`set_success`, `selectivity` and `intervention_matrix`."""

    def edited(label: int, value: int) -> np.ndarray:
        return edit_probabilities(context.model, context.latents, context.judge, label, value)

    edits = look_at(edited, context.labels, context.seen)
    arrays = (context.truth, context.seen, context.seen_rebuilt, edits, context.incompatible)
    effect = from_arrays(context.labels, *arrays, context.seed)
    matrix_of_edits = effect.pop("matrix")
    return {**effect, "intervention_matrix": matrix_of_edits}
