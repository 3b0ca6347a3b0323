"""The classifier alone: a network's encoder with a softmax for each label, which sees no image without labels."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.data.dataset import Dataset
from tf_ccvae.data.pipeline import evaluation_batches, hide_labels, training_batches
from tf_ccvae.labels import Labels, value_mask
from tf_ccvae.models import backbones
from tf_ccvae.models.inference import pixels
from tf_ccvae.settings import Config
from tf_ccvae.support.files import replacing, write_json
from tf_ccvae.training import build, measures


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    network: pixels (n, height, width, channels) in [0, 1] -> log probabilities (n, labels, values).
    training: `steps`, `seconds`, and `best_epoch`, whose weights these are.
    """

    network: keras.Model
    training: dict[str, Any]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """q(y_i = v | x) of images, uint8: float32 (n, labels, values), 0 for values that a label does not have."""
        size = measures.EVALUATION_BATCH
        parts = [self.network(pixels(images[i : i + size])) for i in range(0, len(images), size)]
        return np.exp(np.concatenate([np.asarray(part) for part in parts]))


def train_classifier(config: Config, dataset: Dataset, folder: Path) -> Classifier:
    """Trains on the labels that `fit` would see with these settings, unless it has been trained.

    Args:
      config: settings; those of the networks, the labels and the training are used.
      dataset: the data.
      folder: where it is kept.
    """
    file, about = folder / "classifier.keras", folder / "training.json"
    if about.is_file():
        return Classifier(keras.models.load_model(file, compile=False), json.loads(about.read_text(encoding="utf-8")))
    started = time.monotonic()
    whole = hide_labels(dataset.train, config.data.labelled_fraction, config.data.missing_rate, config.seed)
    per_epoch, epochs = build.steps_per_epoch(config, whole), build.number_of_epochs(config, whole)
    steps = per_epoch * epochs
    seen = np.flatnonzero(whole.observed.any(1))
    known = replace(whole, images=np.asarray(whole.images[seen]), labels=whole.labels[seen], factors={})
    keras.utils.set_random_seed(config.seed)
    network = network_of(config, dataset)
    network.compile(build.build_optimizer(config, steps), loss=_cross_entropy, metrics=[accuracy], jit_compile=False)
    network.optimizer.build(network.trainable_variables)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(file) as beside:
        best = keras.callbacks.ModelCheckpoint(beside, "val_accuracy", mode="max", save_best_only=True)
        history = network.fit(
            training_batches(known, config.training.batch_size, steps, config.seed).map(_pair),
            epochs=epochs,
            steps_per_epoch=per_epoch,
            shuffle=False,
            validation_data=evaluation_batches(dataset.validation, measures.EVALUATION_BATCH).map(_pair),
            verbose=0,
            callbacks=[best],
        ).history
    chosen = int(np.argmax(history["val_accuracy"])) + 1
    training = {"steps": steps, "seconds": round(time.monotonic() - started, 1), "best_epoch": chosen}
    write_json(about, training)
    return Classifier(keras.models.load_model(file, compile=False), training)


def network_of(config: Config, dataset: Dataset) -> keras.Model:
    """An untrained network: the encoder of the settings, and a layer of logits."""
    networks = backbones.named(build.backbone_of(config))
    widths = config.model.encoder_widths or networks.default_widths(dataset.image_shape[0])
    inputs = keras.Input(dataset.image_shape)
    features = networks.encoder(dataset.image_shape, widths, config.model.hidden)(inputs)
    logits = keras.layers.Dense(len(dataset.labels) * dataset.labels.values)(features)
    return keras.Model(inputs, LogShares(dataset.labels)(logits))


@keras.saving.register_keras_serializable("benchmarks")
class LogShares(keras.layers.Layer):
    """Logits (n, labels * values) -> log probabilities (n, labels, values), of values that labels do not have -1e9.

    Args:
      labels: what the labels are (or their config).
      **kwargs: as for any Keras layer.
    """

    def __init__(self, labels: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        table = tf.reshape(logits, [-1, len(self.labels), self.labels.values])
        return tf.nn.log_softmax(tf.where(value_mask(self.labels), table, -1e9), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels.get_config()}


def _pair(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
    return pixels(batch["image"]), tf.where(batch["observed"], batch["labels"], -1)


def _cross_entropy(values: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
    """The sum over known labels, (n,)."""
    known = tf.one_hot(tf.cast(values, tf.int32), log_shares.shape[-1])  # nothing where a label is missing
    return -tf.reduce_sum(known * log_shares, axis=[1, 2])


def accuracy(values: tf.Tensor, log_shares: tf.Tensor) -> tf.Tensor:
    """The share of known labels whose most probable value is the true one, (n,)."""
    values = tf.cast(values, tf.int64)
    right = tf.cast((tf.argmax(log_shares, axis=-1) == values) & (values >= 0), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(right, axis=1), tf.reduce_sum(tf.cast(values >= 0, tf.float32), axis=1))
