"""Images whose labels are missing teach the classifier: what q(y|x) is sure of has to hold for a changed image too.

The bound learns little about a missing label from an image: the classifier is trained by the few images that know it.
So each image of a batch is also changed at random, more than `data.augment` does: shifted by up to 1/8 of its side, a
rectangle painted over, contrast and brightness drawn anew, and flipped if that is allowed. Training then also lowers

    - sum_{i in O} log q(y_i | changed x) - sum_{i in M, sure} log q(v_i | changed x),

with O the labels that are known and M those that are missing. The target v_i of a missing label is its most probable
value given the image as it is, and it counts where that value has a probability of 0.8 or more. Probabilities are first
brought into line with p(y): they are multiplied by p(v) / m(v), m the running mean of q(y|x) over images without it,
and normalised, for what a classifier of few labels takes for rare it would teach itself to be rarer still. No gradient
flows to targets, and the decoder takes no part: what is reconstructed is the image as it is. Number labels take no
part.

The term is no part of the bound, and its weight is 0 unless it is set: it may help where an image that is changed so
much still shows its labels, as clothes do, and can cost accuracy where labels are small parts at the same place in
every image, as on the drawn faces. Where every label is known `training.build` leaves it out.

References:
  Sohn et al., "FixMatch: simplifying semi-supervised learning with consistency and confidence", NeurIPS 2020.
  Berthelot et al., "ReMixMatch", ICLR 2020 (the targets' distribution).
  Tarvainen, Valpola, "Mean teachers are better role models", NeurIPS 2017.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.labels import LabelConfig, Labels, value_mask
from tf_ccvae.models import draws, replicas

SURE = 0.8  # probability from which on a value is a target
SHIFT = 1 / 8  # largest shift, as a share of the side
CUT = 1 / 2  # largest side of the rectangle that is painted over, as a share of the image's
CONTRAST, BRIGHTNESS = 0.3, 0.3  # largest changes of the two factors
WARM_UP = 500  # steps over which missing labels grow to their weight, while the known ones are learned
MOMENTUM = 0.97  # of the running mean of q(y|x)
NUMBERS = 10  # random numbers per image


@keras.saving.register_keras_serializable("tf_ccvae")
class Targets(keras.layers.Layer):
    """What a changed image is to be read as: known labels, and missing ones that the classifier is sure of.

    Its one weight, not trained, is the running mean of q(y|x) over images that miss the label: (labels, values).

    Args:
      labels: what the labels are (or their config).
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.

    Call: log q(y_i = v | x) (batch, L, V), log p(y_i = v) (L, V), integer values (batch, L) and which of them are
      known, bool (batch, L) -> values int32 (batch, L), and which of the missing ones count, bool (batch, L).
    """

    def __init__(self, labels: Labels | list[LabelConfig], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        mask = value_mask(self.labels)
        uniform = keras.initializers.Constant((mask / np.maximum(mask.sum(1, keepdims=True), 1)).astype(np.float32))
        self.mean = self.add_weight(
            shape=mask.shape,
            initializer=uniform,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="mean",
        )
        self.built = True

    def call(
        self, log_marginals: tf.Tensor, log_prior: tf.Tensor, values: tf.Tensor, observed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        there = value_mask(self.labels)
        shares = tf.where(there, tf.exp(tf.stop_gradient(log_marginals)), 0.0)
        missing = tf.cast(~observed, tf.float32)[..., None]
        sums = tf.concat([tf.reduce_sum(missing * shares, axis=0), tf.reduce_sum(missing, axis=0)], axis=1)
        sums = tf.convert_to_tensor(replicas.total(sums))
        counted = sums[:, -1:]
        found = tf.math.divide_no_nan(sums[:, :-1], counted)
        mean = tf.convert_to_tensor(self.mean)
        mean = tf.where(counted > 0, MOMENTUM * mean + (1 - MOMENTUM) * found, mean)
        self.mean.assign(mean)
        shares *= tf.where(there, tf.math.divide_no_nan(tf.exp(log_prior), mean), 0.0)
        likely = tf.argmax(shares, axis=-1, output_type=tf.int32)
        sure = tf.reduce_max(shares, axis=-1) >= SURE * tf.reduce_sum(shares, axis=-1)
        return tf.where(observed & there.any(1), tf.cast(values, tf.int32), likely), sure & ~observed & there.any(1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels.get_config()}


def changed(image: tf.Tensor, seed: tf.Tensor, flips: bool = False) -> tf.Tensor:
    """Images that show the same and look different.

    Args:
      image: float32 (batch, height, width, channels) in [0, 1].
      seed: int32 (2,).
      flips: whether each is flipped from left to right with probability 1/2.

    Returns:
      float32 of the same shape, in [0, 1].
    """
    height, width = image.shape[1:3]
    numbers = tf.unstack(draws.uniform([tf.shape(image)[0], NUMBERS], seed)[..., None], axis=1)  # (batch, 1) each
    down, across, flip, contrast, brightness, *hole = numbers
    row = tf.clip_by_value(tf.range(height)[None] + _shift(down, height), 0, height - 1)
    column = tf.clip_by_value(tf.range(width)[None] + _shift(across, width), 0, width - 1)
    if flips:
        column = tf.where(flip < 0.5, width - 1 - column, column)
    image = tf.gather(tf.gather(image, row, axis=1, batch_dims=1), column, axis=2, batch_dims=1)
    contrast, brightness = (
        (1 + most * (2 * x - 1))[..., None, None] for most, x in ((CONTRAST, contrast), (BRIGHTNESS, brightness))
    )
    mean = tf.reduce_mean(image, axis=(1, 2, 3), keepdims=True)
    image = tf.clip_by_value(brightness * (mean + contrast * (image - mean)), 0.0, 1.0)
    tall, wide, low, left, grey = hole
    inside = _between(low, tall, height)[:, :, None] & _between(left, wide, width)[:, None, :]
    return tf.where(inside[..., None], grey[..., None, None], image)


def _shift(number: tf.Tensor, side: int) -> tf.Tensor:
    """Numbers in [0, 1) as shifts in whole pixels, each as likely."""
    most = max(1, round(SHIFT * side))
    return tf.cast(tf.floor(number * (2 * most + 1)), tf.int32) - most


def _between(place: tf.Tensor, size: tf.Tensor, side: int) -> tf.Tensor:
    """The pixels of a side that a hole covers: its middle and its size in [0, 1), (batch, 1) -> bool (batch, side)."""
    middle = (tf.range(side, dtype=tf.float32)[None] + 0.5) / side
    return tf.abs(middle - place) < CUT * size / 2


def cost(log_marginals: tf.Tensor, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The module's sum, in nats: log q(y_i = v | changed x) (batch, L, V), values, weights (batch, L) -> (batch,)."""
    read = tf.gather(log_marginals, values, axis=2, batch_dims=2)
    return -tf.reduce_sum(tf.where(weights > 0, weights * read, 0.0), axis=1)


def warmed_up(step: tf.Tensor) -> tf.Tensor:
    """The weight of a missing label at a step, where a known one has 1: linear from 0 over the first 500."""
    return tf.minimum(1.0, tf.cast(step, tf.float32) / WARM_UP)
