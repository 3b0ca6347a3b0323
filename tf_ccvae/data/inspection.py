"""What is in a data set: counts, rates, missing labels, which labels go together, and pictures of each.

A *value* is what is counted: a binary label that is 1, or one class of a categorical label. Numbers are not counted so;
`inspection_numbers` describes them and how they go together with values and with each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tf_ccvae.data import inspection_numbers
from tf_ccvae.data.dataset import SPLITS, Dataset, Split
from tf_ccvae.data.inspection_numbers import Pair
from tf_ccvae.label_arrays import known as is_known
from tf_ccvae.labels import Labels
from tf_ccvae.support.files import JsonObject

RARE = 50  # training examples: with fewer a label is not learned
RARE_SHARE = 0.01  # of the training examples that know a binary label
CORRELATED = 0.8  # |r| above which two labels cannot be told apart
IN_FULL = 100  # values up to which every pair is written down
STRONGEST = 20  # pairs that are listed
_ROWS = 65536  # examples that are counted at a time


@dataclass(frozen=True)
class Value:
    """One value: its name, the position of its label and the number that stands for it."""

    name: str
    label: int
    value: int


def values_of(labels: Labels) -> list[Value]:
    """All values of all labels but numbers."""
    return [
        Value(f"{label.name}={label.classes[k]}" if label.classes else label.name, i, k)
        for i, label in enumerate(labels)
        if not label.scale
        for k in (range(label.values) if label.classes else (1,))
    ]


@dataclass(frozen=True)
class Counts:
    """How often values come together.

    Args:
      both: int64 (values, values), examples with both values; those with one on the diagonal.
      known: int64 (values, values), examples that know the labels of both.
      first: int64 (values, values), examples with the first value among those.
    """

    both: np.ndarray
    known: np.ndarray
    first: np.ndarray

    def correlation(self) -> np.ndarray:
        """Pearson's r over the examples that know both labels, (values, values); NaN where a value does not vary."""
        n, a, b = (x.astype(np.float64) for x in (self.known, self.first, self.first.T))
        scale = np.sqrt(a * (n - a) * b * (n - b))
        return np.divide(n * self.both - a * b, scale, out=np.full(n.shape, np.nan), where=scale > 0)


def count(split: Split, values: list[Value]) -> Counts:
    """Counts over a split."""
    sums = np.zeros((3, len(values), len(values)), np.int64)
    columns, wanted = [x.label for x in values], [x.value for x in values]
    for start in range(0, len(split), _ROWS):
        labels = split.labels[start : start + _ROWS][:, columns]
        on, known = (labels == wanted).astype(np.float32), is_known(labels).astype(np.float32)
        sums += np.rint([on.T @ on, known.T @ known, on.T @ known]).astype(np.int64)
    return Counts(*sums)


def inspect(dataset: Dataset, seen: Split) -> JsonObject:
    """Everything that can be said in numbers, as JSON holds it.

    Args:
      dataset: the data set.
      seen: its training split with the labels that training sees, as `pipeline.hide_labels` leaves them.

    Returns:
      `splits`, `kinds`, `labels`, `numbers`, `co_occurrence` (of the labels that training sees, numbers left out),
      `correlation_of_numbers` (with each other and with values, if there are numbers), `strongest`, `warnings` and what
      the data set says of itself.
    """
    values = values_of(dataset.labels)
    splits = {name: dataset.split(name) for name in SPLITS} | {"seen in training": seen}
    counted = {name: count(split, values) for name, split in splits.items()}
    correlation = counted["seen in training"].correlation()
    names = [value.name for value in values]
    of_numbers = inspection_numbers.correlation(dataset.labels, seen, [(x.label, x.value) for x in values])
    numbers = inspection_numbers.named(dataset.labels, names, of_numbers)
    pairs = [*_pairs(values, correlation), *inspection_numbers.pairs(dataset.labels, names, of_numbers)]
    pairs.sort(key=lambda pair: -abs(pair.r))
    return {
        "data": dataset.name,
        "source": dataset.about.get("source"),
        "licence": dataset.about.get("licence"),
        "image_shape": dataset.image_shape,
        "meaning": list(dataset.about.get("meaning", ())),
        "splits": {
            name: {"examples": len(split), "with_labels": int(split.observed.any(1).sum())}
            for name, split in splits.items()
        },
        "kinds": {label.name: label.kind for label in dataset.labels},
        "numbers": inspection_numbers.describe(dataset.labels, splits),
        "labels": [_of_value(value, i, counted) for i, value in enumerate(values)],
        "co_occurrence": _matrices(values, counted["seen in training"], correlation)
        if len(values) <= IN_FULL
        else None,
        **({"correlation_of_numbers": numbers} if dataset.labels.numbers else {}),
        "strongest": [{"values": [pair.one, pair.other], "r": round(pair.r, 4)} for pair in pairs[:STRONGEST]],
        "warnings": [
            *dataset.about.get("warnings", ()),
            *_rare(dataset.labels, values, counted),
            *_correlated(pairs),
        ],
    }


def _of_value(value: Value, i: int, counted: dict[str, Counts]) -> JsonObject:
    rows = {}
    for name, counts in counted.items():
        on, known = int(counts.both[i, i]), int(counts.known[i, i])
        rows[name] = {"count": on, "known": known, "rate": round(on / known, 6) if known else None}
    return {"value": value.name, **rows}


def _matrices(values: list[Value], counts: Counts, correlation: np.ndarray) -> JsonObject:
    return {
        "values": [value.name for value in values],
        "both": counts.both.tolist(),
        "known": counts.known.tolist(),
        "correlation": [[None if np.isnan(r) else round(float(r), 4) for r in row] for row in correlation],
    }


def _pairs(values: list[Value], correlation: np.ndarray) -> Iterator[Pair]:
    """Pairs of values of different labels that both vary."""
    for i, j in zip(*np.nonzero(np.triu(np.isfinite(correlation), 1)), strict=True):
        if values[i].label != values[j].label:
            r = float(correlation[i, j])
            yield Pair(
                values[i].name,
                values[j].name,
                r,
                "nearly always come together" if r > 0 else "nearly exclude each other",
            )


def _rare(labels: Labels, values: list[Value], counted: dict[str, Counts]) -> Iterator[str]:
    """A warning of each value that training sees too seldom, but for those that `unseen_values` warns of."""
    counts = counted["seen in training"]
    for i, value in enumerate(values):
        known, on = int(counts.known[i, i]), int(counts.both[i, i])
        label = labels.items[value.label]
        later = any(int(counted[name].both[i, i]) for name in SPLITS)
        if not label.binary and later and not counted["train"].both[i, i]:
            continue
        cases = [("1", on), ("0", known - on)] if label.binary else [(label.classes[value.value], on)]
        for what, number in cases:
            if number < RARE or (label.binary and number < RARE_SHARE * known):
                share = f" ({number / known:.1%})" if known else ""
                yield (
                    f"label {label.name!r} is {what} in only {number:,} of the {known:,} training examples that know it"
                    f"{share}: too rare to separate; leave it out or label more"
                )


def _correlated(pairs: list[Pair]) -> Iterator[str]:
    for one, other, r, how in pairs:
        if abs(r) > CORRELATED:
            yield f"{one!r} and {other!r} {how} (r = {r:.2f}): they cannot be separated; leave one out"


def pictures(split: Split, values: list[Value], columns: int = 10, rows: int = 40, seed: int = 0) -> np.ndarray:
    """Training pictures of each value, drawn at random; white where there are too few.

    Returns:
      uint8 (values, columns, height, width, channels), of the first `rows` values at most.
    """
    random = np.random.default_rng(seed)
    sheet = np.full((min(len(values), rows), columns, *split.images.shape[1:]), 255, np.uint8)
    for row, value in zip(sheet, values, strict=False):
        found = np.flatnonzero(split.labels[:, value.label] == value.value)
        chosen = np.sort(random.permutation(found)[:columns])
        row[: len(chosen)] = split.images[chosen]
    return sheet


def lines(results: JsonObject, limit: int = 20) -> Iterator[str]:
    """A summary in lines of text; `limit` bounds the number of warnings."""
    shape = "x".join(map(str, results["image_shape"]))
    yield f"{results['data']}: images of {shape}; {results['source']}; {results['licence']}"
    yield from _listed("what was taken for what", results.get("meaning", ()), limit)
    yield from _listed("left out here, and refused by training", results.get("problems", ()), limit)
    yield ""
    yield f"{'split':18} {'examples':>9} {'with labels':>12}"
    for name, split in results["splits"].items():
        yield f"{name:18} {split['examples']:9,} {split['with_labels']:12,}"
    examples = results["splits"]["seen in training"]["examples"]
    if results["labels"] or not results["numbers"]:
        yield from _table(results["labels"], examples)
    yield from inspection_numbers.lines(results["numbers"], examples)
    if results["strongest"]:
        yield ""
        yield "strongest correlations"
    for pair in results["strongest"][:10]:
        yield f"{pair['r']:6.2f}  {pair['values'][0]}, {pair['values'][1]}"
    if results["warnings"]:
        yield ""
    for warning in results["warnings"][:limit]:
        yield f"warning: {warning}"
    if len(results["warnings"]) > limit:
        yield f"{len(results['warnings']) - limit} more warnings are in inspection.json"


def _table(rows: Sequence[JsonObject], examples: int) -> Iterator[str]:
    """How often each value is there."""
    yield ""
    width = max([5, *(len(row["value"]) for row in rows)])
    yield f"{'label':{width}} {'seen':>9} {'missing':>8} {'train':>7} {'validation':>11} {'test':>7}"
    for row in rows:
        rates = [row[name]["rate"] for name in SPLITS]
        train, validation, test = ("-" if rate is None else f"{rate:.1%}" for rate in rates)
        known = row["seen in training"]["known"]
        missing = f"{1 - known / max(examples, 1):.1%}"
        yield f"{row['value']:{width}} {known:9,} {missing:>8} {train:>7} {validation:>11} {test:>7}"


def _listed(title: str, texts: Sequence[str], limit: int) -> Iterator[str]:
    """A title with texts below it, at most `limit` of them; nothing if there are none."""
    if texts:
        yield ""
        yield title
    for text in texts[:limit]:
        yield f"  {text}"
    if len(texts) > limit:
        yield f"  and {len(texts) - limit} more, in inspection.json"
