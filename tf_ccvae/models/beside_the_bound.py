"""What CCVAE is trained on beside its bound: four terms, each with a weight, 0 for none; the bound is without them.

They are the penalty on what other latents tell about a label (`independence`), edits that the encoder reads
(`consistency`), own latents that hold variants (`hiding`) and images with missing labels that teach the classifier
(`unlabelled`).
"""

import abc
from collections.abc import Callable, Sequence

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae import objective
from tf_ccvae.labels import value_mask
from tf_ccvae.models import consistency, draws, hiding, replicas, unlabelled
from tf_ccvae.models.conditional_prior import LabelDistributions
from tf_ccvae.models.draws import Purpose
from tf_ccvae.models.independence import Critic, warmed_up
from tf_ccvae.models.inference import Assessment, pixels
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective.label_model import TensorLike


class BesideTheBound(LabelledVAE):
    """A `LabelledVAE` with these terms; the subclass makes what stands here as attributes.

    critic: of the penalty, None without it.  targets: of missing labels, None without the term.
    flips: whether images with missing labels may be flipped.  nodes: of the one-dimensional integrals.
    """

    label_distributions: LabelDistributions
    critic: Critic | None
    targets: unlabelled.Targets | None
    independence_weight: float
    consistency_weight: float
    hiding_weight: float
    unlabelled_weight: float
    flips: bool
    nodes: int

    @abc.abstractmethod
    def encode(self, image: TensorLike) -> tfd.Normal:
        """q(z|x) of images (batch, height, width, channels), uint8 or float in [0, 1]."""

    @abc.abstractmethod
    def label_model(self) -> objective.LabelModel:
        """The labels' distributions as the objective takes them."""

    @abc.abstractmethod
    def log_label_marginals(self, posterior: tfd.Normal) -> tf.Tensor:
        """log q(y_i = v | x), float32 (batch, labels, values), in nats."""

    @abc.abstractmethod
    def number_marginals(self, posterior: tfd.Normal) -> tfd.Normal | None:
        """q(y_i | x) of the number labels in their units, batch shape (batch, number labels); None without any."""

    def extra_loss(
        self, data: dict[str, tf.Tensor], assessed: Assessment, mean: Callable[[tf.Tensor], tf.Tensor]
    ) -> float | tf.Tensor:
        extra: float | tf.Tensor = 0.0
        step = self.optimizer.iterations
        if self.critic is not None:
            penalty, critic = self.critic(assessed.terms.latents, data["labels"], data["observed"])
            extra = warmed_up(self.independence_weight, step) * mean(penalty) + mean(critic)
        if self.targets is not None:
            extra += self.unlabelled_weight * mean(self._unlabelled(self.targets, data, assessed.log_marginals))
        if self.hiding_weight:
            extra += hiding.warmed_up(self.hiding_weight, step) * self._hidden(data, assessed)
        return extra

    def _hidden(self, data: dict[str, tf.Tensor], assessed: Assessment) -> tf.Tensor:
        """The term of `models.hiding`, of half the batch, (): this replica's share of its mean."""
        count = (tf.shape(assessed.latents)[0] + 1) // 2
        original = hiding.Original(
            pixels(data["image"][:count]),
            data["labels"][:count],
            data["observed"][:count],
            assessed.terms.latents[:count],
            assessed.latents[:count],
        )
        seed = draws.seed_of(self.seed, Purpose.HIDING, self.optimizer.iterations)
        incompatible = self.label_distributions.incompatible
        cost = hiding.cost(original, self.label_model(), incompatible, self.encode, self.decode, seed)
        return replicas.batch_mean(count)(cost)

    def _unlabelled(
        self, targets: unlabelled.Targets, data: dict[str, tf.Tensor], log_marginals: tf.Tensor
    ) -> tf.Tensor:
        """The term of `models.unlabelled`, (batch,)."""
        step = self.optimizer.iterations
        log_prior = tf.convert_to_tensor(self.label_distributions.log_label_prior)
        values, sure = targets(log_marginals, log_prior, data["labels"], data["observed"])
        seed = draws.seed_of(self.seed, Purpose.CHANGES, step)
        posterior = self.encode(unlabelled.changed(pixels(data["image"]), draws.fold(seed, 0), self.flips))
        proposals = self._draws(tf.shape(posterior.loc)[0], "exact", draws.fold(seed, 1))
        read = objective.log_label_marginals(posterior, self.label_model(), self.nodes, proposals)
        listed = data["observed"] & value_mask(self.labels).any(1)
        weights = tf.where(listed, 1.0, tf.where(sure, unlabelled.warmed_up(step), 0.0))
        return unlabelled.cost(read, values, weights)

    def add_gradients(
        self, gradients: Sequence[tf.Tensor | None], data: dict[str, tf.Tensor], terms: objective.Terms
    ) -> Sequence[tf.Tensor | None]:
        """Adds those of the consistency term, of half the batch, to the decoder's."""
        if not self.consistency_weight:
            return gradients
        step = self.optimizer.iterations
        count = (tf.shape(terms.latents)[0] + 1) // 2
        edited = consistency.edit(
            tf.stop_gradient(terms.latents[:count]),
            data["labels"][:count],
            data["observed"][:count],
            self.label_model(),
            self.label_distributions.incompatible,
            draws.normal([count, self.labels.characteristic], draws.seed_of(self.seed, Purpose.EDITS, step)),
            draws.seed_of(self.seed, Purpose.CHOICES, step),
        )
        latents = tf.stop_gradient(edited.latents)
        with tf.GradientTape() as tape:
            posterior = self.encode(self.decode(latents).mean())
            marginals, of_numbers = self.log_label_marginals(posterior), self.number_marginals(posterior)
            cost = replicas.batch_mean(count)(consistency.cost(marginals, edited, of_numbers, self.labels))
            scaled = self.optimizer.scale_loss(consistency.warmed_up(self.consistency_weight, step) * cost)
        weights = self.decoder.trainable_weights
        more = {id(weight): part for weight, part in zip(weights, tape.gradient(scaled, weights), strict=True)}
        return [
            gradient + more[id(weight)] if id(weight) in more else gradient
            for weight, gradient in zip(self.trainable_weights, gradients, strict=True)
        ]
