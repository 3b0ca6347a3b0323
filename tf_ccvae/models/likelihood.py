"""p(x | z): the distribution of an image around the decoder's output."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

LIKELIHOODS = ("laplace", "gaussian", "bernoulli", "continuous_bernoulli")


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
        super().__init__(**{**kwargs, "dtype": "float32"})
        if kind not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {kind!r}")
        if scale != "learned" and not (isinstance(scale, (int, float)) and scale > 0):
            raise ValueError(f"likelihood scale must be positive or 'learned', got {scale!r}")
        self.kind = kind
        self.scale = scale

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.log_scale = None
        if self.scale == "learned" and self.kind in ("laplace", "gaussian"):
            self.log_scale = self.add_weight(
                autocast=False, shape=(), initializer=keras.initializers.Constant(np.log(0.2)), name="log_scale"
            )
        self.built = True

    def call(self, logits: tf.Tensor) -> tfd.Distribution:
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
