"""The models that the paper compares with: M2, and a variational auto-encoder with a classifier on its latents.

Both are trained, measured and intervened on by the same programs as `CCVAE`.

References:
  Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014 (M2).
  Joy et al., "Capturing Label Characteristics in VAEs", ICLR 2021, section 3 (the latter).
"""

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.base import Assessment, Inference, LabelledVAE, pixels
from tf_ccvae.characteristics import settle
from tf_ccvae.distributions import LabelStatistics, value_mask
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.objective import Noise, Terms
from tf_ccvae.tilting import NEVER, Projection, tilted_expectations

ENUMERATED = 16  # M2 sums out all missing labels at once if they have at most this many joint values
TEMPERATURE = 0.5  # of the relaxed draws otherwise


class JointTerms(Terms):
    """Terms of a bound on log p(x, y_O) in which log q(y_O|x) has no part; `label_marginal` enters the loss alone."""

    @property
    def bound(self) -> tf.Tensor:
        """The evidence lower bound, (batch,)."""
        return (
            self.reconstruction - self.style_divergence + tf.reduce_sum(self.characteristic + self.label_prior, axis=1)
        )


def _standard_divergence(posterior: tfd.Normal) -> tf.Tensor:
    """KL(q(z|x) || N(0, I)) of all latents, (batch,)."""
    loc, scale = tf.convert_to_tensor(posterior.loc), tf.convert_to_tensor(posterior.scale)
    return tf.reduce_sum(0.5 * (tf.square(loc) + tf.square(scale) - 1) - tf.math.log(scale), axis=1)


class _Baseline(LabelledVAE):
    """What both baselines share: a layer for p(y), and the likelihood as CCVAE has it."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        labels: Labels | list[dict[str, Any]],
        latents: int = 45,
        widths: tuple[int, ...] = (),
        hidden: int = 256,
        likelihood: str = "laplace",
        likelihood_scale: float | str = 1.0,
        label_weight: float = 1000.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        super().__init__(
            image_shape, labels, latents, widths, hidden, likelihood, likelihood_scale, label_weight, seed, **kwargs
        )
        self.statistics = LabelStatistics(self.labels, name="labels")
        self.statistics.build()

    @property
    def label_statistics(self) -> LabelStatistics:
        return self.statistics

    def _settled(self, current: Any, values: Any, asked: Any, consistent: bool) -> tf.Tensor:
        statistics = self.statistics
        incompatible = statistics.incompatible if consistent else None
        return settle(current, values, asked, self.labels, statistics.log_label_prior, incompatible)

    def _prior_draws(self, uniform: Any) -> tf.Tensor:
        """Values drawn from p(y) by uniform variates (n, labels): int32 (n, labels)."""
        cumulative = tf.cumsum(tf.exp(self.statistics.log_label_prior), axis=-1)
        drawn = tf.reduce_sum(tf.cast(cumulative < uniform[..., None], tf.int32), axis=-1)
        return tf.minimum(drawn, tf.constant([x.values - 1 for x in self.labels], tf.int32))


@keras.saving.register_keras_serializable("tf_ccvae")
class M2(_Baseline):
    """Labels enter encoder and decoder directly: p(y) p(z) p(x|y, z), q(y|x) q(z|x, y).

    Labels are independent given x: Bernoulli or categorical. The bound on log p(x, y_O) is

        E_{q(y_M|x) q(z|x,y)} log p(x|y, z) - KL(q(z|x, y) || N(0, I))
        + sum_{i in O} log p(y_i) - sum_{i in M} KL(q(y_i|x) || p(y_i))

    and label_weight * log q(y_O|x) comes on top. If all labels together have at most 16 joint values (one label with
    ten classes, say) the missing ones are summed out exactly. Otherwise the divergences of labels are exact, and the
    first line takes one relaxed draw of the missing labels (Gumbel-softmax, temperature 0.5). The decoder's latents are
    one number per binary label (0 or 1), one per class of a categorical one, then z; so a label's characteristic is its
    value and nothing else.

    Args:
      image_shape, labels, widths, hidden, likelihood, likelihood_scale, label_weight, seed: as for `CCVAE`.
      latents: dimension of z, which comes beside the labels.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    References:
      Kingma et al., "Semi-supervised learning with deep generative models", NeurIPS 2014.
      Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        labels: Labels | list[dict[str, Any]],
        latents: int = 45,
        widths: tuple[int, ...] = (),
        hidden: int = 256,
        likelihood: str = "laplace",
        likelihood_scale: float | str = 1.0,
        label_weight: float = 1000.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        labels = Labels(tuple(Label(x.name, x.classes, 1 if x.binary else x.values) for x in labels))
        super().__init__(
            image_shape,
            labels,
            latents,
            widths,
            hidden,
            likelihood,
            likelihood_scale,
            label_weight,
            seed,
            decoder_inputs=labels.characteristic + latents,
            posterior_inputs=hidden + labels.characteristic,
            **kwargs,
        )
        self.classifier = keras.layers.Dense(len(labels) * labels.values, dtype="float32", name="classifier")
        self.classifier.build((None, hidden))
        joint = np.indices([x.values for x in labels]).reshape(len(labels), -1).T if self._enumerates else None
        self.joint_values = np.array([] if joint is None else joint, np.int32)  # (joint values, labels)

    @property
    def _enumerates(self) -> bool:
        return len(self.labels) > 0 and float(np.prod([float(x.values) for x in self.labels])) <= ENUMERATED

    def log_values(self, features: Any) -> tf.Tensor:
        """log q(y_i = v | x): features (batch, hidden) -> (batch, labels, values)."""
        logits = tf.reshape(self.classifier(features), [-1, len(self.labels), self.labels.values])
        return tf.nn.log_softmax(tf.where(value_mask(self.labels), logits, NEVER), axis=-1)

    def columns(self, table: Any) -> tf.Tensor:
        """Shares of values (n, labels, values) -> what the networks see of them, (n, characteristic)."""
        parts = [
            table[:, i, 1:2] if label.binary else table[:, i, : label.values] for i, label in enumerate(self.labels)
        ]
        return tf.concat([tf.zeros_like(table[:, :0, 0]), *parts], axis=1)

    def posterior(self, features: Any, columns: Any) -> tfd.Normal:
        """q(z|x, y)."""
        return self.posterior_head(tf.concat([tf.cast(features, tf.float32), columns], axis=1))

    def _at_values(self, features: Any, values: Any) -> tf.Tensor:
        columns = self.columns(tf.one_hot(values, self.labels.values))
        return tf.concat([columns, self.posterior(features, columns).loc], axis=1)

    def call(self, image: Any, training: bool = False) -> Inference:
        features = self.encoder(pixels(image))
        log_values = self.log_values(features)
        columns = self.columns(tf.one_hot(tf.argmax(log_values, axis=-1), self.labels.values))
        posterior = self.posterior(features, columns)
        probabilities = tf.where(value_mask(self.labels), tf.exp(log_values), 0.0)
        return Inference(posterior, probabilities, self.decode(tf.concat([columns, posterior.loc], axis=1)))

    def assess(self, data: dict[str, Any], noise: Noise, estimator: str) -> Assessment:
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
            reconstruction, divergence = self.decode(latents).log_prob(image), _standard_divergence(posterior)
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

    def _enumerated(self, image: Any, features: Any, share: Any, noise: Noise) -> tuple[tf.Tensor, ...]:
        """Reconstruction and divergence with every joint value weighted by its share."""
        reconstruction = divergence = tf.zeros_like(features[:, 0])
        latents = None
        for values in self.joint_values:
            table = tf.one_hot(values, self.labels.values)  # (L, V)
            weight = tf.reduce_prod(tf.reduce_sum(share * table, axis=-1), axis=1)  # (batch,)
            columns = self.columns(tf.tile(table[None], [tf.shape(features)[0], 1, 1]))
            posterior = self.posterior(features, columns)
            latents = tf.concat([columns, posterior.loc + posterior.scale * noise.normal], axis=1)
            reconstruction += weight * self.decode(latents).log_prob(image)
            divergence += weight * _standard_divergence(posterior)
        return reconstruction, divergence, latents

    def _gumbel_uniform(self, noise: Noise) -> list[tf.Tensor]:
        """One uniform variate per value of categorical labels, from `noise.draws`."""
        return [tfd.Normal(0.0, 1.0).cdf(draw) for draw in tf.unstack(noise.draws, num=self.labels.values)]

    def _draws(self, batch: Any, estimator: str, seed: Any) -> tf.Tensor:
        count = self.labels.values if self.labels.values > 2 else 0
        return tf.random.stateless_normal([count, batch, len(self.labels)], seed, alg="philox")

    def _relaxed(self, log_values: Any, uniform: Any) -> tf.Tensor:
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

    def latents_of(self, image: Any) -> tf.Tensor:
        features = self.encoder(pixels(image))
        return self._at_values(features, tf.argmax(self.log_values(features), axis=-1))

    def values_of(self, latents: Any) -> tf.Tensor:
        latents = tf.convert_to_tensor(latents)
        parts = [
            tf.cast(latents[:, where.start] > 0.5, tf.int32)
            if label.binary
            else tf.argmax(latents[:, where], axis=-1, output_type=tf.int32)
            for label, where in zip(self.labels, self.labels.slices, strict=True)
        ]
        return tf.stack(parts, axis=1)

    def set_values(
        self, latents: Any, values: Any, asked: Any, mode: str = "transport", noise: Any = None, consistent: bool = True
    ) -> tf.Tensor:
        """A label has one way to be on: all modes do the same."""
        latents = tf.convert_to_tensor(latents)
        new = self._settled(self.values_of(latents), values, asked, consistent)
        return tf.concat([self.columns(tf.one_hot(new, self.labels.values)), self.style(latents)], axis=1)

    def draw(self, values: Any, noise: Noise) -> tf.Tensor:
        values = tf.cast(values, tf.int32)
        values = tf.where(values == MISSING, self._prior_draws(noise.uniform), values)
        return tf.concat([self.columns(tf.one_hot(values, self.labels.values)), noise.normal], axis=1)

    def swap(self, latents: Any, donors: Any, asked: Any, consistent: bool = True) -> tf.Tensor:
        return self.set_values(latents, self.values_of(donors), asked, consistent=consistent)

    def characteristic_scale(self, index: int) -> tf.Tensor:
        label = self.labels.items[index]
        return tf.zeros([label.values, label.latents])


@keras.saving.register_keras_serializable("tf_ccvae")
class VAEClassifier(_Baseline):
    """A variational auto-encoder whose latents also feed a linear classifier: p(z) p(x|z) q(y|z).

        E_{q(z|x)} log p(x|z) + sum_{i in O} E_{q(z|x)} log q(y_i|z) - KL(q(z|x) || N(0, I))

    and label_weight * log q(y_O|x) on top. All latents are style; a label's characteristic is its logits. A label is
    set by the smallest change of the latents that mirrors its logit at the decision boundary (for a categorical label:
    that exchanges the logits of the old and the new class) and leaves the logits of all other labels as they are; a
    swap gives the recipient the donor's logits.

    Args:
      image_shape, labels, latents, widths, hidden, likelihood, likelihood_scale, label_weight, seed: as for `CCVAE`.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    Raises:
      ValueError: fewer latents than logits.
    """

    proposals: ClassVar[int] = 64  # draws for q(y|x) of labels with more than two classes
    nodes: ClassVar[int] = 64

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        labels: Labels | list[dict[str, Any]],
        latents: int = 45,
        *arguments: Any,
        **kwargs: Any,
    ):
        labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        labels = Labels(tuple(Label(x.name, x.classes, x.values - 1) for x in labels))
        if latents < labels.characteristic:
            raise ValueError(f"latents must be at least {labels.characteristic}, the number of logits, got {latents}")
        super().__init__(image_shape, labels, latents, *arguments, **kwargs)
        self.classifier = keras.layers.Dense(labels.characteristic, dtype="float32", name="classifier")
        self.classifier.build((None, latents))

    def table(self, logits: Any) -> tf.Tensor:
        """Logits of the classifier (n, characteristic), the first value's being 0, as a table (n, labels, values)."""
        rows = [
            tf.pad(logits[:, where], [[0, 0], [1, self.labels.values - label.values]], constant_values=0.0)
            for label, where in zip(self.labels, self.labels.slices, strict=True)
        ]
        empty = tf.zeros([tf.shape(logits)[0], 0, self.labels.values])
        stacked = tf.concat([empty, *(row[:, None] for row in rows)], axis=1)
        return tf.where(value_mask(self.labels), stacked, NEVER)

    def encode(self, image: Any) -> tfd.Normal:
        """q(z|x)."""
        return self.posterior_head(self.encoder(pixels(image)))

    def log_label_marginals(self, posterior: tfd.Normal, draws: Any) -> tf.Tensor:
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

    def _log_values(self, latents: Any) -> tf.Tensor:
        return tf.nn.log_softmax(self.table(self.classifier(latents)), axis=-1)

    def _draws(self, batch: Any, estimator: str, seed: Any) -> tf.Tensor:
        count = self.proposals if self.labels.values > 2 else 0
        return tf.random.stateless_normal([count, batch, self.latents], seed, alg="philox")

    def call(self, image: Any, training: bool = False) -> Inference:
        posterior = self.encode(image)
        draws = self._draws(tf.shape(posterior.loc)[0], "exact", tf.constant([self.seed, 0]))
        probabilities = tf.exp(self.log_label_marginals(posterior, draws))
        probabilities = tf.where(value_mask(self.labels), probabilities, 0.0)
        return Inference(posterior, probabilities, self.decode(posterior.loc))

    def assess(self, data: dict[str, Any], noise: Noise, estimator: str) -> Assessment:
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
            style_divergence=_standard_divergence(posterior),
            characteristic=tf.reduce_sum(chosen * self._log_values(latents), axis=-1),
            label_marginal=tf.reduce_sum(chosen * log_marginals, axis=-1),
            label_prior=tf.zeros_like(chosen[..., 0]),
            surrogate=tf.zeros_like(reconstruction),
            latents=latents,
        )
        return Assessment(terms, posterior.loc, log_marginals)

    # Interventions ----------------------------------------------------------------------------------------------------

    def latents_of(self, image: Any) -> tf.Tensor:
        return self.encode(image).loc

    def values_table(self, latents: Any) -> tf.Tensor | None:
        return tf.exp(self._log_values(tf.convert_to_tensor(latents)))

    def values_of(self, latents: Any) -> tf.Tensor:
        return tf.argmax(self.table(self.characteristic(latents)), axis=-1, output_type=tf.int32)

    def with_characteristic(self, latents: Any, characteristic: Any) -> tf.Tensor:
        """The nearest latents that have these logits."""
        change = characteristic - self.characteristic(latents)
        return latents + tf.matmul(change, tf.linalg.pinv(tf.convert_to_tensor(self.classifier.kernel)))

    def _exchanged(self, latents: Any, new: Any) -> tf.Tensor:
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
        self, latents: Any, values: Any, asked: Any, mode: str = "transport", noise: Any = None, consistent: bool = True
    ) -> tf.Tensor:
        """There is no distribution of a characteristic: all modes do the same."""
        latents = tf.convert_to_tensor(latents)
        new = self._settled(self.values_of(latents), values, asked, consistent)
        return self.with_characteristic(latents, self._exchanged(latents, new))

    def draw(self, values: Any, noise: Noise) -> tf.Tensor:
        values = tf.cast(values, tf.int32)
        values = tf.where(values == MISSING, self.values_of(noise.normal), values)
        return self.with_characteristic(noise.normal, self._exchanged(noise.normal, values))

    def swap(self, latents: Any, donors: Any, asked: Any, consistent: bool = True) -> tf.Tensor:
        latents = self.set_values(latents, self.values_of(donors), asked, consistent=consistent)
        carried = np.repeat(np.arange(len(self.labels)), [x.latents for x in self.labels])
        asked = tf.gather(tf.convert_to_tensor(asked), carried, axis=1)
        logits = tf.where(asked, self.characteristic(donors), self.characteristic(latents))
        return self.with_characteristic(latents, logits)

    def characteristic(self, latents: Any) -> tf.Tensor:
        return self.classifier(tf.convert_to_tensor(latents))

    def style(self, latents: Any) -> tf.Tensor:
        """The latents across which no logit changes: what is left after projecting the classifier's directions out."""
        latents = tf.convert_to_tensor(latents)
        kernel = tf.convert_to_tensor(self.classifier.kernel)
        return latents - tf.matmul(tf.matmul(latents, kernel), tf.linalg.pinv(kernel))

    def characteristic_scale(self, index: int) -> tf.Tensor:
        label = self.labels.items[index]
        return tf.zeros([label.values, label.latents])
