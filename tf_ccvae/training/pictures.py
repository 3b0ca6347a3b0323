"""The figures that a training leaves in its run directory."""

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.interventions import values_by_name
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.support import figures
from tf_ccvae.training.run_directory import Run

PICTURES = 12
STEPS = 9


def draw(model: LabelledVAE, dataset: Dataset, run: Run) -> None:
    """Writes the run's figures: reconstructions, samples, traversals and learning curves."""
    images = np.asarray(dataset.test.images[:PICTURES])
    rebuilt = interventions.reconstruct(model, images)
    pairs = np.stack([images / np.float32(255), rebuilt])
    figures.save(figures.grid(pairs, rows=("test image", "reconstruction")), run.figures / "reconstructions.png")

    values = values_by_name.sample_labels(model, 4 * PICTURES, seed=0)
    samples = interventions.generate(model, values, seed=0).images.reshape(4, PICTURES, *model.image_shape)
    figures.save(figures.grid(samples, title="samples: y ~ p(y), z ~ p(z|y)"), run.figures / "samples.png")

    if len(model.labels):
        rows = [
            interventions.traverse(model, images[_example(dataset, i), None], label.name, 0, label.values - 1, STEPS)[0]
            for i, label in enumerate(model.labels)
        ]
        binary = all(label.binary for label in model.labels)
        names = [x.name if binary else f"{x.name}: {x.value_names[0]} to {x.value_names[-1]}" for x in model.labels]
        columns = ["off", *[""] * (STEPS - 2), "on"] if binary else []
        sheet = figures.grid(np.stack(rows), rows=names, columns=columns)
        figures.save(sheet, run.figures / "traversals.png")

    history = run.state().history
    panels = {
        "bound (nats)": ("validation_bound", "validation_reconstruction"),
        "log q(y|x) (nats)": ("validation_log_label_marginal",),
        "labels": ("validation_accuracy", "validation_balanced_accuracy"),
        "mean absolute error": ("validation_mean_absolute_error",),
    }
    figures.save(figures.curves(history, panels), run.figures / "learning_curves.png")


def _example(dataset: Dataset, label: int) -> int:
    """Among the first test images, one on which the label is known to be off, so that the traversal turns it on."""
    off = np.flatnonzero(dataset.test.labels[:PICTURES, label] == 0)
    return int(off[label % len(off)]) if len(off) else 0


def most_visible(model: LabelledVAE, images: np.ndarray) -> tuple[int, str] | None:
    """The picture and the label whose first and last value make the most different pictures.

    Args:
      model: a trained model.
      images: (n, height, width, channels), uint8 or float in [0, 1]; a few.

    Returns:
      Index of the picture and name of the label, by mean absolute difference; None without pictures or labels.
    """
    if not len(images) or not len(model.labels):
        return None
    latents = interventions.encode(model, images)
    differences = []
    for i, label in enumerate(model.labels):
        mask = np.arange(len(model.labels)) == i
        first, last = (
            interventions.decode(model, interventions.set_values(model, latents, np.where(mask, value, 0), mask))
            for value in (0, label.values - 1)
        )
        differences.append(np.abs(first - last).mean(axis=(1, 2, 3)))
    label_index, image_index = np.unravel_index(np.argmax(differences), (len(model.labels), len(images)))
    return int(image_index), model.labels.names[label_index]
