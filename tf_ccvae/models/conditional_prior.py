"""p(z_i | y_i), the conditional prior, and q(y_i | z_i), the classifier on a label's own latents.

Both compute in float32 whatever the precision of the networks around them. Tables over label values are padded to the
largest number of values of any label; `labels.value_mask` says what is padding. Grades and number labels have layers
with weights of their own, `grade_distributions` and `number_distributions`; number labels are in no table.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import LabelConfig, Labels, latent_owners
from tf_ccvae.models.grade_distributions import GradeDistributions
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.models.number_distributions import NumberDistributions
from tf_ccvae.models.posterior import positive
from tf_ccvae.objective.label_model import LabelModel
from tf_ccvae.support.files import JsonObject


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelDistributions(LabelStatistics):
    """Everything that ties labels to their characteristic latents: p(z_i | y_i), q(y_i | z_i) and p(y_i).

    p(z_i | y_i = v) = N(prior_loc[v], positive(prior_raw_scale[v])) is learned per value. q(y_i | z_i) is a linear
    classifier that sees z_i alone: logit_v = kernel_v . z_i + bias_v, with logit_0 = 0, so that a binary label is a
    categorical one with two values. Those of grades are made by `GradeDistributions`. p(y_i) is fixed, see
    `LabelStatistics`.

    Args:
      labels: what the labels are (or their config).
      separation: distance between the first and last value's initial prior mean, centred on 0.
      pace: the prior's parameters are held divided by this. Adam's steps do not depend on a parameter's size, so the
        prior moves this many times faster than the rest, and keeps up with the encoder.
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], separation: float = 2.0, pace: float = 1.0, **kwargs: Any):
        super().__init__(labels, **kwargs)
        self.separation = separation
        self.pace = pace
        plain = self.labels.plain
        self.columns = Columns.of(self.labels)
        ordered = np.array([x.ordered for x in plain], bool)
        self.free = Labels(tuple(x for x in plain if not x.ordered))
        self.label_order = np.argsort(np.argsort(ordered, kind="stable"))  # of the others and the grades behind them
        self.latent_order = np.argsort(np.argsort(ordered[latent_owners(plain)], kind="stable"))
        grades = Labels(tuple(x for x in plain if x.ordered))
        self.grades = GradeDistributions(grades, separation, pace, name="grades") if len(grades) else None
        some = bool(self.labels.numbers)
        self.numbers = NumberDistributions(self.labels.of_numbers, pace, name="numbers") if some else None

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        labels, values = self.free, self.labels.values
        loc = np.zeros((values, labels.characteristic), np.float32)
        kernel = np.zeros((labels.characteristic, values), np.float32)
        random = np.random.default_rng(0)
        for label, where in zip(labels, labels.slices, strict=True):
            if label.values == 2 or label.latents == 1:  # along a line, in the order of the values
                line = np.linspace(-0.5, 0.5, label.values)
                loc[: label.values, where] = self.separation * line[:, None] / np.sqrt(label.latents)
                kernel[where, : label.values] = (label.values - 1) * (line + 0.5) / np.sqrt(label.latents)
            else:  # random directions, so that no two classes coincide
                direction = random.normal(size=(label.values, label.latents))
                loc[: label.values, where] = 0.5 * self.separation * direction
                kernel[where, : label.values] = (direction - direction[0]).T
        constant = keras.initializers.Constant
        self.paced_loc = self.add_weight(
            autocast=False, shape=loc.shape, initializer=constant(loc / self.pace), name="paced_loc"
        )
        self.paced_raw_scale = self.add_weight(
            autocast=False, shape=loc.shape, initializer=constant(1 / self.pace), name="paced_raw_scale"
        )
        self.free_kernel = self.add_weight(
            autocast=False,
            shape=(labels.characteristic, values - 1),
            initializer=constant(kernel[:, 1:]),
            name="classifier_kernel",
        )
        self.free_bias = self.add_weight(
            autocast=False, shape=(len(labels), values - 1), initializer="zeros", name="classifier_bias"
        )
        if self.grades is not None:
            self.grades.build()
        if self.numbers is not None:
            self.numbers.build()
        super().build()

    @property
    def prior(self) -> tfd.Normal:
        """p(z | y = v) for every value v: batch shape (values, characteristic), without latents of number labels."""
        loc, raw_scale = (self.pace * tf.convert_to_tensor(x) for x in (self.paced_loc, self.paced_raw_scale))
        scale = positive(raw_scale)
        if self.grades is not None:
            of_grades = self.grades.prior
            loc = self._with_grades(loc, of_grades.loc, self.latent_order, axis=1)
            scale = self._with_grades(scale, of_grades.scale, self.latent_order, axis=1, padding=1.0)
        return tfd.Normal(loc, scale)

    def set_prior(self, loc: np.ndarray, scale: np.ndarray) -> None:
        """Sets p(z | y = v): float (values, characteristic) each, without latents of grades; scales above 1e-3."""
        self.paced_loc.assign(np.asarray(loc) / self.pace)
        self.paced_raw_scale.assign(np.log(np.expm1(np.asarray(scale, np.float64))) / self.pace)

    @property
    def kernel(self) -> tf.Tensor:
        """Classifier slopes, float32 (characteristic, values); the first column is 0."""
        kernel = tf.pad(tf.convert_to_tensor(self.free_kernel), [[0, 0], [1, 0]])
        return kernel if self.grades is None else self._with_grades(kernel, self.grades.kernel, self.latent_order)

    @property
    def bias(self) -> tf.Tensor:
        """Classifier intercepts, float32 (labels, values); the first column is 0."""
        bias = tf.pad(tf.convert_to_tensor(self.free_bias), [[0, 0], [1, 0]])
        return bias if self.grades is None else self._with_grades(bias, self.grades.bias, self.label_order)

    def _with_grades(
        self, table: tf.Tensor, of_grades: tf.Tensor, order: np.ndarray, axis: int = 0, padding: float = 0.0
    ) -> tf.Tensor:
        """A table with the rows of grades (for axis 1: columns) among those of the others, where `order` says."""
        missing = self.labels.values - of_grades.shape[1 - axis]
        where = [[0, missing], [0, 0]] if axis else [[0, 0], [0, missing]]
        padded = tf.pad(of_grades, where, constant_values=padding)
        return tf.gather(tf.concat([table, padded], axis=axis), order, axis=axis)

    def label_model(self) -> LabelModel:
        """The labels' distributions as the objective takes them."""
        log_prior = tf.convert_to_tensor(self.log_label_prior)
        if self.numbers is None:
            return LabelModel(self.labels, self.prior, self.kernel, self.bias, log_prior)
        log_prior = tf.gather(log_prior, self.columns.plain)
        return LabelModel(self.labels, self.prior, self.kernel, self.bias, log_prior, self.numbers.number_model())

    def latent_scale(self, index: int) -> tf.Tensor:
        """Scale of p(z_i | y_i) of one label for each of its values, one row for a number: (values, its latents)."""
        owner = latent_owners(self.labels)
        if self.numbers is not None and self.labels.items[index].scale:
            scale = self.numbers.number_model().prior_scale[None]
            return tf.gather(scale, np.flatnonzero(owner[self.columns.number_latents] == index), axis=1)
        own = np.flatnonzero(owner[self.columns.plain_latents] == index)
        return tf.gather(tf.convert_to_tensor(self.prior.scale), own, axis=1)

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "separation": self.separation, "pace": self.pace}
