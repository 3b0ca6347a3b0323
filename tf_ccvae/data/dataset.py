"""What every data source returns: images, labels with missing ones marked, and what the labels are."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tf_ccvae.data.renderer import Renderer
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.support.errors import UserError
from tf_ccvae.support.files import JsonObject

SPLITS = ("train", "validation", "test")


class DataError(UserError):
    """Data that cannot be used; the message is one line that says what is wrong, where, and what to do."""

    def __init__(self, message: str):
        super().__init__(printable(message))


class Unusable(DataError):
    """Pictures that cannot be used; `problems` says of each, by its number, what is wrong."""

    def __init__(self, problems: Mapping[int, str]):
        super().__init__(listed([problems[number] for number in sorted(problems)], "images cannot be used"))
        self.problems = dict(problems)


def printable(text: str) -> str:
    """A text in one line: what cannot be printed, such as a line end in a name, is written as Python writes it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def listed(problems: Sequence[str], what: str, shown: int = 10) -> str:
    """Problems in one line: the only one as it is, or how many there are and the first of them.

    Args:
      problems: at least one.
      what: they are, behind their number, such as 'images cannot be used'.
      shown: how many are written out.
    """
    if len(problems) == 1:
        return problems[0]
    more = f"; and {len(problems) - shown:,} more" if len(problems) > shown else ""
    return f"{len(problems):,} {what}: {'; '.join(problems[:shown])}{more}"


def describe_classes(classes: Sequence[str], shown: int = 4) -> str:
    """The number of classes and the names of the first ones: '10 classes (cat, dog, bird, fish, ...)'."""
    return f"{len(classes)} classes ({', '.join(classes[:shown])}{', ...' if len(classes) > shown else ''})"


@dataclass(frozen=True)
class Split:
    """One split.

    Args:
      images: uint8 (examples, height, width, channels), in memory or memory-mapped.
      labels: int8 or int16 (examples, labels); `MISSING` (-1) where a label is not known. Where one of them is a number
        label all are float32, numbers in their own units, and NaN is what is not known. One array of floats, and no
        second one beside the integers, so that hiding, choosing and batching treat all labels alike.
      factors: ground truth about an image beyond its labels, each array with one row per example; for evaluation only.
    """

    images: np.ndarray
    labels: np.ndarray
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def observed(self) -> np.ndarray:
        """bool (examples, labels): which labels are known."""
        return known(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set: its labels and its three splits.

    Args:
      name: the source, for file names and reports.
      labels: what the columns of `Split.labels` mean.
      train, validation, test: the splits.
      about: licence, source and whatever else a report should say; `positions` names factors that a shift would change.
      renderer: draws the examples again with one label changed; None where pictures cannot be drawn.
    """

    name: str
    labels: Labels
    train: Split
    validation: Split
    test: Split
    about: JsonObject = field(default_factory=dict)
    renderer: Renderer | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.train.images.shape[1:]
        return int(height), int(width), int(channels)

    def split(self, name: str) -> Split:
        """The split called `name`; DataError if there is none."""
        if name not in SPLITS:
            raise DataError(f"no split {name!r}; choose one of {', '.join(SPLITS)}")
        return getattr(self, name)

    def with_labels(self, names: Sequence[str]) -> "Dataset":
        """The same data set with these labels alone, in this order.

        Raises:
          DataError: a name is given twice or is not a label of the data set.
        """
        if tuple(names) == self.labels.names:
            return self
        columns = columns_of(names, self.labels.names)

        def part(split: Split) -> Split:
            return replace(split, labels=of_kind(labels, split.labels[:, columns]))

        labels = Labels(tuple(self.labels.items[i] for i in columns))
        train, validation, test = (part(self.split(name)) for name in SPLITS)
        return replace(self, labels=labels, train=train, validation=validation, test=test)


def of_kind(labels: Labels, values: np.ndarray) -> np.ndarray:
    """Values as `Split` holds them: integers again where no number label is left."""
    if labels.numbers or not np.issubdtype(values.dtype, np.floating):
        return np.ascontiguousarray(values)
    return np.where(np.isnan(values), MISSING, values).astype(np.int16)


def columns_of(names: Sequence[str], known: Sequence[str], setting: str = "data.label_names") -> list[int]:
    """The position of each name in `known`.

    Args:
      names: of labels.
      known: the names that there are.
      setting: where the names are from, for messages.

    Raises:
      DataError: names are given twice or are not known; it lists all of them.
    """
    problems = []
    for name in dict.fromkeys(names):
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"choose from {', '.join(known)}"
            problems.append(f"no label {name!r}; {hint}")
        elif names.count(name) > 1:
            problems.append(f"{name!r} is given twice; remove one")
    if problems:
        raise DataError(f"{setting}: {listed(problems, 'things to correct')}")
    return [known.index(name) for name in names]


def check_train_labels(
    names: Sequence[str],
    values: np.ndarray,
    where: object,
    wanted: Sequence[str] = (),
    left_out: list[str] | None = None,
) -> list[str]:
    """Warnings about labels that are the same in every training example.

    Args:
      names: of the labels.
      values: (examples, labels) of the training split.
      where: the labels are from, for messages.
      wanted: the labels that will be used; the others are not looked at. All are used if empty.
      left_out: takes what is wrong, one sentence each, where the caller goes on in spite of it; None to refuse.

    Raises:
      DataError: labels are not known for any training example.
    """
    notes, unknown = [], []
    for name, column in zip(names, values.T, strict=True):
        if wanted and name not in wanted:
            continue
        different = np.unique(column[known(column)])
        if not len(different):
            unknown.append(f"column {name!r}: not known for any training example; fill in some or remove the column")
        if len(different) == 1:
            notes.append(
                f"label {name!r} is {different[0]:g} in every training example, so nothing can be learned from it"
            )
    if unknown and left_out is None:
        raise DataError(f"{where}: {listed(unknown, 'labels cannot be learned')}")
    if left_out is not None:
        left_out += [f"{where}: {problem}" for problem in unknown]
    return notes
