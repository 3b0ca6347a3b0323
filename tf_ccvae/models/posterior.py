"""q(z | x): the layer from the encoder's features to a Gaussian over latents."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.support.files import JsonObject

MIN_SCALE = 1e-3


def positive(raw: tf.Tensor) -> tf.Tensor:
    """max(softplus(raw), 1e-3), the paper programs' map from a free number to a scale."""
    return tf.maximum(tf.nn.softplus(raw), MIN_SCALE)


@keras.saving.register_keras_serializable("tf_ccvae")
class PosteriorHead(keras.layers.Layer):
    """q(z | x) = N(loc(x), scale(x)) from the encoder's features; scale = max(softplus(raw), 1e-3).

    Args:
      latents: number of latents.
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.

    Call: features (batch, features) -> `tfd.Normal` with batch shape (batch, latents), float32.
    """

    def __init__(self, latents: int, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.latents = latents
        self.loc = keras.layers.Dense(latents, dtype="float32", name="loc")
        self.raw_scale = keras.layers.Dense(latents, dtype="float32", name="raw_scale")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.loc.build(input_shape)
        self.raw_scale.build(input_shape)
        self.built = True

    def call(self, features: tf.Tensor) -> tfd.Normal:
        return tfd.Normal(self.loc(features), positive(self.raw_scale(features)))

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "latents": self.latents}
