"""p(z_i | y_i) and q(y_i | z_i) of number labels: two linear Gaussians, see `objective.numbers`."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.labels import LabelConfig, Labels
from tf_ccvae.models.posterior import positive
from tf_ccvae.objective.numbers import NumberModel

FLOOR = 0.05  # of s in deviations of the label: a classifier surer than this has gradients of a size of no use


@keras.saving.register_keras_serializable("tf_ccvae")
class NumberDistributions(keras.layers.Layer):
    """What ties number labels to their latents.

    With y the standardised value, q(y | z_i) = N(y; slope . z_i + intercept, s^2) with s = 0.05 + softplus(raw_scale),
    and p(z_j | y) = N(z_j; prior_slope_j y + prior_intercept_j, positive(prior_raw_scale_j)^2) per latent j.

    Args:
      labels: the number labels alone (or their config).
      pace: the prior's parameters and raw_scale are held divided by this, as those of `LabelDistributions`.
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], pace: float = 1.0, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.pace = pace

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        latents = [x.latents for x in self.labels]
        even = np.repeat([1 / np.sqrt(x) for x in latents], latents).astype(np.float32)
        constant = keras.initializers.Constant

        def weight(name: str, values: np.ndarray) -> keras.Variable:
            return self.add_weight(autocast=False, shape=values.shape, initializer=constant(values), name=name)

        self.slope = weight("slope", even)
        self.intercept = weight("intercept", np.zeros(len(latents), np.float32))
        self.paced_raw_scale = weight("paced_raw_scale", np.zeros(len(latents), np.float32))
        self.paced_prior_slope = weight("paced_prior_slope", even / self.pace)
        self.paced_prior_intercept = weight("paced_prior_intercept", np.zeros_like(even))
        self.paced_prior_raw_scale = weight("paced_prior_raw_scale", np.ones_like(even) / self.pace)
        self.built = True

    def number_model(self) -> NumberModel:
        """The labels' distributions as the objective takes them."""

        def unpaced(weight: keras.Variable) -> tf.Tensor:
            return self.pace * tf.convert_to_tensor(weight)

        return NumberModel(
            self.labels,
            slope=tf.convert_to_tensor(self.slope),
            intercept=tf.convert_to_tensor(self.intercept),
            scale=FLOOR + tf.nn.softplus(unpaced(self.paced_raw_scale)),
            prior_slope=unpaced(self.paced_prior_slope),
            prior_intercept=unpaced(self.paced_prior_intercept),
            prior_scale=positive(unpaced(self.paced_prior_raw_scale)),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels.get_config(), "pace": self.pace}
