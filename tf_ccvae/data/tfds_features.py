"""Which features of a tensorflow-datasets data set are labels, and their values.

A `ClassLabel` is a categorical label and a boolean a binary one, also inside a dictionary such as CelebA's
`attributes`; -1 in a `ClassLabel` is a missing label. A decimal number is a number label, in which NaN is missing. A
whole number is a label only where the settings say of which kind (`data.label_kinds`), for most whole numbers in such
data number the pictures or measure them in pixels; the settings also make grades of a `ClassLabel` and other kinds of
decimal numbers. Other features are left out.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tf_ccvae.data import kinds, splits
from tf_ccvae.data.columns import NotLabels
from tf_ccvae.data.dataset import DataError, columns_of, describe_classes, of_kind
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import Label, Labels

if TYPE_CHECKING:
    from tensorflow_datasets.features import FeatureConnector, FeaturesDict

Place = tuple[str, ...]  # of a feature in an example: names of nested dictionaries, from the outside in


@dataclass(frozen=True)
class Column:
    """A feature whose values say what the label is.

    name: of the label.
    kind: as `kinds.read` takes it.
    asked: whether the settings name the kind.
    classes: names of the classes of a `ClassLabel`; empty for numbers.
    """

    name: str
    kind: kinds.Kind
    asked: bool
    classes: tuple[str, ...] = ()

    def text(self, value: float) -> str:
        """A value, NaN where it is missing, as a cell of a table."""
        if np.isnan(value) or (self.classes and value < 0):
            return ""
        if self.classes:
            return self.classes[int(value)].strip()
        return str(int(value)) if np.isfinite(value) and value == int(value) else repr(float(value))


@dataclass(frozen=True)
class Features:
    """Where the picture and the labels are in an example.

    image: of the picture.
    labels: of the labels that their type says.
    columns: of the others.
    left: what was left out although it may be a label, with a sentence on each.
    """

    image: Place
    labels: Mapping[Place, Label]
    columns: Mapping[Place, Column]
    left: Mapping[Place, str]


def features_of(
    features: "FeaturesDict",
    where: str,
    label_kinds: Mapping[str, kinds.Kind] | None = None,
    label_names: Sequence[str] = (),
) -> Features:
    """The picture and the labels among the features of a data set.

    Args:
      features: of its examples.
      where: the data set, for messages.
      label_kinds: which kind some labels are, as `kinds.read` takes it.
      label_names: labels that will be used.

    Raises:
      DataError: there is no picture, more than one and none called `image`, or no label; or the settings name a feature
        that cannot be what they want.
    """
    from tensorflow_datasets import features as types

    images: list[Place] = []
    labels: dict[Place, Label] = {}
    columns: dict[Place, Column] = {}
    left: dict[Place, str] = {}
    leaves = dict(sorted(leaves_of(features), key=lambda leaf: leaf[0]))  # files do not keep their order
    names = {place: place[-1] if [x[-1] for x in leaves].count(place[-1]) == 1 else "_".join(place) for place in leaves}
    columns_of(tuple(label_kinds or ()), tuple(names.values()), "data.label_kinds")
    for place, feature in leaves.items():
        name, kind = names[place], (label_kinds or {}).get(names[place])
        number = _number(feature)
        if isinstance(feature, types.ClassLabel):
            classes = splits.class_names(feature.names) if (feature.num_classes or 0) >= 2 else ()
            if classes and kind in (None, "class"):
                labels[place] = Label(name, classes)
            elif classes and kind not in ("number", "binary"):
                columns[place] = Column(name, kind or "grade", True, classes)
            elif kind:
                raise _refusal(where, name, "is one of classes", kind)
        elif isinstance(feature, types.Image) and not isinstance(feature, types.LabeledImage) and not kind:
            images.append(place)
        elif number == "bool" and kind in (None, "binary"):
            labels[place] = Label(name)
        elif number in ("float", "int") and kind:
            columns[place] = Column(name, kind, True)
        elif number == "float":
            columns[place] = Column(name, "number", False)
        elif number == "int":
            left[place] = f"{name}: left out; data.label_kinds: {{{name}: number}}, or class, grade or binary takes it"
            if name in label_names:
                raise DataError(
                    f"data.label_names: {name!r} holds whole numbers; say of which kind the label is, such as "
                    f"data.label_kinds: {{{name}: number}}, or class, grade or binary"
                )
        elif kind:
            what = "is a boolean" if number == "bool" else f"is of the type {type(feature).__name__}"
            raise _refusal(where, name, what, kind)
    found = ", ".join("/".join(place) for place in leaves)
    if not images:
        raise DataError(f"{where}: has no image among its features ({found}); use another data set")
    if len(images) > 1 and ("image",) not in images:
        raise DataError(f"{where}: has {len(images)} images in an example and none called image; use another data set")
    if not labels and not columns:
        whole = f"; data.label_kinds makes labels of whole numbers, such as {names[next(iter(left))]}" if left else ""
        raise DataError(
            f"{where}: has neither class labels nor booleans nor decimal numbers among its features ({found}){whole}"
        )
    return Features(("image",) if ("image",) in images else images[0], labels, columns, left)


def _number(feature: "FeatureConnector") -> str:
    """'bool', 'int' or 'float' of a feature that is one number; '' of others."""
    from tensorflow_datasets import features as types

    if not isinstance(feature, types.Tensor) or feature.shape:
        return ""
    of = {"bool": np.bool_, "int": np.integer, "float": np.floating}
    return next((name for name, dtype in of.items() if np.issubdtype(feature.np_dtype, dtype)), "")


def _refusal(where: str, name: str, what: str, kind: kinds.Kind) -> DataError:
    called = kind if isinstance(kind, str) else "grade"
    return DataError(f"{where}: data.label_kinds: {name!r} {what}, which cannot be a {called}; leave it out there")


def leaves_of(features: "FeaturesDict", place: Place = ()) -> Iterator[tuple[Place, "FeatureConnector"]]:
    """The features inside all dictionaries, with their places."""
    from tensorflow_datasets import features as types

    for name, feature in features.items():
        if isinstance(feature, types.FeaturesDict):
            yield from leaves_of(feature, (*place, name))
        else:
            yield (*place, name), feature


@dataclass(frozen=True)
class Found:
    """The labels of a data set.

    labels: what they are.
    values: int16 (examples, labels), or float32 with a number label.
    notes: what was taken for what, one sentence a label.
    """

    labels: Labels
    values: np.ndarray
    notes: list[str]


def labels_of(
    features: Features,
    listed: np.ndarray,
    numbers: np.ndarray,
    where: str,
    example: Callable[[int], str],
    label_names: Sequence[str] = (),
) -> Found:
    """The labels and their values, in the order of the features.

    Args:
      features: of the data set.
      listed: int16 (examples, labels), the values of `features.labels`.
      numbers: float64 (examples, columns), those of `features.columns`, NaN where not known.
      where: the data set, for messages.
      example: what messages call an example, by its row.
      label_names: labels that will be used.

    Raises:
      DataError: a feature that the settings name is not what they say, or there is no label.
    """
    made: dict[Place, tuple[Label, np.ndarray, str]] = {}
    notes = list(features.left.values())
    for (place, label), column in zip(features.labels.items(), listed.T, strict=True):
        meaning = describe_classes(label.classes) if label.classes else "true is on, false is off"
        made[place] = label, np.where(known(column), column, np.nan).astype(np.float32), meaning
    for (place, about), column in zip(features.columns.items(), numbers.T, strict=True):
        try:
            read = kinds.read(about.name, [about.text(x) for x in column], range(len(column)), kind=about.kind)
        except NotLabels as error:
            reason = _said(error, example)
            if about.asked or about.name in label_names:
                raise DataError(f"{where}: feature {about.name!r}: {reason}") from error
            notes.append(f"{about.name}: left out, for it {reason}")
            continue
        made[place] = read.label, read.values, read.meaning
    if not made:
        raise DataError(f"{where}: no feature holds labels ({'; '.join(notes)})")
    ordered = [made[place] for place in sorted(made)]
    labels = Labels(tuple(label for label, _, _ in ordered))
    values = np.stack([column for _, column, _ in ordered], axis=1)
    return Found(labels, of_kind(labels, values), [f"{x.name}: {note}" for x, _, note in ordered] + notes)


def _said(error: NotLabels, example: Callable[[int], str]) -> str:
    """What is wrong with a column, in the words of such data."""
    text = re.sub(r"\(line (\d+)\)", lambda found: f"({example(int(found[1]))})", str(error))
    text = re.sub(r"on line (\d+)", lambda found: f"in {example(int(found[1]))}", text)
    return text.replace("the whole file", "the whole data set").replace(
        "remove the column", "leave it out by data.label_names"
    )
