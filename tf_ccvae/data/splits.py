"""Train, validation and test from whatever splits a catalogue of data sets has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tf_ccvae.data.dataset import DataError

OTHER_NAMES = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_SHUFFLE_SEED = 0  # not the run's: runs with other seeds share the decoded pictures


@dataclass(frozen=True)
class Plan:
    """Which examples are read in what order, and where they end up.

    Args:
      parts: the splits of the source to read, one after the other, with their number of examples.
      order: int64 (examples,), the row in the cache of each example that is read.
      rows: for train, validation and test, the first row and the one after the last.
      shuffled: whether the training split is read in another order than it is kept in, to draw other splits from it.
      unlabelled: the splits among `parts` whose examples are trained on without labels.
      notes: what becomes of splits with other names, one sentence each.
    """

    parts: tuple[tuple[str, int], ...]
    order: np.ndarray
    rows: Mapping[str, tuple[int, int]]
    shuffled: bool = False
    unlabelled: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def examples(self) -> int:
        return len(self.order)

    def between(self, start: int, stop: int) -> list[tuple[str, int, int]]:
        """Examples start .. stop - 1 in the order of reading: for each split of the source its name, start and stop."""
        found, before = [], 0
        for name, count in self.parts:
            first, last = max(start - before, 0), min(stop - before, count)
            if first < last:
                found.append((name, first, last))
            before += count
        return found


def class_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of a categorical label's classes; their numbers where two share a name."""
    return tuple(names) if len(set(names)) == len(names) else tuple(map(str, range(len(names))))


def plan(sizes: Mapping[str, int], validation_fraction: float, test_fraction: float, where: str) -> Plan:
    """Takes the source's own splits, and draws validation and test from the training split where it has none.

    What is drawn is the same for every seed of a run, and a larger fraction holds what a smaller one does.

    A split called `unlabelled` or `unsupervised` is trained on without labels.

    Args:
      sizes: examples of each split of the source. The training split is called `train`, or is the only one with labels.
      validation_fraction, test_fraction: shares of the training split, above 0 and below 1, at least one example each.
      where: the source, for messages.

    Raises:
      DataError: there is no training split, or too few examples.
    """
    filled = {name: count for name, count in sizes.items() if count}
    unlabelled = tuple(name for name in filled if is_unlabelled(name))
    labelled = [name for name in filled if name not in unlabelled]
    if "train" not in labelled and len(labelled) != 1:
        raise DataError(
            f"{where}: no split 'train' among its splits ({', '.join(filled) or 'none'}); use another data set"
        )
    train = "train" if "train" in labelled else labelled[0]
    own = {
        split: next((name for name in names if name in filled and name != train), None)
        for split, names in OTHER_NAMES.items()
    }
    fractions = {"validation": validation_fraction, "test": test_fraction}
    drawn = {split: max(1, round(sizes[train] * fractions[split])) for split, name in own.items() if name is None}
    kept = sizes[train] - sum(drawn.values())
    if kept < 1:
        raise DataError(
            f"{where}: {sizes[train]} examples in split {train!r} are too few to draw {' and '.join(drawn)} from; "
            "change data.validation_fraction and data.test_fraction"
        )
    first = sum(sizes[name] for name in unlabelled)  # rows in front, so that all that is trained on stands together
    end = first + kept
    rows = {"train": (0, end)}
    for split, count in drawn.items():  # behind what is kept, in the same shuffled split
        rows[split], end = (end, end + count), end + count
    for split, name in own.items():
        if name is not None:
            rows[split], end = (end, end + sizes[name]), end + sizes[name]
    others = [name for name in own.values() if name is not None]
    shuffled = np.random.default_rng(_SHUFFLE_SEED).permutation(sizes[train])
    order = np.concatenate(
        [
            first + (shuffled if drawn else np.arange(sizes[train])),
            np.arange(first),
            np.arange(first + sizes[train], end),
        ]
    )
    parts = tuple((name, sizes[name]) for name in (train, *unlabelled, *others))
    notes = [f"split {name!r} ({sizes[name]:,} examples) is trained on without labels" for name in unlabelled]
    left = [name for name in filled if name not in (train, *unlabelled, *others)]
    notes += [f"split {name!r} ({sizes[name]:,} examples) is not read" for name in left]
    return Plan(parts, order.astype(np.int64), rows, bool(drawn), frozenset(unlabelled), tuple(notes))


def is_unlabelled(split: str) -> bool:
    """Whether the name of a split says that its examples have no labels."""
    return any(word in split.lower() for word in ("unlabel", "unsupervised"))
