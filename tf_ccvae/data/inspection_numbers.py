"""What is in the number labels of a data set: range, mean, histogram, missing values, and pictures from low to high."""

from collections.abc import Iterator, Mapping

import numpy as np

from tf_ccvae.data.dataset import Split
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import Labels
from tf_ccvae.support.files import JsonObject

BINS = 10  # of a histogram, equal in width over the range of all splits
SHADES = " .:-=+*#@"  # of the bins in a line of text, from none to the most


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
