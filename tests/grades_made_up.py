"""Made-up data with labels of every kind, one of them a grade that the pictures show in order."""

import numpy as np

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import Label, Labels, Scale

STAGES = 5
AGE = Scale(45.0, 14.0, 20.0, 70.0)
LABELS = Labels(
    (
        Label("bright"),
        Label("shape", ("bar", "dots", "frame")),
        Label("stage", ("none", "little", "some", "much", "all"), ordered=True),
        Label("age", scale=AGE),
    )
)


def split(examples: int, seed: int, size: int = 28) -> Split:
    """Grey pictures of a bar whose length is the stage and whose height in the picture is the age, bright or not.

    The right edge of the picture shows the shape. A tenth of the values is missing. `factors` has the length without
    the noise with which it is written down as a stage: 1 in 10 stages is one too low or too high.
    """
    random = np.random.default_rng(seed)
    bright, shape, stage = (random.integers(0, n, examples) for n in (2, 3, STAGES))
    age = random.uniform(20, 70, examples)
    rows, columns = np.arange(size)[None, :, None], np.arange(size)[None, None, :]
    middle = (4 + (age - 20) / 50 * (size - 9))[:, None, None]
    length = (3 + 4 * stage)[:, None, None]
    images = np.clip(3 - np.abs(rows - middle), 0, 1) * np.clip(length - columns + 0.5, 0, 1)
    edge = np.stack([np.ones(size), np.arange(size) % 4 < 2, np.isin(np.arange(size), (0, 1, size - 2, size - 1))])
    images[:, :, -4:-1] = np.maximum(images[:, :, -4:-1], 0.8 * edge[shape][:, :, None])
    images = 20 + images * np.where(bright, 220, 120)[:, None, None]
    written = np.clip(stage + random.choice([-1, 0, 1], examples, p=[0.05, 0.9, 0.05]), 0, STAGES - 1)
    values = np.stack([bright, shape, written, age], axis=1).astype(np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    return Split(images[..., None].astype(np.uint8), values, {"length": length[:, 0, 0]})


def dataset() -> Dataset:
    """512 pictures to train, 64 for validation and 300 for the test."""
    return Dataset("stages", LABELS, split(512, 0), split(64, 1), split(300, 2))
