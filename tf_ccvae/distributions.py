"""Posterior head, conditional prior, label classifier and likelihood: Keras layers that return `tfd` distributions.

All of them compute in float32 whatever the precision of the networks around them.

Shapes: `latents` = all latents of the model, `characteristic` = those that belong to labels, `values` = the largest
number of values of any label. Tables over label values are padded to `values`; `value_mask` says what is padding.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import Labels

MIN_SCALE = 1e-3
LIKELIHOODS = ("laplace", "gaussian", "bernoulli", "continuous_bernoulli")


def positive(raw: Any) -> tf.Tensor:
    """max(softplus(raw), 1e-3), the paper programs' map from a free number to a scale."""
    return tf.maximum(tf.nn.softplus(raw), MIN_SCALE)


def value_mask(labels: Labels) -> np.ndarray:
    """bool (labels, values): True where the label has that value."""
    mask = [[v < label.values for v in range(labels.values)] for label in labels]
    return np.array(mask, bool).reshape(len(labels), labels.values)


@keras.saving.register_keras_serializable("tf_ccvae")
class PosteriorHead(keras.layers.Layer):
    """q(z | x) = N(loc(x), scale(x)) from the encoder's features; scale = max(softplus(raw), 1e-3).

    Args:
      latents: number of latents.

    Call: features (batch, features) -> `tfd.Normal` with batch shape (batch, latents), float32.
    """

    def __init__(self, latents: int, **kwargs: Any):
        super().__init__(dtype="float32", **{k: v for k, v in kwargs.items() if k != "dtype"})
        self.latents = latents
        self.loc = keras.layers.Dense(latents, dtype="float32", name="loc")
        self.raw_scale = keras.layers.Dense(latents, dtype="float32", name="raw_scale")

    def build(self, input_shape: Any) -> None:
        self.loc.build(input_shape)
        self.raw_scale.build(input_shape)
        self.built = True

    def call(self, features: Any) -> tfd.Normal:
        return tfd.Normal(self.loc(features), positive(self.raw_scale(features)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "latents": self.latents}


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelStatistics(keras.layers.Layer):
    """What the training labels say before any image is seen: p(y_i), and which values exclude each other.

    Both are set once and then fixed: `log_label_prior`, float32 (labels, values), -inf where a label lacks a value, and
    `incompatible`, float32 (labels, values, labels, values), 1 where two values exclude each other.

    Args:
      labels: what the labels are (or their config).
    """

    def __init__(self, labels: Labels | list[dict[str, Any]], **kwargs: Any):
        super().__init__(dtype="float32", **{k: v for k, v in kwargs.items() if k != "dtype"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)

    def build(self, input_shape: Any = None) -> None:
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


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelDistributions(LabelStatistics):
    """Everything that ties labels to their characteristic latents: p(z_i | y_i), q(y_i | z_i) and p(y_i).

    p(z_i | y_i = v) = N(prior_loc[v], positive(prior_raw_scale[v])) is learned per value. q(y_i | z_i) is a linear
    classifier that sees z_i alone: logit_v = kernel_v . z_i + bias_v, with logit_0 = 0, so that a binary label is a
    categorical one with two values. p(y_i) is fixed, see `LabelStatistics`.

    Args:
      labels: what the labels are (or their config).
      separation: distance between the first and last value's initial prior mean, centred on 0.
      pace: the prior's parameters are held divided by this. Adam's steps do not depend on a parameter's size, so the
        prior moves this many times faster than the rest, and keeps up with the encoder.
    """

    def __init__(
        self, labels: Labels | list[dict[str, Any]], separation: float = 2.0, pace: float = 1.0, **kwargs: Any
    ):
        super().__init__(labels, **kwargs)
        self.separation = separation
        self.pace = pace

    def build(self, input_shape: Any = None) -> None:
        labels, values = self.labels, self.labels.values
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
        super().build()

    @property
    def prior(self) -> tfd.Normal:
        """p(z | y = v) for every value v: batch shape (values, characteristic)."""
        loc, raw_scale = (self.pace * tf.convert_to_tensor(x) for x in (self.paced_loc, self.paced_raw_scale))
        return tfd.Normal(loc, positive(raw_scale))

    def set_prior(self, loc: np.ndarray, scale: np.ndarray) -> None:
        """Sets p(z | y = v): float (values, characteristic) each; scales above 1e-3."""
        self.paced_loc.assign(np.asarray(loc) / self.pace)
        self.paced_raw_scale.assign(np.log(np.expm1(np.asarray(scale, np.float64))) / self.pace)

    @property
    def kernel(self) -> tf.Tensor:
        """Classifier slopes, float32 (characteristic, values); the first column is 0."""
        return tf.pad(tf.convert_to_tensor(self.free_kernel), [[0, 0], [1, 0]])

    @property
    def bias(self) -> tf.Tensor:
        """Classifier intercepts, float32 (labels, values); the first column is 0."""
        return tf.pad(tf.convert_to_tensor(self.free_bias), [[0, 0], [1, 0]])

    def call(self, latents: Any) -> tf.Tensor:
        """Characteristic latents (batch, characteristic) -> logits of q(y | z), (batch, labels, values)."""
        owner = owner_matrix(self.labels)
        logits = tf.einsum("bj,jv,jl->blv", latents, self.kernel, tf.constant(owner, tf.float32)) + self.bias
        return tf.where(value_mask(self.labels), logits, -np.inf)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "separation": self.separation, "pace": self.pace}


def owner_matrix(labels: Labels) -> np.ndarray:
    """float64 (characteristic, labels): 1 where the latent belongs to the label."""
    owner = np.repeat(np.arange(len(labels)), [x.latents for x in labels])
    return np.eye(len(labels))[owner]


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
    counts = np.stack([(values == v).sum(0) for v in range(labels.values)], axis=1) + smoothing
    counts = np.where(mask, counts, 0.0)
    return counts / counts.sum(1, keepdims=True)


def incompatible_values(values: np.ndarray, labels: Labels, expected: float = 20.0, share: float = 0.02) -> np.ndarray:
    """Which values of two labels exclude each other, by the training labels: blond and brown hair, say.

    Two values do if independence would let them meet at least `expected` times, and they meet at most `share` times as
    often as that, among the examples on which both labels are known.

    Args:
      values: integer (examples, labels), negative where missing.
      labels: what the columns are.
      expected: fewest expected meetings that say anything.
      share: largest ratio of meetings to expected meetings.

    Returns:
      float32 (labels, values, labels, values), symmetric: 1 where they exclude each other, else 0.
    """
    table = np.stack([(values == v) for v in range(labels.values)], axis=2).astype(np.float64)  # (n, L, V)
    known = table.sum(2)
    meet = np.einsum("niv,njw->ivjw", table, table, optimize=True)
    first = np.einsum("niv,nj->ivj", table, known, optimize=True)
    both = np.einsum("ni,nj->ij", known, known, optimize=True)
    chance = first[:, :, :, None] * first.transpose(2, 0, 1)[:, None] / np.maximum(both, 1)[:, None, :, None]
    excluded = (chance >= expected) & (meet <= share * chance)
    excluded[np.arange(len(labels)), :, np.arange(len(labels))] = False
    return excluded.astype(np.float32)


@keras.saving.register_keras_serializable("tf_ccvae")
class Likelihood(keras.layers.Layer):
    """p(x | z) around the decoder's image, independent over pixels.

    Args:
      kind: 'laplace' (the paper's), 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      scale: scale of laplace and gaussian, in pixels of [0, 1]; or 'learned', one number for all pixels.

    Call: logits (batch, height, width, channels) -> `tfd` distribution with event shape (height, width, channels).

    Raises:
      ValueError: unknown kind, or a scale that is not positive.
    """

    def __init__(self, kind: str = "laplace", scale: float | str = 1.0, **kwargs: Any):
        super().__init__(dtype="float32", **{k: v for k, v in kwargs.items() if k != "dtype"})
        if kind not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {kind!r}")
        if scale != "learned" and not (isinstance(scale, (int, float)) and scale > 0):
            raise ValueError(f"likelihood scale must be positive or 'learned', got {scale!r}")
        self.kind = kind
        self.scale = scale

    def build(self, input_shape: Any = None) -> None:
        self.log_scale = None
        if self.scale == "learned" and self.kind in ("laplace", "gaussian"):
            self.log_scale = self.add_weight(
                autocast=False, shape=(), initializer=keras.initializers.Constant(np.log(0.2)), name="log_scale"
            )
        self.built = True

    def call(self, logits: Any) -> tfd.Distribution:
        logits = tf.cast(logits, tf.float32)
        if self.kind == "bernoulli":
            pixels = tfd.Bernoulli(logits=logits, dtype=tf.float32)
        elif self.kind == "continuous_bernoulli":
            pixels = tfd.ContinuousBernoulli(logits=logits)
        else:
            scale = tf.exp(self.log_scale) if self.log_scale is not None else float(self.scale)
            family = tfd.Laplace if self.kind == "laplace" else tfd.Normal
            pixels = family(tf.sigmoid(logits), scale)
        return tfd.Independent(pixels, reinterpreted_batch_ndims=3)

    def fitted_scale(self) -> float | None:
        """Scale of the likelihood as it is now, in pixels of [0, 1]; None for a likelihood without one."""
        if self.kind not in ("laplace", "gaussian"):
            return None
        return float(tf.exp(self.log_scale)) if self.log_scale is not None else float(self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "scale": self.scale}
