"""What carrying a characteristic from a donor to a recipient does to the picture, as the judge sees it.

For every label, every image of the split is the recipient of another one, and the two are drawn so that they differ in
that label where possible.

arrived: share of swaps after which the judge finds the donor's value of the swapped label.
kept: share of the recipient's other labels that the judge still finds; labels whose value the donor's excludes do not
  count.
swap_success: mean over swaps of arrived times the share kept. All in [0, 1]; higher is better.
"""

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import label_means, mean_over
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective.exclusions import value_places
from tf_ccvae.support.files import JsonObject


def choose_donors(truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """For every label and recipient a donor with another known value: integer (labels, n); -1 where there is none."""
    random = np.random.default_rng(seed)
    donors = np.full(truth.T.shape, -1)
    for i, column in enumerate(truth.T):
        for value in np.unique(column[column != MISSING]):
            others = np.flatnonzero((column != value) & (column != MISSING))
            same = np.flatnonzero(column == value)
            if len(others):
                donors[i, same] = random.choice(others, len(same))
    return donors


def swapped_values(model: LabelledVAE, latents: np.ndarray, donors: np.ndarray, judge: Judge) -> np.ndarray:
    """What the judge sees after each swap: int64 (n, labels swapped, labels); -1 where there was no donor."""
    count = len(model.labels)
    seen = np.full((len(latents), count, count), -1)
    for i in range(count):
        rows = np.flatnonzero(donors[i] >= 0)
        if len(rows):
            mask = np.arange(count) == i
            swapped = interventions.swap_values(model, latents[rows], latents[donors[i, rows]], mask)
            seen[rows, i] = judge.values(interventions.decode(model, swapped))
    return seen


def from_arrays(
    labels: Labels, truth: np.ndarray, donors: np.ndarray, seen: np.ndarray, incompatible: np.ndarray, seed: int = 0
) -> JsonObject:
    """`swap_success`, `arrived` and `kept`, with intervals.

    Args:
      labels: what the labels are.
      truth: integer (n, labels), `MISSING` where not known.
      donors: row of each recipient's donor, integer (labels, n), -1 for none.
      seen: what the judge sees afterwards, (n, labels swapped, labels).
      incompatible: (T, T), 1 where two values exclude each other, as `objective.exclusions` has it.
      seed: of the bootstrap over recipients.
    """
    count = len(labels)
    done = (donors >= 0).T  # (n, labels)
    carried = np.stack([truth[donors[i], i] for i in range(count)], axis=1) if count else truth  # the donor's value
    arrived = np.stack([seen[:, i, i] == carried[:, i] for i in range(count)], axis=1) if count else done
    kept = np.zeros(truth.shape)
    places = value_places(labels)
    for i in range(count):
        values, own_values = np.maximum(carried[:, i], 0), np.maximum(truth, 0)
        own = incompatible[places[i, values][:, None], places[np.arange(count), own_values]] > 0  # (n, labels)
        counts = (truth != MISSING) & ~own
        counts[:, i] = False
        same = (seen[:, i] == truth) & counts
        kept[:, i] = np.where(counts.sum(1) > 0, same.sum(1) / np.maximum(counts.sum(1), 1), 1.0)
    return {
        "swap_success": label_means(arrived * kept, done, labels.names, seed),
        "arrived": label_means(arrived.astype(float), done, labels.names, seed),
        "kept": label_means(kept, done, labels.names, seed),
    }


def measure(context: Context) -> JsonObject:
    """`swap_success`, and as `swap` its two parts."""
    donors = choose_donors(context.truth, context.seed)
    seen = swapped_values(context.model, context.latents, donors, context.judge)
    swaps = from_arrays(context.labels, context.truth, donors, seen, context.incompatible, context.seed)
    success = swaps.pop("swap_success")
    success["read_well"] = mean_over(success, context.read_well)  # labels that the judge reads on real images
    return {"swap_success": success, "swap": swaps}
