"""CCVAE as a Keras model: wires networks, distributions and objective together, and nothing else."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae import objective
from tf_ccvae.labels import LabelConfig, Labels
from tf_ccvae.models import draws, unlabelled
from tf_ccvae.models.beside_the_bound import BesideTheBound
from tf_ccvae.models.conditional_prior import LabelDistributions
from tf_ccvae.models.independence import Critic
from tf_ccvae.models.inference import Assessment, Inference, pixels
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.objective import characteristics
from tf_ccvae.objective.label_model import TensorLike
from tf_ccvae.support.files import JsonObject

__all__ = ["CCVAE", "Inference", "pixels"]

INDEPENDENCE_WEIGHT = 30.0
PACE = 10.0  # of the conditional prior: at 1 it follows the encoder so slowly that edits fail after short trainings


@keras.saving.register_keras_serializable("tf_ccvae")
class CCVAE(BesideTheBound):
    """Characteristic capturing variational auto-encoder.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: number of latents, at least the number of characteristic ones.
      backbone: 'paper' or 'residual', see `models.backbones`.
      widths: channels on each grid of the encoder; by default as backbone and image size ask.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, 'learned' or 'auto', see `models.likelihood`.
      estimator: 'exact', 'pytorch' or 'pyro'; see `tf_ccvae.objective`.
      label_weight: adds this times log q(y_O|x) to what is maximised; by default 1000 for 'exact' and 0 for the
        official estimators, whose gradient holds a hidden weight of its own.
      independence_weight: weight of the penalty on what other latents tell about a label, see `models.independence`; by
        default 30 for 'exact' and 0 for the official estimators.
      consistency_weight: weight of the term that asks for edits which the encoder reads, see `models.consistency`.
      hiding_weight: weight of the term by which own latents come to hold variants, see `models.hiding`.
      unlabelled_weight: weight of the term by which images with missing labels teach the classifier, see
        `models.unlabelled`.
      flips: whether that term may flip images from left to right.
      nodes: nodes of the one-dimensional integrals.
      samples: draws for q(y|x) in the official estimators.
      proposals: draws for categorical labels with several latents.
      seed: of the training noise.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras model.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    Raises:
      ValueError: fewer latents than characteristic ones, an unknown estimator or backbone, or `likelihood_scale` 'auto'
        or a number label with an official estimator.

    Example:
      model = CCVAE((64, 64, 3), Labels.of_binary(["Smiling", "Eyeglasses"]))
      model.compile(optimizer=keras.optimizers.Adam(1e-3))
      model.fit(training_batches(dataset.train, batch_size=64, steps=1000, seed=0))
      probabilities = model(images).label_probabilities
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
        estimator: str = "exact",
        label_weight: float | None = None,
        independence_weight: float | None = None,
        consistency_weight: float = 0.0,
        hiding_weight: float = 0.0,
        unlabelled_weight: float = 0.0,
        flips: bool = False,
        nodes: int = 64,
        samples: int = 100,
        proposals: int = 16,
        seed: int = 0,
        **kwargs: Any,
    ):
        labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        if latents < labels.characteristic:
            raise ValueError(
                f"latents must be at least {labels.characteristic} (one per label and more), got {latents}"
            )
        if estimator not in objective.ESTIMATORS:
            raise ValueError(f"estimator must be one of {', '.join(objective.ESTIMATORS)}, got {estimator!r}")
        objective.check_estimator(estimator, labels)
        if likelihood_scale == "auto" and estimator != "exact":
            raise ValueError("likelihood_scale 'auto' needs estimator 'exact': the others weight the reconstruction")
        weight = objective.default_label_weight(estimator) if label_weight is None else label_weight
        super().__init__(
            image_shape,
            labels,
            latents,
            backbone=backbone,
            widths=widths,
            hidden=hidden,
            likelihood=likelihood,
            likelihood_scale=likelihood_scale,
            label_weight=weight,
            seed=seed,
            **kwargs,
        )
        self.estimator = estimator
        self.nodes = nodes
        self.samples = samples
        self.proposals = proposals
        pace = PACE if estimator == "exact" else 1.0  # the official programs have no such thing
        self.label_distributions = LabelDistributions(self.labels, pace=pace, name="labels")
        self.label_distributions.build()
        default = INDEPENDENCE_WEIGHT if estimator == "exact" and len(labels) else 0.0
        self.independence_weight = default if independence_weight is None else independence_weight
        self.critic = Critic(self.labels, latents, name="critic") if self.independence_weight else None
        if self.critic is not None:
            self.critic.build()
        self.consistency_weight = consistency_weight if len(labels) else 0.0
        self.hiding_weight = hiding_weight if len(labels) else 0.0
        self.unlabelled_weight = unlabelled_weight if len(labels) else 0.0
        self.flips = flips
        self.targets = unlabelled.Targets(self.labels, name="targets") if self.unlabelled_weight else None
        if self.targets is not None:
            self.targets.build()

    # The parts of the model -------------------------------------------------------------------------------------------

    def encode(self, image: TensorLike) -> tfd.Normal:
        """q(z|x) of images (batch, height, width, channels), uint8 or float in [0, 1]."""
        return self.posterior_head(self.encoder(pixels(image)))

    def label_model(self) -> objective.LabelModel:
        """The labels' distributions as the objective takes them."""
        return self.label_distributions.label_model()

    def log_label_marginals(self, posterior: tfd.Normal) -> tf.Tensor:
        """log q(y_i = v | x), float32 (batch, labels, values), in nats."""
        proposals = self._draws(tf.shape(posterior.loc)[0], "exact", tf.constant([self.seed, 0]))
        return objective.log_label_marginals(posterior, self.label_model(), self.nodes, proposals)

    def number_marginals(self, posterior: tfd.Normal) -> tfd.Normal | None:
        """q(y_i | x) of the number labels in their units, batch shape (batch, number labels); None without any."""
        return objective.number_marginals(posterior, self.label_model())

    def call(self, image: TensorLike, training: bool = False) -> Inference:
        posterior = self.encode(image)
        probabilities = tf.exp(self.log_label_marginals(posterior))
        return Inference(posterior, probabilities, self.decode(posterior.loc), self.number_marginals(posterior))

    # Training ---------------------------------------------------------------------------------------------------------

    def terms(
        self, data: dict[str, tf.Tensor], posterior: tfd.Normal, noise: objective.Noise, estimator: str
    ) -> objective.Terms:
        """Terms of the bound on a batch; see `objective.Terms`."""
        return objective.estimate(
            estimator,
            objective.Example(pixels(data["image"]), data["labels"], data["observed"], noise),
            posterior,
            self.label_model(),
            self.decode,
            nodes=self.nodes,
        )

    def assess(self, data: dict[str, tf.Tensor], noise: objective.Noise, estimator: str) -> Assessment:
        posterior = self.encode(data["image"])
        terms = self.terms(data, posterior, noise, estimator)
        marginals = self.log_label_marginals(posterior), self.number_marginals(posterior)
        return Assessment(terms, posterior.loc, *marginals)

    def _draws(self, batch: int | tf.Tensor, estimator: str, seed: tf.Tensor) -> tf.Tensor:
        count = objective.needed_draws(estimator, self.labels, self.samples, self.proposals)
        return draws.normal([count, batch, self.labels.characteristic], seed)

    @property
    def label_statistics(self) -> LabelStatistics:
        return self.label_distributions

    def get_config(self) -> JsonObject:
        config = super().get_config()
        config.update(
            {
                "estimator": self.estimator,
                "independence_weight": self.independence_weight,
                "consistency_weight": self.consistency_weight,
                "hiding_weight": self.hiding_weight,
                "unlabelled_weight": self.unlabelled_weight,
                "flips": self.flips,
                "nodes": self.nodes,
                "samples": self.samples,
                "proposals": self.proposals,
            }
        )
        return config

    # Interventions ----------------------------------------------------------------------------------------------------

    def latents_of(self, image: TensorLike) -> tf.Tensor:
        return self.encode(image).loc

    def values_of(self, latents: TensorLike) -> tf.Tensor:
        return characteristics.values_of(latents, self.label_model())

    def values_table(self, latents: TensorLike) -> tf.Tensor | None:
        return characteristics.values_table(latents, self.label_model())

    def set_values(
        self,
        latents: TensorLike,
        values: TensorLike,
        mask: TensorLike,
        mode: str = "transport",
        noise: TensorLike | None = None,
        consistent: bool = True,
    ) -> tf.Tensor:
        incompatible = self.label_distributions.incompatible if consistent else None
        return characteristics.set_values(latents, values, mask, self.label_model(), incompatible, mode, noise)

    def draw(self, values: TensorLike, noise: objective.Noise) -> tf.Tensor:
        return characteristics.draw(values, self.label_model(), noise)

    def swap(self, latents: TensorLike, donors: TensorLike, mask: TensorLike, consistent: bool = True) -> tf.Tensor:
        incompatible = self.label_distributions.incompatible if consistent else None
        return characteristics.swap(latents, donors, mask, self.label_model(), incompatible)

    def characteristic_scale(self, index: int) -> tf.Tensor:
        return self.label_distributions.latent_scale(index)
