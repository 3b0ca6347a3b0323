"""How well images are reconstructed from their posterior means, and the bound with its terms.

mean_absolute_error: mean |x - x'| of pixels in [0, 1]; lower is better.
psnr: peak signal-to-noise ratio, -10 log10(mean (x - x')^2) in dB per image; higher is better.
ssim: structural similarity, at most 1, which means equal images; higher is better.
bound and its terms: in nats per image; the bound is higher the better.

References:
  Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004.
"""

import numpy as np
import tensorflow as tf

from tf_ccvae.data.dataset import Split
from tf_ccvae.evaluation.context import BATCH, Context
from tf_ccvae.evaluation.intervals import label_means
from tf_ccvae.models.counting import TERMS
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.support.files import JsonObject
from tf_ccvae.training import measures

MEASURES = ("mean_absolute_error", "psnr", "ssim")


def per_image(images: np.ndarray, rebuilt: np.ndarray) -> np.ndarray:
    """The three measures of every image: float64 (n, 3).

    Args:
      images, rebuilt: (n, height, width, channels), uint8 or float in [0, 1].
    """
    parts = [_of_some(images[i : i + BATCH], rebuilt[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def _of_some(images: np.ndarray, rebuilt: np.ndarray) -> np.ndarray:
    one, other = (x / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32) for x in (images, rebuilt))
    error = np.abs(one - other).mean(axis=(1, 2, 3), dtype=np.float64)
    square = np.square(one - other).mean(axis=(1, 2, 3), dtype=np.float64)
    similar = np.asarray(tf.image.ssim(one, other, max_val=1.0))
    return np.stack([error, -10 * np.log10(np.maximum(square, 1e-12)), similar], axis=1)


def from_arrays(model: LabelledVAE, split: Split, rebuilt: np.ndarray, seed: int = 0) -> JsonObject:
    """Image measures with intervals, and the means of the bound's terms over the split, counted exactly."""
    values = per_image(np.asarray(split.images), rebuilt)
    summary = label_means(values, np.ones_like(values), MEASURES, seed)["labels"]
    measured = measures.measure(model, split)
    return {**summary, "terms": {name: measured[name] for name in TERMS}}


def measure(context: Context) -> JsonObject:
    """Image measures and terms of the bound, as `reconstruction`."""
    whole = context.whole or context
    return {"reconstruction": from_arrays(whole.model, whole.part, context.rebuilt, context.seed)}
