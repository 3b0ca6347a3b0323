"""Random changes of training images: shifts, flips from left to right, and colours.

What happens to an example depends on the seed, the step and the example's place in the whole batch alone, so that
training can start again at any step, and on any number of replicas, and see the same pictures.
"""

from dataclasses import dataclass

import tensorflow as tf

from tf_ccvae.data.dataset import columns_of
from tf_ccvae.labels import Labels
from tf_ccvae.settings import Data

SHIFT = 1 / 32  # largest shift, as a share of the side
COLOUR = 0.1  # largest change of brightness, contrast and saturation
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue in grey (ITU-R BT.601)
NUMBERS = 6  # per example: shift down and across, flip, brightness, contrast, saturation
_STREAM = 2  # beside the two streams of the order, which `pipeline` keys on (seed, 0) and (seed, 1)


@dataclass(frozen=True)
class Augmentation:
    """Which changes are made.

    Args:
      kinds: any of 'shift', 'flip' and 'colour'; they are made in this order, whatever the order here.
      sided: columns of the labels that a flip would change. An example with a known value of one is never flipped.
    """

    kinds: tuple[str, ...]
    sided: tuple[int, ...] = ()

    def changed(self, batch: dict[str, tf.Tensor], numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        """The batch with changed images; the rest of it is as it was.

        Args:
          batch: as `pipeline` describes it, with `image` uint8 (batch, height, width, channels).
          numbers: float32 (batch, 6) in [0, 1), as `random_numbers` draws them. Each change has columns of its own, so
            that it is the same with and without the others.
        """
        image = batch["image"]
        down, across, flip, *colours = tf.unstack(numbers, NUMBERS, axis=1)
        if "shift" in self.kinds or "flip" in self.kinds:
            one_sided = tf.gather(batch["observed"], tf.constant(self.sided, tf.int32), axis=1)
            flipped = (flip < 0.5) & ~tf.reduce_any(one_sided, axis=1)
            image = moved(
                image,
                _pixels(down, image.shape[1]) if "shift" in self.kinds else None,
                _pixels(across, image.shape[2]) if "shift" in self.kinds else None,
                flipped if "flip" in self.kinds else None,
            )
        if "colour" in self.kinds:
            image = coloured(image, *(1 + COLOUR * (2 * number - 1) for number in colours))
        return {**batch, "image": tf.ensure_shape(image, batch["image"].shape)}


def augmentation_of(data: Data, labels: Labels) -> Augmentation | None:
    """What the settings ask for; None where they leave training images as they are.

    Args:
      data: the settings.
      labels: those of the data set.

    Raises:
      DataError: `data.sided` names a label that the data set has not.
    """
    sided = columns_of(data.sided, labels.names, "data.sided")
    return Augmentation(data.augment, tuple(sided)) if data.augment else None


def random_numbers(seed: int, step: tf.Tensor, batch_size: int) -> tf.Tensor:
    """The random numbers of one whole batch: float32 (batch_size, 6), uniform in [0, 1).

    Args:
      seed: of the training.
      step: int64 (), of the training.
      batch_size: examples in the batch of all replicas together.
    """
    key = tf.random.experimental.stateless_fold_in(tf.constant([seed, _STREAM], tf.int64), step, alg="philox")
    return tf.random.stateless_uniform([batch_size, NUMBERS], key, alg="philox")


def largest_shift(side: int) -> int:
    """How many pixels an image is shifted at most: 1/32 of its side, and at least one."""
    return max(1, round(SHIFT * side))


def _pixels(number: tf.Tensor, side: int) -> tf.Tensor:
    """Numbers in [0, 1) as shifts in whole pixels, each as likely: int32, of the same shape."""
    most = largest_shift(side)
    return tf.cast(tf.floor(number * (2 * most + 1)), tf.int32) - most


def moved(
    image: tf.Tensor,
    down: tf.Tensor | None = None,
    across: tf.Tensor | None = None,
    flipped: tf.Tensor | None = None,
) -> tf.Tensor:
    """Images shifted by whole pixels, with the pixels at the edge repeated, and then flipped from left to right.

    Args:
      image: uint8 (batch, height, width, channels).
      down: int32 (batch,), pixels that each moves down, negative for up; None for no shift.
      across: int32 (batch,), pixels that each moves to the right, negative for left; None for no shift.
      flipped: bool (batch,), which are flipped; None for none.

    Returns:
      uint8 of the same shape.
    """
    height, width = image.shape[1:3]
    row, column = tf.range(height)[None], tf.range(width)[None]
    if down is not None:
        image = tf.gather(image, tf.clip_by_value(row - down[:, None], 0, height - 1), axis=1, batch_dims=1)
    if flipped is not None:
        column = tf.where(flipped[:, None], width - 1 - column, column)  # (batch, width)
    if across is not None:
        column = tf.clip_by_value(column - across[:, None], 0, width - 1)
    if flipped is not None or across is not None:
        image = tf.gather(image, column, axis=2, batch_dims=1)
    return image


def coloured(image: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Images in other colours, rounded and clipped.

    Saturation is the distance of a pixel from its grey, brightness a factor of all pixels, contrast the distance from
    the mean grey of the picture. Grey images have no saturation to change.

    Args:
      image: uint8 (batch, height, width, channels) with 1 channel or 3.
      brightness, contrast, saturation: float32 (batch,), factors; 1 changes nothing.

    Returns:
      uint8 of the same shape.
    """
    brightness, contrast, saturation = (x[:, None, None, None] for x in (brightness, contrast, saturation))
    values = grey = tf.cast(image, tf.float32)
    if image.shape[3] == len(GREY):
        grey = tf.tensordot(values, tf.constant(GREY), 1)[..., None]  # (batch, height, width, 1)
        values = grey + saturation * (values - grey)
    mean = brightness * tf.reduce_mean(grey, axis=(1, 2, 3), keepdims=True)
    values = mean + contrast * (brightness * values - mean)
    return tf.cast(tf.round(tf.clip_by_value(values, 0.0, 255.0)), tf.uint8)
