"""A variational auto-encoder with a classifier on its latents."""

from dataclasses import replace
from typing import Any, ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import refuse_numbers
from tf_ccvae.labels import MISSING, LabelConfig, Labels, latent_owners, value_mask
from tf_ccvae.models.baselines.shared import Baseline, JointTerms, standard_divergence
from tf_ccvae.models.inference import Assessment, Inference, pixels
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.objective import Noise
from tf_ccvae.objective.integrals import Projection, tilted_expectations
from tf_ccvae.objective.label_model import NEVER, TensorLike


@keras.saving.register_keras_serializable("tf_ccvae")
class VAEClassifier(Baseline):
    """A variational auto-encoder whose latents also feed a linear classifier: p(z) p(x|z) q(y|z).

        E_{q(z|x)} log p(x|z) + sum_{i in O} E_{q(z|x)} log q(y_i|z) - KL(q(z|x) || N(0, I))

    and label_weight * log q(y_O|x) on top. All latents are style; a label's characteristic is its logits. A label is
    set by the smallest change of the latents that mirrors its logit at the decision boundary (for a categorical label:
    that exchanges the logits of the old and the new class) and leaves the logits of all other labels as they are; a
    swap gives the recipient the donor's logits. A grade is a categorical label here: its order is of no use.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: number of latents, at least the number of logits.
      backbone: 'paper' or 'residual', see `models.backbones`.
      widths: channels on each grid of the encoder; by default as backbone and image size ask.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, or 'learned'.
      label_weight: adds this times log q(y_O|x) to what is maximised.
      seed: of the training noise.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras model.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    Raises:
      ValueError: fewer latents than logits.
    """

    proposals: ClassVar[int] = 64  # draws for q(y|x) of labels with more than two classes
    nodes: ClassVar[int] = 64

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
        refuse_numbers(labels, type(self).__name__, "use ccvae, or leave it out by data.label_names")
        labels = Labels(tuple(replace(x, latents=x.values - 1) for x in labels))
        if latents < labels.characteristic:
            raise ValueError(f"latents must be at least {labels.characteristic}, the number of logits, got {latents}")
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
            **kwargs,
        )
        self.statistics = LabelStatistics(self.labels, name="labels")
        self.statistics.build()
        self.classifier = keras.layers.Dense(labels.characteristic, dtype="float32", name="classifier")
        self.classifier.build((None, latents))

    def table(self, logits: TensorLike) -> tf.Tensor:
        """Logits of the classifier (n, characteristic), the first value's being 0, as a table (n, labels, values)."""
        rows = [
            tf.pad(logits[:, where], [[0, 0], [1, self.labels.values - label.values]], constant_values=0.0)
            for label, where in zip(self.labels, self.labels.slices, strict=True)
        ]
        empty = tf.zeros([tf.shape(logits)[0], 0, self.labels.values])
        stacked = tf.concat([empty, *(row[:, None] for row in rows)], axis=1)
        return tf.where(value_mask(self.labels), stacked, NEVER)

    def encode(self, image: TensorLike) -> tfd.Normal:
        """q(z|x)."""
        return self.posterior_head(self.encoder(pixels(image)))

    def log_label_marginals(self, posterior: tfd.Normal, draws: TensorLike) -> tf.Tensor:
        """log q(y_i = v | x) = log E_{q(z|x)} q(v|z): a logit is Gaussian, so that binary labels need no draws."""
        if self.labels.values == 2:
            kernel = tf.convert_to_tensor(self.classifier.kernel)
            loc = self.classifier(posterior.loc)
            scale = tf.sqrt(tf.matmul(tf.square(posterior.scale), tf.square(kernel)) + 1e-12)
            loc, scale = (tf.stack([tf.zeros_like(x), x], axis=-1) for x in (loc, scale))
            projection = Projection(loc, scale, tf.ones_like(loc[..., 0]))
            return tilted_expectations(projection, self.labels, self.nodes).log_marginal
        latents = posterior.loc + posterior.scale * draws  # (S, batch, D)
        count = tf.shape(draws)[0]
        log_values = self._log_values(tf.reshape(latents, [-1, self.latents]))
        log_values = tf.reshape(log_values, [count, -1, len(self.labels), self.labels.values])
        return tf.reduce_logsumexp(log_values, axis=0) - tf.math.log(tf.cast(count, tf.float32))

    def _log_values(self, latents: TensorLike) -> tf.Tensor:
        return tf.nn.log_softmax(self.table(self.classifier(latents)), axis=-1)

    def _draws(self, batch: int | tf.Tensor, estimator: str, seed: tf.Tensor) -> tf.Tensor:
        count = self.proposals if self.labels.values > 2 else 0
        return tf.random.stateless_normal([count, batch, self.latents], seed, alg="philox")

    def call(self, image: TensorLike, training: bool = False) -> Inference:
        posterior = self.encode(image)
        draws = self._draws(tf.shape(posterior.loc)[0], "exact", tf.constant([self.seed, 0]))
        probabilities = tf.exp(self.log_label_marginals(posterior, draws))
        probabilities = tf.where(value_mask(self.labels), probabilities, 0.0)
        return Inference(posterior, probabilities, self.decode(posterior.loc))

    def assess(self, data: dict[str, tf.Tensor], noise: Noise, estimator: str) -> Assessment:
        image = pixels(data["image"])
        posterior = self.encode(image)
        latents = posterior.loc + posterior.scale * noise.normal
        observed = data["observed"]
        chosen = tf.one_hot(tf.where(observed, tf.cast(data["labels"], tf.int32), 0), self.labels.values)
        chosen *= tf.cast(observed, tf.float32)[..., None]
        log_marginals = self.log_label_marginals(posterior, noise.draws)
        reconstruction = self.decode(latents).log_prob(image)
        terms = JointTerms(
            reconstruction=reconstruction,
            style_divergence=standard_divergence(posterior),
            characteristic=tf.reduce_sum(chosen * self._log_values(latents), axis=-1),
            label_marginal=tf.reduce_sum(chosen * log_marginals, axis=-1),
            label_prior=tf.zeros_like(chosen[..., 0]),
            surrogate=tf.zeros_like(reconstruction),
            latents=latents,
        )
        return Assessment(terms, posterior.loc, log_marginals)

    # Interventions ----------------------------------------------------------------------------------------------------

    def latents_of(self, image: TensorLike) -> tf.Tensor:
        return self.encode(image).loc

    def values_table(self, latents: TensorLike) -> tf.Tensor | None:
        return tf.exp(self._log_values(tf.convert_to_tensor(latents)))

    def values_of(self, latents: TensorLike) -> tf.Tensor:
        return tf.argmax(self.table(self.characteristic(latents)), axis=-1, output_type=tf.int32)

    def with_characteristic(self, latents: TensorLike, characteristic: TensorLike) -> tf.Tensor:
        """The nearest latents that have these logits."""
        change = characteristic - self.characteristic(latents)
        return latents + tf.matmul(change, tf.linalg.pinv(tf.convert_to_tensor(self.classifier.kernel)))

    def _exchanged(self, latents: TensorLike, new: TensorLike) -> tf.Tensor:
        """Logits (n, characteristic) in which the present and the new value of each label have changed places."""
        table = self.table(self.characteristic(latents))  # (n, L, V)
        depth = self.labels.values
        old, new = tf.argmax(table, axis=-1, output_type=tf.int32), tf.cast(new, tf.int32)
        high = tf.reduce_sum(table * tf.one_hot(old, depth), axis=-1, keepdims=True)
        low = tf.reduce_sum(table * tf.one_hot(new, depth), axis=-1, keepdims=True)
        values = tf.range(depth)
        table = tf.where(values == new[..., None], high, tf.where(values == old[..., None], low, table))
        table = table - table[..., :1]
        parts = [table[:, i, 1 : label.values] for i, label in enumerate(self.labels)]
        return tf.concat([tf.zeros_like(table[:, :0, 0]), *parts], axis=1)

    def set_values(
        self,
        latents: TensorLike,
        values: TensorLike,
        mask: TensorLike,
        mode: str = "transport",
        noise: TensorLike | None = None,
        consistent: bool = True,
    ) -> tf.Tensor:
        """There is no distribution of a characteristic: all modes do the same."""
        latents = tf.convert_to_tensor(latents)
        new = self.settled(self.values_of(latents), values, mask, consistent)
        return self.with_characteristic(latents, self._exchanged(latents, new))

    def draw(self, values: TensorLike, noise: Noise) -> tf.Tensor:
        values = tf.cast(values, tf.int32)
        values = tf.where(values == MISSING, self.values_of(noise.normal), values)
        return self.with_characteristic(noise.normal, self._exchanged(noise.normal, values))

    def swap(self, latents: TensorLike, donors: TensorLike, mask: TensorLike, consistent: bool = True) -> tf.Tensor:
        latents = self.set_values(latents, self.values_of(donors), mask, consistent=consistent)
        carried = latent_owners(self.labels)
        mask = tf.gather(tf.convert_to_tensor(mask), carried, axis=1)
        logits = tf.where(mask, self.characteristic(donors), self.characteristic(latents))
        return self.with_characteristic(latents, logits)

    def characteristic(self, latents: TensorLike) -> tf.Tensor:
        return self.classifier(tf.convert_to_tensor(latents))

    def style(self, latents: TensorLike) -> tf.Tensor:
        """The latents across which no logit changes: what is left after projecting the classifier's directions out."""
        latents = tf.convert_to_tensor(latents)
        kernel = tf.convert_to_tensor(self.classifier.kernel)
        return latents - tf.matmul(tf.matmul(latents, kernel), tf.linalg.pinv(kernel))

    def characteristic_scale(self, index: int) -> tf.Tensor:
        label = self.labels.items[index]
        return tf.zeros([label.values, label.latents])
