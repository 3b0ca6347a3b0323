"""p(y), and which values of labels exclude each other, from the training labels."""

import itertools
from typing import Any

import keras
import numpy as np

from tf_ccvae.labels import Labels, value_mask


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelStatistics(keras.layers.Layer):
    """What the training labels say before any image is seen: p(y_i), and which values exclude each other.

    Both are set once and then fixed: `log_label_prior`, float32 (labels, values), -inf where a label lacks a value, and
    `incompatible`, float32 (labels, values, labels, values), 1 where two values exclude each other.

    Args:
      labels: what the labels are (or their config).
    """

    def __init__(self, labels: Labels | list[dict[str, Any]], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        mask = value_mask(self.labels)
        uniform = np.where(mask, -np.log(np.maximum(mask.sum(1, keepdims=True), 1)), -np.inf).astype(np.float32)
        constant = keras.initializers.Constant(uniform)
        self.log_label_prior = self.add_weight(
            autocast=False, shape=uniform.shape, initializer=constant, trainable=False, name="log_label_prior"
        )
        self.incompatible = self.add_weight(
            autocast=False, shape=(*mask.shape, *mask.shape), initializer="zeros", trainable=False, name="incompatible"
        )
        self.built = True

    def set_label_prior(self, probabilities: np.ndarray) -> None:
        """Sets p(y): float (labels, values), each row sums to 1 over the label's values."""
        mask = value_mask(self.labels)
        self.log_label_prior.assign(np.where(mask, np.log(np.maximum(probabilities, 1e-30)), -np.inf))

    def learn(self, values: np.ndarray) -> None:
        """Sets both from training labels: integer (examples, labels), negative where missing."""
        self.set_label_prior(observed_frequencies(values, self.labels))
        self.incompatible.assign(incompatible_values(values, self.labels))

    def get_config(self) -> dict[str, Any]:
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
    beyond the result grows by the number of examples and by the values of two labels alone.

    Args:
      values: integer (examples, labels), negative where missing.
      labels: what the columns are.
      expected: fewest expected meetings that say anything.
      share: largest ratio of meetings to expected meetings.

    Returns:
      float32 (labels, values, labels, values), symmetric: 1 where they exclude each other, else 0.
    """
    excluded = np.zeros((len(labels), labels.values, len(labels), labels.values), np.float32)
    for i, j in itertools.combinations(range(len(labels)), 2):
        both = (values[:, i] >= 0) & (values[:, j] >= 0)
        sizes = labels.items[i].values, labels.items[j].values
        pairs = values[both, i].astype(np.int64) * sizes[1] + values[both, j]
        meet = np.bincount(pairs, minlength=sizes[0] * sizes[1]).reshape(sizes)
        chance = meet.sum(1)[:, None] * meet.sum(0) / max(len(pairs), 1)
        clash = (chance >= expected) & (meet <= share * chance)
        excluded[i, : sizes[0], j, : sizes[1]] = clash
        excluded[j, : sizes[1], i, : sizes[0]] = clash.T
    return excluded
