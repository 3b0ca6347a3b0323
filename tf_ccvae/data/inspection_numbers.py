"""What is in the number labels of a data set: range, mean, histogram, missing values, and pictures from low to high.

Also how they go together with each other and with the values of other labels: Pearson's r, in which a value is 1 where
a label has it and 0 where it has another.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ccvae.data.dataset import Split
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import Labels
from tf_ccvae.support.files import JsonObject

BINS = 10  # of a histogram, equal in width over the range of all splits
_ROWS = 65536  # examples that are summed up at a time
SHADES = " .:-=+*#@"  # of the bins in a line of text, from none to the most


class Pair(NamedTuple):
    """Two columns, how they correlate, and what a large correlation of them means, as the predicate of a sentence."""

    one: str
    other: str
    r: float
    how: str


def describe(labels: Labels, splits: Mapping[str, Split]) -> list[JsonObject]:
    """For each number label its name, the edges of the bins, and for each split what its values are like.

    Args:
      labels: what the labels are.
      splits: by name.
    """
    rows = []
    for i in labels.numbers:
        columns = {name: split.labels[:, i] for name, split in splits.items()}
        every = np.concatenate(list(columns.values()))
        every = every[known(every)].astype(np.float64)
        edges = np.linspace(every.min(), every.max(), BINS + 1) if len(every) else np.linspace(0, 1, BINS + 1)
        of_splits = {name: _of_column(column, edges) for name, column in columns.items()}
        rows.append({"label": labels.names[i], "edges": edges.tolist(), **of_splits})
    return rows


def _of_column(column: np.ndarray, edges: np.ndarray) -> JsonObject:
    there = column[known(column)].astype(np.float64)
    row: JsonObject = {"known": len(there), "histogram": np.histogram(there, edges)[0].tolist()}
    if len(there):
        low, middle, high = np.quantile(there, [0, 0.5, 1])
        row |= {"low": low, "median": middle, "high": high, "mean": there.mean(), "deviation": there.std()}
    return row


def correlation(labels: Labels, split: Split, values: Sequence[tuple[int, int]]) -> np.ndarray:
    """Pearson's r over the examples that know both, NaN where one of them does not vary.

    Args:
      labels: what the labels are.
      split: whose labels are looked at.
      values: position of the label, and value.

    Returns:
      float64 (number labels, number labels + values): of numbers, with each other and with values.
    """
    numbers, columns = list(labels.numbers), [*labels.numbers, *(label for label, _ in values)]
    if not numbers:
        return np.zeros((0, len(columns)))
    wanted = np.array([value for _, value in values])
    middle = np.array(
        [np.mean(x[known(x)], dtype=np.float64) if known(x).any() else 0 for x in split.labels[:, numbers].T]
    )
    sums = np.zeros((6, len(numbers), len(columns)))  # over the examples that know both
    for start in range(0, len(split), _ROWS):
        rows = split.labels[start : start + _ROWS][:, columns].astype(np.float64)
        there = known(rows)
        rows[:, : len(numbers)] -= middle  # squares of numbers far from 0 would lose their digits
        rows[:, len(numbers) :] = rows[:, len(numbers) :] == wanted
        rows, there = np.where(there, rows, 0), there.astype(np.float64)
        own, mine = rows[:, : len(numbers)], there[:, : len(numbers)]
        sums += [mine.T @ there, own.T @ there, mine.T @ rows, own.T**2 @ there, mine.T @ rows**2, own.T @ rows]
    count, one, other, one_squared, other_squared, both = sums
    squares = count * one_squared, count * other_squared
    spreads = squares[0] - one**2, squares[1] - other**2
    varies = np.logical_and(*(x > 1e-10 * most for x, most in zip(spreads, squares, strict=True)))  # beyond rounding
    scale = np.sqrt(np.where(varies, spreads[0] * spreads[1], 1))
    return np.where(varies, (count * both - one * other) / scale, np.nan)


def named(labels: Labels, values: Sequence[str], r: np.ndarray) -> JsonObject:
    """What `correlation` found, as JSON holds it; `values` has the names of the values."""
    names = list(labels.of_numbers.names)
    rows = [[None if np.isnan(x) else round(float(x), 4) for x in row] for row in r]
    return {"numbers": names, "with": [*names, *values], "correlation": rows}


def pairs(labels: Labels, values: Sequence[str], r: np.ndarray) -> Iterator[Pair]:
    """The pairs in what `correlation` found of which both vary, each once."""
    names = [*labels.of_numbers.names, *values]
    for i, j in zip(*np.nonzero(np.triu(np.isfinite(r), 1)), strict=True):
        yield Pair(names[i], names[j], float(r[i, j]), "nearly determine each other")


def lines(rows: list[JsonObject], examples: int) -> Iterator[str]:
    """The table of the numbers that training sees; nothing if there are none."""
    if not rows:
        return
    yield ""
    width = max([6, *(len(row["label"]) for row in rows)])
    yield f"{'number':{width}} {'seen':>9} {'missing':>8} {'lowest':>9} {'median':>9} {'highest':>9}  histogram"
    for row in rows:
        seen = row["seen in training"]
        range_ = (f"{seen[name]:.4g}" if name in seen else "-" for name in ("low", "median", "high"))
        low, middle, high = range_
        missing = f"{1 - seen['known'] / max(examples, 1):.1%}"
        most = max(seen["histogram"]) or 1
        bars = "".join(SHADES[-(-count * (len(SHADES) - 1) // most)] for count in seen["histogram"])
        yield f"{row['label']:{width}} {seen['known']:9,} {missing:>8} {low:>9} {middle:>9} {high:>9}  |{bars}|"


def pictures(split: Split, labels: Labels, columns: int) -> tuple[list[str], np.ndarray]:
    """A title and a row of pictures for each number label, from its lowest value to its highest.

    Returns:
      The titles, and uint8 (number labels, columns, height, width, channels), white where there are too few pictures.
    """
    sheet = np.full((len(labels.numbers), columns, *split.images.shape[1:]), 255, np.uint8)
    titles = []
    for row, i in zip(sheet, labels.numbers, strict=True):
        column = split.labels[:, i]
        ordered = np.flatnonzero(known(column))
        ordered = ordered[np.argsort(column[ordered], kind="stable")]
        count = min(columns, len(ordered))
        chosen = ordered[np.linspace(0, len(ordered) - 1, count).round().astype(int)] if count else ordered
        for place, example in enumerate(chosen):
            row[place] = split.images[example]
        low, high = (f"{column[chosen[end]]:.4g}" if count else "-" for end in (0, -1))
        titles.append(f"{labels.names[i]}: {low} to {high}")
    return titles, sheet
