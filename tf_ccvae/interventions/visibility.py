"""How much of a picture each label changes."""

import numpy as np
from numpy.typing import ArrayLike

from tf_ccvae.interventions.codec import decode, encode
from tf_ccvae.interventions.edits import set_values
from tf_ccvae.models.labelled_vae import LabelledVAE


def visibility(model: LabelledVAE, images: ArrayLike) -> np.ndarray:
    """How much a picture differs between a label's first and last value, such as off and on; see `Label.ends`.

    Args:
      model: a trained model.
      images: (n, height, width, channels), uint8 or float in [0, 1].

    Returns:
      float32 (n, labels), the mean absolute difference of the pixels, which are in [0, 1].

    Raises:
      ValueError: the images do not have the model's shape.
    """
    latents = encode(model, images)
    differences = np.zeros((len(latents), len(model.labels)), np.float32)
    for i, label in enumerate(model.labels if len(latents) else ()):
        mask = np.arange(len(model.labels)) == i
        first, last = (
            decode(model, set_values(model, latents, np.where(mask, value, 0), mask)) for value in label.ends
        )
        differences[:, i] = np.abs(first - last).mean(axis=(1, 2, 3))
    return differences


def most_visible(model: LabelledVAE, images: ArrayLike) -> tuple[int, str] | None:
    """The picture and the label with the largest `visibility`.

    Args:
      model: a trained model.
      images: (n, height, width, channels), uint8 or float in [0, 1]; a few.

    Returns:
      Index of the picture and name of the label; None without pictures or labels, or if the model does not edit labels.

    Raises:
      ValueError: the images do not have the model's shape.
    """
    if not model.edits:
        return None
    differences = visibility(model, images)
    if not differences.size:
        return None
    image, label = np.unravel_index(np.argmax(differences), differences.shape)
    return int(image), model.labels.names[label]
