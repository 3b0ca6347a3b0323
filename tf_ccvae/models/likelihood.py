"""p(x | z): the distribution of an image around the decoder's output."""

import math
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.support.files import JsonObject

RECONSTRUCTION_NATS = 1200.0  # what the error of an image amounts to under the scale 'auto'
_REMEMBERED = 0.98  # of the running error, at each step
_FIRST_ERROR = 0.25  # about that of an untrained decoder
LIKELIHOODS = ("laplace", "gaussian", "bernoulli", "continuous_bernoulli")


@keras.saving.register_keras_serializable("tf_ccvae")
class Likelihood(keras.layers.Layer):
    """p(x | z) around the decoder's image, independent over pixels.

    With the scale 'auto', training keeps the terms of the bound in proportion whatever the data: with N numbers in an
    image and e their mean absolute error (laplace) or root mean square error (gaussian), a running mean over steps,

        scale = e max(1, N / R)  (laplace),   e max(1, sqrt(N / R))  (gaussian),   R = 1200

    so that the error of an image costs R nats (R / 2 for gaussian) at any time, on any data and at any size from which
    on N is at least R. Weights in nats, of labels and of penalties, then mean the same everywhere. The factor 1 is the
    scale of greatest likelihood.

    Args:
      kind: 'laplace' (the paper's), 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      scale: scale of laplace and gaussian, in pixels of [0, 1]; or one number for all pixels that is 'learned' by
        gradient, or follows the error ('auto').
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.

    Call: logits (batch, height, width, channels) -> `tfd` distribution with event shape (height, width, channels).

    Raises:
      ValueError: unknown kind, or a scale that is not positive.

    References:
      Rybkin, Daniilidis, Levine, "Simple and effective VAE training with calibrated decoders", ICML 2021 (the scale of
      greatest likelihood in closed form).
    """

    def __init__(self, kind: str = "laplace", scale: float | str = 1.0, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if kind not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {kind!r}")
        if scale not in ("learned", "auto") and not (isinstance(scale, (int, float)) and scale > 0):
            raise ValueError(f"likelihood scale must be positive, 'learned' or 'auto', got {scale!r}")
        self.kind = kind
        self.scale = scale

    def build(self, input_shape: tuple[int | None, ...] = ()) -> None:
        """`input_shape` is that of the images, and needed for the scale 'auto' alone."""
        self.log_scale: keras.Variable | None = None
        has_scale = self.kind in ("laplace", "gaussian")
        self.follows = has_scale and self.scale == "auto"
        if self.follows:
            self.numbers = float(math.prod(size or 0 for size in input_shape[-3:]))
            ratio = max(1.0, self.numbers / RECONSTRUCTION_NATS)
            self.slack = ratio if self.kind == "laplace" else math.sqrt(ratio)
        if has_scale and self.scale in ("learned", "auto"):
            self.log_scale = self.add_weight(
                autocast=False,
                shape=(),
                initializer=keras.initializers.Constant(math.log(_FIRST_ERROR * self.slack if self.follows else 0.2)),
                trainable=not self.follows,
                aggregation="only_first_replica" if self.follows else "none",
                name="log_scale",
            )
        self.built = True

    def follow(self, log_probability: tf.Tensor) -> None:
        """Moves a scale that is 'auto' towards what a batch asks for; any other scale stays.

        Args:
          log_probability: (), mean of log p(x | z) over a training batch under the scale as it is, in nats.
        """
        if not self.follows or self.log_scale is None:
            return
        log_scale = tf.convert_to_tensor(self.log_scale)
        cost = -log_probability / self.numbers - log_scale  # nats of one number, without what the scale itself costs
        if self.kind == "laplace":
            log_error = log_scale + tf.math.log(tf.maximum(cost - math.log(2), 1e-6))
        else:
            log_error = log_scale + 0.5 * tf.math.log(tf.maximum(2 * cost - math.log(2 * math.pi), 1e-6))
        target = tf.stop_gradient(log_error) + math.log(self.slack)
        self.log_scale.assign(_REMEMBERED * log_scale + (1 - _REMEMBERED) * target)

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

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "kind": self.kind, "scale": self.scale}
