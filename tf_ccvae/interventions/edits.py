"""Labels of images turned on or off, or set to a class."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from tf_ccvae.interventions.codec import decode, encode, in_batches
from tf_ccvae.interventions.values_by_name import label_values
from tf_ccvae.labels import Value
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective.characteristics import MODES


def set_labels(
    model: LabelledVAE,
    images: ArrayLike,
    settings: Mapping[str, Value],
    mode: str = "transport",
    seed: int = 0,
    consistent: bool = True,
) -> np.ndarray:
    """The images with labels turned on or off, or set to a class.

    Args:
      model: a trained model.
      images: (n, height, width, channels).
      settings: values by label name.
      mode: 'transport' keeps each characteristic's quantile in the conditional prior, 'mean' takes the prior's mean,
        'sample' draws from it.
      seed: of the draws of 'sample'.
      consistent: also change labels that a value set here excludes by the training labels (brown hair when it turns
        blond).

    Returns:
      float32 (n, height, width, channels).

    Raises:
      ValueError: an unknown label, value or mode.
    """
    values, mask = label_values(model, settings)
    latents = encode(model, images)
    return decode(model, set_values(model, latents, values, mask, mode, seed, consistent))


def set_values(
    model: LabelledVAE,
    latents: np.ndarray,
    values: np.ndarray,
    mask: np.ndarray,
    mode: str = "transport",
    seed: int = 0,
    consistent: bool = True,
) -> np.ndarray:
    """`set_labels` on latents (n, D), with values and mask as arrays, (labels,) or (n, labels)."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    shape = (len(latents), len(model.labels))
    noise = np.random.default_rng(seed).normal(size=(len(latents), model.labels.characteristic)).astype(np.float32)
    arrays = (latents, np.broadcast_to(values, shape), np.broadcast_to(mask, shape), noise)
    return in_batches(lambda z, v, a, e: model.set_values(z, v, a, mode, e, consistent), *arrays)
