"""One image's characteristics carried over to another."""

from collections.abc import Sequence

import numpy as np

from tf_ccvae.interventions.codec import decode, encode, in_batches
from tf_ccvae.interventions.values_by_name import label_index
from tf_ccvae.models.labelled_vae import LabelledVAE


def swap(
    model: LabelledVAE, recipients: np.ndarray, donors: np.ndarray, labels: Sequence[str], consistent: bool = True
) -> np.ndarray:
    """The recipients with the donors' characteristics of the named labels, pair by pair.

    Args:
      model: a trained model.
      recipients, donors: (n, height, width, channels) each.
      labels: names of the labels that are carried over.
      consistent: also change labels of the recipient that the donor's values exclude.

    Raises:
      ValueError: an unknown label, no label, or different numbers of images.
    """
    if len(recipients) != len(donors):
        raise ValueError(f"as many donors as recipients are needed, got {len(donors)} and {len(recipients)}")
    both = encode(model, recipients), encode(model, donors)
    return decode(model, swap_values(model, *both, mask_of(model, labels), consistent))


def swap_matrix(
    model: LabelledVAE, recipients: np.ndarray, donors: np.ndarray, labels: Sequence[str], consistent: bool = True
) -> np.ndarray:
    """Every recipient with every donor's characteristics: float32 (donors, recipients, height, width, channels)."""
    mask = mask_of(model, labels)
    to, of = encode(model, recipients), encode(model, donors)
    pairs = np.tile(to, (len(of), 1)), np.repeat(of, len(to), axis=0)
    latents = swap_values(model, *pairs, mask, consistent)
    return decode(model, latents.reshape(len(of), len(to), -1))


def swap_values(
    model: LabelledVAE, latents: np.ndarray, donors: np.ndarray, mask: np.ndarray, consistent: bool = True
) -> np.ndarray:
    """`swap` on latents (n, D), with the mask as an array, (labels,) or (n, labels)."""
    mask = np.broadcast_to(mask, (len(latents), len(model.labels)))
    return in_batches(lambda z, d, a: model.swap(z, d, a, consistent), latents, donors, mask)


def mask_of(model: LabelledVAE, labels: Sequence[str]) -> np.ndarray:
    if not labels:
        raise ValueError("name at least one label")
    mask = np.zeros(len(model.labels), bool)
    mask[[label_index(model, name) for name in labels]] = True
    return mask
