"""Measures that are counted exactly over a whole split, whatever the batches: Keras metrics.

With several replicas each of them holds the sums over all, so that any of them can be read by itself.
"""

import math
from typing import Any, SupportsFloat

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.labels import LabelConfig, Labels, value_mask
from tf_ccvae.models import grade_counting, replicas
from tf_ccvae.objective import Terms
from tf_ccvae.support.files import JsonObject

TERMS = ("bound", "reconstruction", "style_divergence", "characteristic", "log_label_marginal", "label_prior")


@keras.saving.register_keras_serializable("tf_ccvae")
class Sum(keras.metrics.Metric):
    """Sums of named per-example terms over examples, as one vector.

    Args:
      names: names of the terms, in order.
      **kwargs: `name`, as for any Keras metric; `dtype` is float32 whatever is passed.
    """

    def __init__(self, names: tuple[str, ...], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.names = tuple(names)
        self.totals = self.add_variable(
            shape=(len(names) + 1,), initializer="zeros", aggregation="only_first_replica", name="totals"
        )

    def update_state(self, terms: dict[str, tf.Tensor]) -> None:
        """Adds a batch: each term float (batch,)."""
        columns = tf.stack([tf.cast(terms[name], tf.float32) for name in self.names], axis=1)
        counted = tf.concat([columns, tf.ones_like(columns[:, :1])], axis=1)
        self.totals.assign_add(replicas.total(tf.reduce_sum(counted, axis=0)))

    def mean(self, name: str) -> tf.Tensor:
        """Mean of one term over the examples so far."""
        return self.totals[self.names.index(name)] / tf.maximum(self.totals[-1], 1.0)

    def result(self) -> dict[str, tf.Tensor]:
        return {name: self.mean(name) for name in self.names}

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "names": self.names}


def summed(terms: Terms) -> dict[str, tf.Tensor]:
    """The terms named in `TERMS`, those of single labels summed over labels: each (batch,), in nats."""
    return {
        "bound": terms.bound,
        "reconstruction": terms.reconstruction,
        "style_divergence": terms.style_divergence,
        "characteristic": tf.reduce_sum(terms.characteristic, axis=1),
        "log_label_marginal": tf.reduce_sum(terms.label_marginal, axis=1),
        "label_prior": tf.reduce_sum(terms.label_prior, axis=1),
    }


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelCounts(keras.metrics.Metric):
    """How often label i has value t and is predicted as p, over the observed labels.

    Measures of what was never observed are NaN; they enter no mean.

    Args:
      labels: what the labels are (or their config).
      **kwargs: `name`, as for any Keras metric; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        shape = (len(self.labels), self.labels.values, self.labels.values)
        self.counts = self.add_variable(
            shape=shape, initializer="zeros", aggregation="only_first_replica", name="counts"
        )

    def update_state(self, values: tf.Tensor, observed: tf.Tensor, predicted: tf.Tensor) -> None:
        """Adds a batch: integer values and predictions and bool observed, (batch, labels)."""
        depth = self.labels.values
        true = tf.one_hot(tf.where(observed, values, -1), depth)  # a row of zeros where missing
        counts = tf.einsum("blt,blp->ltp", true, tf.one_hot(predicted, depth))
        self.counts.assign_add(replicas.total(counts))

    def result(self) -> dict[str, tf.Tensor]:
        """Overall measures, and those of label X as `accuracy_X` and `balanced_accuracy_X`."""
        measures = {"accuracy": self.accuracy(), "balanced_accuracy": self.balanced_accuracy()}
        right, balanced = self._right(), self._balanced()
        for i, label in enumerate(self.labels):
            measures[f"accuracy_{label.name}"] = right[i]
            measures[f"balanced_accuracy_{label.name}"] = balanced[i]
        return measures

    def accuracy(self) -> tf.Tensor:
        """Share of right predictions among all observed labels; NaN if none was observed."""
        return _ratio(tf.reduce_sum(tf.linalg.diag_part(self.counts)), tf.reduce_sum(self.counts))

    def balanced_accuracy(self) -> tf.Tensor:
        """Mean over labels of the mean over values of the share of right predictions; what never occurs is left out."""
        occurs = tf.reduce_sum(self.counts, axis=[1, 2]) > 0
        balanced = tf.where(occurs, self._balanced(), 0.0)
        return _ratio(tf.reduce_sum(balanced), tf.reduce_sum(tf.cast(occurs, tf.float32)))

    def _right(self) -> tf.Tensor:
        """Accuracy of each label, (labels,); NaN where none was observed."""
        return _ratio(tf.reduce_sum(tf.linalg.diag_part(self.counts), axis=1), tf.reduce_sum(self.counts, axis=[1, 2]))

    def _balanced(self) -> tf.Tensor:
        """Balanced accuracy of each label, (labels,); NaN where none was observed."""
        total = tf.reduce_sum(self.counts, axis=2)  # (labels, values)
        share = tf.math.divide_no_nan(tf.linalg.diag_part(self.counts), total)
        occurs = tf.cast(total > 0, tf.float32)
        return _ratio(tf.reduce_sum(share, axis=1), tf.reduce_sum(occurs, axis=1))

    def per_label(self) -> dict[str, dict[str, float | None]]:
        """For each label: accuracy, balanced accuracy, share of the most frequent value, number of examples.

        For a grade also what `grade_counting` has. What is not known for want of examples is None.
        """
        counts = np.asarray(self.counts, np.float64)
        total = counts.sum(2)
        right, balanced = np.asarray(self._right()), np.asarray(self._balanced())
        measures = {
            label.name: {
                "accuracy": number_or_none(right[i]),
                "balanced_accuracy": number_or_none(balanced[i]),
                "majority": float(total[i].max() / total[i].sum()) if total[i].any() else None,
                "examples": int(total[i].sum()),
            }
            for i, label in enumerate(self.labels)
        }
        for i in self.labels.grades:
            for name in grade_counting.GRADE_MEASURES:
                measures[self.labels.names[i]][name] = number_or_none(getattr(grade_counting, name)(counts[i]))
        return measures

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "labels": self.labels.get_config()}


def number_or_none(value: SupportsFloat) -> float | None:
    """A measure for a file: None where it is not known, which is NaN in tensors."""
    number = float(value)
    return None if math.isnan(number) else number


def _ratio(part: tf.Tensor, whole: tf.Tensor) -> tf.Tensor:
    """part / whole; NaN where the whole is 0."""
    return tf.where(whole > 0, tf.math.divide_no_nan(part, whole), np.nan)


def predicted_values(log_marginals: tf.Tensor, labels: Labels) -> tf.Tensor:
    """The most probable value of each label: log q(y|x) (batch, labels, values) -> int32 (batch, labels)."""
    return tf.argmax(tf.where(value_mask(labels), log_marginals, -np.inf), axis=-1, output_type=tf.int32)
