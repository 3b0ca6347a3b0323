"""Which values of labels exclude each other: a table with a row and a column for each value of each label.

Values stand label after label, so that T, the number of rows, is the sum of what the labels can be: the table of 40
binary labels and one of 1,000 classes has 1,080 rows, whatever the label with most values.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from tf_ccvae.labels import Labels, value_mask

Pair = tuple[tuple[int, int], tuple[int, int]]  # (label, value) and (label, value), by number


def value_places(labels: Labels) -> np.ndarray:
    """int64 (labels, values): the row of each value; 0 where a label lacks the value."""
    mask = value_mask(labels)
    return np.where(mask, np.cumsum(mask).reshape(mask.shape) - 1, 0)


def value_slices(labels: Labels) -> tuple[slice, ...]:
    """The rows of each label."""
    ends = np.cumsum([0, *(label.values for label in labels)]).tolist()
    return tuple(slice(start, stop) for start, stop in pairwise(ends))


def exclusion_table(pairs: Iterable[Pair], labels: Labels) -> np.ndarray:
    """float32 (T, T): 1 where two values exclude each other, else 0; each pair need be listed once."""
    places = value_places(labels)
    count = sum(label.values for label in labels)
    table = np.zeros((count, count), np.float32)
    for one, other in pairs:
        table[places[one], places[other]] = table[places[other], places[one]] = 1
    return table


def excluding_pairs(table: np.ndarray, labels: Labels) -> list[list[int]]:
    """[label, value, other label, its value] for each 1 in a table, in order."""
    label_and_value = np.argwhere(value_mask(labels))
    rows, columns = np.nonzero(np.asarray(table) > 0)
    return np.concatenate([label_and_value[rows], label_and_value[columns]], axis=1).tolist()


def without_padding(table: np.ndarray, labels: Labels) -> np.ndarray:
    """The table of an older model, (labels, values, labels, values) with padding, as (T, T)."""
    there = np.flatnonzero(value_mask(labels))
    size = value_mask(labels).size
    return np.asarray(table).reshape(size, size)[np.ix_(there, there)]
