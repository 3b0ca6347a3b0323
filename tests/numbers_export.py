"""An untrained model with labels of every kind, and an export of it."""

from pathlib import Path

import numpy as np

from tf_ccvae.labels import Label, Labels, Scale
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.training import run_directory

SIZE, AGE = Scale(0.002, 0.0005, 0.001, 0.0035), Scale(45.0, 15.0, 20.0, 70.0)
LABELS = Labels(
    (Label("size", scale=SIZE, latents=2), Label("bright"), Label("age", scale=AGE), Label("kind", ("x", "y", "z")))
)


def made_up(labels: Labels = LABELS) -> CCVAE:
    """A model whose distributions of labels are random, of grey pictures of 28x28."""
    model = CCVAE((28, 28, 1), labels, latents=labels.characteristic + 3, widths=(4, 4, 4), hidden=16)
    random = np.random.default_rng(0)
    numbers = model.label_distributions.numbers
    for weight in (numbers.slope, numbers.intercept, numbers.paced_prior_slope, numbers.paced_prior_intercept):
        weight.assign(random.normal(size=weight.shape))
    for weight in (model.label_distributions.free_kernel, model.label_distributions.free_bias):
        weight.assign(random.normal(size=weight.shape))
    return model


def write_run(path: Path, model: CCVAE) -> Path:
    """A run directory with the model and nothing else."""
    run = run_directory.create(path, "numbers")
    run.config.write_text("{}\n")
    run.save_model(model)
    return path
