"""New images with chosen labels, and many draws of one characteristic of an image."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from tf_ccvae.interventions.codec import decode, encode, in_batches
from tf_ccvae.interventions.edits import set_values
from tf_ccvae.interventions.traversal import characteristic_of
from tf_ccvae.interventions.values_by_name import label_index, label_value, warn_outside
from tf_ccvae.labels import MISSING, Labels, Value
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective import Noise


class Generated(NamedTuple):
    """New images.

    images: (n, height, width, channels).
    labels: the values that they should show, int64 (n, labels), `MISSING` where any will do; float64 and NaN with
      number labels.
    latents: what they were decoded from, (n, D).
    """

    images: np.ndarray
    labels: np.ndarray
    latents: np.ndarray


class Variation(NamedTuple):
    """Many draws of one characteristic.

    mean: (n, height, width, channels).
    deviation: standard deviation of a pixel over the draws, root mean square over channels, (n, height, width).
    images: all of them, (n, draws, height, width, channels).
    """

    mean: np.ndarray
    deviation: np.ndarray
    images: np.ndarray


def generate(
    model: LabelledVAE,
    values: ArrayLike,
    seed: int,
    style: ArrayLike | None = None,
) -> Generated:
    """New images with chosen label values: characteristic latents from p(z_i|y_i), style latents from N(0, I).

    Args:
      model: a trained model.
      values: integer (n, labels), or float with number labels; a label that is `MISSING`, or NaN among floats, is
        summed out, z_i ~ sum_v p(v) p(z_i|v). `values_by_name.choose_values` makes them from names.
      seed: of the draws.
      style: an image (1 or n of them) whose style latents are kept; by default they are drawn.

    Raises:
      ValueError: values of a wrong shape or out of range.
    """
    values = np.asarray(values)
    values = _checked_values(model.labels, values)
    random = np.random.default_rng([seed, 0])
    normal = random.normal(size=(len(values), model.latents)).astype(np.float32)
    uniform = np.random.default_rng([seed, 1]).random(values.shape).astype(np.float32)
    passed = values.astype(np.float32 if model.labels.numbers else np.int32)
    nothing = tf.zeros([0, 0, model.labels.characteristic])
    latents = in_batches(lambda v, e, u: model.draw(v, Noise(e, u, nothing)), passed, normal, uniform)
    if style is not None:
        kept = encode(model, style)
        if len(kept) not in (1, len(latents)):
            raise ValueError(f"style must be 1 or {len(latents)} images, got {len(kept)}")
        kept = np.broadcast_to(kept, latents.shape)
        latents = in_batches(model.with_characteristic, kept, characteristic_of(model, latents))
    return Generated(decode(model, latents), values, latents)


def _checked_values(labels: Labels, values: np.ndarray) -> np.ndarray:
    """The values, with NaN for `MISSING` in place of labels that are no number labels where there are some.

    Raises:
      ValueError: they have a wrong shape, or one is out of range.
    """
    if values.ndim != 2 or values.shape[1] != len(labels):
        raise ValueError(f"values must be (n, {len(labels)}), got shape {values.shape}")
    most = np.array([x.values for x in labels], int)
    listed = most > 0
    if labels.numbers:
        values = values.astype(np.float64)
        if np.isinf(values).any():
            raise ValueError("values of number labels must be finite, or NaN (missing)")
        values[:, listed] = np.where(values[:, listed] == MISSING, np.nan, values[:, listed])
    some = np.where(np.isnan(values), MISSING, values)[:, listed] if labels.numbers else values
    if ((some < MISSING) | (some >= most[listed])).any():
        raise ValueError("values must be -1 (missing) or one of a label's values")
    return values


def variation(
    model: LabelledVAE, images: ArrayLike, label: str, value: Value | None = None, draws: int = 64, seed: int = 0
) -> Variation:
    """What one characteristic changes: many draws of it from p(z_i|y_i), everything else kept.

    Args:
      model: a trained model.
      images: (n, height, width, channels).
      label: name of the label.
      value: of the label; by default the one that the image has.
      draws: how many, at least 2.
      seed: of the draws.

    Raises:
      ValueError: an unknown label or value, or fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, got {draws}")
    index = label_index(model, label)
    latents = encode(model, images)
    values = np.asarray(model.values_of(latents)).copy()
    if value is not None:
        chosen = label_value(model, label, value)
        warn_outside(model, index, chosen)
        values[:, index] = chosen
    mask = np.arange(len(model.labels)) == index
    many = np.repeat(latents, draws, axis=0)
    drawn = set_values(model, many, np.repeat(values, draws, axis=0), mask, "sample", seed)
    pictures = decode(model, drawn.reshape(len(latents), draws, -1))
    deviation = np.sqrt(pictures.var(axis=1, dtype=np.float64).mean(-1)).astype(np.float32)
    return Variation(pictures.mean(axis=1), deviation, pictures)
