"""Made-up data with number labels, of which the best possible prediction is known."""

import numpy as np

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import Label, Labels, Scale

NOISE = 3.0  # standard deviation of what is written down as the age, given the picture; in years
LABELS = Labels((Label("age", scale=Scale(45.0, 15.0, 20.0, 70.0)), Label("bright")))


def split(examples: int, seed: int, size: int = 28) -> Split:
    """Grey pictures of a bar on whose height the age depends, with noise, and which is bright or not.

    `factors` has the age without its noise.
    """
    random = np.random.default_rng(seed)
    truth = random.uniform(20, 70, examples)
    bright = random.integers(0, 2, examples)
    rows = np.arange(size)[None, :, None]
    height = 4 + (truth - 20) / 50 * (size - 9)  # of the bar's middle, in pixels
    bar = np.clip(3 - np.abs(rows - height[:, None, None]), 0, 1) * np.ones((1, 1, size))
    images = 20 + bar * np.where(bright, 220, 110)[:, None, None]
    values = np.stack([truth + NOISE * random.normal(size=examples), bright], axis=1).astype(np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    return Split(images[..., None].astype(np.uint8), values, {"age": truth})


def dataset() -> Dataset:
    """512 pictures to train, 64 for validation and 400 for the test; a tenth of the values is missing."""
    return Dataset("bars", LABELS, split(512, 0), split(64, 1), split(400, 2))
