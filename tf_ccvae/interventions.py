"""What a trained model can do with characteristics: arrays in, arrays out, float32, seeds explicit."""

from typing import Any

import numpy as np

from tf_ccvae.model import CCVAE


def label_index(model: CCVAE, name: str) -> int:
    """Position of the label called `name`.

    Raises:
      ValueError: the model has no such label.
    """
    if name not in model.labels.names:
        raise ValueError(f"no label {name!r}; the model has {', '.join(model.labels.names)}")
    return model.labels.names.index(name)


def reconstruct(model: CCVAE, images: Any) -> np.ndarray:
    """Images (n, height, width, channels) decoded from their posterior means, float32 in [0, 1]."""
    return np.asarray(model(images).reconstruction.mean())


def traverse(
    model: CCVAE, images: Any, label: str, start: int = 0, end: int = 1, steps: int = 8, deviations: float = 1.0
) -> np.ndarray:
    """Moves one label's characteristic in a straight line through its conditional prior.

    From loc(start) - deviations * scale(start) to loc(end) + deviations * scale(end), the sign along the line from
    start to end; all other latents stay at the posterior mean.

    Args:
      model: a trained model.
      images: (n, height, width, channels), uint8 or float in [0, 1].
      label: name of the label.
      start, end: label values at the two ends (0 and 1 of a binary label, class indices of a categorical one).
      steps: number of pictures.
      deviations: how far the line reaches beyond the two means, in prior standard deviations.

    Returns:
      float32 (n, steps, height, width, channels), in [0, 1].

    Raises:
      ValueError: the model has no such label.
    """
    index = label_index(model, label)
    where = model.labels.slices[index]
    prior = model.label_distributions.prior
    loc, scale = np.asarray(prior.loc)[:, where], np.asarray(prior.scale)[:, where]
    sign = np.sign(loc[end] - loc[start])
    low = loc[start] - deviations * sign * scale[start]
    high = loc[end] + deviations * sign * scale[end]
    latents = np.repeat(np.asarray(model.encode(images).loc)[:, None], steps, axis=1)  # (n, steps, latents)
    latents[:, :, where] = np.linspace(low, high, steps)
    pictures = np.asarray(model.decode(latents.reshape(-1, model.latents)).mean())
    return pictures.reshape(len(latents), steps, *model.image_shape)


def generate(model: CCVAE, values: Any, seed: int) -> np.ndarray:
    """New images for given labels: characteristic latents from p(z_i|y_i), style latents from N(0, I).

    Args:
      model: a trained model.
      values: integer (n, labels), every label given.
      seed: of the draws.

    Returns:
      float32 (n, height, width, channels), in [0, 1].
    """
    values = np.asarray(values)
    latents = np.random.default_rng(seed).normal(size=(len(values), model.latents)).astype(np.float32)
    prior = model.label_distributions.prior
    owner = np.repeat(np.arange(len(model.labels)), [x.latents for x in model.labels])
    column = np.arange(model.labels.characteristic)
    chosen = values[:, owner], column
    latents[:, : len(column)] = (
        np.asarray(prior.loc)[chosen] + np.asarray(prior.scale)[chosen] * latents[:, : len(column)]
    )
    return np.asarray(model.decode(latents).mean())


def sample_labels(model: CCVAE, count: int, seed: int) -> np.ndarray:
    """Label values drawn from p(y), int64 (count, labels)."""
    random = np.random.default_rng(seed)
    probabilities = np.exp(np.asarray(model.label_distributions.log_label_prior, np.float64))
    cumulative = np.cumsum(probabilities, axis=1)
    uniform = random.random((count, len(model.labels), 1)) * cumulative[:, -1:]
    return (cumulative < uniform).sum(-1)
