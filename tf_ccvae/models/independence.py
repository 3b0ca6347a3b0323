"""Keeps each label's information in its own latents: a penalty on what all other latents tell about it.

The bound alone leaves the model free to write a label into other latents too: whether there is a hat into the style
latents that hold its colour, whether hair is brown into what `Black_Hair` holds of hair that is not black. The decoder
then reads it there, and setting the label does little. So training also lowers

    sum_i I(y_i; z_-i | y_-i) = sum_i E log p(y_i | z_-i, y_-i) - log p(y_i | y_-i),

with z_-i all latents but those of label i, and y_-i all other labels: given the other labels, the other latents should
tell nothing about label i. A critic estimates both probabilities: one small network sees z_-i and y_-i, another y_-i
alone, and both learn to predict y_i. The encoder is trained against the first: its penalty is

    sum_i KL(p(y_i | y_-i) || p(y_i | z_-i, y_-i)),

which is 0 where the first network can do no better than the second.

References:
  Klys, Snell, Zemel, "Learning latent subspaces in variational autoencoders", NeurIPS 2018 (such a penalty between
  style latents and labels, unconditional).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.labels import LabelConfig, Labels, latent_owners, value_mask
from tf_ccvae.objective.label_model import NEVER
from tf_ccvae.support.files import JsonObject

LATENT_UNITS, LABEL_UNITS = 128, 64
SIZE = 3.0  # of a latent, roughly: what the critic sees is divided by it
WARM_UP = 500  # steps over which the penalty grows to its weight, while the critic learns


@keras.saving.register_keras_serializable("tf_ccvae")
class Critic(keras.layers.Layer):
    """Predicts each label from the latents of all others, and from the other labels alone.

    The weights of both networks belong to this one layer, for saved models hold them so; with layers of
    `keras.layers.Dense` in it, no model that was saved before could be loaded. Such layers take as much time, and those
    of `keras.layers.EinsumDense` more: docs/speed.md has the measured ratios.

    Args:
      labels: what the labels are (or their config).
      latents: number of latents.
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], latents: int, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.latents = latents
        owned = latent_owners(self.labels)
        self.others = np.ones((len(self.labels), latents), np.float32)  # 0 where the latent is the label's own
        self.others[owned, np.arange(len(owned))] = 0.0

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        count, values = len(self.labels), self.labels.values
        columns = count * values + count  # the other labels, and which label is to be predicted
        self.with_latents = self._network(columns + self.latents, LATENT_UNITS, values, "with_latents")
        self.without = self._network(columns, LABEL_UNITS, values, "without")
        self.built = True

    def _network(self, inputs: int, units: int, outputs: int, name: str) -> list[keras.Variable]:
        sizes = [(inputs, units), (units, units), (units, outputs)]
        weights = []
        for k, size in enumerate(sizes):
            weights += [
                self.add_weight(shape=size, initializer="he_normal", autocast=False, name=f"{name}_kernel{k}"),
                self.add_weight(shape=size[1:], initializer="zeros", autocast=False, name=f"{name}_bias{k}"),
            ]
        return weights

    def inputs(self, latents: tf.Tensor, values: tf.Tensor, observed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What the two networks see of each label: latents (n, D) -> (n L, all), (n L, labels only)."""
        count, depth = len(self.labels), self.labels.values
        others = tf.one_hot(tf.where(observed, tf.cast(values, tf.int32), -1), depth)  # 0 where missing
        hidden = (1 - np.eye(count, dtype=np.float32))[..., None]
        table = tf.reshape(others[:, None] * hidden, [-1, count * depth])  # (n L, L V): the label itself is hidden
        which = tf.tile(tf.eye(count), [tf.shape(latents)[0], 1])  # the label to be predicted
        labels = tf.concat([table, which], axis=1)
        other_latents = tf.reshape(latents[:, None] * (self.others / SIZE), [-1, self.latents])
        return tf.concat([other_latents, labels], axis=1), labels

    def log_probabilities(self, inputs: tf.Tensor, weights: Sequence[tf.Tensor | keras.Variable]) -> tf.Tensor:
        """log p(y_i = v) of one of the networks: (n L, inputs) -> (n, L, V)."""
        x = inputs
        for kernel, bias in zip(weights[:4:2], weights[1:4:2], strict=True):
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
        logits = tf.reshape(tf.matmul(x, weights[4]) + weights[5], [-1, len(self.labels), self.labels.values])
        return tf.nn.log_softmax(tf.where(value_mask(self.labels), logits, NEVER), axis=-1)

    def call(self, latents: tf.Tensor, values: tf.Tensor, observed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The penalty and the critic's own loss.

        Args:
          latents: float32 (n, D); the penalty's gradient reaches them, the loss's does not.
          values: integer (n, L).
          observed: bool (n, L); labels that are missing are neither predicted nor shown.

        Returns:
          penalty (n,), in nats, whose gradient does not reach the critic, and loss (n,), the cross-entropies of both
          networks, whose gradient reaches only the critic.
        """
        everything, labels_alone = self.inputs(latents, values, observed)
        without = self.log_probabilities(labels_alone, self.without)
        target = tf.stop_gradient(without)
        frozen = [tf.stop_gradient(weight) for weight in self.with_latents]
        divergence = tf.reduce_sum(tf.exp(target) * (target - self.log_probabilities(everything, frozen)), axis=-1)
        penalty = tf.reduce_sum(tf.where(observed, divergence, 0.0), axis=1)
        truth = tf.one_hot(tf.where(observed, tf.cast(values, tf.int32), -1), self.labels.values)
        with_latents = self.log_probabilities(tf.stop_gradient(everything), self.with_latents)
        return penalty, -tf.reduce_sum(truth * (with_latents + without), axis=[1, 2])

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "labels": self.labels.get_config(), "latents": self.latents}


def warmed_up(weight: float, step: int | tf.Tensor | keras.Variable) -> tf.Tensor:
    """The weight of the penalty at a step: linear from 0 over the first 500, while the critic learns."""
    return weight * tf.minimum(1.0, tf.cast(step, tf.float32) / WARM_UP)
