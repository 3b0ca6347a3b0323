"""What models take and return: images as numbers, and named tuples of distributions."""

from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae import objective
from tf_ccvae.objective.label_model import TensorLike


class Inference(NamedTuple):
    """What the model says about images.

    posterior: q(z|x), `tfd.Normal`, batch shape (batch, latents drawn from it).
    label_probabilities: q(y_i = v | x), float32 (batch, labels, values); 0 for values that a label does not have.
    reconstruction: p(x|z) at the posterior mean; its `mean()` is the reconstructed image.
    numbers: q(y_i | x) of the number labels in their units, batch shape (batch, number labels); None without any.
    """

    posterior: tfd.Normal
    label_probabilities: tf.Tensor
    reconstruction: tfd.Distribution
    numbers: tfd.Normal | None = None


class Assessment(NamedTuple):
    """A model on one batch.

    terms: of its bound.
    latents: what the images are at the posterior mean, as `decode` takes it.
    log_marginals: log q(y_i = v | x), (batch, labels, values).
    numbers: q(y_i | x) of the number labels, as in `Inference`.
    """

    terms: objective.Terms
    latents: tf.Tensor
    log_marginals: tf.Tensor
    numbers: tfd.Normal | None = None


def pixels(image: TensorLike) -> tf.Tensor:
    """uint8 images to float32 in [0, 1]; float images as they are, in float32."""
    image = tf.convert_to_tensor(image)
    return tf.cast(image, tf.float32) / 255.0 if image.dtype == tf.uint8 else tf.cast(image, tf.float32)
