"""Images to latents at the posterior mean and back, in batches."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tf_ccvae.models.labelled_vae import LabelledVAE

BATCH = 250  # images that go through a network at once


def encode(model: LabelledVAE, images: ArrayLike) -> np.ndarray:
    """Latents of images at the posterior mean, (n, D).

    Raises:
      ValueError: the images do not have the model's shape.
    """
    images = checked_images(model, images)
    return in_batches(model.latents_of, images) if len(images) else np.zeros((0, model.decoder_inputs), np.float32)


def decode(model: LabelledVAE, latents: ArrayLike) -> np.ndarray:
    """Images of latents: (..., D) -> (..., height, width, channels).

    Raises:
      ValueError: the latents do not have the model's number.
    """
    latents = np.asarray(latents, np.float32)
    if latents.ndim < 1 or latents.shape[-1] != model.decoder_inputs:
        raise ValueError(f"latents must have {model.decoder_inputs} columns, got shape {latents.shape}")
    flat = latents.reshape(-1, model.decoder_inputs)
    pictures = in_batches(lambda part: model.decode(part).mean(), flat) if len(flat) else np.zeros((0,), np.float32)
    return pictures.reshape(*latents.shape[:-1], *model.image_shape)


def reconstruct(model: LabelledVAE, images: ArrayLike) -> np.ndarray:
    """Images decoded from their posterior means."""
    return decode(model, encode(model, images))


def checked_images(model: LabelledVAE, images: ArrayLike) -> np.ndarray:
    images = np.asarray(images)
    if images.shape[1:] != tuple(model.image_shape):
        wanted = " x ".join(map(str, model.image_shape))
        raise ValueError(f"images must be (n, {wanted.replace(' x ', ', ')}), got shape {images.shape}")
    if images.dtype != np.uint8 and len(images) and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"float images must be in [0, 1], got {images.min():g} to {images.max():g}")
    return images


def in_batches(function: Callable[..., tf.Tensor], *arrays: np.ndarray) -> np.ndarray:
    count = len(arrays[0])
    parts = [np.asarray(function(*(x[i : i + BATCH] for x in arrays))) for i in range(0, count, BATCH)]
    return np.concatenate(parts)
