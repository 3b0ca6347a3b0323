"""How well numbers are predicted, counted exactly over a whole split: a Keras metric."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import LabelConfig, Labels
from tf_ccvae.models import replicas
from tf_ccvae.models.counting import number_or_none
from tf_ccvae.objective.numbers import standardised

NUMBER_MEASURES = ("absolute_error", "r2")
HALF_WIDTH = 1.6448536269514722  # of the 90 % interval of a normal, in its deviations


@keras.saving.register_keras_serializable("tf_ccvae")
class NumberErrors(keras.metrics.Metric):
    """Sums over the observed values of number labels; several replicas hold those over all.

    With y the value, p its prediction E q(y | x) and n the number of examples,
      absolute error  sum |y - p| / n, in the label's units
      R2              1 - sum (y - p)^2 / sum (y - mean of y)^2; 1 is perfect, 0 is what the mean alone would reach
      coverage        the share of values inside the 90 % interval of q(y | x), which should be 0.9

    Measures of what was never observed, and R2 of values that are all the same, are NaN.

    Args:
      labels: the number labels alone (or their config).
      **kwargs: `name`, as for any Keras metric; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.deviations = np.array([x.units.deviation for x in self.labels], np.float32)
        self.sums = self.add_variable(
            shape=(6, len(self.labels)), initializer="zeros", aggregation="only_first_replica", name="sums"
        )

    def update_state(self, values: tf.Tensor, observed: tf.Tensor, predicted: tfd.Normal) -> None:
        """Adds a batch: values float and bool observed (batch, labels), predicted with this batch shape, in units."""
        y = standardised(tf.where(observed, values, 0.0), self.labels)
        error = y - standardised(predicted.loc, self.labels)
        inside = tf.abs(error) <= HALF_WIDTH * predicted.scale / self.deviations
        terms = [tf.ones_like(y), tf.abs(error), tf.square(error), y, tf.square(y), tf.cast(inside, tf.float32)]
        counted = tf.reduce_sum(tf.where(observed, tf.stack(terms), 0.0), axis=1)
        self.sums.assign_add(replicas.total(counted))

    def result(self) -> dict[str, tf.Tensor]:
        """Those of label X as `absolute_error_X` and `r2_X`."""
        error, share, _ = self._measures()
        measures = {f"absolute_error_{x.name}": error[i] for i, x in enumerate(self.labels)}
        return {**measures, **{f"r2_{x.name}": share[i] for i, x in enumerate(self.labels)}}

    def _measures(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Absolute error, R2 and coverage, (labels,) each."""
        count, error, square, total, of_squares, inside = tf.unstack(tf.convert_to_tensor(self.sums))
        some = tf.maximum(count, 1.0)
        spread = of_squares - tf.square(total) / some
        share = tf.where(spread > 1e-6 * some, 1 - tf.math.divide_no_nan(square, spread), np.nan)
        seen = count > 0
        return (
            tf.where(seen, self.deviations * error / some, np.nan),
            tf.where(seen, share, np.nan),
            tf.where(seen, inside / some, np.nan),
        )

    def per_label(self) -> dict[str, dict[str, float | None]]:
        """For each label: absolute error, R2, coverage and number of examples; None for want of examples."""
        table = [np.asarray(x) for x in self._measures()]
        count = np.asarray(self.sums)[0]
        return {
            label.name: {
                **{name: number_or_none(x[i]) for name, x in zip((*NUMBER_MEASURES, "coverage"), table, strict=True)},
                "examples": int(count[i]),
            }
            for i, label in enumerate(self.labels)
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels.get_config()}
