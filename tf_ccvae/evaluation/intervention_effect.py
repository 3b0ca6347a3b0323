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

from typing import Any

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation.intervals import label_means
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.labelled_vae import LabelledVAE


def edit_probabilities(model: LabelledVAE, latents: np.ndarray, judge: Judge, mode: str = "transport") -> np.ndarray:
    """The judge's probabilities after every edit: float32 (n, labels set, values set, labels, values); NaN as padding.

    Args:
      model: whose interventions these are.
      latents: of the images, (n, D).
      judge: who looks.
      mode: how labels are set.
    """
    labels = model.labels
    result = np.full((len(latents), len(labels), labels.values, len(labels), labels.values), np.nan, np.float32)
    for i, label in enumerate(labels):
        asked = np.arange(len(labels)) == i
        for value in range(label.values):
            edited = interventions.set_values(model, latents, np.where(asked, value, MISSING), asked, mode)
            result[:, i, value] = judge.probabilities(interventions.decode(model, edited))
    return result


def measure(
    labels: Labels,
    truth: np.ndarray,
    original: np.ndarray,
    rebuilt: np.ndarray,
    edited: np.ndarray,
    incompatible: np.ndarray,
    seed: int = 0,
) -> dict[str, Any]:
    """Success, selectivity and the matrix, from the judge's probabilities.

    Args:
      labels: what the labels are.
      truth: integer (n, labels), `MISSING` where not known; there the judge's reading of the original counts.
      original, rebuilt: the judge's probabilities for the images and their reconstructions, (n, labels, values).
      edited: for every edit, (n, labels set, values set, labels, values), as `edit_probabilities` returns.
      incompatible: (labels, values, labels, values), 1 where two values exclude each other.
      seed: of the bootstrap over images.
    """
    count = len(labels)
    current = np.where(truth == MISSING, original.argmax(-1), truth)
    values = np.array([x.values for x in labels])
    changes = np.arange(labels.values) != current[..., None]  # (n, labels, values set)
    changes &= np.arange(labels.values) < values[:, None]
    seen = np.stack([edited[:, i, :, i].argmax(-1) for i in range(count)], axis=1)  # (n, labels, values set)
    right = seen == np.arange(labels.values)
    # A value that few images lack counts as much as one that most of them lack.
    share = changes / np.maximum(changes.sum(axis=0, keepdims=True), 1)
    weight = share.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        success = np.where(weight > 0, (share * right).sum(-1) / weight, 0.0)

    distance = 0.5 * np.abs(edited - original[:, None, None]).sum(-1)  # total variation, (n, i, v, j)
    plain = 0.5 * np.abs(rebuilt - original).sum(-1)[:, None, None]
    excess = np.nan_to_num(distance - plain)
    others = ~np.eye(count, dtype=bool)
    related = incompatible.any(axis=(1, 3))
    edits = changes.astype(float)

    def over_others(pairs: np.ndarray) -> dict[str, Any]:
        per_edit = np.einsum("nivj,ij->niv", excess, pairs) / np.maximum(pairs.sum(1), 1)[None, :, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            change = np.where(edits.sum(-1) > 0, (edits * per_edit).sum(-1) / edits.sum(-1), 0.0)
        return label_means(change, edits.sum(-1) * pairs.any(1), labels.names, seed)

    selectivity = over_others(others)
    selectivity["unrelated"] = over_others(others & ~related)["mean"]
    selectivity["reconstruction"] = float(0.5 * np.abs(rebuilt - original).sum(-1).mean()) if count else 0.0
    return {
        "set_success": label_means(success, weight, labels.names, seed),
        "selectivity": selectivity,
        "matrix": matrix(labels, rebuilt, edited),
    }


def cells(labels: Labels) -> list[tuple[int, int, str]]:
    """Rows and columns of the matrix: (label, value, name), one per binary label and one per class of the others."""
    found = []
    for i, label in enumerate(labels):
        names = enumerate(label.classes) if label.classes else [(1, "")]
        found += [(i, v, f"{label.name}{'=' if name else ''}{name}") for v, name in names]
    return found


def matrix(labels: Labels, rebuilt: np.ndarray, edited: np.ndarray) -> dict[str, Any]:
    """`names` of rows and columns and `values` (rows, columns)."""
    places = cells(labels)
    values = np.zeros((len(places), len(places)))
    mean, plain = edited.mean(axis=0, dtype=np.float64), rebuilt.mean(axis=0, dtype=np.float64)
    for row, (i, v, _) in enumerate(places):
        before = mean[i, 0] if labels.items[i].binary else plain
        for column, (j, w, _) in enumerate(places):
            values[row, column] = mean[i, v, j, w] - before[j, w]
    return {"names": [name for *_, name in places], "values": values.round(5).tolist()}
