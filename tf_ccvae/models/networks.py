"""Encoder and decoder backbones: the convolutional networks of the paper, with a depth that follows the image size.

At 64 pixels the encoder has four 4x4 convolutions of stride 2 (32, 32, 64 and 128 channels) and a 4x4 'valid' one
to 256 features; the decoder mirrors it. Other sizes have as many strided layers as it takes to reach 4x4.

References:
  Joy et al., "Capturing Label Characteristics in VAEs", ICLR 2021, appendix.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from tf_ccvae.support.files import JsonObject

_WIDTHS = {3: (32, 64, 128), 4: (32, 32, 64, 128), 5: (32, 32, 64, 128, 128), 6: (32, 32, 64, 128, 128, 128)}
_SMALLEST = 4  # height and width at which the strided layers end


def stages(image_size: int) -> int:
    """How many layers of stride 2 lead from `image_size` pixels to 4."""
    return math.ceil(math.log2(image_size / _SMALLEST))


def default_widths(image_size: int) -> tuple[int, ...]:
    """Channels after each strided encoder layer.

    Raises:
      ValueError: there is no default for this image size.
    """
    depth = stages(image_size)
    if depth not in _WIDTHS:
        raise ValueError(f"no default widths for images of {image_size} pixels; choose 17 to 256 pixels or give widths")
    return _WIDTHS[depth]


def _check(image_shape: tuple[int, int, int], widths: tuple[int, ...]) -> None:
    height, width, _ = image_shape
    if height != width:
        raise ValueError(f"image_shape must be square, got {height} x {width}")
    if len(widths) != stages(height):
        raise ValueError(f"widths needs {stages(height)} numbers for images of {height} pixels, got {len(widths)}")


@keras.saving.register_keras_serializable("tf_ccvae")
class WholeConv2D(keras.layers.Conv2D):
    """A 'valid' convolution whose kernel covers the whole image, as the one matrix product that it is.

    Same weights and result as `keras.layers.Conv2D`, but faster on a CPU; docs/speed.md has the measured ratio.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.reshape(self.kernel, [-1, self.filters])
        product = tf.matmul(tf.reshape(inputs, [-1, kernel.shape[0]]), kernel) + self.bias
        return self.activation(product)[:, None, None, :]


@keras.saving.register_keras_serializable("tf_ccvae")
class WholeConv2DTranspose(keras.layers.Conv2DTranspose):
    """A 'valid' transposed convolution of a 1x1 image, as the one matrix product that it is; see `WholeConv2D`."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        height, width, filters, channels = self.kernel.shape
        kernel = tf.reshape(self.kernel, [-1, channels])
        product = tf.matmul(tf.reshape(inputs, [-1, channels]), kernel, transpose_b=True)
        return self.activation(tf.reshape(product, [-1, height, width, filters]) + self.bias)


@keras.saving.register_keras_serializable("tf_ccvae")
class ImageConv2DTranspose(keras.layers.Conv2DTranspose):
    """A transposed convolution to an image, its bias repeated to the size of the image before it is added.

    Same weights and result as `keras.layers.Conv2DTranspose`, but the gradient of the bias is summed over the batch
    first: TensorFlow's own kernel, which sums over all pixels at once, is slow where there are only three channels;
    docs/speed.md has the measured ratio.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        image = keras.ops.conv_transpose(inputs, self.kernel, strides=self.strides, padding=self.padding)
        _, height, width, channels = image.shape
        flat = tf.reshape(image, [-1, height * width * channels]) + tf.tile(self.bias, [height * width])
        return self.activation(tf.reshape(flat, [-1, height, width, channels]))


@keras.saving.register_keras_serializable("tf_ccvae")
class Encoder(keras.layers.Layer):
    """Image to features.

    Args:
      image_shape: (height, width, channels), square.
      widths: channels after each strided layer, one number per halving down to 4x4.
      hidden: number of features.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras layer.

    Call: pixels in [0, 1], (batch, height, width, channels) -> features (batch, hidden).

    Raises:
      ValueError: the image is not square, or the number of widths does not fit its size.
    """

    def __init__(self, image_shape: tuple[int, int, int], widths: tuple[int, ...], hidden: int = 256, **kwargs: Any):
        super().__init__(**kwargs)
        _check(image_shape, widths)
        self.image_shape = tuple(image_shape)
        self.widths = tuple(widths)
        self.hidden = hidden
        policy = self.dtype_policy
        self.convolutions = [
            keras.layers.Conv2D(width, 4, strides=2, padding="same", activation="relu", dtype=policy)
            for width in widths
        ]
        self.to_features = WholeConv2D(hidden, 4, padding="valid", activation="relu", dtype=policy)
        self.flatten = keras.layers.Flatten(dtype=policy)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (None, *self.image_shape)
        for layer in [*self.convolutions, self.to_features]:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, image: tf.Tensor) -> tf.Tensor:
        x = image
        for layer in self.convolutions:
            x = layer(x)  # (batch, size / 2, size / 2, width)
        return self.flatten(self.to_features(x))

    def get_config(self) -> JsonObject:
        config = super().get_config()
        config.update(image_shape=self.image_shape, widths=self.widths, hidden=self.hidden)
        return config


@keras.saving.register_keras_serializable("tf_ccvae")
class Decoder(keras.layers.Layer):
    """Latents to the logits of an image: the mirror image of `Encoder`.

    Sizes that are not 4 times a power of two are decoded at the next such size and cropped at the centre.

    Args:
      image_shape: (height, width, channels), square.
      latents: number of latents.
      widths: the encoder's widths.
      hidden: number of features.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras layer.

    Call: latents (batch, latents) -> logits (batch, height, width, channels); their sigmoid is the image in [0, 1].

    Raises:
      ValueError: the image is not square, or the number of widths does not fit its size.
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
        policy = self.dtype_policy
        self.to_features = keras.layers.Dense(hidden, activation="relu", dtype=policy)
        self.unflatten = keras.layers.Reshape((1, 1, hidden), dtype=policy)
        self.to_image = WholeConv2DTranspose(widths[-1], 4, padding="valid", activation="relu", dtype=policy)
        self.convolutions = [
            keras.layers.Conv2DTranspose(width, 4, strides=2, padding="same", activation="relu", dtype=policy)
            for width in widths[-2::-1]
        ]
        self.convolutions.append(ImageConv2DTranspose(image_shape[2], 4, strides=2, padding="same", dtype=policy))
        decoded = _SMALLEST * 2 ** len(widths)
        before = (decoded - image_shape[0]) // 2
        after = decoded - image_shape[0] - before
        self.crop = keras.layers.Cropping2D((before, after), dtype=policy) if decoded > image_shape[0] else None

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        self.to_features.build((None, self.latents))
        shape = (None, 1, 1, self.hidden)
        for layer in [self.to_image, *self.convolutions]:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        x = self.to_image(self.unflatten(self.to_features(latents)))  # (batch, 4, 4, width)
        for layer in self.convolutions:
            x = layer(x)  # (batch, 2 size, 2 size, width)
        return x if self.crop is None else self.crop(x)

    def get_config(self) -> JsonObject:
        config = super().get_config()
        config.update(image_shape=self.image_shape, latents=self.latents, widths=self.widths, hidden=self.hidden)
        return config
