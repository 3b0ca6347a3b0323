"""Classes and grades that stand in a later split and in no training example, so that nothing can learn them."""

from collections.abc import Mapping

import numpy as np

from tf_ccvae.labels import MISSING, Labels


def unseen_values(labels: Labels, values: Mapping[str, np.ndarray]) -> list[str]:
    """One sentence for each label of which a split has values that no training example has.

    Args:
      labels: what the labels are. Binary labels are left out: one that never changes has its own warning.
      values: for `train` and the other splits, (examples, labels).
    """
    notes = []
    for i, label in enumerate(labels):
        if not label.classes:
            continue
        counts = {name: _counted(rows[:, i], label.values) for name, rows in values.items()}
        for place in np.flatnonzero(counts["train"] == 0):
            there = [f"{count[place]:,} in {name}" for name, count in counts.items() if count[place]]
            if there:
                notes.append(
                    f"label {label.name!r} is {label.classes[place]!r} in no training example ({', '.join(there)}), so "
                    "it will never be predicted; move some to the training split"
                )
    return notes


def _counted(column: np.ndarray, values: int) -> np.ndarray:
    """How often each value stands in a column of integers, or of floats with NaN for a missing one."""
    column = np.nan_to_num(column, nan=MISSING).astype(np.int64)
    return np.bincount(column[column >= 0], minlength=values)
