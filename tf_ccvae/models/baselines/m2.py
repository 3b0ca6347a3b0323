"""M2: labels enter encoder and decoder directly."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import refuse_numbers
from tf_ccvae.labels import MISSING, LabelConfig, Labels, value_mask
from tf_ccvae.models.baselines.shared import Baseline, JointTerms, standard_divergence
from tf_ccvae.models.inference import Assessment, Inference, pixels
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.objective import Noise
from tf_ccvae.objective.characteristics import values_from_prior
from tf_ccvae.objective.label_model import NEVER, TensorLike

ENUMERATED = 16  # missing labels are summed out at once if they have at most this many joint values
TEMPERATURE = 0.5  # of the relaxed draws otherwise


@keras.saving.register_keras_serializable("tf_ccvae")
class M2(Baseline):
    """Labels enter encoder and decoder directly: p(y) p(z) p(x|y, z), q(y|x) q(z|x, y).

    Labels are independent given x: Bernoulli or categorical, grades too. The bound on log p(x, y_O) is

        E_{q(y_M|x) q(z|x,y)} log p(x|y, z) - KL(q(z|x, y) || N(0, I))
        + sum_{i in O} log p(y_i) - sum_{i in M} KL(q(y_i|x) || p(y_i))

    and label_weight * log q(y_O|x) comes on top. If all labels together have at most 16 joint values (one label with
    ten classes, say) the missing ones are summed out exactly. Otherwise the divergences of labels are exact, and the
    first line takes one relaxed draw of the missing labels (Gumbel-softmax, temperature 0.5). The decoder's latents are
    one number per binary label (0 or 1), one per class of a categorical one, then z; so a label's characteristic is its
    value and nothing else.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: dimension of z, which comes beside the labels.
      backbone: 'paper' or 'residual', see `models.backbones`.
      widths: channels on each grid of the encoder; by default as backbone and image size ask.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, or 'learned'.
      label_weight: adds this times log q(y_O|x) to what is maximised.
      seed: of the training noise.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras model.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    References:
      Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014.
      Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        labels: Labels | list[LabelConfig],
        latents: int = 45,
        *,
        backbone: str = "paper",
        widths: tuple[int, ...] = (),
        hidden: int = 256,
        likelihood: str = "laplace",
        likelihood_scale: float | str = 1.0,
        label_weight: float = 1000.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        refuse_numbers(labels, "M2", "use ccvae, or leave it out by data.label_names")
        labels = Labels(tuple(replace(x, latents=1 if x.binary else x.values) for x in labels))
        super().__init__(
            image_shape,
            labels,
            latents,
            backbone=backbone,
            widths=widths,
            hidden=hidden,
            likelihood=likelihood,
            likelihood_scale=likelihood_scale,
            label_weight=label_weight,
            seed=seed,
            decoder_inputs=labels.characteristic + latents,
            posterior_inputs=hidden + labels.characteristic,
            **kwargs,
        )
        self.statistics = LabelStatistics(self.labels, name="labels")
        self.statistics.build()
        self.classifier = keras.layers.Dense(len(labels) * labels.values, dtype="float32", name="classifier")
        self.classifier.build((None, hidden))
        joint = np.indices([x.values for x in labels]).reshape(len(labels), -1).T if self._enumerates else None
        self.joint_values = np.array([] if joint is None else joint, np.int32)  # (joint values, labels)

    @property
    def _enumerates(self) -> bool:
        return len(self.labels) > 0 and float(np.prod([float(x.values) for x in self.labels])) <= ENUMERATED

    def log_values(self, features: TensorLike) -> tf.Tensor:
        """log q(y_i = v | x): features (batch, hidden) -> (batch, labels, values)."""
        logits = tf.reshape(self.classifier(features), [-1, len(self.labels), self.labels.values])
        return tf.nn.log_softmax(tf.where(value_mask(self.labels), logits, NEVER), axis=-1)

    def columns(self, table: TensorLike) -> tf.Tensor:
        """Shares of values (n, labels, values) -> what the networks see of them, (n, characteristic)."""
        parts = [
            table[:, i, 1:2] if label.binary else table[:, i, : label.values] for i, label in enumerate(self.labels)
        ]
        return tf.concat([tf.zeros_like(table[:, :0, 0]), *parts], axis=1)

    def posterior(self, features: TensorLike, columns: TensorLike) -> tfd.Normal:
        """q(z|x, y)."""
        return self.posterior_head(tf.concat([tf.cast(features, tf.float32), columns], axis=1))

    def _at_values(self, features: TensorLike, values: TensorLike) -> tf.Tensor:
        columns = self.columns(tf.one_hot(values, self.labels.values))
        return tf.concat([columns, self.posterior(features, columns).loc], axis=1)

    def call(self, image: TensorLike, training: bool = False) -> Inference:
        features = self.encoder(pixels(image))
        log_values = self.log_values(features)
        columns = self.columns(tf.one_hot(tf.argmax(log_values, axis=-1), self.labels.values))
        posterior = self.posterior(features, columns)
        probabilities = tf.where(value_mask(self.labels), tf.exp(log_values), 0.0)
        return Inference(posterior, probabilities, self.decode(tf.concat([columns, posterior.loc], axis=1)))

    def assess(self, data: dict[str, tf.Tensor], noise: Noise, estimator: str) -> Assessment:
        image = pixels(data["image"])
        features = tf.cast(self.encoder(image), tf.float32)
        log_values = self.log_values(features)
        observed = data["observed"]
        chosen = tf.one_hot(tf.where(observed, tf.cast(data["labels"], tf.int32), 0), self.labels.values)
        share = tf.where(observed[..., None], chosen, tf.exp(log_values))  # (batch, L, V)
        log_prior = tf.where(value_mask(self.labels), self.statistics.log_label_prior, 0.0)
        entropy = tf.where(observed, 0.0, -tf.reduce_sum(tf.exp(log_values) * log_values, axis=-1))
        if self._enumerates:
            reconstruction, divergence, latents = self._enumerated(image, features, share, noise)
        else:
            uniform = tf.stack(
                [noise.uniform, 1 - noise.uniform] if self.labels.values == 2 else self._gumbel_uniform(noise), axis=-1
            )
            table = tf.where(observed[..., None], chosen, self._relaxed(log_values, uniform))
            columns = self.columns(table)
            posterior = self.posterior(features, columns)
            latents = tf.concat([columns, posterior.loc + posterior.scale * noise.normal], axis=1)
            reconstruction, divergence = self.decode(latents).log_prob(image), standard_divergence(posterior)
        terms = JointTerms(
            reconstruction=reconstruction,
            style_divergence=divergence,
            characteristic=entropy,
            label_marginal=tf.where(observed, tf.reduce_sum(chosen * log_values, axis=-1), 0.0),
            label_prior=tf.reduce_sum(share * log_prior, axis=-1),
            surrogate=tf.zeros_like(reconstruction),
            latents=latents,
        )
        point = self._at_values(features, tf.argmax(log_values, axis=-1))
        return Assessment(terms, point, log_values)

    def _enumerated(
        self, image: TensorLike, features: TensorLike, share: TensorLike, noise: Noise
    ) -> tuple[tf.Tensor, ...]:
        """Reconstruction and divergence with every joint value weighted by its share.

        Only joint values with a share are decoded, one for an image whose labels are all known; all of them under XLA.
        """
        tables = tf.one_hot(self.joint_values, self.labels.values)  # (J, L, V)
        weights = tf.reduce_prod(tf.einsum("blv,jlv->bjl", share, tables), axis=-1)  # (batch, J)
        count, joint = tf.unstack(tf.shape(weights))
        if self.jit_compile:  # XLA must know how many there are: all
            rows, which = tf.repeat(tf.range(count), joint), tf.tile(tf.range(joint), [count])
        else:  # in the order of the images; a weight that is not a number counts too
            rows, which = tf.unstack(tf.cast(tf.where(~(weights <= 0)), tf.int32), axis=1)
        columns = self.columns(tf.gather(tables, which))
        posterior = self.posterior(tf.gather(features, rows), columns)
        latents = tf.concat([columns, posterior.loc + posterior.scale * tf.gather(noise.normal, rows)], axis=1)
        weight = tf.gather_nd(weights, tf.stack([rows, which], axis=1))[:, None]
        likelihood = self.decode(latents).log_prob(tf.gather(image, rows))
        each = tf.stack([likelihood, standard_divergence(posterior)], axis=1)
        reconstruction, divergence = tf.unstack(tf.math.unsorted_segment_sum(weight * each, rows, count), axis=1)
        first = tf.math.unsorted_segment_min(tf.range(tf.shape(rows)[0]), rows, count)
        return reconstruction, divergence, tf.gather(latents, first)

    def _gumbel_uniform(self, noise: Noise) -> list[tf.Tensor]:
        """One uniform variate per value of categorical labels, from `noise.draws`."""
        return [tfd.Normal(0.0, 1.0).cdf(draw) for draw in tf.unstack(noise.draws, num=self.labels.values)]

    def _draws(self, batch: int | tf.Tensor, estimator: str, seed: tf.Tensor) -> tf.Tensor:
        count = self.labels.values if self.labels.values > 2 else 0
        return tf.random.stateless_normal([count, batch, len(self.labels)], seed, alg="philox")

    def _relaxed(self, log_values: TensorLike, uniform: TensorLike) -> tf.Tensor:
        """A draw from q(y|x), relaxed: softmax((log q + Gumbel noise) / temperature).

        With two values the difference of their Gumbel variates is logistic: one uniform variate makes it.
        """
        if self.labels.values == 2:
            logistic = tf.math.log(uniform[..., 0]) - tf.math.log(uniform[..., 1])
            one = tf.sigmoid((log_values[..., 1] - log_values[..., 0] + logistic) / TEMPERATURE)
            return tf.stack([1 - one, one], axis=-1)
        gumbel = -tf.math.log(-tf.math.log(tf.clip_by_value(uniform, 1e-6, 1 - 1e-6)))
        return tf.nn.softmax((log_values + gumbel) / TEMPERATURE, axis=-1)

    # Interventions ----------------------------------------------------------------------------------------------------

    def latents_of(self, image: TensorLike) -> tf.Tensor:
        features = self.encoder(pixels(image))
        return self._at_values(features, tf.argmax(self.log_values(features), axis=-1))

    def values_of(self, latents: TensorLike) -> tf.Tensor:
        latents = tf.convert_to_tensor(latents)
        parts = [
            tf.cast(latents[:, where.start] > 0.5, tf.int32)
            if label.binary
            else tf.argmax(latents[:, where], axis=-1, output_type=tf.int32)
            for label, where in zip(self.labels, self.labels.slices, strict=True)
        ]
        return tf.stack(parts, axis=1)

    def set_values(
        self,
        latents: TensorLike,
        values: TensorLike,
        mask: TensorLike,
        mode: str = "transport",
        noise: TensorLike | None = None,
        consistent: bool = True,
    ) -> tf.Tensor:
        """A label has one way to be on: all modes do the same."""
        latents = tf.convert_to_tensor(latents)
        new = self.settled(self.values_of(latents), values, mask, consistent)
        return tf.concat([self.columns(tf.one_hot(new, self.labels.values)), self.style(latents)], axis=1)

    def draw(self, values: TensorLike, noise: Noise) -> tf.Tensor:
        values = tf.cast(values, tf.int32)
        values = tf.where(
            values == MISSING, values_from_prior(noise.uniform, self.labels, self.statistics.log_label_prior), values
        )
        return tf.concat([self.columns(tf.one_hot(values, self.labels.values)), noise.normal], axis=1)

    def swap(self, latents: TensorLike, donors: TensorLike, mask: TensorLike, consistent: bool = True) -> tf.Tensor:
        return self.set_values(latents, self.values_of(donors), mask, consistent=consistent)

    def characteristic_scale(self, index: int) -> tf.Tensor:
        label = self.labels.items[index]
        return tf.zeros([label.values, label.latents])
