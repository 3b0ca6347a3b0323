"""A model with number labels, seen as one without them, for the measures that compare values which can be listed.

The view has the other labels alone. What the model holds about numbers counts as style there: it stays as it is when
one of the other labels is set or swapped. `evaluation.numbers` measures the number labels.
"""

import functools
from dataclasses import replace
from typing import cast

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.data.dataset import SPLITS, Dataset, Split
from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import MISSING
from tf_ccvae.models.inference import Inference
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective import Noise
from tf_ccvae.objective.label_model import TensorLike


def factor_of(label: str) -> str:
    """The name of the factor by which a judge reads a number label."""
    return f"number {label}"


def without_numbers(dataset: Dataset) -> Dataset:
    """The data set with its other labels alone; its number labels are factors, which a judge learns to read."""
    plain = dataset.with_labels(dataset.labels.plain.names)

    def part(name: str) -> Split:
        split, own = dataset.split(name), plain.split(name)
        numbers = {factor_of(dataset.labels.names[i]): split.labels[:, i] for i in dataset.labels.numbers}
        return Split(own.images, own.labels, {**own.factors, **numbers})

    train, validation, test = map(part, SPLITS)
    return replace(plain, train=train, validation=validation, test=test)


class PlainView:
    """What evaluation and interventions use of a `LabelledVAE`, for its labels that are no number labels.

    Latents are those of these labels, label after label, then those of number labels, then style.

    Args:
      model: with number labels.
    """

    def __init__(self, model: LabelledVAE):
        self.model = model
        self.labels, self.edits = model.labels.plain, model.edits
        self.columns = Columns.of(model.labels)
        self.latents, self.decoder_inputs, self.image_shape = model.latents, model.decoder_inputs, model.image_shape
        own = np.concatenate([self.columns.plain_latents, self.columns.number_latents])
        self.order = np.concatenate([own, np.arange(len(own), model.decoder_inputs)])
        self.back = np.argsort(self.order)

    def __call__(self, images: TensorLike) -> Inference:
        found = self.model(images)
        return found._replace(label_probabilities=tf.gather(found.label_probabilities, self.columns.plain, axis=1))

    @functools.cached_property
    def label_statistics(self) -> LabelStatistics:
        """p(y) and exclusions of the view's labels."""
        statistics = LabelStatistics(self.labels)
        statistics.build()
        own = self.model.label_statistics
        statistics.log_label_prior.assign(tf.gather(own.log_label_prior, self.columns.plain))
        statistics.incompatible.assign(own.incompatible)
        return statistics

    def latents_of(self, image: TensorLike) -> tf.Tensor:
        return self._seen(self.model.latents_of(image))

    def decode(self, latents: TensorLike) -> tfd.Distribution:
        return self.model.decode(self._whole(latents))

    def values_of(self, latents: TensorLike) -> tf.Tensor:
        values = tf.gather(self.model.values_of(self._whole(latents)), self.columns.plain, axis=1)
        return tf.cast(values, tf.int32)

    def values_table(self, latents: TensorLike) -> tf.Tensor | None:
        table = self.model.values_table(self._whole(latents))
        return None if table is None else tf.gather(table, self.columns.plain, axis=1)

    def set_values(
        self,
        latents: TensorLike,
        values: TensorLike,
        mask: TensorLike,
        mode: str = "transport",
        noise: TensorLike | None = None,
        consistent: bool = True,
    ) -> tf.Tensor:
        noises = None
        if noise is not None:
            shape = (len(np.asarray(noise)), len(self.columns.number_latents))
            noises = np.concatenate([noise, np.zeros(shape, np.float32)], axis=1)[:, self.columns.latents_together]
        wide = self._wide(values, np.nan), self._wide(mask, False)
        return self._seen(self.model.set_values(self._whole(latents), *wide, mode, noises, consistent))

    def draw(self, values: TensorLike, noise: Noise) -> tf.Tensor:
        known = np.asarray(values, np.float32)
        wide = self._wide(np.where(known == MISSING, np.nan, known), np.nan)
        numbers = tf.random.stateless_uniform([len(known), len(self.columns.numbers)], [0, len(known)], 1e-6, 1 - 1e-6)
        uniform = tf.gather(tf.concat([noise.uniform, numbers], axis=1), self.columns.together, axis=1)
        whole = noise._replace(normal=self._whole(noise.normal), uniform=uniform)
        return self._seen(self.model.draw(wide, whole))

    def swap(self, latents: TensorLike, donors: TensorLike, mask: TensorLike, consistent: bool = True) -> tf.Tensor:
        both = self._whole(latents), self._whole(donors)
        return self._seen(self.model.swap(*both, self._wide(mask, False), consistent))

    def characteristic(self, latents: TensorLike) -> tf.Tensor:
        return tf.convert_to_tensor(latents)[:, : self.labels.characteristic]

    def with_characteristic(self, latents: TensorLike, characteristic: TensorLike) -> tf.Tensor:
        return tf.concat([characteristic, self.style(latents)], axis=1)

    def style(self, latents: TensorLike) -> tf.Tensor:
        return tf.convert_to_tensor(latents)[:, self.labels.characteristic :]

    def characteristic_scale(self, index: int) -> tf.Tensor:
        return self.model.characteristic_scale(int(self.columns.plain[index]))

    def _seen(self, latents: tf.Tensor) -> tf.Tensor:
        return tf.gather(latents, self.order, axis=1)

    def _whole(self, latents: TensorLike) -> tf.Tensor:
        return tf.gather(tf.convert_to_tensor(latents), self.back, axis=1)

    def _wide(self, values: TensorLike, other: float | bool) -> np.ndarray:
        """Values of the view's labels (n, L) with something for number labels put between them."""
        own = np.asarray(values)
        kind = bool if own.dtype == bool else np.float32
        wide = np.full((len(own), len(self.model.labels)), other, kind)
        wide[:, self.columns.plain] = own
        return wide


def view_of(model: LabelledVAE) -> LabelledVAE:
    """A model without its number labels; the model itself where it has none."""
    return cast(LabelledVAE, PlainView(model)) if model.labels.numbers else model
