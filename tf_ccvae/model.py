"""CCVAE as a Keras model: wires networks, distributions and objective together, and nothing else."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae import objective
from tf_ccvae.distributions import LabelDistributions, Likelihood, PosteriorHead
from tf_ccvae.labels import Labels
from tf_ccvae.measures import LabelCounts, Sum, predicted_values
from tf_ccvae.networks import Decoder, Encoder, default_widths

TERMS = ("bound", "reconstruction", "style_divergence", "characteristic", "log_label_marginal", "label_prior")
_TRAINING, _TESTING = 0, 1  # what the noise is for
_EDGE = 1e-6  # uniform variates stay this far from 0 and 1, where float32 loses the cumulative distribution


class Inference(NamedTuple):
    """What the model says about images.

    posterior: q(z|x), `tfd.Normal`, batch shape (batch, latents).
    label_probabilities: q(y_i = v | x), float32 (batch, labels, values); 0 for values that a label does not have.
    reconstruction: p(x|z) at the posterior mean; its `mean()` is the reconstructed image.
    """

    posterior: tfd.Normal
    label_probabilities: tf.Tensor
    reconstruction: tfd.Distribution


def pixels(image: Any) -> tf.Tensor:
    """uint8 images to float32 in [0, 1]; float images as they are, in float32."""
    image = tf.convert_to_tensor(image)
    return tf.cast(image, tf.float32) / 255.0 if image.dtype == tf.uint8 else tf.cast(image, tf.float32)


@keras.saving.register_keras_serializable("tf_ccvae")
class CCVAE(keras.Model):
    """Characteristic capturing variational auto-encoder.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: number of latents, at least the number of characteristic ones.
      widths: channels after each strided layer; by default as the image size asks.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, or 'learned'.
      estimator: 'exact', 'pytorch' or 'pyro'; see `tf_ccvae.objective`.
      label_weight: adds this times log q(y_O|x) to what is maximised; by default 1000 for 'exact' and 0 for the
        official estimators, whose gradient holds a hidden weight of its own.
      nodes: nodes of the one-dimensional integrals.
      samples: draws for q(y|x) in the official estimators.
      proposals: draws for categorical labels with several latents.
      seed: of the training noise.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    Raises:
      ValueError: fewer latents than characteristic ones, or an unknown estimator.

    Example:
      model = CCVAE((64, 64, 3), Labels.of_binary(["Smiling", "Eyeglasses"]))
      model.compile(optimizer=keras.optimizers.Adam(1e-3))
      model.fit(training_batches(dataset.train, batch_size=64, steps=1000, seed=0))
      probabilities = model(images).label_probabilities
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
        estimator: str = "exact",
        label_weight: float | None = None,
        nodes: int = 64,
        samples: int = 100,
        proposals: int = 16,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)  # the networks cast for themselves, all else is float32
        self.image_shape = image_shape
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.latents = latents
        self.widths = tuple(widths) or default_widths(image_shape[0])
        self.hidden = hidden
        self.likelihood = likelihood
        self.likelihood_scale = likelihood_scale
        self.estimator = estimator
        self.label_weight = objective.default_label_weight(estimator) if label_weight is None else label_weight
        self.nodes = nodes
        self.samples = samples
        self.proposals = proposals
        self.seed = seed
        if latents < self.labels.characteristic:
            raise ValueError(
                f"latents must be at least {self.labels.characteristic} (one per label and more), got {latents}"
            )
        if estimator not in objective.ESTIMATORS:
            raise ValueError(f"estimator must be one of {', '.join(objective.ESTIMATORS)}, got {estimator!r}")

        policy = self.dtype_policy
        self.encoder = Encoder(self.image_shape, self.widths, hidden, dtype=policy, name="encoder")
        self.posterior_head = PosteriorHead(latents, name="posterior")
        self.decoder = Decoder(self.image_shape, latents, self.widths, hidden, dtype=policy, name="decoder")
        self.label_distributions = LabelDistributions(self.labels, name="labels")
        self.image_likelihood = Likelihood(likelihood, likelihood_scale, name="likelihood")
        self.encoder.build()
        self.posterior_head.build((None, hidden))
        self.decoder.build()
        self.label_distributions.build()
        self.image_likelihood.build()
        self.built = True

        self.term_means = Sum(("loss", *TERMS, "mean_absolute_error"), name="terms")
        self.label_counts = LabelCounts(self.labels, name="label_counts")

    # Pieces -----------------------------------------------------------------------------------------------------------

    def encode(self, image: Any) -> tfd.Normal:
        """q(z|x) of images (batch, height, width, channels), uint8 or float in [0, 1]."""
        return self.posterior_head(self.encoder(pixels(image)))

    def decode(self, latents: Any) -> tfd.Distribution:
        """p(x|z) of latents (batch, latents)."""
        return self.image_likelihood(self.decoder(latents))

    def label_model(self) -> objective.LabelModel:
        """The labels' distributions as the objective takes them."""
        layer = self.label_distributions
        log_prior = tf.convert_to_tensor(layer.log_label_prior)
        return objective.LabelModel(self.labels, layer.prior, layer.kernel, layer.bias, log_prior)

    def log_label_marginals(self, posterior: tfd.Normal) -> tf.Tensor:
        """log q(y_i = v | x), float32 (batch, labels, values), in nats."""
        draws = self._draws(tf.shape(posterior.loc)[0], "exact", tf.constant([self.seed, 0]))
        return objective.log_label_marginals(posterior, self.label_model(), self.nodes, draws)

    def call(self, image: Any, training: bool = False) -> Inference:
        posterior = self.encode(image)
        probabilities = tf.exp(self.log_label_marginals(posterior))
        return Inference(posterior, probabilities, self.decode(posterior.loc))

    # Training ---------------------------------------------------------------------------------------------------------

    def terms(self, data: dict[str, Any], posterior: tfd.Normal, noise: objective.Noise, estimator: str) -> Any:
        """Terms of the bound on a batch; see `objective.Terms`."""
        return objective.estimate(
            estimator,
            pixels(data["image"]),
            posterior,
            self.label_model(),
            self.decode,
            data["labels"],
            data["observed"],
            noise,
            nodes=self.nodes,
        )

    def noise(self, batch: Any, estimator: str, purpose: int, key: Any) -> objective.Noise:
        """Stateless draws for one batch, a function of (seed, purpose, key, replica) alone."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.constant([self.seed, purpose], tf.int32)
        for part in (key, replica):
            seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(part, tf.int32), alg="philox")
        seeds = [tf.random.experimental.stateless_fold_in(seed, draw, alg="philox") for draw in range(3)]
        return objective.Noise(
            tf.random.stateless_normal([batch, self.latents], seeds[0], alg="philox"),
            tf.random.stateless_uniform([batch, len(self.labels)], seeds[1], _EDGE, 1 - _EDGE, alg="philox"),
            self._draws(batch, estimator, seeds[2]),
        )

    def _draws(self, batch: Any, estimator: str, seed: Any) -> tf.Tensor:
        count = objective.needed_draws(estimator, self.labels, self.samples, self.proposals)
        return tf.random.stateless_normal([count, batch, self.labels.characteristic], seed, alg="philox")

    def train_step(self, data: dict[str, Any]) -> dict[str, Any]:
        batch = tf.shape(data["image"])[0]
        noise = self.noise(batch, self.estimator, _TRAINING, self.optimizer.iterations)
        with tf.GradientTape() as tape:
            terms = self.terms(data, self.encode(data["image"]), noise, self.estimator)
            per_example = terms.loss(self.label_weight)
            loss = tf.reduce_mean(per_example)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self._count_terms(terms, per_example, tf.zeros_like(per_example))
        return {"loss": self.term_means.mean("loss")}

    def test_step(self, data: dict[str, Any]) -> dict[str, Any]:
        """Always by the exact estimator, so that estimators can be compared; reconstructions at the posterior mean."""
        image = pixels(data["image"])
        noise = self.noise(tf.shape(image)[0], "exact", _TESTING, data["index"][0])
        posterior = self.encode(image)
        terms = self.terms(data, posterior, noise, "exact")
        error = tf.reduce_mean(tf.abs(self.decode(posterior.loc).mean() - image), axis=[1, 2, 3])
        self._count_terms(terms, terms.loss(self.label_weight), error)
        predicted = predicted_values(self.log_label_marginals(posterior), self.labels)
        self.label_counts.update_state(data["labels"], data["observed"], predicted)
        return {**self.term_means.result(), **self.label_counts.result()}

    def _count_terms(self, terms: objective.Terms, loss: tf.Tensor, error: tf.Tensor) -> None:
        total = {
            "loss": loss,
            "bound": terms.bound,
            "reconstruction": terms.reconstruction,
            "style_divergence": terms.style_divergence,
            "characteristic": tf.reduce_sum(terms.characteristic, axis=1),
            "log_label_marginal": tf.reduce_sum(terms.label_marginal, axis=1),
            "label_prior": tf.reduce_sum(terms.label_prior, axis=1),
            "mean_absolute_error": error,
        }
        self.term_means.update_state(total)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [self.term_means, self.label_counts]

    # Saving -----------------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        names = ("latents", "hidden", "likelihood", "likelihood_scale", "estimator", "label_weight")
        config.update({name: getattr(self, name) for name in (*names, "nodes", "samples", "proposals", "seed")})
        config.update(image_shape=self.image_shape, widths=self.widths, labels=self.labels.get_config())
        config["dtype"] = keras.saving.serialize_keras_object(self.dtype_policy)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CCVAE":
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.saving.deserialize_keras_object(config["dtype"])
        config["image_shape"] = tuple(config["image_shape"])
        return cls(**config)

    def build(self, input_shape: Any = None) -> None:
        """Nothing to do: the weights are made by the constructor."""

    def set_label_prior(self, probabilities: np.ndarray) -> None:
        """Sets p(y), float (labels, values); see `distributions.observed_frequencies`."""
        self.label_distributions.set_label_prior(probabilities)
