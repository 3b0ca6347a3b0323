"""What setting a label does to the picture, as the judge sees it.

For every label and every value, the label of every image of the split is set to that value.

success: share of edits after which the judge sees the value that was set, among images that have another value; mean
  over the label's values. In [0, 1]; higher is better. `read_well` is the mean over the labels that the judge reads
  right on at least 0.9 of real images.
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
from tf_ccvae.evaluation.intervals import label_means, mean_over
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING, Labels, value_mask
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective.exclusions import value_places, value_slices
from tf_ccvae.support.files import JsonObject


class Edits(NamedTuple):
    """What the judge sees after each edit of each image.

    T is the number of edits: the values of all labels together, label after label, as `objective.exclusions` has them.
    It takes 4 n T (L + 1) + 8 T^2 bytes for n images and L labels.

    value: the most probable value of the label that was set, int32 (n, T).
    change: total variation from the judge's probabilities of the original, (n, T, labels).
    mean: the judge's probabilities of all values, mean over images, float64 (T, T).
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
    there = value_mask(labels)
    count = int(there.sum())
    value = np.zeros((len(original), count), np.int32)
    change = np.zeros((len(original), count, len(labels)), original.dtype)
    mean = np.zeros((count, count))
    for place, (i, v) in enumerate(np.argwhere(there).tolist()):
        seen = edited(i, v)
        value[:, place] = seen[:, i].argmax(-1)
        change[:, place] = 0.5 * np.abs(seen - original).sum(-1)
        mean[place] = seen.mean(axis=0, dtype=np.float64)[there]
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
      incompatible: (T, T), 1 where two values exclude each other, as `objective.exclusions` has it.
      seed: of the bootstrap over images.
    """
    count, slices = len(labels), value_slices(labels)
    current = np.where(truth == MISSING, original.argmax(-1), truth)
    plain = 0.5 * np.abs(rebuilt - original).sum(-1)  # (n, labels)
    success, weight = np.zeros(truth.shape), np.zeros(truth.shape)
    changed = np.zeros(truth.shape)  # edits of a label that change its value
    excess = np.zeros((*truth.shape, count))  # mean over these, by label set and label looked at
    for i, label in enumerate(labels):  # one after the other, so that copies are those of one label
        changes = np.arange(label.values) != current[:, i, None]  # (n, values set)
        right = edits.value[:, slices[i]] == np.arange(label.values)
        # A value that few images lack counts as much as one that most of them lack.
        share = changes / np.maximum(changes.sum(axis=0), 1)
        weight[:, i] = share.sum(-1)
        success[:, i] = (share * right).sum(-1) / np.maximum(weight[:, i], 1e-300)
        changed[:, i] = changes.sum(-1)
        summed = np.einsum("nv,nvj->nj", changes.astype(float), edits.change[:, slices[i]])
        mean = summed / np.maximum(changed[:, i, None], 1) - plain
        excess[:, i] = np.where(changed[:, i, None] > 0, mean, 0.0)

    others = ~np.eye(count, dtype=bool)
    related = np.array([[incompatible[a, b].any() for b in slices] for a in slices]).reshape(count, count)

    def over_others(pairs: np.ndarray) -> JsonObject:
        change = np.einsum("nij,ij->ni", excess, pairs) / np.maximum(pairs.sum(1), 1)
        return label_means(change, changed * pairs.any(1), labels.names, seed)

    selectivity = over_others(others)
    selectivity["unrelated"] = over_others(others & ~related)["mean"]
    selectivity["reconstruction"] = float(plain.mean()) if count else 0.0
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
    places, rows = cells(labels), value_places(labels)
    columns = [rows[j, w] for j, w, _ in places]
    plain = rebuilt.mean(axis=0, dtype=np.float64)[value_mask(labels)]
    values = np.zeros((len(places), len(places)))
    for row, (i, v, _) in enumerate(places):
        before = mean[rows[i, 0]] if labels.items[i].binary else plain
        values[row] = (mean[rows[i, v]] - before)[columns]
    return {"names": [name for *_, name in places], "values": values.round(5).tolist()}


def measure(context: Context) -> JsonObject:
    """`set_success`, `selectivity` and `intervention_matrix`."""

    def edited(label: int, value: int) -> np.ndarray:
        return edit_probabilities(context.model, context.latents, context.judge, label, value)

    edits = look_at(edited, context.labels, context.seen)
    arrays = (context.truth, context.seen, context.seen_rebuilt, edits, context.incompatible)
    effect = from_arrays(context.labels, *arrays, context.seed)
    effect["set_success"]["read_well"] = mean_over(effect["set_success"], context.read_well)
    matrix_of_edits = effect.pop("matrix")
    return {**effect, "intervention_matrix": matrix_of_edits}
