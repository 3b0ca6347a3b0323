"""p(y), and which values of labels exclude each other, from the training labels."""

import itertools
from typing import Any

import keras
import numpy as np

from tf_ccvae.label_arrays import Columns, known
from tf_ccvae.labels import MISSING, LabelConfig, Labels, value_mask
from tf_ccvae.objective.exclusions import value_slices, without_padding
from tf_ccvae.support.files import JsonObject


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelStatistics(keras.layers.Layer):
    """What the training labels say before any image is seen: p(y_i), and which values exclude each other.

    Both are set once and then fixed: `log_label_prior`, float32 (labels, values), -inf where a label lacks a value, and
    `incompatible`, float32 (T, T), 1 where two values exclude each other; T and the order are those of
    `objective.exclusions`. Of a number label neither says anything: its p(y) follows from its scale, and it excludes
    nothing.

    Args:
      labels: what the labels are (or their config).
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        mask = value_mask(self.labels)
        uniform = np.where(mask, -np.log(np.maximum(mask.sum(1, keepdims=True), 1)), -np.inf).astype(np.float32)
        constant = keras.initializers.Constant(uniform)
        self.log_label_prior = self.add_weight(
            autocast=False, shape=uniform.shape, initializer=constant, trainable=False, name="log_label_prior"
        )
        count = int(mask.sum())
        self.incompatible = self.add_weight(
            autocast=False, shape=(count, count), initializer="zeros", trainable=False, name="incompatible"
        )
        self.built = True

    def set_label_prior(self, probabilities: np.ndarray) -> None:
        """Sets p(y): float (labels, values), each row sums to 1 over the label's values."""
        mask = value_mask(self.labels)
        self.log_label_prior.assign(np.where(mask, np.log(np.maximum(probabilities, 1e-30)), -np.inf))

    def learn(self, values: np.ndarray) -> None:
        """Sets both from training labels, (examples, labels): integer, negative where missing, or as `label_arrays`."""
        plain = self.labels.plain
        if self.labels.numbers:
            some = np.asarray(values)[:, Columns.of(self.labels).plain]
            values = np.where(known(some), some, MISSING).astype(np.int64)
        frequencies = np.zeros((len(self.labels), self.labels.values))
        frequencies[[i for i, x in enumerate(self.labels) if not x.scale]] = observed_frequencies(values, plain)
        self.set_label_prior(frequencies)
        self.incompatible.assign(incompatible_values(values, plain))

    def load_own_variables(self, store: Any) -> None:
        """Takes the weights of a file; in files of older models `incompatible` has padding."""
        stored = {key: store[key] for key in store.keys()}  # noqa: SIM118, a store is no mapping
        for key, value in stored.items():
            if len(value.shape) == 4:
                stored[key] = without_padding(value, self.labels)
        super().load_own_variables(stored)

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "labels": self.labels.get_config()}


def observed_frequencies(values: np.ndarray, labels: Labels, smoothing: float = 1.0) -> np.ndarray:
    """p(y) from the observed labels: (count + smoothing) / (total + smoothing * number of values).

    Args:
      values: integer (examples, labels), negative where missing.
      labels: what the columns are.
      smoothing: pseudo-count of each value.

    Returns:
      float64 (labels, values); padding is 0.
    """
    mask = value_mask(labels)
    observed = [column[column >= 0] for column in values.T]
    counts = np.array([np.bincount(column, minlength=labels.values) for column in observed], float) + smoothing
    counts = counts.reshape(mask.shape)
    counts = np.where(mask, counts, 0.0)
    return counts / counts.sum(1, keepdims=True)


def incompatible_values(values: np.ndarray, labels: Labels, expected: float = 20.0, share: float = 0.02) -> np.ndarray:
    """Which values of two labels exclude each other, by the training labels: blond and brown hair, say.

    Two values do if independence would let them meet at least `expected` times, and they meet at most `share` times as
    often as that, among the examples on which both labels are known. Labels are counted two by two, so that memory
    beyond the result grows by the number of examples and by the values of two labels alone. The result takes
    4 T^2 bytes: 4 MB for 1,000 values, whichever labels they belong to.

    Args:
      values: integer (examples, labels), negative where missing.
      labels: what the columns are.
      expected: fewest expected meetings that say anything.
      share: largest ratio of meetings to expected meetings.

    Returns:
      float32 (T, T) as `objective.exclusions` has it, symmetric: 1 where they exclude each other, else 0.
    """
    places = value_slices(labels)
    count = sum(label.values for label in labels)
    excluded = np.zeros((count, count), np.float32)
    for i, j in itertools.combinations(range(len(labels)), 2):
        both = (values[:, i] >= 0) & (values[:, j] >= 0)
        sizes = labels.items[i].values, labels.items[j].values
        pairs = values[both, i].astype(np.int64) * sizes[1] + values[both, j]
        meet = np.bincount(pairs, minlength=sizes[0] * sizes[1]).reshape(sizes)
        chance = meet.sum(1)[:, None] * meet.sum(0) / max(len(pairs), 1)
        clash = (chance >= expected) & (meet <= share * chance)
        excluded[places[i], places[j]] = clash
        excluded[places[j], places[i]] = clash.T
    return excluded
