"""Residual backbone: patches of pixels become channels first, then dense layers and 3x3 convolutions on coarse grids.

At 64 pixels the encoder makes one vector of every patch of 4x4 pixels (16x16 places), mixes each to 48 channels and
passes them through a residual block; it makes one vector of every 2x2 places, mixes each to 96 channels (8x8 places),
passes them through a second block and ends in a dense layer to the features. A block is

    x + dense(silu(convolution(x / rms(x))))

with a 3x3 convolution, and rms(x) over the channels of a place. The decoder mirrors the encoder except on its finest
grid, where it has no block: there it makes the pixels of a patch from the rectified vectors by one 3x3 convolution over
places. Neighbouring patches are so made from the same vectors, which keeps the borders between them faint. No
convolution works on the few channels of an image, where a CPU is slow.

References:
  He et al., "Identity mappings in deep residual networks", ECCV 2016 (the normalisation before the convolution).
  Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019.
  Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
  network", CVPR 2016 (pixels from channels).
"""

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_ccvae.support.files import JsonObject

COARSEST = 8  # largest height and width of the last grid
EPSILON = 1e-6  # added to the mean square of the channels


def default_widths(image_size: int) -> tuple[int, ...]:
    """Channels on each grid of the encoder, the finest first: two grids up to 64 pixels, three above."""
    return (48, 96) if image_size <= 64 else (48, 48, 96)


class Geometry(NamedTuple):
    """How an image is cut into patches.

    patch: height and width of a patch, in pixels.
    before, after: pixels of padding on the two sides of the image, so that the grids divide it.
    coarsest: height and width of the last grid, in places.
    """

    patch: int
    before: int
    after: int
    coarsest: int

    @classmethod
    def of(cls, image_size: int, grids: int) -> "Geometry":
        """The smallest patches with which `grids` grids, each half as high as the one before, end in 8x8 or less."""
        steps = 2 ** (grids - 1)
        patch = math.ceil(image_size / (COARSEST * steps))
        coarsest = math.ceil(image_size / (patch * steps))
        padding = coarsest * patch * steps - image_size
        return cls(patch, padding // 2, padding - padding // 2, coarsest)


def _check(image_shape: tuple[int, int, int], widths: tuple[int, ...]) -> None:
    height, width, _ = image_shape
    if height != width:
        raise ValueError(f"image_shape must be square, got {height} x {width}")
    most = max(1, int(math.log2(height)) - 1)
    if not 1 <= len(widths) <= most:
        raise ValueError(f"widths needs 1 to {most} numbers for images of {height} pixels, got {len(widths)}")


class PlaceDense(keras.layers.Dense):
    """A dense layer on the channels of every place, as one matrix product over all places of all images.

    Same weights and result as `keras.layers.Dense`, whose product over the last of four axes is exported as a dozen
    operations on shapes, which OpenCV cannot run.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        height, width, channels = inputs.shape[1:]
        product = tf.matmul(tf.reshape(inputs, [-1, channels]), tf.convert_to_tensor(self.kernel)) + self.bias
        return tf.reshape(self.activation(product), [-1, height, width, self.units])


@keras.saving.register_keras_serializable("tf_ccvae")
class ResidualBlock(keras.layers.Layer):
    """x + dense(silu(convolution(x / rms(x)))), with a 3x3 convolution; see the module.

    Args:
      channels: of the input and the output.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras layer.

    Call: (batch, height, width, channels) -> the same shape.
    """

    def __init__(self, channels: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = channels
        policy = self.dtype_policy
        self.convolution = keras.layers.Conv2D(channels, 3, padding="same", dtype=policy)
        self.mix = PlaceDense(channels, dtype=policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.convolution.build(input_shape)
        self.mix.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        wide = tf.cast(x, tf.float32)  # a mean square of float16 may overflow
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(wide), axis=-1, keepdims=True) + EPSILON)
        normalised = tf.cast(wide * scale, x.dtype)
        return x + self.mix(tf.nn.silu(self.convolution(normalised)))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable("tf_ccvae")
class ResidualEncoder(keras.layers.Layer):
    """Image to features.

    Args:
      image_shape: (height, width, channels), square.
      widths: channels on each grid, the finest first; each grid has half the height and width of the one before.
      hidden: number of features.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras layer.

    Call: pixels in [0, 1], (batch, height, width, channels) -> features (batch, hidden).

    Raises:
      ValueError: the image is not square, or has too few pixels for this number of grids.
    """

    def __init__(self, image_shape: tuple[int, int, int], widths: tuple[int, ...], hidden: int = 256, **kwargs: Any):
        super().__init__(**kwargs)
        _check(image_shape, widths)
        self.image_shape = tuple(image_shape)
        self.widths = tuple(widths)
        self.hidden = hidden
        self.geometry = Geometry.of(image_shape[0], len(widths))
        policy = self.dtype_policy
        self.mixes = [PlaceDense(width, dtype=policy) for width in widths]
        self.blocks = [ResidualBlock(width, dtype=policy) for width in widths]
        self.flatten = keras.layers.Flatten(dtype=policy)
        self.to_features = keras.layers.Dense(hidden, activation="relu", dtype=policy)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        side = self.geometry.coarsest * 2 ** (len(self.widths) - 1)
        channels = self.geometry.patch**2 * self.image_shape[2]
        for mix, block in zip(self.mixes, self.blocks, strict=True):
            mix.build((None, side, side, channels))
            block.build((None, side, side, mix.units))
            side, channels = side // 2, 4 * mix.units
        self.to_features.build((None, self.geometry.coarsest**2 * self.widths[-1]))
        self.built = True

    def call(self, image: tf.Tensor) -> tf.Tensor:
        _, before, after, _ = self.geometry
        x = tf.convert_to_tensor(image)
        if before + after:
            x = tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]])
        for fold, mix, block in zip(self._folds(), self.mixes, self.blocks, strict=True):
            places = tf.nn.space_to_depth(x, fold) if fold > 1 else x
            x = block(mix(places))  # (batch, side, side, width)
        return self.to_features(self.flatten(x))

    def _folds(self) -> list[int]:
        """How many rows and columns become channels before each grid."""
        return [self.geometry.patch, *[2] * (len(self.widths) - 1)]

    def get_config(self) -> JsonObject:
        return {**super().get_config(), "image_shape": self.image_shape, "widths": self.widths, "hidden": self.hidden}


@keras.saving.register_keras_serializable("tf_ccvae")
class ResidualDecoder(keras.layers.Layer):
    """Latents to the logits of an image: the mirror image of `ResidualEncoder` without its block on the finest grid.

    Args:
      image_shape: (height, width, channels), square.
      latents: number of latents.
      widths: the encoder's widths.
      hidden: number of features.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras layer.

    Call: latents (batch, latents) -> logits (batch, height, width, channels); their sigmoid is the image in [0, 1].

    Raises:
      ValueError: the image is not square, or has too few pixels for this number of grids.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latents: int,
        widths: tuple[int, ...],
        hidden: int = 256,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _check(image_shape, widths)
        self.image_shape = tuple(image_shape)
        self.latents = latents
        self.widths = tuple(widths)
        self.hidden = hidden
        self.geometry = Geometry.of(image_shape[0], len(widths))
        policy = self.dtype_policy
        self.to_features = keras.layers.Dense(hidden, activation="relu", dtype=policy)
        self.to_grid = keras.layers.Dense(self.geometry.coarsest**2 * widths[-1], dtype=policy)
        self.blocks = [ResidualBlock(width, dtype=policy) for width in widths[:0:-1]]
        self.mixes = [PlaceDense(4 * width, dtype=policy) for width in widths[-2::-1]]
        pixels = self.geometry.patch**2 * image_shape[2]
        self.to_pixels = keras.layers.Conv2D(pixels, 3, padding="same", dtype=policy)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.to_features.build((None, self.latents))
        self.to_grid.build((None, self.hidden))
        side, channels = self.geometry.coarsest, self.widths[-1]
        for block, mix in zip(self.blocks, self.mixes, strict=True):
            block.build((None, side, side, channels))
            mix.build((None, side, side, channels))
            side, channels = 2 * side, mix.units // 4
        self.to_pixels.build((None, side, side, channels))
        self.built = True

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        patch, before, after, side = self.geometry
        x = tf.reshape(self.to_grid(self.to_features(latents)), [-1, side, side, self.widths[-1]])
        for block, mix in zip(self.blocks, self.mixes, strict=True):
            x = tf.nn.depth_to_space(mix(block(x)), 2)  # (batch, 2 side, 2 side, width)
        x = self.to_pixels(tf.nn.relu(x))
        image = tf.nn.depth_to_space(x, patch) if patch > 1 else x
        if before + after:
            end = before + self.image_shape[0]
            image = image[:, before:end, before:end]
        return tf.reshape(image, [-1, *self.image_shape])  # the same; exported graphs then name their sizes

    def get_config(self) -> JsonObject:
        config = super().get_config()
        config.update(image_shape=self.image_shape, latents=self.latents, widths=self.widths, hidden=self.hidden)
        return config
