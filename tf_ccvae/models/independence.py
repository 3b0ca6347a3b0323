"""Keeps each label's information in its own latents: a penalty on what all other latents tell about it.

The bound alone leaves the model free to write a label into other latents too: whether there is a hat into the style
latents that hold its colour, whether hair is brown into what `Black_Hair` holds of hair that is not black. The decoder
then reads it there, and setting the label does little. So training also lowers

    sum_i I(y_i; z_-i | y_-i) = sum_i E log p(y_i | z_-i, y_-i) - log p(y_i | y_-i),

with z_-i all latents but those of label i, and y_-i all other labels: given the other labels, the other latents should
tell nothing about label i. A critic estimates both probabilities: one small network sees z_-i and y_-i, another y_-i
alone, and both learn to predict y_i. The encoder is trained against the first: its penalty is

    sum_i KL(p(y_i | y_-i) || p(y_i | z_-i, y_-i)),

which is 0 where the first network can do no better than the second. Of a number label both predict the mean and the
deviation of a normal on the standardised value, and the penalty is the other divergence, KL(p(y_i | z_-i, y_-i) ||
p(y_i | y_-i)), whose mean is the information itself, a few nats at most: the first one grows with the inverse square of
the deviation that other latents leave, and would outweigh the picture.

References:
  Klys, Snell, Zemel, "Learning latent subspaces in variational autoencoders", NeurIPS 2018 (such a penalty between
  style latents and labels, unconditional).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import LabelConfig, Labels, latent_owners, value_mask
from tf_ccvae.objective import numbers
from tf_ccvae.objective.label_model import NEVER
from tf_ccvae.support.files import JsonObject

LATENT_UNITS, LABEL_UNITS = 128, 64
SIZE = 3.0  # of a latent, roughly: what the critic sees is divided by it
FLOOR = 0.1  # of the deviation of a number, in deviations of the label
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
        self.depth = self.labels.values  # at least 2: a number has two columns, its value and 1 where it is known
        self.columns = Columns.of(self.labels)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        count, values = len(self.labels), self.depth
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
        count, depth = len(self.labels), self.depth
        others = self.table(values, observed)
        hidden = (1 - np.eye(count, dtype=np.float32))[..., None]
        table = tf.reshape(others[:, None] * hidden, [-1, count * depth])  # (n L, L V): the label itself is hidden
        which = tf.tile(tf.eye(count), [tf.shape(latents)[0], 1])  # the label to be predicted
        labels = tf.concat([table, which], axis=1)
        other_latents = tf.reshape(latents[:, None] * (self.others / SIZE), [-1, self.latents])
        return tf.concat([other_latents, labels], axis=1), labels

    def table(self, values: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
        """What each label is: (n, L, V), 1 at the value; of a number its standardised value and 1; 0 where missing."""
        if not self.labels.numbers:
            return tf.one_hot(tf.where(observed, tf.cast(values, tf.int32), -1), self.depth)
        values = tf.where(observed, values, 0.0)
        listed, there = (tf.gather(x, self.columns.plain, axis=1) for x in (values, observed))
        one_hot = tf.one_hot(tf.where(there, tf.cast(listed, tf.int32), -1), self.depth)
        y, seen = (tf.gather(x, self.columns.numbers, axis=1) for x in (values, observed))
        y = numbers.standardised(y, self.labels.of_numbers)
        pairs = tf.stack([y, tf.ones_like(y)], axis=-1) * tf.cast(seen, tf.float32)[..., None]
        pairs = tf.pad(pairs, [[0, 0], [0, 0], [0, self.depth - 2]])
        return tf.gather(tf.concat([one_hot, pairs], axis=1), self.columns.together, axis=1)

    def outputs(self, inputs: tf.Tensor, weights: Sequence[tf.Tensor | keras.Variable]) -> tf.Tensor:
        """What one of the networks says: (n L, inputs) -> (n, L, V)."""
        x = inputs
        for kernel, bias in zip(weights[:4:2], weights[1:4:2], strict=True):
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
        return tf.reshape(tf.matmul(x, weights[4]) + weights[5], [-1, len(self.labels), self.depth])

    def log_probabilities(self, inputs: tf.Tensor, weights: Sequence[tf.Tensor | keras.Variable]) -> tf.Tensor:
        """log p(y_i = v) of one of the networks: (n L, inputs) -> (n, L, V)."""
        logits = self.outputs(inputs, weights)
        return tf.nn.log_softmax(tf.where(value_mask(self.labels), logits, NEVER), axis=-1)

    def normals(self, outputs: tf.Tensor) -> tfd.Normal:
        """What outputs (n, L, V) say of the number labels: batch shape (n, number labels)."""
        own = tf.gather(outputs, self.columns.numbers, axis=1)
        return tfd.Normal(own[..., 0], FLOOR + tf.nn.softplus(own[..., 1]))

    def call(self, latents: tf.Tensor, values: tf.Tensor, observed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The penalty and the critic's own loss.

        Args:
          latents: float32 (n, D); the penalty's gradient reaches them, the loss's does not.
          values: integer (n, L), or float with number labels, in their units.
          observed: bool (n, L); labels that are missing are neither predicted nor shown.

        Returns:
          penalty (n,), in nats, whose gradient does not reach the critic, and loss (n,), the cross-entropies of both
          networks, whose gradient reaches only the critic.
        """
        everything, labels_alone = self.inputs(latents, values, observed)
        frozen = [tf.stop_gradient(weight) for weight in self.with_latents]
        if self.labels.numbers:
            return self._mixed(everything, labels_alone, frozen, values, observed)
        without = self.log_probabilities(labels_alone, self.without)
        target = tf.stop_gradient(without)
        divergence = tf.reduce_sum(tf.exp(target) * (target - self.log_probabilities(everything, frozen)), axis=-1)
        penalty = tf.reduce_sum(tf.where(observed, divergence, 0.0), axis=1)
        truth = tf.one_hot(tf.where(observed, tf.cast(values, tf.int32), -1), self.labels.values)
        with_latents = self.log_probabilities(tf.stop_gradient(everything), self.with_latents)
        return penalty, -tf.reduce_sum(truth * (with_latents + without), axis=[1, 2])

    def _mixed(
        self,
        everything: tf.Tensor,
        labels_alone: tf.Tensor,
        frozen: Sequence[tf.Tensor],
        values: tf.Tensor,
        observed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`call` where there are number labels."""
        said = [
            self.outputs(labels_alone, self.without),
            self.outputs(everything, frozen),
            self.outputs(tf.stop_gradient(everything), self.with_latents),
        ]
        truth = self.table(values, observed)
        listed, y = (tf.gather(truth, x, axis=1) for x in (self.columns.plain, self.columns.numbers))
        seen, known = tf.reduce_sum(listed, axis=-1), y[..., 1]
        mask = value_mask(self.labels.plain)
        logs = [tf.nn.log_softmax(tf.where(mask, tf.gather(x, self.columns.plain, axis=1), NEVER)) for x in said]
        normals = [self.normals(x) for x in said]
        target = tf.stop_gradient(logs[0])
        normal = tfd.Normal(*(tf.stop_gradient(x) for x in (normals[0].loc, normals[0].scale)))
        divergence = tf.reduce_sum(tf.exp(target) * (target - logs[1]), axis=-1)
        penalty = tf.reduce_sum(seen * divergence, axis=1)
        penalty += tf.reduce_sum(known * tfd.kl_divergence(normals[1], normal), axis=1)
        loss = -tf.reduce_sum(listed * (logs[0] + logs[2]), axis=[1, 2])
        loss -= tf.reduce_sum(known * (normals[0].log_prob(y[..., 0]) + normals[2].log_prob(y[..., 0])), axis=1)
        return penalty, loss

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "labels": self.labels.get_config(), "latents": self.latents}


def warmed_up(weight: float, step: int | tf.Tensor | keras.Variable) -> tf.Tensor:
    """The weight of the penalty at a step: linear from 0 over the first 500, while the critic learns."""
    return weight * tf.minimum(1.0, tf.cast(step, tf.float32) / WARM_UP)
