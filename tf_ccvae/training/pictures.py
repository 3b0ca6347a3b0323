"""The figures of a run: drawn every few epochs, in TensorBoard too, and when a training has ended."""

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from tf_ccvae import interventions
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.interventions import values_by_name
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.settings.schema import Tracking
from tf_ccvae.support import figures
from tf_ccvae.training.run_directory import Run
from tf_ccvae.training.strategies import ONE, Devices

PICTURES = 12
STEPS = 9


class Pictures(keras.callbacks.Callback):
    """Draws the run's figures every few epochs, as the model is then; no number of the training depends on it.

    Args:
      run: the run directory.
      dataset: whose test images are shown.
      every: how many epochs lie between two drawings.
      tensorboard: whether they are also written to TensorBoard, as images of the epoch.
    """

    def __init__(self, run: Run, dataset: Dataset, every: int, tensorboard: bool):
        super().__init__()
        self.run = run
        self.dataset = dataset
        self.every = every
        self.tensorboard = tensorboard

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        drawn = of_model(self.model, self.dataset)
        writer = tf.summary.create_file_writer(str(self.run.tensorboard / "pictures")) if self.tensorboard else None
        for name, figure in drawn.items():
            content = figures.png(figure)
            figures.write(content, self.run.figures / f"{name}.png")
            if writer is not None:
                with writer.as_default(step=epoch):
                    tf.summary.image(name, tf.io.decode_png(content, channels=3)[None])
        if writer is not None:
            writer.close()


def during(tracking: Tracking, run: Run, dataset: Dataset, devices: Devices = ONE) -> tuple[Pictures, ...]:
    """What draws while a training goes on, if the settings ask for it; several devices draw nothing meanwhile."""
    if not tracking.pictures or devices.strategy is not None:
        return ()
    return (Pictures(run, dataset, tracking.pictures, tracking.tensorboard),)


def of_model(model: LabelledVAE, dataset: Dataset) -> dict[str, Figure]:
    """By name: reconstructions, samples, and a traversal of every label, if there are labels."""
    images = np.asarray(dataset.test.images[:PICTURES])
    rebuilt = interventions.reconstruct(model, images)
    pairs = np.stack([images / np.float32(255), rebuilt])
    drawn = {"reconstructions": figures.grid(pairs, rows=("test image", "reconstruction"))}

    values = values_by_name.sample_labels(model, 4 * PICTURES, seed=0)
    samples = interventions.generate(model, values, seed=0).images.reshape(4, PICTURES, *model.image_shape)
    drawn["samples"] = figures.grid(samples, title="samples: y ~ p(y), z ~ p(z|y)")

    if len(model.labels):
        rows = [
            interventions.traverse(model, images[_example(dataset, i), None], label.name, *label.ends, STEPS)[0]
            for i, label in enumerate(model.labels)
        ]
        binary = all(label.binary for label in model.labels)
        ends = [" to ".join(map(x.written, x.ends)) for x in model.labels]
        names = [x.name if binary else f"{x.name}: {end}" for x, end in zip(model.labels, ends, strict=True)]
        columns = ["off", *[""] * (STEPS - 2), "on"] if binary else []
        drawn["traversals"] = figures.grid(np.stack(rows), rows=names, columns=columns)
    return drawn


def draw(model: LabelledVAE, dataset: Dataset, run: Run) -> None:
    """Writes the run's figures: those of the model, and learning curves."""
    for name, figure in of_model(model, dataset).items():
        figures.save(figure, run.figures / f"{name}.png")
    history = run.state().history
    panels: dict[str, tuple[str, ...]] = {
        "bound (nats)": ("validation_bound", "validation_reconstruction"),
        "log q(y|x) (nats)": ("validation_log_label_marginal",),
        "labels": ("validation_accuracy", "validation_balanced_accuracy"),
        "mean absolute error": ("validation_mean_absolute_error",),
    }
    if model.labels.numbers:
        panels["R2 of numbers"] = tuple(f"validation_r2_{model.labels.names[i]}" for i in model.labels.numbers)
    figures.save(figures.curves(history, panels), run.figures / "learning_curves.png")


def _example(dataset: Dataset, label: int) -> int:
    """Among the first test images, one on which the label is known to be off, so that the traversal turns it on."""
    off = np.flatnonzero(dataset.test.labels[:PICTURES, label] == 0)
    return int(off[label % len(off)]) if len(off) else 0
